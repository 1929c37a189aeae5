"""Presets of other programs are taken in, what is not understood is said, and dangerous files are one sentence."""

import base64
import io
import json
import random
import string
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.collection import Presets
from studio.engine.fake import FakeInventory, MemoryPictures
from studio.engine.fake_presets import MemoryPresets
from studio.errors import BadPreset, StudioError
from studio.loras.tags import find_tags
from studio.presets import encode, snapshot
from studio.presets.parts import ALL
from studio.request import GenerationRequest, limits
from tests.preset_rooms import room

REQUEST = GenerationRequest(prompt="a cube", steps=9)
STYLES_WITH_HASHES = (
    '# mine\n# since 2023\nname,prompt,negative_prompt\n# a comment, with a comma\nNight,"a city\n#night, stars",blurry\nFilm,film grain,\n'
)
STYLES = (
    '\ufeffname,prompt,negative_prompt\n# a comment, with a comma\nNight,"{prompt}, night\nstars", sun\nFilm,film grain,\n--- mine ---,,\n'
)
FOOOCUS: dict[str, Any] = {
    "default_model": "juggernautXL.safetensors",
    "default_refiner": "None",
    "default_refiner_switch": 0.5,
    "default_loras": [
        [True, "None", 1.0],
        [True, "sub/offset.safetensors", 0.5],
        [False, "off.safetensors", 1.0],
        ["older.safetensors", 3],
    ],
    "default_cfg_scale": 4.0,
    "default_sample_sharpness": 2.0,
    "default_sampler": "dpmpp_2m_sde_gpu",
    "default_scheduler": "karras",
    "default_performance": "Speed",
    "default_image_number": 12,
    "default_prompt": "",
    "default_prompt_negative": "blurry",
    "default_styles": ["Fooocus V2"],
    "default_aspect_ratio": "1152*896",
    "checkpoint_downloads": {},
}


def dot() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


SWARM: dict[str, Any] = {
    "Fast": {
        "author": "local",
        "title": "Fast",
        "description": "quick",
        "preview_image": dot(),
        "is_starred": True,
        "param_map": {
            "prompt": "{value}, sharp",
            "negativeprompt": "bad",
            "model": "OfficialStableDiffusion/sd_xl_base_1.0.safetensors",
            "steps": "12",
            "cfgscale": "6.5",
            "images": "2",
            "width": "768",
            "height": "512",
            "sampler": "euler_ancestral",
            "scheduler": "normal",
            "loras": "clay,ink",
            "loraweights": "0.5,1.5",
            "refinerupscale": "2",
        },
    },
    "Broken": {"title": "Broken"},
}


def taken(folder: Path, content: str | bytes | dict[str, Any] | list[Any], called: str) -> tuple[Presets, tuple[str, ...], str]:
    presets = room(folder)
    data = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
    made = presets.take_in(data, called)
    return presets, made.names, " ".join(made.notes)


def test_styles_of_a1111(tmp_path: Path) -> None:
    presets, names, notes = taken(tmp_path, STYLES, "styles.csv")
    assert names == ("Night", "Film")
    assert presets.load("Night").values == {"prompt": "{prompt}, night\nstars", "negative_prompt": "{prompt}, sun"}
    assert presets.load("Film").values == {"prompt": "{prompt}, film grain"}
    assert presets.apply("Film", REQUEST).prompt == "a cube, film grain"
    assert notes == "'--- mine ---' holds nothing that could be taken."


def test_lora_tags_of_a1111_mean_the_same_here(tmp_path: Path) -> None:
    rows = 'Glow,"{prompt}, <lora:glow:0.2:0.9> <lyco:film:0.7> <lora:ink:0.5>",<lora:much:99>\nHyper,"<hypernet:anime:1>, (cat:1.3)",\n'
    presets, names, notes = taken(tmp_path, f"name,prompt,negative_prompt\n{rows}", "styles.csv")
    assert names == ("Glow", "Hyper")
    most = limits("loras.weight")[1]
    assert presets.load("Glow").values == {
        "prompt": "{prompt}, <lora:glow:te=0.2:unet=0.9> <lora:film:0.7> <lora:ink:0.5>",
        "negative_prompt": f"{{prompt}}, <lora:much:{most:g}>",
    }
    (tag, *_) = find_tags(presets.load("Glow").values["prompt"])
    assert (tag.weight, tag.text_weight) == (0.9, 0.2)
    for said in ("the weight of LoRA much was brought into", "so anime is left out", "weights in brackets"):
        assert said in notes


