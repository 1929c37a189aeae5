"""The Preset row's server functions over plain HTTP: save, look, take, change, hand out, take in; one sentence for bad input."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from PIL import Image
from starlette.requests import Request

from studio.app import build
from studio.people import OWNER, Person
from studio.presets.parts import ALL
from studio.request import GenerationRequest
from studio.settings import Settings
from studio.ui.preset_calls import server_functions
from studio.ui.who import KEY
from tests.aside import awaited
from tests.served import Served
from tests.ui.browserless import VISITOR_A, Page

FORM = GenerationRequest(prompt="a cube", steps=9).model_dump(mode="json")
CALLS = [
    *("find_presets", "covers", "look_at", "take", "save_preset", "edit_preset"),
    *("duplicate_preset", "delete_preset", "undo_preset", "export_presets", "import_presets"),
]


@pytest.fixture
def visitor(http: httpx.Client, page: Served) -> Iterator[Page]:
    yield Page(http, VISITOR_A)
    for preset in page.studio.presets.list():
        if not preset.builtin:
            page.studio.presets.delete(preset.name)


def dot(color: str = "red") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (600, 300), color).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def saved(visitor: Page, name: str, **changes: Any) -> dict[str, Any]:
    asked = {"name": name, "values": FORM, "parts": list(ALL), "replace": False} | changes
    answer: dict[str, Any] = visitor.call("presets", "save_preset", asked)
    return answer


def names(visitor: Page, search: str = "") -> list[str]:
    return [row["name"] for row in visitor.call("presets", "find_presets", search)["rows"] if not row["builtin"]]


def test_saved_looked_at_and_taken(visitor: Page) -> None:
    answer = saved(visitor, "mine", description="soft", star=True, picture=dot(), parts=["sampling", "prompts"])
    row = answer["preset"]
    assert (answer["error"], row["name"], row["star"], row["facts"]) == ("", "mine", True, "Prompts · Sampling")
    cover = visitor.call("presets", "covers", [row["picture"], "no such key"])["pictures"]
    assert list(cover) == [row["picture"]] and cover[row["picture"]].startswith("data:image/jpeg")
    present = FORM | {"steps": 40, "prompt": "other"}
    look = visitor.call("presets", "look_at", ["mine", present, None, []])
    assert [(each["title"], each["old"], each["new"]) for each in look["changes"]] == [("Prompt", "other", "a cube"), ("Steps", "40", "9")]
    assert look["parts"] == ["prompts", "sampling"]
    taken = visitor.call("presets", "take", ["mine", present, ["sampling"], []])
    assert taken["values"]["steps"] == 9 and "prompt" not in taken["values"]
    assert names(visitor, "SOFT") == ["mine"] and names(visitor, "hard") == []


def test_half_a_character_in_the_form_can_be_looked_at(visitor: Page, http: httpx.Client) -> None:
    saved(visitor, "mine", parts=["prompts"])
    body = {"session_hash": VISITOR_A, "component_id": visitor.parts["presets"], "fn_name": "look_at"}
    body["data"] = ["mine", FORM | {"prompt": "half \ud800"}, None, []]
    headers = {"content-type": "application/json"}
    answer = http.post("/gradio_api/component_server", content=json.dumps(body), headers=headers)
    assert answer.status_code == 200 and "half \ufffd" in [change["old"] for change in answer.json()["changes"]]


def test_a_name_that_is_taken_asks_first_and_saving_over_can_be_undone(visitor: Page) -> None:
    saved(visitor, "mine")
    answer = saved(visitor, "Mine")
    assert answer["taken"] and "There is a preset called mine already" in answer["error"]
    answer = saved(visitor, "Mine", replace=True, values=FORM | {"steps": 50})
    assert answer["error"] == "" and answer["undo"]
    assert visitor.call("presets", "undo_preset", answer["undo"])["preset"]["name"] == "mine"
    assert visitor.call("presets", "look_at", ["mine", FORM, None, []])["changes"] == []


def test_changed_copied_deleted_and_back(visitor: Page) -> None:
    saved(visitor, "mine")
    assert visitor.call("presets", "edit_preset", {"name": "mine", "new": "yours", "star": True})["preset"]["name"] == "yours"
    assert visitor.call("presets", "duplicate_preset", "yours")["preset"]["name"] == "yours copy"
    token = visitor.call("presets", "delete_preset", "yours")["undo"]
    assert names(visitor) == ["yours copy"]
    assert visitor.call("presets", "undo_preset", token)["preset"]["star"]
    assert names(visitor) == ["yours", "yours copy"]


def test_out_and_in(visitor: Page) -> None:
    saved(visitor, "mine")
    for asked in (["mine"], True), (["mine"], False), (None, True):
        file = visitor.call("presets", "export_presets", list(asked))
        visitor.call("presets", "delete_preset", "mine")
        taken = visitor.call("presets", "import_presets", [file["file"], file["data"]])
        assert (taken["names"], taken["notes"]) == (["mine"], [])
    styles = base64.b64encode(b"name,prompt,negative_prompt\nFilm,grain,\n").decode()
    assert visitor.call("presets", "import_presets", ["../../styles.csv", styles])["names"] == ["Film"]


def test_a_form_that_cannot_be_saved_is_one_sentence_and_only_ticked_parts_count(visitor: Page) -> None:
    broken = FORM | {"steps": 999}
    assert saved(visitor, "mine", values=broken)["error"] == "Steps must be a whole number from 1 to 150, not 999."
    assert saved(visitor, "mine", values=broken, picture="data:image/png;base64,AAAA", parts=["size"])["error"]
    assert names(visitor) == []
    assert saved(visitor, "mine", values=broken, parts=["size"])["error"] == ""
    assert visitor.call("presets", "look_at", ["mine", broken, None, []])["changes"] == []


@pytest.mark.parametrize(
    ("call", "asked", "sentence"),
    [
        ("look_at", ["nothing", {}, None, []], "No preset is called 'nothing'; choose one of the list."),
        ("save_preset", {"name": "x" * 300, "values": FORM, "parts": ["size"], "replace": False}, "The name has 300 characters"),
        ("save_preset", {"name": "a", "values": FORM, "parts": [], "replace": False}, "Nothing would be saved; tick at least one part."),
        (
            "save_preset",
            {"name": "a", "values": FORM, "parts": ["size"], "replace": False, "picture": "x"},
            "neither the name of a picture",
        ),
        ("undo_preset", "../../x", "What was there before is no longer kept."),
        ("export_presets", [None, True], "There are no presets of yours to export yet; save one first."),
        ("import_presets", ["a.json", "!"], "This page did not ask properly; reload it."),
        ("import_presets", ["a.json", "e30="], "a.json is no preset of this studio"),
        ("delete_preset", "nothing", "No preset is called 'nothing'"),
    ],
)
def test_bad_input_is_one_sentence(visitor: Page, call: str, asked: Any, sentence: str) -> None:
    assert sentence in visitor.call("presets", call, asked)["error"]


@pytest.mark.parametrize("asked", [None, 5, "", "a", [], ["a"], {}, {"name": 5}, [["a"]], ["a", {}, [5], [[1]]], [[5], True], "x" * 5000])
def test_nonsense_is_answered_without_a_crash(visitor: Page, asked: Any) -> None:
    for call in CALLS:
        answer = visitor.call("presets", call, asked)
        assert isinstance(answer["error"], str) and "Traceback" not in answer["error"]


def test_guests_have_presets_of_their_own(tmp_path: Path) -> None:
    studio = build(Settings(data_dir=tmp_path, engine="fake"))
    calls = {call.__name__: call for call in server_functions(studio)}

    def ask(person: Person, call: str, asked: Any) -> dict[str, Any]:
        request = gr.Request(request=Request({"type": "http", "headers": [], "method": "POST", "path": "/", KEY: person}))
        answer: dict[str, Any] = awaited(calls[call](asked, request))
        return answer

    anna, ben, viewer = Person("anna", "maker"), Person("ben", "maker"), Person("v", "viewer")
    for person in (OWNER, anna):
        ask(person, "save_preset", {"name": f"of {person.id}", "values": FORM, "parts": ["size"], "replace": False})
    mine = {
        person.id: [row["name"] for row in ask(person, "find_presets", "of")["rows"] if not row["builtin"]] for person in (OWNER, anna, ben)
    }
    assert mine == {"owner": ["of owner"], "anna": ["of anna"], "ben": []}
    for call, asked in (("look_at", ["of owner", {}, None, []]), ("delete_preset", "of owner"), ("export_presets", [["of owner"], True])):
        assert "No preset is called 'of owner'" in ask(anna, call, asked)["error"]
    assert len(ask(ben, "find_presets", "")["rows"]) >= 12
    refused = ask(viewer, "save_preset", {"name": "x", "values": FORM, "parts": ["size"], "replace": False})
    assert refused["error"].startswith("You look on here")
