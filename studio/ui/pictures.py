"""Pictures on their way from the browser and back: read from `data:` addresses, and shown small."""

import base64
import binascii
import io
from typing import Any

from PIL import Image, UnidentifiedImageError

from studio.errors import InvalidRequest
from studio.images import jpeg_bytes

MAX_PIXELS = 64 * 1024 * 1024
SHOWN_SIDE = 512


def read(sent: Any) -> Image.Image:
    """Return the picture in a `data:` address, as the browser sent it.

    Raises:
        InvalidRequest: one sentence; it is no address, no picture, damaged or too large.
    """
    if not isinstance(sent, str) or not sent.startswith("data:") or "," not in sent:
        raise InvalidRequest("That is no picture; give a PNG, JPEG or WebP file.")
    try:
        content = base64.b64decode(sent.partition(",")[2], validate=True)
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InvalidRequest(f"The picture is {picture.width} x {picture.height}, which is too large; make it smaller.")
            picture.load()
            return picture.convert("RGB")
    except UnidentifiedImageError:
        raise InvalidRequest("That is no picture; give a PNG, JPEG or WebP file.") from None
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InvalidRequest("The picture is damaged; save it again.") from None


def shown(picture: Image.Image) -> str:
    """Return a picture as a `data:` address, its longer side at most 512 pixels."""
    small = picture.convert("RGB")
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(small, quality=90)).decode()