def test_comments_are_rows_that_begin_with_a_hash_and_not_lines(tmp_path: Path) -> None:
    presets, names, notes = taken(tmp_path, STYLES_WITH_HASHES, "styles.csv")
    assert (names, notes) == (("Night", "Film"), "")
    assert presets.load("Night").values["prompt"] == "{prompt}, a city\n#night, stars"


def test_the_old_styles_and_those_of_others(tmp_path: Path) -> None:
    assert taken(tmp_path, "name,text\nOld,film\n", "styles.csv")[0].load("Old").values == {"prompt": "{prompt}, film"}
    presets, names, notes = taken(tmp_path, "name,positive_prompt,negative_prompt,mood\nInvoke,{prompt} x,y,blue\n", "a.csv")
    assert presets.load("Invoke").values["prompt"] == "{prompt} x" and notes == "Column 'mood' is not understood."
    assert names == ("Invoke",)
    presets, *_ = taken(tmp_path, [{"name": "sai", "prompt": "{prompt} . x", "negative_prompt": "y"}, 5], "sdxl_styles.json")
    assert presets.load("sai").values == {"prompt": "{prompt} . x", "negative_prompt": "{prompt}, y"}


@pytest.mark.parametrize("more", [{"negative": "y", "extra": "", "preview": ""}, {"negative_prompt": "y"}])
def test_a_style_in_a_file_of_its_own_resets_nothing(tmp_path: Path, more: dict[str, str]) -> None:
    presets, names, notes = taken(tmp_path, {"name": "Oil", "prompt": "{prompt}, oil", **more}, "Oil.json")
    assert (names, notes) == (("Oil",), "")
    assert presets.load("Oil").values == {"prompt": "{prompt}, oil", "negative_prompt": "{prompt}, y"}


def test_a_fooocus_preset(tmp_path: Path) -> None:
    presets, names, notes = taken(tmp_path, FOOOCUS, "realistic.json")
    assert names == ("realistic",)
    assert presets.load("realistic").values == {
        "model": "juggernautXL",
        "loras": [
            {"name": "offset", "weight": 0.5, "text_encoder_weight": None},
            {"name": "older", "weight": 2.0, "text_encoder_weight": None},
        ],
        "guidance_scale": 4.0,
        "batch_size": 8,
        "scheduler": "DPM++ 2M SDE Karras",
        "steps": 30,
        "negative_prompt": "blurry",
        "width": 1152,
        "height": 896,
    }
    for said in ("batch_size 12 was brought to 8", "default_refiner_switch is not taken", "default_styles is not taken"):
        assert said in notes
    assert "default_refiner is" not in notes and "downloads" not in notes
    _, _, notes = taken(tmp_path, FOOOCUS | {"default_performance": "Lightning"}, "b.json")
    assert "Lightning: Fooocus adds a LoRA and a sampler of its own, which are not added here" in notes


def test_presets_of_swarm(tmp_path: Path) -> None:
    presets, names, notes = taken(tmp_path, SWARM, "presets.json")
    made = presets.load("Fast")
    assert names == ("Fast",) and (made.description, made.star) == ("quick", True)
    assert made.picture is not None and presets.picture(made.picture) is not None
    assert dict(made.values) == {
        "prompt": "{prompt}, sharp",
        "negative_prompt": "bad",
        "model": "sd_xl_base_1.0",
        "steps": 12,
        "guidance_scale": 6.5,
        "batch_size": 2,
        "width": 768,
        "height": 512,
        "scheduler": "Euler a",
        "loras": [
            {"name": "clay", "weight": 0.5, "text_encoder_weight": None},
            {"name": "ink", "weight": 1.5, "text_encoder_weight": None},
        ],
    }
    assert notes == "'Broken' has no param_map. Fast: 'refinerupscale' is not understood."
    assert taken(tmp_path, SWARM["Fast"] | {"title": "One"}, "one.json")[1] == ("One",)


