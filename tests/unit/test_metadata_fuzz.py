"""Malformed metadata of every dialect: a request within its bounds or one sentence, never anything else."""

import io
import json
import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from studio.errors import BadPicture
from studio.metadata import Record, encode, read, recall
from studio.metadata.containers import SIGNATURE
from studio.request import ControlUse, GenerationRequest, LoraUse
from tests.unit.test_dialects import A1111, FOOOCUS, GRAPH, HERE, NAI, PICTURE, SWARM, jpeg, png

CASES = 4000
OURS = Record(
    GenerationRequest(prompt="a cat", seed=1, loras=(LoraUse(name="ink"),), controls=(ControlUse(kind="pose", image="0" * 64),)),
)
INVOKE = {
    "positive_prompt": "a",
    "cfg_scale": 3,
    "model": {"name": "x", "hash": "y"},
    "loras": [{"model": {"name": "z"}, "weight": 1}],
    "vae": {},
}
DOCUMENT = json.loads(json.dumps({"schema": 2, "request": OURS.request.model_dump(), "provenance": {"model": {"name": "Mini"}}}))
SOURCES: tuple[tuple[str, Any], ...] = (
    ("studio", DOCUMENT),
    ("parameters", FOOOCUS),
    ("parameters", SWARM),
    ("invokeai_metadata", INVOKE),
    ("prompt", GRAPH),
    ("Comment", NAI),
)
HOSTILE: tuple[Any, ...] = (
    *(None, True, [], {}, "", -1, 0, 1e308, 10**400, -(10**30), float("nan"), float("inf"), "NaN", "1e999", "x" * 5000, "\ud800", "\x00"),
    *(
        "../../etc/passwd",
        "CON",
        "😀" * 300,
        ["a"] * 500,
        {"a": {"a": {"a": {}}}},
        [[[[[]]]]],
        [["3", 0], 1],
        "<lora:a:b:c:d>",
        "Negative prompt:",
    ),
)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(*chunks: bytes) -> bytes:
    """A PNG with these chunks after its header."""
    plain = png()
    end = len(SIGNATURE) + 25
    return plain[:end] + b"".join(chunks) + plain[end:]


