"""Whose request this is, and which functions are open to whom. Nobody noted in the scope means this machine's own person."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

from studio.people import OWNER, Person, Role

KEY = "studio.person"
F = TypeVar("F", bound=Callable[..., Any])
# From the one who may do least on.
RANKS: tuple[Role, ...] = tuple(reversed(get_args(Role)))


def person_of(request: Any) -> Person:
    """Return who sent a request, a `gr.Request` or starlette's own."""
    inner = getattr(request, "request", request)
    found = inner.scope.get(KEY, OWNER)
    assert isinstance(found, Person)
    return found


def open_to(role: Role) -> Callable[[F], F]:
    """Mark a server function or an event's function as open to guests of this role and above; unmarked ones are the owner's alone.

    Whatever is marked must itself look at `person_of` before it hands out anything that is somebody's.
    """

    def mark(function: F) -> F:
        function.studio_role = role  # type: ignore[attr-defined]
        return function

    return mark


def role_needed(function: Any) -> Role:
    """Return the least role that may call a function of the page."""
    found: Role = getattr(function, "studio_role", "owner")
    return found


def may(person: Person, role: Role) -> bool:
    """Whether a person's role is at least this one."""
    return RANKS.index(person.role) >= RANKS.index(role)
