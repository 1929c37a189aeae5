"""The A1111 line of our pictures, read by readers that were written from the format's description."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from studio.metadata import Record, a1111, containers, encode, infotext, webui
from studio.metadata.samplers import from_a1111, to_a1111
from studio.provenance import Mark, Provenance
from studio.request import ControlUse, GenerationRequest, LoraUse
from studio.schedulers import TABLE
from tests.infotext import as_a1111, as_civitai, pairs_of
from tests.strategies import requests

PICTURE = Image.new("RGB", (16, 8), (200, 30, 30))
TRAPS = (
    "a cat\nNegative prompt: not one\nsitting",
    "Negative prompt: at once",
    "a\n  Negative prompt:x",
    "in the middle Negative prompt: of a line",
    "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1",
    "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7",
    "Template: a\nNegative Template: b",
    'quotes " and \\ and "pairs": 3, more: "4", last: 5',
    "a, b: c, d: e, f: g",
    "\n\n  spaced  \n\n\n lines \n",
    "emoji 😀 and 猫 and ünïcödé\u2028and\u00a0more",
    "tabs\tand\rreturns\r\nand\x0bothers\x85",
    "<lora:typed:0.5> by hand",
    "",
)


def record(prompt: str = "a cat", negative: str = "", **fields: object) -> Record:
    request = GenerationRequest.parse({"prompt": prompt, "negative_prompt": negative, "seed": 5, "width": 512, "height": 768, **fields})
    loras = tuple(Mark(name=use.name, hash="1" * 64, tensor_hash="2" * 64, addnet_hash="2" * 12) for use in request.loras)
    nets = tuple(Mark(name=f"net, with: {use.kind}", hash="3" * 64) for use in request.controls)
    return Record(request, Provenance(model=Mark(name=str(fields.get("model") or "Mini"), hash="a" * 64), loras=loras, controlnets=nets))


def tokens(text: str) -> list[str]:
    """A text as CLIP's tokenizer takes it: in small letters, all white space alike."""
    return "".join(" " if letter in a1111_controls() else letter for letter in text).lower().split()


def a1111_controls() -> str:
    return "".join(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))


@pytest.mark.parametrize("prompt", TRAPS)
@pytest.mark.parametrize("negative", TRAPS)
def test_no_prompt_misleads_a_reader(prompt: str, negative: str) -> None:
    made = record(prompt, negative)
    text = a1111.line(made)
    for told in (as_a1111(text), as_civitai(text)):
        assert tokens(told.prompt) == tokens(prompt) and tokens(told.negative) == tokens(negative)
        assert (told.pairs["Steps"], told.pairs["Seed"], told.pairs["Size"]) == ("20", "5", "512x768")
        assert (told.pairs["Model"], told.pairs["Model hash"]) == ("Mini", "a" * 10)
    assert infotext.parse(text).pairs == as_a1111(text).pairs


def test_the_line_is_the_one_that_a1111_writes() -> None:
    made = record("a cat", "bad", guidance_scale=7.0, loras=[{"name": "people/add_detail", "weight": 0.8}])
    assert a1111.line(made) == (
        "a cat <lora:add_detail:0.8>\nNegative prompt: bad\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 5, Size: 512x768, Model hash: aaaaaaaaaa, Model: Mini, "
        'RNG: CPU, Lora hashes: "add_detail: 222222222222", Version: Studio 0.1.0'
    )


def test_the_order_is_that_of_a1111() -> None:
    use = {"kind": "sketch", "image": "0" * 64, "preprocessor": "canny"}
    keys = [key for key, _ in pairs_of(a1111.line(record(loras=[{"name": "x"}], controls=[use])).rpartition("\n")[2])]
    order = [
        "Steps",
        "Sampler",
        "Schedule type",
        "CFG scale",
        "Seed",
        "Size",
        "Model hash",
        "Model",
        "RNG",
        "ControlNet 0",
        "Lora hashes",
        "Version",
    ]
    assert keys == order


def test_loras_are_tags_with_hashes_that_both_readers_pair() -> None:
    loras = [
        {"name": "a/clay", "weight": 0.75},
        {"name": 'in,k: "x"', "weight": -0.5},
        {"name": "te", "weight": 1, "text_encoder_weight": 0.5},
    ]
    text = a1111.line(record(loras=loras))
    assert as_a1111(text).pairs["Lora hashes"] == "clay: 222222222222, in_k_x_: 222222222222, te: 222222222222"
    resources = {resource["name"]: resource for resource in as_civitai(text).resources}
    assert resources["clay"] == {"type": "lora", "name": "clay", "weight": 0.75, "hash": "2" * 12}
    assert resources["Mini"] == {"type": "model", "name": "Mini", "hash": "a" * 10}
    assert "<lora:te:te=0.5:unet=1>" in text and "<lora:in_k_x_:-0.5>" in text