def replaced(value: Any, chance: random.Random) -> Any:
    """A JSON value in which some things are others."""
    if chance.random() < 0.12:
        return chance.choice(HOSTILE)
    if isinstance(value, dict):
        return {
            (key if chance.random() < 0.95 else chance.choice(("", "x" * 300, "inputs", "prompt"))): replaced(each, chance)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [replaced(each, chance) for each in value] * chance.choice((1, 1, 1, 0, 3))
    return value


def mangled(data: bytes, chance: random.Random) -> bytes:
    """Bytes of which some are others, missing, doubled or cut off."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        at = chance.randrange(len(out) or 1)
        match chance.randrange(5):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del out[at : at + chance.randrange(1, 40)]
            case 2:
                out[at:at] = out[at : at + chance.randrange(1, 60)]
            case 3:
                out[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
            case _:
                del out[at:]
        if not out:
            return b""
    return bytes(out)


def texts(chance: random.Random) -> Iterator[bytes]:
    key, source = chance.choice(SOURCES)
    text = json.dumps(replaced(source, chance)).replace("\\ud800", "\\\\ud800")
    yield png(**{key: text})
    yield png(**{key: mangled(text.encode(), chance).decode("utf-8", "replace").replace("\0", "?")})
    line = mangled(A1111.encode(), chance).decode("utf-8", "replace").replace("\0", "?")
    yield png(parameters=line)
    yield jpeg(b"UNICODE\0" + mangled(line.encode("utf-16-be"), chance))


def files(chance: random.Random) -> Iterator[bytes]:
    for kind in ("PNG", "JPEG", "WEBP"):
        yield mangled(encode(PICTURE, OURS, kind=kind), chance)
    yield with_chunks(chunk(chance.choice((b"tEXt", b"zTXt", b"iTXt")), mangled(b"parameters\0\0\0\0\0" + A1111.encode(), chance)))


def judged(data: bytes) -> str:
    """Read and match a file; returns what became of it."""
    try:
        found = recall(read(data, name="a.png"), HERE, has_picture=lambda key: False)
    except BadPicture as error:
        sentence = str(error)
        assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 400
        return "sentence"
    assert GenerationRequest.parse(found.request.model_dump()) == found.request
    assert all(len(line.value) <= 400 and len(line.why) <= 400 for line in found.lines)
    return "request"


@pytest.mark.parametrize("make", [texts, files])
def test_malformed_metadata_is_a_request_or_a_sentence(make: Callable[[random.Random], Iterator[bytes]]) -> None:
    seen: dict[str, int] = {"request": 0, "sentence": 0}
    for seed in range(CASES // 8):
        for data in make(random.Random(seed)):
            seen[judged(data)] += 1
    assert sum(seen.values()) == CASES // 2 and min(seen.values()) > CASES // 40


def bombs() -> dict[str, bytes]:
    huge = zlib.compress(b"a" * 50_000_000)
    return {
        "compressed text": with_chunks(chunk(b"zTXt", b"parameters\0\0" + huge)),
        "compressed international text": with_chunks(chunk(b"iTXt", b"studio\0\1\0\0\0" + huge)),
        "10,000 texts": with_chunks(*[chunk(b"tEXt", b"key %d\0text" % i) for i in range(10_000)]),
        "10,000 texts of one name": with_chunks(*[chunk(b"tEXt", b"parameters\0text")] * 10_000),
        "deep lists": png(studio="[" * 500_000),
        "deep objects": png(parameters='{"a":' * 200_000),
        "a deep graph": png(prompt='{"1":{"class_type":"KSampler","inputs":' + '{"a":' * 100_000),
        "lengths beyond the file": with_chunks(struct.pack(">I4s", 0x7FFFFFFF, b"tEXt")),
        "no header": SIGNATURE + chunk(b"tEXt", b"parameters\0a"),
        "nothing": b"",
        "NaN": png(studio='{"schema": 2, "request": {"guidance_scale": NaN}}'),
        "infinity": png(studio='{"schema": 2, "request": {"guidance_scale": Infinity}}'),
        "a number of 5,000 digits": png(studio='{"schema": 2, "request": {"seed": ' + "9" * 5000 + "}}"),
        "a later schema": png(studio='{"schema": 3, "request": {}}'),
        "a program": b"MZ" + bytes(1000),
        "an SVG": b"<svg onload='alert(1)'/>",
    }


@pytest.mark.parametrize("name", bombs())
def test_each_bomb_is_one_sentence(name: str) -> None:
    assert judged(bombs()[name]) == "sentence"


@pytest.mark.parametrize(
    "line",
    [
        "a" * 3_000_000,
        " " * 3_000_000,
        "a: " * 1_000_000,
        'Aa: "' * 500_000,
        "Aa: \\" * 500_000,
        "\n" * 3_000_000,
        "<lora:" * 500_000,
        "(" * 1_000_000,
    ],
    ids=range(8),
)
def test_long_lines_take_no_longer_than_their_length_asks(line: str) -> None:
    judged(png(parameters=line))
    judged(png(parameters=f"x\n{line}, Steps: 20, Sampler: Euler, Seed: 3"))
    judged(png(parameters=f"{line}\nSteps: 20, Sampler: Euler, Seed: 3"))


def entangled(inputs: int, **starts: list[Any]) -> dict[str, Any]:
    """A graph of ComfyUI whose nodes each lead to the next one by all their inputs."""
    names = ("text", "clip_l", "clip_g", "t5xxl", "string", "prompt", "value", *map(str, range(inputs)))[:inputs]
    nodes = {str(i): {"class_type": "X", "inputs": {name: [str(i + 1), 0] for name in names}} for i in range(1000)}
    return nodes | {f"{i} of samplers": {"class_type": "KSampler", "inputs": {"latent_image": [], **starts}} for i in range(1000)}


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": json.dumps(entangled(7, positive=["0", 0]))},
        {"prompt": json.dumps(entangled(50, sigmas=["0", 0]))},
        {"parameters": 'x\nSteps: 20, Seed: 3, Size: 64x64, Lora weights: "' + ", ".join(f"l{i}: 1" for i in range(8000)) + '"'},
        {"Software": "NovelAI", "Comment": json.dumps({"prompt": "1" * 100_000, "steps": 20})},
    ],
    ids=["words", "samplers", "LoRAs", "digits"],
)
def test_what_leads_everywhere_takes_no_longer_than_its_length_asks(texts: dict[str, str]) -> None:
    began = time.thread_time()
    assert judged(png(**texts)) == "request"
    assert time.thread_time() - began < 10


def test_a_cut_picture_still_tells_its_settings() -> None:
    whole = encode(Image.effect_noise((64, 64), 50).convert("RGB"), OURS)
    assert read(whole[: len(whole) // 2], name="a").record == OURS


def test_a_picture_of_too_many_pixels_is_a_sentence() -> None:
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).convert("L").save(buffer, "JPEG", quality=1)
    assert judged(buffer.getvalue()) == "sentence"
