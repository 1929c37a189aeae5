"""Reading, verifying and converting pictures over HTTP, without a browser."""

import base64
import time
from typing import Any

import httpx
import pytest

from studio.metadata import Record, encode, read_metadata
from studio.metadata.own import read_record
from studio.request import GenerationRequest
from tests.served import Served
from tests.ui.browserless import VISITOR_A, Page
from tests.unit.test_dialects import A1111, PICTURE, png


@pytest.fixture(scope="module")
def visitor(http: httpx.Client) -> Page:
    return Page(http, VISITOR_A)


def address(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def made(visitor: Page, **fields: Any) -> bytes:
    """A picture made through the page, as its file."""
    job = visitor.finish(visitor.generate(steps=2, **fields)["job"])["job"]
    return base64.b64decode(visitor.call("stage", "picture", [job, 0])["png"])


def test_a_picture_made_here_is_exact_and_bit_identical(visitor: Page, page: Served) -> None:
    content = made(visitor, prompt="a cat", seed=11)
    report = visitor.call("recall", "recall", ["a.png", address(content)])
    assert (report["dialect"], report["summary"], report["verifiable"]) == ("Studio", "All settings are exact.", True)
    assert report["settings"]["prompt"] == "a cat" and any("studio 0.1.0" in line for line in report["made"])
    outcome = verified(visitor, content)
    assert outcome["verdict"] == "exact" and outcome["text"].startswith("Bit-identical") and outcome["psnr"] is None
    assert page.studio.jobs_of(VISITOR_A)[-1].plan.request.seed == 11


def test_a_picture_that_names_no_setting_is_not_called_exact(visitor: Page) -> None:
    report = visitor.call("recall", "recall", ["a.png", address(png(invokeai_metadata={"generation_mode": "txt2img"}))])
    assert (report["dialect"], report["lines"], report["summary"]) == ("InvokeAI", [], "The picture names its program, but no settings.")


def test_half_a_character_in_a_picture_is_told(visitor: Page) -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "half \ud800.safetensors"}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "half \ud800", "clip": ["1", 1]}},
        "4": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["3", 0], "latent_image": ["2", 0], "steps": 9}},
    }
    report = visitor.call("recall", "recall", ["a.png", address(png(prompt=graph))])
    assert report["error"] == "" and report["dialect"] == "ComfyUI"
    assert next(line["value"] for line in report["lines"] if line["subject"] == "Model") == "half \ufffd"


def verified(visitor: Page, content: bytes) -> Any:
    key = visitor.call("recall", "verify", ["a.png", address(content)])["check"]
    while not (answer := visitor.call("recall", "verified", key)).get("done", True):
        time.sleep(0.01)
    return answer


def test_a_changed_picture_and_a_foreign_one_are_told_from_the_same(visitor: Page) -> None:
    content = made(visitor, prompt="a dog", seed=12)
    record = read_record(content, name="a")
    painted = encode(PICTURE.resize((256, 256)), record)
    text = verified(visitor, painted)["text"]
    assert text.startswith("Bit-identical") and "pixels were changed after it was made" in text
    other = encode(PICTURE.resize((256, 256)), Record(record.request.model_copy(update={"seed": 13}), record.provenance))
    assert verified(visitor, other)["verdict"] == "missing"
    foreign = verified(visitor, png(parameters=A1111.replace("<lora:clay:0.8>", "")))
    assert "The file has 64 x 32 pixels and the request makes 512 x 640" in foreign["text"]


@pytest.mark.parametrize(
    "asked", [None, 3, [], ["a.png"], ["a.png", 3], ["a.png", "http://127.0.0.1/"], ["a.png", "data:,"], [{}, "data:,x"]]
)
def test_nonsense_is_one_sentence(visitor: Page, asked: Any) -> None:
    for call in ("recall", "verify"):
        assert visitor.call("recall", call, asked)["error"].endswith(".")
    assert visitor.call("recall", "convert", asked)["error"].endswith(".")


def test_a_persons_oldest_check_makes_room_for_the_newest(visitor: Page) -> None:
    content = made(visitor, prompt="a dog", seed=12)
    record = read_record(content, name="a")
    slow = encode(PICTURE.resize((256, 256)), Record(record.request.model_copy(update={"steps": 150}), record.provenance))
    begun = [visitor.call("recall", "verify", ["a.png", address(slow)])["check"] for _ in range(4)]
    assert visitor.call("recall", "verified", begun[0])["error"] == "This check is no longer known; press Verify again."
    assert [visitor.call("recall", "verified", key)["error"] for key in begun[1:]] == [""] * 3
    for key in begun[1:]:
        visitor.call("recall", "stop_check", key)


@pytest.mark.parametrize("key", [None, 3, [], "x" * 30])
def test_an_unknown_check_is_one_sentence(visitor: Page, key: Any) -> None:
    assert visitor.call("recall", "verified", key)["error"] == "This check is no longer known; press Verify again."
    assert visitor.call("recall", "stop_check", key) is None


def test_hostile_files_are_one_sentence(visitor: Page) -> None:
    for name, content in (("a.png", b"x" * 100), ("../../etc/passwd\n<b>", b""), ("x" * 5000, png(studio="[" * 100_000))):
        error = visitor.call("recall", "recall", [name, address(content)])["error"]
        assert error.endswith(".") and "\n" not in error and len(error) < 400
    huge = visitor.call("recall", "recall", ["a.png", "data:image/png;base64," + "A" * 27_000_000])["error"]
    assert huge == "a.png is a file of 20 MB; give one of at most 20 MB."


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_picture_is_converted_with_its_settings_or_without(visitor: Page, kind: str, suffix: str, tmp_path: Any) -> None:
    content = encode(PICTURE, Record(GenerationRequest(prompt="a cat", seed=3)))
    answer = visitor.call("recall", "convert", ["studio-3.png", address(content), kind, False])
    assert answer["name"] == f"studio-3.{suffix}"
    (tmp_path / answer["name"]).write_bytes(base64.b64decode(answer["file"]))
    assert read_metadata(tmp_path / answer["name"]).prompt == "a cat"
    bare = base64.b64decode(visitor.call("recall", "convert", ["studio-3.png", address(content), kind, True])["file"])
    assert b"a cat" not in bare and b"studio" not in bare
