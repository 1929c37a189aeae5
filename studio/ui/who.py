"""Whose request this is. What lets people in notes the person in the ASGI scope; nobody noted means this machine's own."""

from typing import Any

from studio.people import OWNER, Person

KEY = "studio.person"


def person_of(request: Any) -> Person:
    """Return who sent a request, a `gr.Request` or starlette's own."""
    inner = getattr(request, "request", request)
    found = inner.scope.get(KEY, OWNER)
    assert isinstance(found, Person)
    return found
