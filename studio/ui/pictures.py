"""Pictures on their way from the browser and back: shown small, and given the preprocessor that most likely suits them."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from studio.images import eight_bit, jpeg_bytes
from studio.ports import Offer

SHOWN_SIDE = 512
# Enough to tell a drawing from a photograph.
LOOKED_AT = 256


def shown(picture: Image.Image, *, side: int = SHOWN_SIDE) -> str:
    """Return a picture as a `data:` address, its longer side at most `side` pixels."""
    small = eight_bit(picture)
    small.thumbnail((side, side))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(small, quality=90)).decode()


def whole(picture: Image.Image) -> str:
    """Return a picture as a `data:` address, every pixel as it is."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def colourful(picture: Image.Image) -> bool:
    """Whether a picture, RGB, has any colour."""
    return bool(np.ptp(np.asarray(picture), axis=2).any())


def suggested(picture: Image.Image, kind: str, offers: Sequence[Offer]) -> str:
    """Return the preprocessor that most likely makes the wanted map of a picture: `none` where it looks like a map already.

    Args:
        picture: mode L, I;16 or RGB.
        kind: `sketch`, `depth` or `pose`.
        offers: the kind's preprocessors in the picker's order, the one that takes the picture as it is first.
    """
    first, *others = [offer.row.name for offer in offers]
    if not others or is_map(picture, kind):
        return first
    # Edges need no weights; what estimates depth or a pose does.
    trained = [offer for offer in offers if offer.row.sources]
    if kind == "sketch":
        return others[0]
    ready = [offer.row.name for offer in trained if offer.state == "ready"]
    return next(iter([*ready, *(offer.row.name for offer in trained)]), first)


def is_map(picture: Image.Image, kind: str) -> bool:
    """Whether a picture looks like a map: lines in black and white, shades of grey for depth, colours on black for a pose."""
    small = eight_bit(picture)
    small.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.NEAREST)
    pixels = np.asarray(small).astype(np.int16)
    colourful = float((np.ptp(pixels, axis=2) > 24).mean())
    bright = pixels.mean(axis=2)
    if kind == "sketch":
        return colourful < 0.02 and float(((bright < 48) | (bright > 207)).mean()) > 0.85
    if kind == "depth":
        return colourful < 0.02
    return float((bright < 16).mean()) > 0.6
