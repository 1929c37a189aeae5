"""Pictures that are maps already: what `preprocessor: none` does, per kind of control."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio.control.plain import Pixels, Values
from studio.fit import Placement, cut
from studio.request import ControlUse


def given_map(picture: Image.Image, use: ControlUse, *, placement: Placement, values: Values) -> Pixels:
    """Return the used part of a picture as a map, grey or RGB.

    A sketch becomes white lines on black, whichever way it was drawn (see `on_light`). Depth, of 8 or 16 bit, becomes bright for near; with
    `flip`, dark is near in the picture. A pose is taken as it is.

    Args:
        picture: mode L, RGB or I;16.
        use: the unit, for its kind.
        placement: which part, and its size.
        values: every setting of the row.
    """
    if picture.mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.float32) / 257)
    elif use.kind != "pose":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.float32))
    part = np.asarray(cut(picture, placement, exact=True))
    if use.kind == "sketch":
        part = 255 - part if on_light(part) else part
    elif use.kind == "depth":
        part = 255 - part if values["flip"] >= 0.5 else part
        # In floating point until here, so that a narrow range of 16-bit depth keeps its steps.
        return ranged(part, values)
    return np.asarray(part.clip(0, 255).round(), np.uint8)


def on_light(part: NDArray[np.float32]) -> bool:
    """Whether a drawing is dark on light, from its grey values of 0 .. 255.

    A drawing leaves most of its margin empty, so the margin (a fiftieth of the shorter side) tells the paper where its mean is below 64 or
    above 191; a margin in between is drawn over, and then the mean of all of it tells. A bright margin around what is dark almost
    everywhere is a frame that was drawn along the border.
    """
    edge = max(1, min(part.shape) // 50)
    margin = np.concatenate([part[:edge].ravel(), part[-edge:].ravel(), part[:, :edge].ravel(), part[:, -edge:].ravel()])
    mean = float(margin.mean())
    rest = float(part[edge:-edge, edge:-edge].mean())
    framed = mean - rest > 191
    return not framed and (mean if mean < 64 or mean > 191 else float(part.mean())) > 127.5


def ranged(depth: NDArray[np.float32] | Pixels, values: Values) -> Pixels:
    """Spread depth of 0 .. 255 so that brightness `far` (0 .. 1) becomes black and `near` white."""
    low, high = values["far"] * 255, values["near"] * 255
    if (low, high) == (0, 255):
        return np.asarray(depth.clip(0, 255).round(), np.uint8)
    return np.asarray(((depth.astype(np.float32) - low) / (high - low) * 255).clip(0, 255).round(), np.uint8)


def rgb(pixels: Pixels) -> Image.Image:
    """Return a map, grey or RGB, as an RGB picture."""
    return Image.fromarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))
