"""The history over plain HTTP: what the column asks, pictures by id, several as a zip, and nobody else's."""

import io
import zipfile
from typing import Any

import httpx
import pytest
from PIL import Image

from studio.errors import InvalidRequest
from studio.kept import MAX_TAGS, differences, query, tags
from studio.request import ControlUse, GenerationRequest, LoraUse
from tests.served import Served
from tests.ui.browserless import VISITOR_A, Page
from tests.writers import GUEST


@pytest.fixture
def visitor(http: httpx.Client) -> Page:
    return Page(http, VISITOR_A)


@pytest.fixture
def made(visitor: Page) -> list[str]:
    """Ids of three pictures made just now, oldest first."""
    view = visitor.finish(visitor.generate(seed=900, steps=1, batch_size=3, prompt="for the history")["job"])
    return [picture["id"] for picture in view["pictures"]]


def listed(visitor: Page, before: int | None = None, **wanted: Any) -> dict[str, Any]:
    answer: dict[str, Any] = visitor.call("history", "history_page", [wanted, before, True])
    return answer


def test_a_finished_picture_is_listed_newest_first(visitor: Page, made: list[str]) -> None:
    answer = listed(visitor, text="for the history")
    assert [row["id"] for row in answer["entries"]][:3] == made[::-1]
    newest = answer["entries"][0]
    assert (newest["seed"], newest["prompt"], newest["model"], newest["starred"]) == (902, "for the history", "Fake", False)
    assert len({row["run"] for row in answer["entries"][:3]}) == 1


def test_settings_come_back_whole(visitor: Page, made: list[str]) -> None:
    answer = visitor.call("history", "history_entry", made[1])
    request = GenerationRequest.parse(answer["request"])
    assert (request.seed, request.batch_size, request.prompt) == (901, 1, "for the history")
    again = visitor.finish(visitor.generate(**answer["request"])["job"])
    assert again["phase"] == "done"
    compared = visitor.call("history", "history_compare", [made[1], again["pictures"][0]["id"]])
    assert compared["differences"] == [] and compared["note"] == ""
    told = visitor.call("history", "history_compare", [made[0], made[2]])["differences"]
    assert told == [["Seed", "900", "902"]]


def test_stars_tags_and_trash(visitor: Page, made: list[str]) -> None:
    assert visitor.call("history", "history_change", [made[:2], "star"]) == {"error": "", "count": 2}
    assert {row["id"] for row in listed(visitor, shelf="starred")["entries"]} >= set(made[:2])
    assert visitor.call("history", "history_tag", [made[0], [" two  words ", "x", "x", ""], []])["tags"] == ["two words", "x"]
    assert [row["id"] for row in listed(visitor, text="two words")["entries"]][:1] == [made[0]]
    visitor.call("history", "history_change", [made, "delete"])
    assert not set(made) & {row["id"] for row in listed(visitor)["entries"]}
    visitor.call("history", "history_change", [made[:1], "restore"])
    assert made[0] in {row["id"] for row in listed(visitor)["entries"]}
    before = visitor.call("history", "history_shelves", None)
    assert before["deleted"] >= 2 and before["promise"].startswith("All pictures are kept. What is deleted stays in the trash for 30 days.")
    assert visitor.call("history", "history_empty", None)["count"] == before["deleted"]
    assert visitor.call("history", "history_entry", made[1])["error"] == "The picture is not in the history any more."


def test_pictures_come_by_id_whole_and_small(http: httpx.Client, made: list[str]) -> None:
    whole, small = http.get(f"/kept/{made[0]}.png"), http.get(f"/kept/{made[0]}.jpg")
    assert (whole.headers["content-type"], small.headers["content-type"]) == ("image/png", "image/jpeg")
    assert "private" in whole.headers["cache-control"] and whole.headers["x-content-type-options"] == "nosniff"
    assert Image.open(io.BytesIO(whole.content)).size == (256, 256) and len(small.content) < 20_000
    several = http.get("/kept/pictures.zip", params={"ids": ",".join([*made, "0" * 16])})
    with zipfile.ZipFile(io.BytesIO(several.content)) as archive:
        assert len(archive.namelist()) == 3 and archive.read(archive.namelist()[0]) == whole.content
        assert all(name.endswith(".png") and "/" not in name for name in archive.namelist())


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("PNG", ".png")])
def test_a_zip_obeys_format_and_switch(http: httpx.Client, made: list[str], kind: str, suffix: str) -> None:
    for bare in ("", "1"):
        several = http.get("/kept/pictures.zip", params={"ids": ",".join(made), "as": kind, "bare": bare})
        with zipfile.ZipFile(io.BytesIO(several.content)) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        assert len(contents) == 3
        for name, content in contents.items():
            assert name.endswith(suffix) and Image.open(io.BytesIO(content)).format == kind
            assert (b"Steps: " in content or "Steps: ".encode("utf-16-be") in content) == (not bare)
            assert (b'"request"' in content) == (not bare)
    assert http.get("/kept/pictures.zip", params={"ids": made[0], "as": "GIF"}).json() == {"error": "as must be one of PNG, JPEG, WEBP."}


