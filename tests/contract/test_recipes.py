"""Random recipes on the real engine: made, saved, had back from their own files and made again."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from studio import app
from studio.images import content_key
from studio.metadata import Record, file_bytes, save_record
from studio.metadata.own import read_record
from studio.request import ControlUse, GenerationRequest, LoraUse
from studio.schedulers import TABLE
from studio.service import Studio
from studio.settings import Settings
from studio.storage.inventory import describe
from studio.verification import verify
from tests.lora_files import write_lora
from tests.tiny import make_tiny_controlnet, make_tiny_model

RECIPES = 200
# Those of KDPM2 take a second to be made, whatever the steps.
SCHEDULERS = [name for name, row in TABLE.items() if not row.unavailable() and not row.class_name.startswith("KDPM2")]
WORDS = [
    "a",
    "red",
    "cat",
    "the",
    "blue",
    "sphere",
    "on",
    "snow,",
    "(big:1.2)",
    "größer",
    "猫",
    "😀",
    "Negative",
    "prompt:",
    "Steps:",
    "\n",
]
PREPROCESSORS: tuple[tuple[str, dict[str, float]], ...] = (
    ("none", {}),
    ("canny", {"low": 50.0}),
    ("threshold", {"value": 90.0}),
    ("invert", {}),
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a tiny model, two ControlNets and two LoRAs, on the CPU."""
    data = tmp_path_factory.mktemp("recipes")
    model = make_tiny_model(data / "models" / "tiny")
    for seed, kind in enumerate(("sketch", "depth")):
        make_tiny_controlnet(data / "controlnets" / kind, seed=seed)
    modules = describe("tiny", model).modules
    assert modules is not None
    for seed, name in enumerate(("clay", "inks/wet")):
        shapes = {"down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k": (32, 32)}
        write_lora(data / "models" / "loras" / f"{name}.safetensors", shapes, seed=seed)
    nothing: dict[str, Any] = {"embedded_models": (), "embedded_loras": (), "embedded_controlnets": ()}
    settings = Settings(data_dir=data, model="tiny", device="cpu", preview="none", **nothing)
    with app.build(settings).open() as studio:
        yield studio


def drawing(chance: random.Random) -> Image.Image:
    picture = Image.new("RGB", (72, 72), "white")
    pen = ImageDraw.Draw(picture)
    for _ in range(3):
        pen.line([chance.randrange(72) for _ in range(4)], fill=chance.choice(("black", "red", "#777777")), width=3)
    return picture


def recipe(chance: random.Random) -> tuple[GenerationRequest, dict[str, Image.Image]]:
    """A request and the pictures it names."""
    images, controls = {}, []
    for kind in chance.sample(("sketch", "depth"), chance.choice((0, 0, 1, 2))):
        images[kind] = drawing(chance)
        name, settings = chance.choice(PREPROCESSORS[:1] if kind == "depth" else PREPROCESSORS)
        use = ControlUse(kind=kind, image=kind, preprocessor=name, settings=settings, weight=chance.uniform(0.2, 1.5))
        controls.append(
            use.model_copy(update={"mode": chance.choice(("balanced", "prompt", "control")), "fit": chance.choice(("crop", "pad"))})
        )
    names = chance.sample(("clay", "inks/wet"), chance.choice((0, 0, 1, 2)))
    loras = tuple(LoraUse(name=name, weight=chance.uniform(-1, 2), text_encoder_weight=chance.choice((None, 0.5))) for name in names)
    request = GenerationRequest(
        prompt=" ".join(chance.choices(WORDS, k=chance.randrange(0, 9))),
        negative_prompt=" ".join(chance.choices(WORDS, k=chance.randrange(0, 3))),
        scheduler=chance.choice(SCHEDULERS),
        steps=chance.choice((1, 2)),
        guidance_scale=chance.choice((1.0, chance.uniform(1, 12))),
        seed=chance.randrange(-1, 2**32),
        width=chance.choice((None, 64, 72)),
        height=chance.choice((None, 64, 80)),
        controls=tuple(controls),
        loras=loras,
    )
    return request, images


def test_recipes_are_bit_identical_when_made_again_from_their_own_files(studio: Studio, tmp_path: Path) -> None:
    same, kinds = 0, set()
    for number in range(RECIPES):
        request, images = recipe(random.Random(number))
        result = studio.submit(request, images=images).result(60)
        path = result.save(0, tmp_path / f"{number}{random.Random(number).choice(('.png', '.jpg', '.webp'))}")
        found = studio.recall(file_bytes(path), name=path.name)
        assert {line.verdict for line in found.lines} == {"exact"}, found.lines
        assert found.request == result.requests[0]
        again = studio.submit(found.request).result(60)
        same += content_key(again.images[0]) == content_key(result.images[0])
        assert again.provenances == result.provenances
        kinds |= {path.suffix, f"{len(request.controls)} controls", f"{len(request.loras)} LoRAs"}
    print(f"{same} of {RECIPES} recipes are bit-identical")
    assert same == RECIPES
    assert kinds == {".png", ".jpg", ".webp", *(f"{count} controls" for count in range(3)), *(f"{count} LoRAs" for count in range(3))}


def test_verify_says_bit_identical_or_what_differs(studio: Studio, tmp_path: Path) -> None:
    request, images = recipe(random.Random(4))
    result = studio.submit(request, images=images).result(60)
    path = result.save(0, tmp_path / "a.jpg")
    found = verify(studio, path)
    assert found.identical and found.sentence.startswith("Bit-identical") and found.likeness and found.likeness.psnr > 20
    record = read_record(path.read_bytes(), name="a")
    assert record.provenance and record.provenance.model.hash and set(record.provenance.versions) >= {"studio", "torch", "diffusers"}
    assert record.provenance.device.startswith("CPU") and record.provenance.precision == "float32"


def test_a_picture_of_a_batch_is_verified_in_its_batch(studio: Studio, tmp_path: Path) -> None:
    result = studio.submit(GenerationRequest(prompt="a red cat", seed=2**32 - 2, steps=3, batch_size=3)).result(60)
    for place in range(3):
        path = result.save(place, tmp_path / f"{place}.png")
        assert verify(studio, path).identical
        lines = {line.subject: line for line in studio.recall(file_bytes(path)).lines}
        assert (lines["Batch"].value, lines["Batch"].verdict) == (f"{place + 1} of 3", "approximated")


def test_a_verified_picture_made_by_other_versions_says_which(studio: Studio, tmp_path: Path) -> None:
    result = studio.submit(GenerationRequest(prompt="a red cat", seed=3, steps=2)).result(60)
    made = result.provenances[0]
    older = made.model_copy(
        update={
            "versions": {**made.versions, "torch": "1.0"},
            "model": made.model.model_copy(update={"hash": "0" * 64}),
            "pixels": "0" * 64,
        }
    )
    path = save_record(result.images[0], Record(result.requests[0], older), tmp_path / "b.png")
    found = verify(studio, path)
    assert found.identical is False and "torch 1.0 then" in found.sentence
    assert f"model tiny with hash 0000000000 then, tiny with {made.model.hash[:10]} now" in found.sentence
