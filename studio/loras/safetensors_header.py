"""Reads the header of a safetensors file that nobody vouched for: bounded, strict, one sentence for whatever is wrong.

Format: 8 bytes of length (little endian), so many bytes of JSON, then the tensors (https://github.com/huggingface/safetensors).
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.characters import has_half, whole
from studio.errors import BadLora

# A LoRA of a large model has some thousand tensors of 150 bytes each; metadata with tag counts adds to that.
MAX_HEADER_BYTES = 16_000_000
MAX_TENSORS = 50_000
ITEM_BYTES: Mapping[str, int] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
WHOLE = ("I64", "I32", "I16", "I8", "U8")
PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl")


@dataclass(frozen=True)
class Tensor:
    """One tensor: number format, shape, and the place of its bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class RawHeader:
    """Tensors by key, and the metadata's texts."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_raw(path: Path) -> RawHeader:
    """Read the header of a file.

    Raises:
        BadLora: the file is a pickle, cut short, or its header is forged; the sentence names the file and what to do.
    """
    if path.suffix.lower() in PICKLED:
        raise BadLora(f"{path.name} is a pickled file, which could run programs; use the same LoRA as .safetensors.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            length = int.from_bytes(head, "little")
            if len(head) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise _broken(path, _bad_length(head, length, size))
            text = file.read(length)
    except OSError as error:
        raise BadLora(f"{path.name} cannot be read: {error.strerror or error}; check the file.") from error
    return parse(text, path=path, room=size - 8 - length)


def parse(text: bytes, *, path: Path, room: int) -> RawHeader:
    """Read a header's JSON; `room` is how many bytes of tensors follow it.

    Raises:
        BadLora: as above.
    """
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is no JSON") from error
    if not isinstance(data, dict):
        raise _broken(path, "its header is no JSON object")
    metadata = data.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _broken(path, "its metadata are not texts")
    if not 0 < len(data) <= MAX_TENSORS:
        raise _broken(path, f"it holds {len(data):,} tensors")
    tensors = {key: _tensor(path, key, entry, room) for key, entry in data.items()}
    _check_overlaps(path, tensors.values())
    return RawHeader(tensors, {key: whole(text) for key, text in metadata.items()})


def _tensor(path: Path, key: str, entry: Any, room: int) -> Tensor:
    if has_half(key):
        raise _broken(path, f"the name {_short(key)} is no text")
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if dtype in ITEM_BYTES:
            whole = all(type(side) is int and 0 <= side < 2**40 for side in shape) and len(shape) <= 8
            if not whole or type(begin) is not int or type(end) is not int:
                raise _broken(path, f"the shape of {_short(key)} is forged")
            if not 0 <= begin <= end <= room:
                raise _broken(path, f"{_short(key)} lies outside the file")
            if math.prod(shape) * ITEM_BYTES[dtype] != end - begin:
                raise _broken(path, f"the size of {_short(key)} does not match its shape")
            return Tensor(dtype, tuple(shape), begin, end)
        case _:
            raise _broken(path, f"the entry of {_short(key)} is damaged")


def _check_overlaps(path: Path, tensors: Iterable[Tensor]) -> None:
    # A small file whose tensors all lie on the same bytes would unfold into gigabytes.
    last = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin < last:
            raise _broken(path, "its tensors overlap")
        last = tensor.end


def _bad_length(head: bytes, length: int, size: int) -> str:
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "it is a pickled file under a false name"
    if head[:1] == b"<" or head == b"version ":
        return "it is a web page or a pointer of Git LFS in the place of the file"
    return "it is empty" if size == 0 else "it is cut short" if len(head) < 8 else f"its header claims {length:,} of {size:,} bytes"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a name stands twice")
    return data


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _short(key: str) -> str:
    return repr(key if len(key) <= 60 else key[:57] + "...")


def _broken(path: Path, problem: str) -> BadLora:
    return BadLora(f"{path.name} cannot be used: {problem}; fetch the file again.")
