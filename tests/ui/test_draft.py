"""The draft over plain HTTP: found again by its browser, numbered, the last tab wins and hears of it; and pictures that cannot be kept."""

import json
import secrets

import httpx
import pytest

from tests.served import Served
from tests.ui.browserless import VISITOR_A, Page
from tests.unit.test_history import files_of_at_most


@pytest.fixture
def visitor(http: httpx.Client) -> Page:
    return Page(http, VISITOR_A)


def save(visitor: Page, device: str, tab: str, known: int, **content: object) -> dict[str, object]:
    answer: dict[str, object] = visitor.call("draft", "draft_save", [device, tab * 16, known, json.dumps(content)])
    return answer


def test_the_last_tab_wins_and_hears_of_the_other(visitor: Page) -> None:
    device = secrets.token_urlsafe(18)
    assert visitor.call("draft", "draft_load", device) == {"error": "", "version": 0, "tab": "", "content": {}}
    assert save(visitor, device, "a", 0, draft={"steps": 3}) == {"error": "", "version": 1, "other": False}
    assert save(visitor, device, "a", 1, draft={"steps": 4}) == {"error": "", "version": 2, "other": False}
    assert save(visitor, device, "b", 0, draft={"prompt": "x"}, control={"units": []}) == {"error": "", "version": 3, "other": True}
    found = visitor.call("draft", "draft_load", device)
    assert (found["version"], found["content"]) == (3, {"draft": {"prompt": "x"}, "control": {"units": []}})
    assert visitor.call("draft", "draft_load", secrets.token_urlsafe(18))["version"] == 0


@pytest.mark.parametrize(
    "asked",
    [
        None, [], ["x", "t" * 16, 0, "{}"], ["d" * 24, "t" * 16, "0", "{}"], ["d" * 24, "t" * 16, 0, {}], ["d" * 24, "t" * 16, 0, "[]"],
        ["d" * 24, "t" * 16, 0, "{"], ["d" * 24, "t" * 16, 0, "[" * 9999], ["d" * 24, "t" * 16, 0, '{"../../x": 1}'],
        ["d" * 24, "t" * 16, 0, '{"theme": 1}'], ["../" * 8, "t" * 16, 0, "{}"], ["d" * 24, "", 0, "{}"],
        ["d" * 24, "t" * 16, 0, json.dumps({"draft": "x" * 5_000_000})],
    ],
    ids=range(13),
)  # fmt: skip
def test_nonsense_is_one_sentence(visitor: Page, asked: object) -> None:
    told = visitor.call("draft", "draft_save", asked)["error"]
    assert told.endswith(".") and "\n" not in told and len(told) < 160


@pytest.mark.parametrize("device", [None, "", "short", 5, ["d" * 24], "d" * 65, "é" * 20])
def test_only_a_browsers_token_has_a_draft(visitor: Page, device: object) -> None:
    assert visitor.call("draft", "draft_load", device)["error"] == "This page did not start properly; reload it."


def test_a_picture_that_cannot_be_kept_is_shown_and_told(visitor: Page, page: Served) -> None:
    with files_of_at_most(50):
        view = visitor.finish(visitor.generate(seed=31, steps=1, prompt="no room")["job"])
        assert page.studio.gallery and page.studio.gallery.settle(30)
        notes = visitor.call("history", "history_shelves", None)["notes"]
    assert view["phase"] == "done" and visitor.call("stage", "picture", [view["job"], 0])["png"]
    assert any(
        note.startswith("A picture could not be kept: The picture cannot be written: File too large; free some space") for note in notes
    )
    visitor.finish(visitor.generate(seed=32, steps=1, prompt="room again")["job"])
    assert page.studio.gallery.settle(30)
    entries = visitor.call("history", "history_page", [{"text": "room"}, None, False])["entries"]
    assert {entry["seed"] for entry in entries} == {31, 32}
    assert visitor.call("history", "history_shelves", None)["notes"] == []


def test_half_characters_and_endless_numbers_come_back_as_what_can_be_shown(visitor: Page) -> None:
    device = secrets.token_urlsafe(18)
    draft = {"prompt": "half \ud800", "\udfff": [["\udc00"]], "seed": 10**20, "steps": 10**400}
    assert save(visitor, device, "a", 0, draft=draft)["error"] == ""
    content = visitor.call("draft", "draft_load", device)["content"]
    assert content == {"draft": {"prompt": "half \ufffd", "\ufffd": [["\ufffd"]], "seed": 1e20, "steps": None}}