def test_others_pictures_are_as_if_not_there(http: httpx.Client, visitor: Page, page: Served) -> None:
    job = page.studio
    gallery = job.gallery
    assert gallery
    from tests.writers import finished

    (theirs,) = gallery.keep(finished(77), GUEST)
    assert gallery.settle(30) and gallery.file(GUEST, theirs)
    for name in (f"{theirs}.png", f"{theirs}.jpg", f"pictures.zip?ids={theirs}"):
        assert http.get(f"/kept/{name}").status_code == 404
    assert theirs not in {row["id"] for row in listed(visitor)["entries"]}
    assert visitor.call("history", "history_change", [[theirs], "delete"])["count"] == 0
    assert visitor.call("history", "history_entry", theirs)["error"]
    assert visitor.call("control", "reuse", [theirs, "sketch"])["error"]


@pytest.mark.parametrize(
    "path", ["x.png", "../history.db", "..%2fhistory.db", "%2e%2e/history.db", "0" * 15 + ".png", "A" * 16 + ".png", "0" * 16 + ".png", ""]
)
def test_a_path_is_no_id(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/kept/{path}")
    assert answer.status_code in (403, 404) and b"SQLite" not in answer.content


@pytest.mark.parametrize("ids", ["", "x", "../../x", ",".join(["0" * 16] * 3 + ["1" * 17]), ",".join(f"{i:016x}" for i in range(501))])
def test_a_zip_of_nonsense_is_a_sentence(http: httpx.Client, ids: str) -> None:
    answer = http.get("/kept/pictures.zip", params={"ids": ids})
    assert answer.status_code == 422 and answer.json() == {"error": "Name 1 to 500 pictures by their ids."}


NONSENSE: dict[str, list[object]] = {
    "history_page": [
        None, [], [{}, "a", False], [{}, -1, False], [{}, 2**70, False], [{"text": 5}, None, False], [{"text": "x" * 999}, None, False],
        [{"shelf": "others"}, None, False], [{"since": 1.5}, None, False], [[], None, False], [{"until": True}, None, False],
        [{"text": "a\0bcd"}, None, False],
    ],
    "history_entry": [None, ["a"], "' OR 1=1"],
    "history_compare": [["a"], 5, ["a", "b"]],
    "history_change": [[["a"], "purge"], [["a"] * 501, "star"], [[5], "star"], {}],
    "history_tag": [
        ["a", ["b"]],
        ["a", "b", []],
        ["a", ["b"], "b"],
        ["a", ["x" * 41], []],
        ["a", ["a\0b"], []],
        None,
        ["a", [str(i) for i in range(MAX_TAGS + 1)], []],
        ["nothing", ["x"], []],
    ],
}  # fmt: skip


@pytest.mark.parametrize(("function", "asked"), [(name, asked) for name, each in NONSENSE.items() for asked in each])
def test_nonsense_is_one_sentence(visitor: Page, function: str, asked: object) -> None:
    told = visitor.call("history", function, asked)["error"]
    assert told.endswith(".") and "\n" not in told and told.replace("...", "").count(". ") == 0


def test_a_kept_picture_can_be_used_as_control(visitor: Page, made: list[str]) -> None:
    answer = visitor.call("control", "reuse", [made[0], "sketch"])
    assert answer["error"] == "" and len(answer["image"]) == 64


def test_differences_name_every_part() -> None:
    key = "ab" * 32
    one = GenerationRequest(prompt="a", seed=1, controls=(ControlUse(kind="sketch", image=key, weight=0.5),), loras=(LoraUse(name="x"),))
    other = GenerationRequest(
        prompt="", seed=1, width=256, controls=(ControlUse(kind="sketch", image="cd" * 32, weight=1), ControlUse(kind="pose", image=key))
    )
    assert differences(one, other) == [
        ("Prompt", "a", "empty"),
        ("Width", "default", "256"),
        ("Control 1: Picture", "picture ababab", "picture cdcdcd"),
        ("Control 1: Weight", "0.5", "1"),
        ("Control 2", "none", "pose 1"),
        ("LoRAs", "x 1", "none"),
    ]


def test_words_are_read_from_json() -> None:
    assert query({"text": "a", "shelf": None, "since": 5}).since == 5
    assert tags(["  a  b "]) == ("a b",)
    for part in ("text", "model", "lora"):
        with pytest.raises(InvalidRequest, match=f"{part} holds a character that is none; leave it out"):
            query({part: "half \ud800"})
    with pytest.raises(InvalidRequest, match="must have at most 40 characters and no comma"):
        tags(["a, b"])