def test_a_sampler_without_a_twin_is_said(tmp_path: Path) -> None:
    presets, _, notes = taken(tmp_path, FOOOCUS | {"default_sampler": "dpmpp_2s_ancestral"}, "a.json")
    assert presets.load("a").values["scheduler"] == "DPM++ 2S Karras" and "DPM++ 2S is nearest" in notes
    presets, _, notes = taken(tmp_path, FOOOCUS | {"default_sampler": "no such"}, "b.json")
    assert "scheduler" not in presets.load("b").values and "there is no sampler no such here" in notes


def test_what_a_preset_says_beyond_bounds_is_brought_in_and_said(tmp_path: Path) -> None:
    heavy = [[True, "heavy.safetensors", 9], [True, "odd.safetensors", "NaN"], [True, "", 1], [True, "fine.safetensors", 1]]
    given = FOOOCUS | {"default_loras": heavy, "default_image_number": 2.5, "default_cfg_scale": "nan"}
    presets, _, notes = taken(tmp_path, given, "a.json")
    assert [(use["name"], use["weight"]) for use in presets.load("a").values["loras"]] == [("heavy", 2.0), ("fine", 1.0)]
    assert presets.load("a").values["batch_size"] == 2 and "guidance_scale" not in presets.load("a").values
    for said in ("'heavy.safetensors', 9, was brought to 2", "LoRA 'odd.safetensors' has the weight 'NaN'", "2.5 was brought to 2"):
        assert said in notes


