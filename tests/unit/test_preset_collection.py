"""A person's presets by name: saved, changed, deleted and had back, each person's apart, whatever lies in the folder."""

import io
import json
import os
import resource
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from studio import atomic
from studio.collection.answers import NameTaken
from studio.engine.fake import MemoryPictures
from studio.errors import BadPreset, InvalidRequest, StudioError, UnknownPreset
from studio.people import Person
from studio.presets import encode, plain, snapshot
from studio.presets.parts import ALL
from studio.request import ControlUse, GenerationRequest, LoraUse
from studio.storage.pictures import DiskPictures
from studio.storage.presets import MAX_TRASH
from tests.preset_rooms import room

ANNA, BEN, VIEWER = Person("anna", "maker"), Person("ben", "maker"), Person("v", "viewer")
REQUEST = GenerationRequest(prompt="a cube", steps=9, seed=5)


def own(folder: Path) -> list[str]:
    """The names of the owner's presets, as a start of the studio sees them."""
    return sorted(preset.name for preset in room(folder).list() if not preset.builtin)


def test_saved_presets_are_there_after_a_restart(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("Studio light", REQUEST)
    presets.describe("studio LIGHT", "soft")
    presets.star("Studio light")
    again = room(tmp_path).load("Studio light")
    assert GenerationRequest.parse(dict(again.fields)) == REQUEST
    assert (again.description, again.star, again.builtin) == ("soft", True, False)
    assert room(tmp_path).list("soft")[0] == again
    assert [path.name for path in tmp_path.glob("*.json")] == ["studio-light-77a5dd96e8.json"]


def test_a_part_is_applied_and_all_else_stays(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST, parts=["sampling", "prompts"])
    mine = GenerationRequest(prompt="mine", width=512)
    assert presets.apply("p", mine, parts=["sampling"]) == mine.model_copy(update={"steps": 9, "seed": 5})
    assert presets.apply("Mini: at night", mine).prompt == "mine at night"
    with pytest.raises(BadPreset, match="tick at least one part"):
        presets.save("q", REQUEST, parts=[])


def test_saving_over_keeps_what_nobody_gave_anew_and_can_be_undone(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", GenerationRequest(prompt="{prompt} at night", steps=3))
    presets.describe("p", "mine")
    (path,) = tmp_path.glob("*.json")
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"colour": 1, "request": document["request"] | {"tiling": True}}))
    with pytest.raises(NameTaken, match="There is a preset called p already"):
        presets.save("P", REQUEST)
    saved = presets.put(snapshot("P", GenerationRequest(prompt="a cone at night", steps=9), ALL), replace=True)
    now = presets.load("p")
    assert (now.name, now.description, now.extra, now.values["tiling"], now.values["steps"]) == ("p", "mine", {"colour": 1}, True, 9)
    assert now.values["prompt"] == "{prompt} at night"
    assert presets.undo(saved.undo).values["steps"] == 3
    assert presets.load("p").values["steps"] == 3 and own(tmp_path) == ["p"]


