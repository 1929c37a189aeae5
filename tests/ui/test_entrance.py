"""Links that are followed by somebody who is in already, pages that were opened by who sat there before, how much guests may send."""

import contextlib
import select
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.closed import Closed, closed_fake
from tests.ui.browserless import Page


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with closed_fake(tmp_path_factory.mktemp("closed")) as closed:
        yield closed


def enter(client: httpx.Client, secret: str, **more: str) -> httpx.Response:
    return client.post("/studio/enter", json={"secret": secret, **more})


def test_a_further_link_is_used_where_it_opens_more(closed: Closed) -> None:
    client = closed.http()
    looks_on, makes = closed.access.invite("viewer", uses=5)[1], closed.access.invite("maker", uses=5)[1]

    def follow(secret: str) -> tuple[str, str, bool]:
        answer = enter(client, secret)
        assert answer.status_code == 200
        return answer.json()["name"], answer.json()["role"], "set-cookie" in answer.headers

    def uses() -> list[int]:
        return sorted(each.uses for each in closed.access.invitations() if each.uses >= 3)

    assert enter(client, looks_on, name="Eve").json()["role"] == "viewer"
    # The same link again, as from a chat, takes no further use; one as a maker does, under the same name.
    assert follow(looks_on) == ("Eve", "viewer", False) and uses() == [4, 5]
    assert follow(makes) == ("Eve", "maker", True) and uses() == [4, 4]
    assert follow(makes) == follow(looks_on) == ("Eve", "maker", False) and uses() == [4, 4]
    assert follow(closed.access.owner_secret) == ("", "owner", True)
    assert follow(makes) == follow(closed.access.owner_secret) == ("", "owner", False)
    # One that opens nothing is a wrong one here as well, and one that was used up is not.
    spent = closed.access.invite("maker")[1]
    closed.access.enter(spent)
    assert follow(spent) == ("", "owner", False)
    assert enter(client, "join_nothing").status_code == 403


def test_a_page_that_somebody_else_opened_is_to_be_loaded_again(closed: Closed) -> None:
    client = closed.http(closed.guest("viewer"))
    page = Page(client, "visitor-one-browser")
    assert page.call("guests", "me", None)["role"] == "viewer"
    enter(client, closed.access.invite("maker")[1])
    refused = page.answer("guests", "me", None)
    assert (refused.status_code, refused.json()) == (409, {"error": "This page was opened by somebody else; load it again."})
    assert Page(client, "visitor-loaded-again").call("guests", "me", None)["role"] == "maker"


def test_guests_cannot_fill_the_memory(closed: Closed) -> None:
    def sent(client: httpx.Client, megabytes: int) -> int:
        body = b" " * (megabytes * 1_000_000) + b"{}"
        return client.post(
            "/gradio_api/component_server", content=body, headers={"content-type": "application/json"}, timeout=60
        ).status_code

    viewer, maker, owner = closed.http(closed.guest("viewer")), closed.http(closed.guest("maker")), closed.http(closed.owner())
    assert [sent(viewer, 0), sent(viewer, 2), sent(maker, 2), sent(owner, 2)] == [403, 403, 403, 400]
    told = viewer.post("/gradio_api/component_server", json={"data": "x" * 2_000_000}).json()
    assert told == {"error": "You are sending more than you may at once; send smaller pictures, one after the other."}
    address = httpx.URL(closed.address)
    with contextlib.ExitStack() as stack:
        head = f"POST /gradio_api/queue/join HTTP/1.1\r\nhost: {address.host}\r\ncontent-type: application/json\r\n"
        cookies = "; ".join(f"{name}={value}" for name, value in maker.cookies.items())
        held = [stack.enter_context(socket.create_connection((address.host, address.port or 0))) for _ in range(13)]
        for each in held:
            each.sendall(f"{head}cookie: {cookies}\r\ncontent-length: 10000000\r\n\r\n".encode() + b"[")
        # The rest is waited for; whichever comes last is one too many.
        answered, _, _ = select.select(held, [], [], 90)
        answered[0].settimeout(90)
        answer = b""
        while told["error"].encode() not in answer:
            more = answered[0].recv(10_000)
            assert more, answer
            answer += more
        assert b"403 Forbidden" in answer
    # Others are not held back by that.
    assert sent(closed.http(closed.guest("maker")), 2) == 403


def test_half_a_character_is_a_wrong_secret(closed: Closed) -> None:
    sent = {"content": b'{"secret": "\\ud800"}', "headers": {"content-type": "application/json"}}
    for client in (closed.http(), closed.http(closed.guest("maker"))):
        before = len(closed.access.log(100))
        answer = client.post("/studio/enter", **sent)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()) == (403, {"error": "This link is not, or no longer, an invitation; ask for a new one."})
        (noted, *_), after = closed.access.log(1), len(closed.access.log(100))
        assert (noted["what"], noted["why"], after - before) == ("refused", "wrong link", 1)