def zipped(*files: tuple[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


ONE = encode(snapshot("one", REQUEST, ALL))


def understated(data: bytes) -> bytes:
    """Make a zip say that its files unpack to ten bytes."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            changed[place + offset : place + offset + 4] = struct.pack("<I", 10)
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zipped(("../../x.json", ONE)), "a.zip has a file inside that would lead out of it; it was not opened."),
        (zipped(("..\\x.json", ONE)), "would lead out of it"),
        (zipped(("/etc/x.json", ONE)), "would lead out of it"),
        (zipped(("C:/x.json", ONE)), "would lead out of it"),
        (zipped(("presets/a.json", b" " * 210_000_000)), "a.zip would unpack to 210 MB; a bundle has at most 200 MB."),
        (understated(zipped(("presets/a.json", b" " * 50_000_000))), "a.zip"),
        (zipped(*((f"{i}.json", b"{}") for i in range(2001))), "a.zip has 2001 files inside; a bundle has at most 2000."),
        (zipped(("a.zip", zipped(("a.json", ONE)))), "a.zip holds no preset."),
        (zipped(("a.json", zipped(("a.json", ONE)))), "a.zip holds no preset."),
        (zipped(("readme.txt", b"hello")), "a.zip holds no preset. readme.txt is neither a preset nor a picture"),
        (zipped(("a.json", ONE))[:-30], "a.zip is a damaged or locked zip; export it again."),
        (b"PK\3\4" + b"x" * 100, "a.zip is a damaged or locked zip; export it again."),
        (b"\0" * 41_000_000, "a.zip has 41 MB; give a file of at most 40 MB."),
    ],
)
def test_a_dangerous_zip_is_one_sentence_and_nothing_is_written(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(BadPreset) as caught:
        room(tmp_path / "presets").take_in(data, "../../a.zip")
    assert sentence in str(caught.value)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_zip_gives_what_is_good_in_it(tmp_path: Path) -> None:
    _, names, notes = taken(
        tmp_path, zipped(("a/styles.csv", STYLES.encode()), ("b.json", ONE), ("c.json", b"{"), ("d.txt", b"")), "mixed.zip"
    )
    assert names == ("Night", "Film", "one")
    assert "c.json is no JSON" in notes and "d.txt is neither" in notes


@pytest.mark.parametrize(
    ("content", "called", "sentence"),
    [
        ("a,b\n1,2\n", "x.csv", "x.csv is no styles.csv; its first line must be name,prompt,negative_prompt."),
        ("", "x.csv", "is no styles.csv"),
        (b"name,prompt\n\xff\xfe,x\n", "x.csv", "x.csv is not UTF-8"),
        ('name,prompt\n"a,b\n', "x.csv", "x.csv is no table that can be read"),
        ("name,prompt\n" + "a,b\n" * 1001, "x.csv", "x.csv has 1001 rows"),
        ([], "x.json", "x.json is a list, but none of at most 1000 styles"),
        ({"default_unknown": 1}, "x.json", "'x' holds nothing that could be taken"),
        ({"A": {"param_map": {}}}, "x.json", "'A' holds nothing that could be taken."),
        ("hello", "x.txt", "x.txt is no JSON"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "x.png", "x.png holds broken characters"),
    ],
)
def test_what_cannot_be_taken_is_one_sentence(tmp_path: Path, content: Any, called: str, sentence: str) -> None:
    with pytest.raises(BadPreset) as caught:
        taken(tmp_path, content, called)
    assert sentence in str(caught.value)


WEIRD: list[Any] = [
    *(None, True, -1, 0, 10**400, 1e308, -0.0, "", "x" * 20_000, "\ud800", "\x00", "../../x", "NaN", [], {}, [[]], {"a": {}}, "😀" * 200),
    *(
        [1] * 50,
        {"name": "x"},
        "<lora:x:y>",
        [{"kind": "pose"}],
        [["a", "b"]],
        [True, "x", "y"],
        "data:image/png;base64,AAAA",
        "{prompt}" * 300,
    ),
]


def spoiled(document: Any, chance: random.Random) -> Any:
    """Return a document with some of its values, keys or entries replaced by what nobody expects."""
    if chance.random() < 0.12:
        return chance.choice(WEIRD)
    if isinstance(document, dict):
        keys = [key for key in document if chance.random() > 0.06]
        changed = {
            (key if chance.random() > 0.04 else "".join(chance.choices(string.printable, k=5))): spoiled(document[key], chance)
            for key in keys
        }
        return changed | (
            {chance.choice(["schema", "kind", "request", "name", "hashes"]): chance.choice(WEIRD)} if chance.random() < 0.2 else {}
        )
    if isinstance(document, list):
        return [spoiled(entry, chance) for entry in document if chance.random() > 0.1] * chance.choice([1, 1, 1, 2, 40])
    return document


def malformed(count: int) -> Iterator[tuple[bytes, str]]:
    """Yield files that were presets once."""
    chance = random.Random(4)
    ours = json.loads(encode(snapshot("one", REQUEST.model_copy(update={"loras": ()}), ALL)))
    ours["request"]["controls"] = [{"kind": "pose", "image": "a" * 64, "settings": {"x": 1.0}}]
    ours["request"]["loras"] = [{"name": "clay", "weight": 0.5}]
    documents = [ours, REQUEST.model_dump(mode="json"), FOOOCUS, SWARM, [{"name": "a", "prompt": "b"}]]
    files = [(json.dumps(each).encode(), "a.json") for each in documents]
    files += [(STYLES.encode(), "a.csv"), (zipped(("presets/a.json", ONE), (f"pictures/{'a' * 64}.png", b"x" * 60)), "a.zip")]
    for number in range(count):
        if number % 2:
            yield json.dumps(spoiled(chance.choice(documents), chance)).encode(), "a.json"
            continue
        data, called = chance.choice(files)
        changed = bytearray(data)
        for _ in range(chance.choice([0, 1, 3, 20])):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        cut = chance.choice([len(changed), len(changed), chance.randrange(len(changed))])
        yield bytes(changed[:cut]) + chance.choice([b"", b"", b"\0", b"NaN", b"[" * 5000]), called


def test_four_thousand_malformed_files_lose_nothing() -> None:
    """Each is taken with notes or refused with one sentence; what was there before stays, and what is new can be used."""
    pictures = MemoryPictures()
    store = MemoryPresets(pictures)
    presets = Presets(store, pictures, FakeInventory())
    presets.save("mine", REQUEST)
    mine = presets.load("mine")
    outcomes = {"taken": 0, "refused": 0}
    for data, called in malformed(4000):
        try:
            made = presets.take_in(data, called).names
        except StudioError as error:
            outcomes["refused"] += 1
            assert "Traceback" not in str(error) and "\n" not in str(error).strip() and len(str(error)) < 500
            made = ()
        outcomes["taken"] += bool(made)
        for name in made:
            look = presets.look(name, REQUEST.model_dump(mode="json"))
            assert all(isinstance(sentence, str) for sentence in look.problems)
            GenerationRequest.parse(
                REQUEST.model_dump() | {field: value for field, value in look.values.items() if field not in ("width", "height")}
            )
            presets.export([name])
            presets.delete(name)
        assert presets.list() == (mine,)
    assert min(outcomes.values()) > 500, outcomes
