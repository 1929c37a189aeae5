"""Picture files with their settings inside, for people and for other programs; read back before they count as written.

PNG carries our document as the text `studio` and the A1111 line as `parameters`. JPEG and WebP carry the line as EXIF UserComment,
where A1111 and Civitai look for it (UNICODE, big end first), and our document in XMP.
"""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from PIL import ExifTags, Image, PngImagePlugin

from studio import atomic
from studio.errors import InternalError, StudioError
from studio.metadata import a1111, containers
from studio.metadata.record import Record, document, read_document

FormatName = Literal["PNG", "JPEG", "WEBP"]
SUFFIXES: Mapping[str, FormatName] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
SUFFIX_OF: Mapping[FormatName, str] = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
QUALITY = 95
# What XML cannot hold or takes for its own; a JSON text may write any character as an escape.
_ESCAPED = re.compile("[&<>\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:studio="https://studio.invalid/ns/1.0/"><studio:document>{}</studio:document>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def save(picture: Image.Image, record: Record | None, path: Path) -> Path:
    """Write a picture with its settings inside, or without any, and return the path.

    The file appears whole or not at all, and only after its settings were read back.

    Raises:
        StudioError: the suffix is none of .png, .jpg, .jpeg, .webp, the file cannot be written, or the format cannot hold the settings.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise StudioError(f"{path.name} must end in .png, .jpg, .jpeg or .webp.")
    return atomic.write(path, encode(picture, record, kind=kind))


def encode(picture: Image.Image, record: Record | None, *, kind: FormatName = "PNG") -> bytes:
    """Return a picture as the content of a file; without a record the file carries nothing but pixels.

    Raises:
        StudioError: the settings are longer than a JPEG's 64 kB.
    """
    bare = Image.frombytes(picture.mode, picture.size, picture.tobytes())
    buffer = io.BytesIO()
    try:
        bare.save(buffer, kind, **_options(kind, record))
    except ValueError as error:
        if "too long" not in str(error):
            raise
        raise StudioError("The settings of this picture are longer than a JPEG can hold, 64 kB; save it as PNG or WebP.") from error
    content = buffer.getvalue()
    if record:
        _read_back(content, record)
    return content


def _options(kind: FormatName, record: Record | None) -> dict[str, Any]:
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": QUALITY}
    if record is None:
        return options
    text, line = document(record), a1111.line(record)
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", line)
        chunks.add_itxt(containers.OWN, text)
        return {"pnginfo": chunks}
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + line.encode("utf-16-be")
    packet = _PACKET.format(_ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    return {**options, "exif": exif, "xmp": packet.encode()}


def _read_back(content: bytes, record: Record) -> None:
    """Make sure that the file says what it should; anything else is a defect that nobody must find out later."""
    carried = containers.read(content, name="The picture")
    if read_document(carried.document, name="The picture") != record or carried.parameters != a1111.line(record):
        raise InternalError("The settings could not be read back from the picture, so it was not saved; choose another format.")