def test_saving_some_parts_over_leaves_the_others(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", GenerationRequest(prompt="a cube", steps=3))
    presets.put(snapshot("p", GenerationRequest(prompt="other words", steps=9), ["sampling"]), replace=True, add=True)
    assert presets.load("p").parts == ALL
    assert (presets.load("p").values["prompt"], presets.load("p").values["steps"]) == ("a cube", 9)
    presets.put(snapshot("p", GenerationRequest(steps=4), ["sampling"]), replace=True)
    assert presets.load("p").parts == ("sampling",)


def test_deleted_presets_come_back(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST)
    token = presets.delete("p")
    assert own(tmp_path) == []
    assert room(tmp_path).undo(token).name == "p"
    assert own(tmp_path) == ["p"]
    token = presets.delete("p")
    presets.save("P", GenerationRequest(steps=1))
    assert presets.undo(token).name == "p 2"
    assert own(tmp_path) == ["P", "p 2"]
    for wrong in (token, "../../p", "", "0" * 24 + "-deleted"):
        with pytest.raises(UnknownPreset, match="no longer kept"):
            presets.undo(wrong)


def test_what_was_deleted_is_listed_newest_first(tmp_path: Path) -> None:
    presets = room(tmp_path)
    for name in "abc":
        presets.save(name, REQUEST)
    presets.save("c", GenerationRequest(), replace=True)
    tokens = {name: presets.delete(name) for name in "ab"}
    assert [(token, preset.name) for token, preset in room(tmp_path).deleted()] == [(tokens["b"], "b"), (tokens["a"], "a")]
    assert presets.deleted(person=ANNA) == []
    presets.undo(tokens["a"])
    assert [preset.name for _, preset in presets.deleted()] == ["b"]


def test_there_is_an_end_to_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.collection.presets.MAX_GUEST_PRESETS", 2)
    presets = room(tmp_path)
    taken = presets.take_in(b"name,prompt\na,x\nb,y\nc,z\n", "styles.csv", person=ANNA)
    assert taken.names == ("a", "b")
    assert taken.notes == ("c was left out: there are 2 presets already; delete one that is not needed.",)
    with pytest.raises(BadPreset, match="There are 2 presets already; delete one that is not needed"):
        presets.save("d", REQUEST, person=ANNA)
    presets.save("A", REQUEST, replace=True, person=ANNA)


def test_the_trash_does_not_grow_for_ever(tmp_path: Path) -> None:
    presets = room(tmp_path)
    (tmp_path / "trash").mkdir()
    for number in range(MAX_TRASH + 10):
        (tmp_path / "trash" / f"{number:024x}-deleted.json").write_text("{}")
    presets.save("p", REQUEST)
    token = presets.delete("p")
    assert len(list((tmp_path / "trash").iterdir())) == MAX_TRASH
    assert presets.undo(token).name == "p"


def test_renamed_and_duplicated(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST)
    presets.rename("p", "P")
    presets.rename("P", "../../q")
    copy = presets.duplicate("../../q")
    assert own(tmp_path) == ["../../q", "../../q copy"] and copy.values == presets.load("../../q").values
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path}
    presets.save("p", GenerationRequest(steps=1))
    with pytest.raises(NameTaken):
        presets.rename("p", "../../Q")
    with pytest.raises(NameTaken):
        presets.duplicate("p", "../../Q")
    assert own(tmp_path) == ["../../q", "../../q copy", "p"]


def test_built_in_presets_are_read_only_and_can_be_copied(tmp_path: Path) -> None:
    presets = room(tmp_path)
    name = "Mini: wide"
    for change in (
        lambda: presets.save(name, REQUEST, replace=True),
        lambda: presets.rename(name, "x"),
        lambda: presets.star(name),
        lambda: presets.describe(name, "x"),
        lambda: presets.illustrate(name, None),
        lambda: presets.delete(name),
    ):
        with pytest.raises(BadPreset, match="is built in and stays as it is"):
            change()
    copy = presets.duplicate(name)
    assert (copy.name, copy.builtin, copy.values) == ("Mini: wide copy", False, presets.load(name).values)
    assert len(presets.list()) == len(presets.list(person=ANNA)) + 1


