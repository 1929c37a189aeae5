"""The settings inside a picture: written on save, read back from pictures of ours and of other programs."""

from pathlib import Path

from PIL import Image

from studio.metadata.convert import convert
from studio.metadata.dialects import read
from studio.metadata.own import file_bytes, read_metadata
from studio.metadata.recall import Line, Recall, recall
from studio.metadata.record import Record
from studio.metadata.writing import SUFFIX_OF, FormatName, encode
from studio.metadata.writing import save as save_record
from studio.provenance import Provenance
from studio.request import GenerationRequest

__all__ = [
    "SUFFIX_OF",
    "FormatName",
    "Line",
    "Recall",
    "Record",
    "convert",
    "encode",
    "file_bytes",
    "png_bytes",
    "read",
    "read_metadata",
    "recall",
    "save",
    "save_record",
]


def save(picture: Image.Image, request: GenerationRequest, path: Path, *, provenance: Provenance | None = None) -> Path:
    """Write a picture with its request inside, and where it came from if that is known, and return the path.

    Raises:
        StudioError: see `writing.save`.
    """
    return save_record(picture, Record(request, provenance), path)


def png_bytes(picture: Image.Image, request: GenerationRequest, *, provenance: Provenance | None = None) -> bytes:
    """Return a picture as the content of a PNG file with its request inside, and where it came from if that is known."""
    return encode(picture, Record(request, provenance))