def test_a_controlnet_unit_is_one_quoted_value() -> None:
    use = {"kind": "sketch", "image": "0" * 64, "preprocessor": "canny", "weight": 0.5, "start": 0.25, "mode": "control", "fit": "pad"}
    value = as_a1111(a1111.line(record(controls=[use]))).pairs["ControlNet 0"]
    parts = dict(part.split(": ", 1) for part in value.split(", "))
    assert list(parts) == [
        *("Module", "Model", "Weight", "Resize Mode", "Processor Res", "Threshold A", "Threshold B", "Guidance Start", "Guidance End"),
        *("Pixel Perfect", "Control Mode"),
    ]
    assert parts["Model"] == "net with sketch [33333333]" and parts["Control Mode"] == "ControlNet is more important"
    assert (parts["Module"], parts["Weight"], parts["Resize Mode"], parts["Guidance Start"]) == ("canny", "0.5", "Resize and Fill", "0.25")


@pytest.mark.parametrize("name", ['a, b: "c"', "  spaced ", '"quoted"', "new\nline", "模型 😀", "back\\slash", "Steps: 3, Seed: 4"])
def test_names_with_signs_stay_one_value(name: str) -> None:
    text = a1111.line(record(model=name))
    for told in (as_a1111(text), as_civitai(text)):
        assert told.pairs["Model"] == a1111.plain_name(name)
        assert {"Steps": "20", "Seed": "5", "Version": "Studio 0.1.0"}.items() <= told.pairs.items()


@settings(max_examples=250, suppress_health_check=list(HealthCheck), deadline=None)
@given(request=requests)
def test_the_line_of_any_request_is_read_alike_by_both(request: GenerationRequest) -> None:
    made = Record(request, None)
    text = a1111.line(made)
    a, civitai = as_a1111(text), as_civitai(text)
    plain = request.model_copy(update={"loras": ()})
    bare = as_a1111(a1111.line(Record(plain, None)))
    assert tokens(bare.prompt) == tokens(request.prompt) and tokens(bare.negative) == tokens(request.negative_prompt)
    for told in (a, civitai):
        assert told.pairs["Steps"] == str(request.steps) and told.pairs["Seed"] == str(request.seed)
        assert float(told.pairs["CFG scale"]) == request.guidance_scale
        assert (told.pairs["Sampler"], told.pairs["Schedule type"]) == to_a1111(request.scheduler)
        assert len([key for key in told.pairs if key.startswith("ControlNet ")]) == len(request.controls)
        assert told.prompt.count("<lora:") >= len(request.loras)
    assert infotext.parse(text) == infotext.Infotext(a.prompt, a.negative, a.pairs)
    assert webui.read(text).fields["scheduler"] in (request.scheduler, "DPM++ 2M")


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from(string.ascii_letters + ' ,:"\\\n-/_9'), max_size=200))
def test_any_text_is_read_as_the_description_says(text: str) -> None:
    told, read = as_a1111(text) if closes(text) else None, infotext.parse(text)
    if told:
        assert (read.prompt, read.negative_prompt) == (told.prompt, told.negative)


def closes(text: str) -> bool:
    return '"' not in text and "\\" not in text


@pytest.mark.parametrize("value", ["plain", "a, b", "a: b", "two\nlines", '"q"', " edge ", 'in "side"', "ü😀", "\\", ""])
def test_quoting_is_undone(value: str) -> None:
    line = f"Aa: 1, Bb: 2, Name: {infotext.quote(value)}, Last: x"
    assert as_a1111(line).pairs["Name"] == value and infotext.parse(line).pairs["Name"] == value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_line_stands_where_other_programs_look(kind: str) -> None:
    made = record("ein Kätzchen 😀, 猫")
    carried = containers.read(encode(PICTURE, made, kind=kind), name="a")  # type: ignore[arg-type]
    assert carried.parameters == a1111.line(made)
    if kind != "PNG":
        import io

        with Image.open(io.BytesIO(encode(PICTURE, made, kind=kind))) as opened:  # type: ignore[arg-type]
            comment = opened.getexif().get_ifd(0x8769)[0x9286]
        assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be") == a1111.line(made)


@pytest.mark.parametrize("row", TABLE)
def test_every_scheduler_survives_the_line(row: str) -> None:
    assert from_a1111(*to_a1111(row))[0] in (row, "DPM++ 2M")


@pytest.mark.parametrize(
    ("said", "row", "near"),
    [
        (("DPM++ 2M Karras", None), "DPM++ 2M Karras", False),
        (("DPM++ 2M", None), "DPM++ 2M", False),
        (("DPM++ 2M", "Automatic"), "DPM++ 2M Karras", False),
        (("Euler a", "Automatic"), "Euler a", False),
        (("DPM++ 3M SDE", "Automatic"), "DPM++ 3M SDE Exponential", False),
        (("Euler", "Align Your Steps"), "Euler Align Your Steps", False),
        (("Euler a", "Karras"), "Euler a", True),
        (("DPM++ 2S a", "Karras"), "DPM++ 2S Karras", True),
        (("DPM adaptive", None), "DPM++ 2M", True),
        (("Euler", "KL Optimal"), "Euler", True),
        (("Nonsense", "Karras"), "", True),
    ],
)
def test_samplers_of_a1111_are_found_or_said_to_be_near(said: tuple[str, str | None], row: str, near: bool) -> None:
    found, why = from_a1111(*said)
    assert (found, bool(why)) == (row, near)


def test_uses_are_named_once() -> None:
    assert a1111.tag_name("a/b/c d") == "c_d" and a1111.tag_name(",") == "_"
    assert LoraUse(name="x").weight == 1 and ControlUse(kind="pose", image="x").fit == "crop"