def test_presets_belong_to_a_person(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("mine", REQUEST)
    presets.save("p", REQUEST, person=ANNA)
    presets.save("p", GenerationRequest(steps=1), person=BEN)
    assert own(tmp_path) == ["mine"]
    for person, steps in ((ANNA, 9), (BEN, 1)):
        assert [preset.values["steps"] for preset in presets.list(person=person) if not preset.builtin] == [steps]
        with pytest.raises(UnknownPreset):
            presets.load("mine", person=person)
    token = presets.delete("p", person=ANNA)
    with pytest.raises(UnknownPreset):
        presets.undo(token, person=BEN)
    with pytest.raises(UnknownPreset):
        presets.undo(token)
    with pytest.raises(StudioError, match="You look on here"):
        presets.save("x", REQUEST, person=VIEWER)
    with pytest.raises(StudioError, match="You look on here"):
        presets.take_in(encode(snapshot("x", REQUEST, ALL)), "x.json", person=VIEWER)
    presets.save("x", REQUEST, person=Person("../../../outside", "maker"))
    assert not [path for path in tmp_path.parent.iterdir() if path.name == "outside"]


def test_control_pictures_are_kept_beside_the_presets(tmp_path: Path) -> None:
    pictures = MemoryPictures()
    key = pictures.keep(Image.new("RGB", (32, 32), "red"))
    request = GenerationRequest(controls=(ControlUse(kind="sketch", image=key),))
    room(tmp_path, pictures=pictures).save("p", request)
    # Another start, where the shared pictures are gone.
    others = MemoryPictures()
    presets = room(tmp_path, pictures=others)
    assert presets.apply("p", GenerationRequest()).controls == request.controls
    assert others.get(key) is not None
    (tmp_path / "pictures" / key[:2] / f"{key}.png").unlink()
    look = room(tmp_path).look("p", {})
    assert look.values["controls"] == [] and look.findings[0].says == "The picture of the sketch unit is not here; the unit is left out."
    with pytest.raises(InvalidRequest, match="A picture of the control units is not here any more"):
        room(tmp_path / "other").save("q", request)


@pytest.mark.parametrize("content", [b"", b"no picture", "half"])
def test_a_damaged_picture_is_set_aside_and_can_be_given_again(tmp_path: Path, content: bytes | str) -> None:
    picture = Image.effect_noise((64, 64), 90)
    kept = DiskPictures(tmp_path)
    key = kept.keep(picture)
    path = tmp_path / key[:2] / f"{key}.png"
    path.write_bytes(path.read_bytes()[:1000] if isinstance(content, str) else content)
    damaged = path.read_bytes()
    assert kept.get(key) is None
    assert path.with_suffix(".damaged").read_bytes() == damaged
    assert kept.keep(picture) == key
    again = kept.get(key)
    assert again is not None and again.tobytes() == picture.tobytes()


def test_a_preset_has_a_small_picture(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST)
    key = presets.illustrate("p", Image.new("RGBA", (2000, 1000), "blue")).picture
    assert key is not None
    kept = presets.picture(key)
    assert kept is not None and kept.size == (384, 192)
    assert presets.illustrate("p", None).picture is None


def test_what_is_not_here_is_said_and_left_out_or_replaced(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", GenerationRequest(model="Nowhere", loras=(LoraUse(name="clae"), LoraUse(name="ink"))))
    present = GenerationRequest(model="Fake").model_dump(mode="json")
    look = presets.look("p", present)
    assert [(each.kind, each.name, each.state) for each in look.findings] == [("model", "Nowhere", "missing"), ("loras", "clae", "missing")]
    assert look.findings[1].offers == ("clay", "ink")
    assert "model" not in look.values and [use["name"] for use in look.values["loras"]] == ["ink"]
    chosen = presets.look("p", present, instead={("loras", "clae"): "clay", ("model", "Nowhere"): "Fake"})
    assert [use["name"] for use in chosen.values["loras"]] == ["clay", "ink"] and chosen.values["model"] == "Fake"
    assert presets.look("p", present, instead={("loras", "clae"): "../../etc"}).values == look.values
    assert [change.field for change in presets.look("p", present, parts=["model"]).changes] == []


def test_damaged_files_are_set_aside_and_said_and_never_overwritten(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST)
    (good,) = tmp_path.glob("*.json")
    cut = good.read_bytes()[:40]
    good.write_bytes(cut)
    # It may still be being copied.
    assert "is cut short" in room(tmp_path).shelf().problems[0] and good.read_bytes() == cut
    old = time.time() - 2 * atomic.DEAD_AFTER
    os.utime(good, (old, old))
    assert "is cut short" in " ".join(room(tmp_path).shelf().problems)
    assert (tmp_path / "damaged" / good.name).read_bytes() == cut and not good.exists()
    presets = room(tmp_path)
    assert presets.shelf().problems == (f"{good.name} was set aside in the folder damaged; mend it and put it back, or delete it.",)
    presets.save("p", REQUEST)
    assert own(tmp_path) == ["p"] and (tmp_path / "damaged" / good.name).read_bytes() == cut


def test_a_file_whose_name_is_no_text_is_a_preset_or_told(tmp_path: Path) -> None:
    strange = os.fsdecode(b"caf\xe9.json")
    room(tmp_path).save("p", REQUEST)
    (path,) = tmp_path.glob("*.json")
    path.rename(path.with_name(strange))
    (tmp_path / f"cut-{strange}").write_bytes(b"{")
    os.utime(tmp_path / f"cut-{strange}", (0, 0))
    presets = room(tmp_path)
    assert own(tmp_path) == ["p"]
    problems = [*presets.shelf().problems, *room(tmp_path).shelf().problems]
    assert any(r"cut-caf\udce9.json was set aside" in problem for problem in problems)
    "".join(problems).encode()
    presets.delete("p")
    assert own(tmp_path) == []


@pytest.mark.parametrize("description", ["\ud800", "half \udfff"])
def test_half_a_character_is_refused_in_a_sentence(tmp_path: Path, description: str) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST)
    with pytest.raises(BadPreset, match="'p' holds half a character"):
        presets.describe("p", description)
    assert presets.load("p").description == ""


def test_what_would_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    deep: object = 1
    for _ in range(plain.MAX_DEPTH - 1):
        deep = [deep]
    with pytest.raises(BadPreset, match="nested too deeply"):
        room(tmp_path).take_in(json.dumps({"steps": 3, "later": deep}).encode(), "deep.json")
    assert own(tmp_path) == []


def test_a_disk_that_fills_while_presets_are_taken_in_says_where(tmp_path: Path) -> None:
    source = room(tmp_path / "source")
    for name, description in (("a", ""), ("b", "x" * 2000), ("c", "")):
        source.save(name, REQUEST)
        source.describe(name, description)
    called, data = source.export(["a", "b", "c"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        taken = room(tmp_path / "target").take_in(data, called)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert taken.names == ("a",) and own(tmp_path / "target") == ["a"]
    assert taken.notes[-1].startswith("b and what follows it were left out: The presets folder cannot be written: File too large")


def test_two_changes_on_one_tick_of_the_clock_are_both_seen(tmp_path: Path) -> None:
    presets = room(tmp_path)
    for seed in range(10, 60):
        presets.save("p", REQUEST.model_copy(update={"seed": seed}), replace=True)
        (path,) = tmp_path.glob("*.json")
        os.utime(path, (5, 5))
        assert presets.load("p").values["seed"] == seed


def test_a_newer_studios_preset_stays_where_it_is(tmp_path: Path) -> None:
    room(tmp_path).save("p", REQUEST)
    (path,) = tmp_path.glob("*.json")
    newer = json.dumps(json.loads(path.read_text()) | {"schema": 9}).encode()
    path.write_bytes(newer)
    os.utime(path, (0, 0))
    presets = room(tmp_path)
    assert "was saved by a newer studio (schema 9" in presets.shelf().problems[0]
    presets.save("p", REQUEST)
    assert path.read_bytes() == newer and len(list(tmp_path.glob("*.json"))) == 2


def test_odd_things_in_the_folder(tmp_path: Path) -> None:
    presets = room(tmp_path)
    presets.save("p", REQUEST)
    (tmp_path / "twin.json").write_bytes(encode(snapshot("P", REQUEST, ALL)))
    (tmp_path / "huge.json").write_bytes(b" " * 1_000_001)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    assert own(tmp_path) == ["p"]
    problems = " ".join(presets.shelf().problems)
    assert "twin.json is left out, as another preset is called P, too" in problems
    assert "huge.json has 1.0 MB" in problems


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    presets = room(tmp_path / "file" / "presets")
    with pytest.raises(StudioError, match=r"The presets folder cannot be written: .*; free some space"):
        presets.save("p", REQUEST)
    assert presets.load("Mini: wide").builtin


def test_out_and_in_again(tmp_path: Path) -> None:
    pictures = MemoryPictures()
    key = pictures.keep(Image.new("L", (40, 32), 99))
    presets = room(tmp_path / "a", pictures=pictures)
    presets.save("p", REQUEST.model_copy(update={"controls": (ControlUse(kind="depth", image=key),)}))
    presets.illustrate("p", Image.new("RGB", (64, 64), "blue"))
    presets.save("q", GenerationRequest(steps=1))
    name, packed = presets.export(["p", "q"])
    assert name == "presets.zip"
    other = room(tmp_path / "b")
    taken = other.take_in(packed, name)
    assert (taken.names, taken.notes) == (("p", "q"), ())
    assert [other.load(each) for each in "pq"] == [presets.load(each) for each in "pq"]
    assert other.apply("p", GenerationRequest()).controls[0].image == key
    assert other.take_in(packed, name).notes == ("p is here already.", "q is here already.")
    presets.describe("q", "for fog")
    name, packed = presets.export(["q"])
    assert other.take_in(packed, name).names == ("q 2",)
    assert other.load("q 2").description == "for fog"
    file, document = presets.export(["q"], pictures=False)
    assert file.startswith("q-") and room(tmp_path / "c").take_in(document, file).names == ("q",)
    with pytest.raises(UnknownPreset):
        presets.export(["p", "nothing"])


def test_whatever_can_be_exported_can_be_taken_in_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = MemoryPictures()
    noise = Image.frombytes("RGB", (2700, 2700), os.urandom(2700 * 2700 * 3))  # as a file 22 MB, more than what people may give
    presets = room(tmp_path / "a", pictures=pictures)
    for name, picture in (("p", noise), ("q", noise.transpose(Image.Transpose.FLIP_TOP_BOTTOM))):
        presets.save(name, REQUEST.model_copy(update={"controls": (ControlUse(kind="depth", image=pictures.keep(picture)),)}))
    taken = room(tmp_path / "b").take_in(presets.export(["p"])[1], "p.zip")
    assert (taken.names, taken.notes) == (("p",), ())
    with pytest.raises(BadPreset, match=r"take 44 MB, and files of at most 40 MB can be taken in again; export fewer at once"):
        presets.export(["p", "q"])


def test_a_preset_whose_pictures_are_not_in_the_file_is_taken_and_that_is_said(tmp_path: Path) -> None:
    pictures = MemoryPictures()
    key = pictures.keep(Image.new("RGB", (32, 32), "red"))
    made = room(tmp_path / "a", pictures=pictures)
    made.save("p", GenerationRequest(steps=3, controls=(ControlUse(kind="sketch", image=key),)))
    _, document = made.export(["p"], pictures=False)
    taken = room(tmp_path / "b").take_in(document, "p.json")
    assert taken.notes == ("p: the picture of a control unit is not in the file.",)
    assert room(tmp_path / "b").apply("p", GenerationRequest()).steps == 3


def test_a_forged_picture_is_not_taken_for_the_one_it_says_it_is(tmp_path: Path) -> None:
    pictures = MemoryPictures()
    key = pictures.keep(Image.new("RGB", (32, 32), "red"))
    made = room(tmp_path / "a", pictures=pictures)
    made.save("p", GenerationRequest(controls=(ControlUse(kind="sketch", image=key),)))
    buffer, forged = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (32, 32), "green").save(forged, "PNG")
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("presets/p.json", made.export(["p"], pictures=False)[1])
        archive.writestr(f"pictures/{key}.png", forged.getvalue())
    other = room(tmp_path / "b")
    assert "is not in the file" in other.take_in(buffer.getvalue(), "p.zip").notes[0]
    assert other.apply("p", GenerationRequest()).controls == ()
