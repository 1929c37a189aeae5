"""Asks every route of a running, closed studio, gradio's own included, by every method, as five persons.

`python -m tests.ui.access_matrix` writes the table.

The routes are read from the application that runs, so one that a new gradio brings along is asked, too.
"""

import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from studio.access.records import Guest
from studio.ui.who import role_needed
from tests.closed import Closed, closed_fake

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PERSONS = ("nobody", "expired", "viewer", "maker", "owner")
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "access.md"
Seen = Mapping[tuple[str, str, str], int]
"""(path's pattern, method, person): status."""
# The studio's own addresses are no routes of gradio's application.
OWN = (
    "/studio/enter",
    "/studio/leave",
    "/openapi.json",
    "/mcp",
    "/kept/0123456789abcdef.png",
    "/kept/pictures.zip",
    "/nothing",
    "/gradio_api/nothing",
)


@dataclass(frozen=True)
class Call:
    """One function of the page that a browser can call: a widget's server function, or an event."""

    widget: str
    name: str
    body: Mapping[str, Any]
    path: str
    role: str


def paths(app: Any) -> list[str]:
    """Return every path that the application knows, as patterns."""
    found = list(_paths(app.routes, "")) + list(OWN)
    return sorted(dict.fromkeys(found))


def _paths(routes: Any, prefix: str) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            # The router's own paths have its prefix already.
            yield from _paths(inner.routes, prefix)
        else:
            yield prefix + route.path


def sample(pattern: str, person: str) -> str:
    """Return an address that a pattern stands for; sessions are the person's own, and of files and events there are none."""
    session = f"matrix-{person}"
    path = re.sub(r"\{session_hash\}", session, pattern)
    path = (
        path.replace("{api_name}", "generate")
        .replace("{path_or_url:path}", "/etc/hostname")
        .replace("{url_path:path}", "http://127.0.0.1:1/")
    )
    path = re.sub(r"\{[^}]*\}", "x", path)
    return f"{path}?session_hash={session}" if path.endswith("/queue/data") else path


def ask_all(closed: Closed) -> Seen:
    """Ask everything; only the answers' beginnings are read, because some never end."""
    people = persons(closed)
    seen = {}
    for person, cookies in people.items():
        with closed.http(cookies, timeout=20) as http:
            for pattern in paths(closed.server.page.app):
                for method in METHODS:
                    if pattern == "/studio/leave" and method == "POST" and person != "nobody":
                        continue  # would sign the person out; it is asked in a test of its own
                    seen[pattern, method, person] = status(http, method, sample(pattern, person))
    return seen


def persons(closed: Closed) -> dict[str, dict[str, str] | None]:
    """Return cookies by person."""
    expired = closed.guest("maker", name="expired")
    guest = next(each for each in closed.access.guests() if each.name == "expired")
    closed.access._book.put(replace(closed.access._book.get(Guest, guest.id) or guest, until=time.time() - 1))
    return {"nobody": None, "expired": expired, "viewer": closed.guest("viewer"), "maker": closed.guest("maker"), "owner": closed.owner()}


def status(http: httpx.Client, method: str, path: str) -> int:
    """Ask once."""
    with http.stream(method, path, json={} if method not in ("GET", "HEAD") else None) as answer:
        return answer.status_code


def calls(closed: Closed) -> list[Call]:
    """Return every function of the page."""
    page = closed.server.page
    found = []
    for block in page.blocks.values():
        for function in getattr(block, "server_fns", []):
            body = {"component_id": block._id, "fn_name": function.__name__, "data": None, "session_hash": "matrix"}
            found.append(Call(str(block.elem_id), function.__name__, body, "/gradio_api/component_server", role_needed(function)))
    for number, event in page.fns.items():
        body = {"fn_index": number, "data": [], "session_hash": "matrix"}
        found.append(Call("event", str(event.api_name), body, "/gradio_api/queue/join", role_needed(event.fn)))
    return found


def table(seen: Seen) -> str:
    """Return the table as Markdown: routes that are closed to everybody in one line, the others with their statuses."""
    rows: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    shut: dict[str, int] = {}
    for pattern in dict.fromkeys(pattern for pattern, _, _ in seen):
        for method in METHODS:
            statuses = tuple(seen.get((pattern, method, person), 200) for person in PERSONS)
            if set(statuses) == {403}:
                shut[pattern] = shut.get(pattern, 0) + 1
            else:
                rows.setdefault((pattern, statuses), []).append(method)
    lines = [
        "# Who reaches what",
        "",
        "Written by `python -m tests.ui.access_matrix`; a test compares it with a running, closed studio.",
        "",
    ]
    lines += [f"| route | methods | {' | '.join(PERSONS)} |", "|---" * (2 + len(PERSONS)) + "|"]
    lines += [f"| `{pattern}` | {' '.join(methods)} | {' | '.join(map(str, statuses))} |" for (pattern, statuses), methods in rows.items()]
    lines += ["", "All other methods of these routes, and all methods of the following, are answered with 403 to everybody:", ""]
    lines += [", ".join(f"`{pattern}`" for pattern, count in shut.items() if count == len(METHODS))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, closed_fake(Path(folder)) as studio:
        GOLDEN.write_text(table(ask_all(studio)), encoding="utf-8")
    sys.stdout.write(f"{GOLDEN.name}\n")
