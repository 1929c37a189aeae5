"""The request refuses what is out of bounds in one sentence that names the field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.app import open_studio
from studio.errors import InvalidRequest
from studio.request import MAX_SEED, ControlUse, GenerationRequest, LoraUse, bounds
from tests.strategies import requests

SKETCH = {"kind": "sketch", "image": "x"}
BAD: list[tuple[Any, str]] = [
    ({"steps": 0}, "steps must be a whole number from 1 to 150, not 0."),
    ({"steps": "20"}, "steps must be a whole number from 1 to 150, not '20'."),
    ({"steps": 2.5}, "steps must be a whole number from 1 to 150, not 2.5."),
    ({"steps": None}, "steps must be a whole number from 1 to 150, not None."),
    ({"seed": True}, "seed must be a whole number from -1 to 4294967295, not True."),
    ({"width": 7}, "width must be a multiple of 8 from 64 to 2048, not 7."),
    ({"height": 9999}, "height must be a multiple of 8 from 64 to 2048, not 9999."),
    ({"guidance_scale": float("nan")}, "guidance_scale must be a number from 1 to 30, not nan."),
    ({"guidance_scale": float("inf")}, "guidance_scale must be a number from 1 to 30, not inf."),
    ({"batch_size": 10_000}, "batch_size must be a whole number from 1 to 8, not 10000."),
    ({"seed": 2**64 + 1}, f"seed must be a whole number from -1 to {MAX_SEED}, not 18446744073709551617."),
    ({"prompt": "a" * 100_000}, "prompt has 100,000 characters; it must be a text of at most 10,000 characters."),
    ({"prompt": ["a"]}, "prompt must be a text of at most 10,000 characters, not a list."),
    ({"stepz": 3}, "'stepz' is no field of a request; did you mean steps?"),
    ({"controls": 3}, "controls must be a list of at most 8 objects, not 3."),
    ({"controls": [3]}, "controls[0] must be an object with fields such as kind, image, preprocessor, not 3."),
    ({"controls": [{"image": "x"}]}, "controls[0].kind is missing; it must be one of sketch, depth, pose."),
    ({"controls": [{"kind": "sketch", "image": ""}]}, "controls[0].image is empty; it must be a text of at most 100 characters."),
    ({"controls": [SKETCH | {"weight": float("nan")}]}, "controls[0].weight must be a number from 0 to 2, not nan."),
    ({"controls": [SKETCH | {"start": 0.9, "end": 0.1}]}, "controls[0]: start is 0.9 and must be below end, which is 0.1."),
    ({"controls": [SKETCH | {"wheight": 1}]}, "'controls[0].wheight' is no field there; did you mean weight?"),
    ({"controls": [SKETCH | {"settings": {"a": "b"}}]}, "'controls[0].settings.a' must be a number, not 'b'."),
    ({"controls": [SKETCH] * 9}, "controls has 9 entries; it must be a list of at most 8 objects."),
    ({"loras": [{"name": "x"}] * 1717}, "loras has 1,717 entries; it must be a list of at most 16 objects."),
    (
        {"controls": [SKETCH | {"settings": dict.fromkeys("abcdefghi", 1.0)}]},
        "controls[0].settings has 9 entries; it must be an object of at most 8 numbers.",
    ),
    ({"loras": [{"name": "x", "weight": 9}]}, "loras[0].weight must be a number from -2 to 2, not 9."),
    ([1, 2], "The request must be one JSON object with fields such as prompt, steps and seed, not a list."),
    (None, "The request must be one JSON object with fields such as prompt, steps and seed, not None."),
    (
        {"width": 2048, "height": 2048, "batch_size": 8},
        "width x height x batch_size is 32 megapixels; make one smaller, at most 16 in all.",
    ),
]


@pytest.mark.parametrize(("data", "expected"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_gives_one_sentence(data: Any, expected: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        GenerationRequest.parse(data)
    assert str(caught.value) == expected
    if isinstance(data, dict):
        with pytest.raises(InvalidRequest) as caught:
            GenerationRequest(**data)
        assert str(caught.value) == expected


def test_a_setting_that_is_none_of_its_names_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"device must be one of auto, cuda, mps, xpu, cpu, not 'gpu'\."):
        open_studio(device="gpu")


def test_unknown_scheduler_names_a_near_one() -> None:
    with pytest.raises(InvalidRequest, match=r"scheduler: 'Eulr' is no scheduler; .* such as \"Euler\""):
        GenerationRequest.parse({"scheduler": "Eulr"})


def test_every_sentence_stays_short_whatever_comes_in() -> None:
    for value in ("x" * 5000, [0] * 5000, {"a": 1}, 10**4000, b"\xff", "\u202e" * 999):
        for field in GenerationRequest.model_fields:
            try:
                GenerationRequest.parse({field: value})
            except InvalidRequest as error:
                assert len(str(error)) < 250, field
                assert "\n" not in str(error)


@pytest.mark.parametrize("prompt", ["", "🟥 a sphere 🙂", "كرة حمراء على العشب", "é" * 10_000, "a\x00b"])
def test_unusual_text_is_kept(prompt: str) -> None:
    assert GenerationRequest.parse({"prompt": prompt}).prompt == prompt


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GenerationRequest().steps = 3


@given(requests)
def test_round_trip_through_json(request: GenerationRequest) -> None:
    assert GenerationRequest.parse(json.loads(request.model_dump_json())) == request


leaves = st.none() | st.booleans() | st.floats() | st.text(max_size=9)


@given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_is_accepted_or_refused_in_a_sentence(data: Any) -> None:
    for candidate in (data, dict.fromkeys(GenerationRequest.model_fields, data)):
        try:
            GenerationRequest.parse(candidate)
        except InvalidRequest as error:
            assert str(error).endswith((".", "?"))


def test_bounds_are_told_for_every_field() -> None:
    assert {bounds(field) for field in GenerationRequest.model_fields} >= {
        "a whole number from 1 to 150",
        "a number from 1 to 30",
        "a multiple of 8 from 64 to 2048",
    }


def test_what_a_list_holds_is_refused_in_one_sentence_when_it_is_made_by_hand() -> None:
    with pytest.raises(InvalidRequest, match=r"^weight must be .*, not 5\.$"):
        LoraUse(name="x", weight=5)
    with pytest.raises(InvalidRequest, match=r"^weight must be .*, not 5\.$"):
        ControlUse(kind="sketch", image="a", weight=5)
    with pytest.raises(InvalidRequest, match="preprocessor"):
        ControlUse(kind="sketch", image="a", preprocessor="nothing like it")
    with pytest.raises(InvalidRequest, match=r"^loras\[1\]\.weight must be"):
        GenerationRequest.parse({"loras": [{"name": "x"}, {"name": "y", "weight": 5}]})
