"""What a guest may reach behind the door: which functions of the page, whose sessions, events and files. All else is refused."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from studio.errors import NotAllowed
from studio.people import Person, Role
from studio.ui.claims import Claims
from studio.ui.routes import API, CALL, FILE, route
from studio.ui.who import may, role_needed

_NOT_YOURS = "This is not yours."


class OtherPage(NotAllowed):
    """What asks is a page that somebody else opened: whoever sits there came in anew since, and has to load it again."""


class Rooms:
    """Knows the page's functions and who may call them; `files` has a folder per person."""

    def __init__(self, page: gr.Blocks, files: Path) -> None:
        self._page, self._files = page, files
        self._claims = Claims()

    def check(self, person: Person, method: str, path: str, *, query: bytes) -> None:
        """Look at a request's address.

        Raises:
            NotAllowed: the person may not ask this.
        """
        found = route(method, path)
        if found is None or not may(person, found.role):
            raise NotAllowed("You may look on here, but not make pictures; ask the owner for an invitation as a maker.")
        if path == f"{API}/queue/data":
            # Who reads it behind takes the last one where there are several.
            named = [value for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if key == "session_hash"]
            for name in named or [""]:
                self._session(person, name)
        elif path.startswith(f"{API}/heartbeat/"):
            self._session(person, path.rsplit("/", 1)[1])
        elif path.startswith(f"{CALL}/") and path != f"{CALL}/":
            self._event(person, path.rsplit("/", 1)[1])
        elif path.startswith(FILE):
            self._file(person, path.removeprefix(FILE))

    def check_body(self, person: Person, path: str, body: bytes) -> bytes:
        """Look at a JSON body, and return it as it was understood here, so that nobody reads it differently behind.

        Raises:
            NotAllowed: the person may not ask this.
        """
        try:
            sent = json.loads(body)
            understood = json.dumps(sent).encode()
        except (ValueError, RecursionError):
            # What is behind says so with its own sentence, and must not understand what was not understood here.
            return b""
        if not isinstance(sent, dict):
            return body
        if (session := sent.get("session_hash")) is not None:
            self._session(person, session)
        if (event := sent.get("event_id")) is not None:
            self._event(person, event)
        if not may(person, self._role(path.rstrip("/"), sent)):
            raise NotAllowed("Only the owner of this studio may do that.")
        return understood

    def note_event(self, person: Person, answer: bytes) -> None:
        """Remember whose event gradio has begun."""
        if found := re.fullmatch(rb'\s*\{\s*"event_id"\s*:\s*"([\w-]+)"\s*\}\s*', answer):
            self._claims.claim("event", found[1].decode(), person.id)

    def _role(self, path: str, sent: Mapping[str, Any]) -> Role:
        """Return the least role that may call the function which a body names."""
        if path == f"{API}/component_server":
            block, name = self._page.blocks.get(_number(sent.get("component_id"))), sent.get("fn_name")
            return role_needed(getattr(block, name, None) if isinstance(name, str) else None)
        if path in (f"{API}/run/predict", f"{API}/queue/join"):
            event = self._page.fns.get(_number(sent.get("fn_index")))
            return role_needed(event.fn) if event else "owner"
        return "viewer"

    def _session(self, person: Person, name: object) -> None:
        if not self._claims.claim("session", name, person.id):
            raise OtherPage("This page was opened by somebody else; load it again.")

    def _event(self, person: Person, name: object) -> None:
        if not self._claims.owns("event", name, person.id):
            raise NotAllowed(_NOT_YOURS)

    def _file(self, person: Person, asked: str) -> None:
        place = self._files if person.role == "owner" else self._files / person.id
        if not Path(os.path.normpath(asked)).is_relative_to(place):
            raise NotAllowed(_NOT_YOURS)


def _number(value: object) -> int:
    return value if type(value) is int else -1
