"""Every route x every method x every person: expected is what was seen, and the table of it is kept."""

import re
from collections.abc import Iterator

import pytest

from tests.closed import Closed, closed_fake
from tests.ui.access_matrix import GOLDEN, METHODS, PERSONS, Seen, ask_all, calls, paths, persons, table

# Written by hand, independent of the studio's own table: pattern, methods, and who may. `mine` is open to none but whose it is.
READ, WRITE = ("GET", "HEAD"), ("POST",)
OPEN = (
    (r"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/openapi\.json", READ, "viewer"),
    (r"/(assets|static|svelte)/\{path:path\}|/gradio_api/(info|theme\.css|startup-events|app_id)", READ, "viewer"),
    (r"/kept/[0-9a-f]{16}\.png|/kept/pictures\.zip", READ, "viewer"),
    (r"/gradio_api/queue/data|/gradio_api/heartbeat/\{session_hash\}", ("GET",), "viewer"),
    (r"/gradio_api/(cancel|reset)", WRITE, "viewer"),
    (r"/gradio_api/(component_server/?|run/\{api_name\}|queue/join)", WRITE, "named"),
    (r"/gradio_api/call/\{api_name\}/?", WRITE, "maker"),
    (r"/gradio_api/call/\{api_name\}/\{event_id\}", ("GET",), "mine"),
    (r"/gradio_api/file=\{path_or_url:path\}", READ, "mine"),
    (r"/mcp", ("GET", "POST", "DELETE"), "maker"),
)
AT_LEAST = {"viewer": ("viewer", "maker", "owner"), "maker": ("maker", "owner"), "named": ("owner",), "mine": ()}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with closed_fake(tmp_path_factory.mktemp("closed")) as closed:
        yield closed


@pytest.fixture(scope="module")
def seen(closed: Closed) -> Seen:
    return ask_all(closed)


def expected(pattern: str, method: str, person: str) -> str:
    """Say what must happen: `closed` (to everybody), `sign in`, `not yours` or `in`."""
    if pattern in ("/studio/enter", "/studio/leave"):
        return "in" if method == "POST" else "closed"
    found = next((role for known, methods, role in OPEN if method in methods and re.fullmatch(known, pattern)), None)
    # The one endpoint stands for {api_name}, and it is not open to direct calls.
    if found is None or pattern == "/gradio_api/run/{api_name}":
        return "closed"
    if person in ("nobody", "expired"):
        return "sign in"
    return "in" if person in AT_LEAST[found] else "not yours"


def test_expected_is_seen(seen: Seen) -> None:
    wrong = {}
    for (pattern, method, person), status in seen.items():
        wanted = expected(pattern, method, person)
        happened = {401: "sign in", 403: "no"}.get(status, "in")
        if happened != {"closed": "no", "not yours": "no"}.get(wanted, wanted):
            wrong[pattern, method, person] = (wanted, status)
    assert wrong == {}


def test_every_route_was_asked(seen: Seen, closed: Closed) -> None:
    known = paths(closed.server.page.app)
    assert len(known) > 70 and len(seen) >= (len(known) - 1) * len(METHODS) * len(PERSONS)


def test_nobody_is_answered_with_the_studio_nor_with_an_error(seen: Seen) -> None:
    for (pattern, _, person), status in seen.items():
        if person in ("nobody", "expired") and pattern != "/studio/leave":
            assert status in (401, 403, 422), pattern
    assert not {key: status for key, status in seen.items() if status >= 500}


def test_each_function_is_open_to_its_role_only(closed: Closed) -> None:
    people = persons(closed)
    order = ("viewer", "maker", "owner")
    wrong = []
    for person in ("viewer", "maker"):
        with closed.http(people[person]) as http:
            for number, call in enumerate(calls(closed)):
                if person == "maker" and call.path.endswith("join"):
                    continue  # begins a run, which others ask for
                body = {**call.body, "session_hash": f"functions-{person}-{number}"}
                refused = http.post(call.path, json=body).status_code == 403
                if refused != (order.index(person) < order.index(call.role)):
                    wrong.append((person, call.widget, call.name))
    assert wrong == []


def test_what_only_the_owner_may_is_what_we_know_of(closed: Closed) -> None:
    # A function that is not marked is the owner's; this list is for those who add one to look at.
    assert {call.name for call in calls(closed) if call.role == "owner"} >= {
        "overview",
        "invite",
        "make_token",
        "withdraw",
        "drop_everyone",
    }


def test_the_table_is_kept(seen: Seen) -> None:
    assert GOLDEN.read_text(encoding="utf-8") == table(seen), "run `python -m tests.ui.access_matrix` and read the difference"
