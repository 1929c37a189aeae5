"""Our own JSON in picture files: a PNG iTXt chunk named `studio`, or the EXIF UserComment of JPEG and WebP.

Formats: PNG specification, 11.3.3 (iTXt); Exif 2.32, tag 0x9286 (UserComment, eight bytes of character code first).
"""

import io
import json
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from studio import atomic
from studio.errors import BadPicture, InvalidRequest, StudioError
from studio.request import GenerationRequest

SCHEMA = 1
CHUNK = "studio"
_ASCII = b"ASCII\0\0\0"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def document(request: GenerationRequest) -> str:
    """Return the JSON text that stands in a picture, in ASCII."""
    return json.dumps({"schema": SCHEMA, "request": request.model_dump()})


def save(picture: Image.Image, request: GenerationRequest, path: Path) -> Path:
    """Write a picture with its request inside and return the path.

    The file appears whole or not at all.

    Raises:
        StudioError: the suffix is none of .png, .jpg, .jpeg, .webp, or the file cannot be written.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise StudioError(f"{path.name} must end in .png, .jpg, .jpeg or .webp.")
    return atomic.write(path, _content(picture, kind, request))


def png_bytes(picture: Image.Image, request: GenerationRequest) -> bytes:
    """Return a picture as the content of a PNG file with its request inside."""
    return _content(picture, "PNG", request)


def read_metadata(source: str | Path) -> GenerationRequest:
    """Return the request that a picture carries.

    Raises:
        BadPicture: the file is no readable picture or carries no request of ours.
    """
    name = Path(source).name
    try:
        with Image.open(source) as picture:
            text = _text(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadPicture(f"{name} cannot be read as a picture.") from error
    if not text:
        raise BadPicture(f"{name} carries no settings of this studio.")
    try:
        data = json.loads(text)
        return GenerationRequest.parse(data["request"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadPicture(f"The settings inside {name} are damaged.") from error
    except InvalidRequest as error:
        raise BadPicture(f"The settings inside {name} do not fit this studio: {error}") from error


def _content(picture: Image.Image, kind: str, request: GenerationRequest) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **_options(kind, document(request)))
    return buffer.getvalue()


def _options(kind: str, text: str) -> dict[str, Any]:
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(CHUNK, text)
        return {"pnginfo": chunks}
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = _ASCII + text.encode("ascii")
    return {"exif": exif, "quality": 95}


def _text(picture: Image.Image) -> str:
    if isinstance(picture, PngImagePlugin.PngImageFile):
        return str(picture.text.get(CHUNK, ""))
    comment = picture.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    return comment.removeprefix(_ASCII).decode("ascii") if isinstance(comment, bytes) else ""
