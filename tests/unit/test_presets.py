"""A preset holds a request or parts of it, through its file and every older schema, and says what it would change."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from studio.engine.fake import CARD, CONTROLNETS
from studio.engine.fake_loras import LORAS
from studio.errors import BadPreset, UnknownPreset
from studio.inventory import Inventory
from studio.plan import resolve
from studio.presets import PARTS, Preset, apply, changes, decode, encode, names, snapshot
from studio.presets.document import KIND, MIGRATIONS, SCHEMA, NewerPreset
from studio.presets.merge import filled, keep_template, unwrapped
from studio.presets.missing import Stock, find, repaired, stocks_of
from studio.presets.parts import ALL, fields_of
from studio.presets.shelf import Shelf
from studio.request import GenerationRequest
from studio.settings import EMBEDDED_PRESETS, Settings
from studio.storage.inventory import DiskInventory
from tests.strategies import requests

MANY = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
BUILTIN = sorted(EMBEDDED_PRESETS.glob("*.json"))


def reread(preset: Preset) -> Preset:
    return decode(encode(preset), called="a.json")


def request_of(preset: Preset) -> GenerationRequest:
    assert preset.problems == ()
    return GenerationRequest.parse(dict(preset.fields))


def test_every_request_field_belongs_to_one_part() -> None:
    placed = [field for part in PARTS for field in part.fields]
    assert sorted(placed) == sorted(GenerationRequest.model_fields), "name it in studio/presets/parts.py"


@MANY
@given(request=requests)
def test_a_preset_of_everything_is_the_request(request: GenerationRequest) -> None:
    """Through its file, through an apply over any form, and after migration from the older schema."""
    preset = reread(snapshot("a", request, ALL))
    assert request_of(preset) == request
    if "{prompt}" not in request.prompt + request.negative_prompt:
        values = apply(preset.fields, GenerationRequest(prompt="other", steps=3).model_dump(mode="json"), ALL)
        assert GenerationRequest.parse(values) == request
    for older in (json.dumps(request.model_dump()), json.dumps({"schema": 1, "request": request.model_dump()})):
        migrated = decode(older.encode(), called="old.json")
        assert migrated.name == "old" and request_of(migrated) == request
        assert request_of(reread(migrated)) == request


def test_there_is_a_migration_from_every_older_schema() -> None:
    assert set(MIGRATIONS) == set(range(SCHEMA))


def test_what_a_bare_request_leaves_out_has_its_default() -> None:
    assert request_of(decode(b'{"prompt": "x"}', called="x.json")) == GenerationRequest(prompt="x")


@given(request=requests, parts=st.sets(st.sampled_from(ALL), min_size=1))
def test_parts_are_taken_and_all_else_stays(request: GenerationRequest, parts: set[str]) -> None:
    assert reread(snapshot("a", request, parts)).parts == tuple(part.name for part in PARTS if part.name in parts)
    form = GenerationRequest(prompt="mine", steps=3, width=64).model_dump(mode="json")
    values = apply(snapshot("a", request, ALL).fields, form, parts)
    assert set(values) == set(fields_of(parts))
    after = form | values
    assert all(after[field] == form[field] for field in form if field not in values)
    assert changes(values, after) == []


def test_unknown_fields_survive_being_saved_again() -> None:
    document = {
        "kind": KIND,
        "schema": 1,
        "name": "a",
        "colour": {"deep": [1, None]},
        "request": {"steps": 9, "tiling": True, "loras": [{"name": "clay", "blocks": [1, 2]}]},
    }
    preset = decode(json.dumps(document).encode(), called="a.json")
    assert preset.fields == {"steps": 9, "loras": [{"name": "clay", "weight": 1.0, "text_encoder_weight": None}]}
    assert preset.problems == (
        "'tiling' is not known to this studio; it is kept in the preset.",
        "loras: 'blocks' is not known to this studio; it is kept in the preset.",
    )
    again = json.loads(encode(replace(preset, name="b", star=True)))
    assert (again["colour"], again["request"], again["name"]) == (document["colour"], document["request"], "b")


def test_a_value_that_is_no_good_is_told_and_the_rest_is_taken() -> None:
    preset = decode(b'{"kind": "preset", "schema": 1, "name": "a", "request": {"steps": 999, "seed": 7}}', called="a.json")
    assert preset.fields == {"seed": 7}
    assert preset.problems == ("steps must be a whole number from 1 to 150, not 999.",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no JSON, or is cut short"),
        ('{"kind": "preset", "schema": 1, "na', "a.json is no JSON, or is cut short at line 1; export it again."),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested too deeply"),
        ("[1, 2]", "a.json is no preset; a preset is a JSON object."),
        ("{}", "is no preset of this studio, and none of another program"),
        ('{"steps": NaN}', "holds a number that is none (NaN)"),
        ('{"steps": 1e999}', "holds a number that is none (1e999)"),
        ('{"steps": ' + "9" * 5000 + "}", "holds a number that is none"),
        ('{"prompt": "\\ud800"}', "holds broken characters"),
        ('{"kind": "preset", "schema": 1, "name": 3}', "a preset needs a name and a request"),
        ('{"kind": "preset", "schema": 1, "name": "a", "request": []}', "a preset needs a name and a request"),
        ('{"kind": "preset", "schema": "1"}', "is no preset of this studio"),
        ('{"kind": "preset", "schema": 1, "name": "a", "picture": "../../x"}', "its picture must be a hash"),
        ('{"kind": "preset", "schema": 1, "name": "a", "description": 5}', "its description must be a text"),
        ('{"kind": "preset", "schema": 1, "name": "a", "hashes": {"model": 5}}', "the hashes of 'model' must be"),
        ('{"kind": "preset", "schema": 1, "name": "a", "hashes": []}', "its hashes must be an object"),
        ('{"kind": "preset", "schema": 1, "name": "a\\nb"}', "a character that cannot be shown"),
        ('{"kind": "preset", "schema": 1, "name": "' + "x" * 300 + '"}', "The name has 300 characters"),
        ('{"kind": "preset", "schema": 1, "name": "  "}', "A preset needs a name"),
    ],
)
def test_a_malformed_preset_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadPreset) as caught:
        decode(text.encode(), called="a.json")
    assert sentence in str(caught.value)
    assert str(caught.value).count(". ") == 0


def test_large_binary_and_future_files_are_one_sentence() -> None:
    with pytest.raises(BadPreset, match=r"a\.json has 200\.0 MB; a file of presets has at most 1 MB"):
        decode(b" " * 200_000_000, called="a.json")
    with pytest.raises(BadPreset, match="holds broken characters"):
        decode(b"\x89PNG\r\n\x1a\n\xff", called="a.json")
    with pytest.raises(NewerPreset, match=r"saved by a newer studio \(schema 7; this one reads up to 1\); update this studio"):
        decode(b'{"kind": "preset", "schema": 7, "anything": []}', called="a.json")
    with pytest.raises(BadPreset, match=r"would have 1\.\d MB"):
        encode(Preset(name="a", values={}, extra={"x": [[1]] * 100_000}))


@pytest.mark.parametrize(
    ("template", "text", "wrapped"),
    [
        ("{prompt} at night", "a cube", "a cube at night"),
        ("{prompt} at night", "a cube at night", "a cube at night"),
        ("photo of {prompt}, sharp", "a cube", "photo of a cube, sharp"),
        ("{prompt}, bad", "", "bad"),
        ("masterpiece, {prompt}", " ", "masterpiece"),
        ("{prompt}", "a cube", "a cube"),
        ("{prompt} and {prompt}", "x", "x and x"),
        ("no hole", "a cube", "no hole"),
    ],
)
def test_a_template_wraps_the_present_text_once(template: str, text: str, wrapped: str) -> None:
    assert filled(template, text) == wrapped
    if template.count("{prompt}") < 2:
        assert filled(template, wrapped) == wrapped
        assert keep_template(template, wrapped) == (template if "{prompt}" in template else wrapped)
    if template != "{prompt}":
        assert keep_template(template, "something else") == "something else"


@given(before=st.text(max_size=8), after=st.text(max_size=8), text=st.text(max_size=20))
@example(before="ab", after="ba", text="ab")
def test_unwrapping_undoes_wrapping(before: str, after: str, text: str) -> None:
    template = before + "{prompt}" + after
    if "{prompt}" not in before + after and template.count("{prompt}") == 1:
        assert unwrapped(template, template.replace("{prompt}", text)) == text


def test_changes_are_told_in_words() -> None:
    form = GenerationRequest(prompt="a", seed=5, model="Fake").model_dump(mode="json")
    new = GenerationRequest(width=512, loras=({"name": "clay", "weight": 0.8},), controls=({"kind": "pose", "image": "x"},))
    told = {change.field: (change.part, change.old, change.new) for change in changes(new.model_dump(mode="json"), form)}
    assert told == {
        "prompt": ("prompts", "a", "empty"),
        "seed": ("sampling", "5", "random"),
        "width": ("size", "the model's own", "512"),
        "model": ("model", "Fake", "the default model"),
        "loras": ("loras", "none", "clay 0.8"),
        "controls": ("control", "none", "pose 1"),
    }
    assert changes({"steps": 20, "batch_size": 1}, {"steps": True, "batch_size": 1.0})[0].old == "True"


NAMES = [
    "Light",
    "../../x",
    "CON",
    "nul.json",
    "a/b\\c",
    "😀",
    "  spaces  ",
    "x" * 100,
    "é",
    "日本語",
    ".hidden",
    "a:b",
    "C:\\x",
    "-",
    "%00",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_has_a_safe_file_name(name: str) -> None:
    stem = names.stem(names.checked(name))
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and 11 < len(stem) <= 51 and stem[0] != "-"


@given(st.text(max_size=60), st.text(max_size=60))
def test_names_share_a_file_only_when_they_are_the_same(one: str, other: str) -> None:
    assert (names.stem(one) == names.stem(other)) == (names.key(one) == names.key(other))
    for twin in (one.upper(), unicodedata.normalize("NFD", one), unicodedata.normalize("NFC", one)):
        if names.key(twin) == names.key(one):
            assert names.stem(twin) == names.stem(one)


def test_twins_by_case_and_composition_are_one_name() -> None:
    assert names.key("Café") == names.key("cafe\u0301") == names.key("CAFÉ")
    assert names.free("Café", {names.key("CAFE\u0301"), names.key("café 2")}) == "Café 3"
    assert len(names.free("x" * 100, {"x" * 100})) == 100


@pytest.mark.parametrize("name", ["", "   ", "\u200e\n", "a\x00b", "x" * 101, "a\u202eb"])
def test_names_that_are_none_are_one_sentence(name: str) -> None:
    with pytest.raises(BadPreset):
        names.checked(name)


def test_what_is_gone_is_found_by_its_hash_or_offered_a_substitute() -> None:
    cards = [replace(CARD, name="Mini"), replace(CARD, name="Other", hash="b" * 64)]
    loras = [replace(LORAS[0], name="clay", hash="c" * 64), replace(LORAS[0], name="styles/ink", hash="")]
    stocks = {
        "model": Stock(cards, ("Mini", "Other")),
        "loras": Stock(loras, ("clay", "styles/ink")),
        "controlnets": Stock([replace(CONTROLNETS[1], name="depth")], ("depth",)),
    }
    fields = {
        "prompt": "a <lora:klay:0.5> cat <lora:ink:1>",
        "model": "Renamed",
        "loras": [{"name": "klay", "weight": 1.0}, {"name": "gone", "weight": 1.0}, {"name": "clay", "weight": 0.5}],
        "controls": [{"kind": "pose", "image": "p" * 64, "model": "posenet"}, {"kind": "pose", "image": "q" * 64, "model": None}],
    }
    hashes = {"model": {"Renamed": "b" * 64}, "loras": {"clay": "d" * 64}}
    found = {(each.kind, each.name): each for each in find(fields, hashes, stocks, ["p" * 64])}
    assert {pair: each.state for pair, each in found.items()} == {
        ("model", "Renamed"): "renamed",
        ("loras", "klay"): "missing",
        ("loras", "gone"): "missing",
        ("loras", "clay"): "changed",
        ("loras", "ink"): "renamed",
        ("controlnets", "posenet"): "missing",
        ("pictures", "q" * 64): "missing",
    }
    assert found["model", "Renamed"].says == "Model 'Renamed' is here as Other."
    assert found["loras", "klay"].offers[0] == "clay"
    fixed = repaired(fields, {pair: each.taken for pair, each in found.items()} | {("loras", "klay"): "clay"})
    assert fixed["model"] == "Other"
    assert [use["name"] for use in fixed["loras"]] == ["clay", "clay"]
    assert fixed["prompt"] == "a <lora:clay:0.5> cat <lora:styles/ink:1>"
    assert [use["model"] for use in fixed["controls"]] == [None]
    assert repaired(fields, {("loras", "klay"): "", ("model", "Renamed"): ""})["prompt"] == "a cat <lora:ink:1>"
    assert "model" not in repaired(fields, {("model", "Renamed"): ""})


def test_what_a_file_holds_counts_more_than_its_name() -> None:
    """The file was renamed, and another one has its name now."""
    loras = [replace(LORAS[0], name="style", hash="2" * 64), replace(LORAS[0], name="style-v1", hash="1" * 64)]
    stocks = {"model": Stock((), ()), "loras": Stock(loras, ("style", "style-v1")), "controlnets": Stock((), ())}
    (found,) = find({"loras": [{"name": "style", "weight": 1.0}]}, {"loras": {"style": "1" * 64}}, stocks, [])
    assert (found.state, found.taken, found.says) == ("renamed", "style-v1", "LoRA 'style' is here as style-v1.")


def test_a_shelf_is_searched_and_sorted() -> None:
    made = [
        Preset(name=name, values={"prompt": text}, star=star)
        for name, text, star in (("b", "Cube", False), ("A", "sky", False), ("c", "cube", True))
    ]
    shelf = Shelf((*made, Preset(name="0", values={}, builtin=True)))
    assert [preset.name for preset in shelf.search("")] == ["c", "A", "b", "0"]
    assert [preset.name for preset in shelf.search("CUBE b")] == ["c", "b"]
    assert shelf.search("sky cube") == ()
    assert shelf.find("a").name == "A"
    with pytest.raises(UnknownPreset, match="No preset is called 'bb'; did you mean b"):
        shelf.find("bb")


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """What a fresh clone has: Mini."""
    found = DiskInventory(Settings(data_dir=tmp_path_factory.mktemp("data"))).read()
    assert [card.name for card in found.models] == ["Mini"]
    return found


@pytest.mark.parametrize("path", BUILTIN, ids=lambda path: path.stem)
def test_every_built_in_preset_resolves_on_mini(path: Path, inventory: Inventory) -> None:
    preset = decode(path.read_bytes(), called=path.name)
    assert preset.problems == () and preset.description and preset.values and not preset.star
    assert path.read_bytes() == encode(preset)
    assert find(preset.fields, preset.hashes, stocks_of(inventory, None), []) == []
    values = apply(preset.fields, GenerationRequest(prompt="a cube").model_dump(mode="json"), ALL)
    plan = resolve(GenerationRequest.parse(GenerationRequest().model_dump() | values), inventory, entropy=1)
    assert plan.request.steps == preset.fields.get("steps", 20)


def test_there_are_enough_built_in_presets_and_none_twice() -> None:
    found = [decode(path.read_bytes(), called=path.name) for path in BUILTIN]
    assert sum(preset.name.startswith("Mini:") for preset in found) >= 12
    assert {preset.name.partition(":")[0] for preset in found} >= {"Mini", "SD 1.5", "SD 2"}
    assert len({names.key(preset.name) for preset in found}) == len(found)


def test_applying_is_plain_data() -> None:
    present: dict[str, Any] = {"prompt": 5, "steps": "many"}
    assert apply({"prompt": "{prompt}, x", "steps": 3}, present, ALL) == {"prompt": "x", "steps": 3}
