"""Preprocessors without weights. They need OpenCV only and take milliseconds, so they are what works offline.

Each takes RGB pixels (height, width, 3) of 0 .. 255 and its settings, and returns a map of the same height and width, grey or RGB.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Values = Mapping[str, float]


def grey(pixels: Pixels) -> Pixels:
    """Return the brightness of RGB pixels (ITU-R BT.601), height x width."""
    weighted = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.round(weighted).astype(np.uint8)


def canny(pixels: Pixels, values: Values) -> Pixels:
    """White edges on black (Canny 1986), as `controlnet_aux.CannyDetector` draws them at the same resolution."""
    import cv2  # noqa: PLC0415

    return np.asarray(cv2.Canny(np.ascontiguousarray(pixels), values["low"], values["high"]), np.uint8)


def lineart_standard(pixels: Pixels, values: Values) -> Pixels:
    """White lines on black where the picture is darker than its blur, as `controlnet_aux.LineartStandardDetector`."""
    import cv2  # noqa: PLC0415

    bright = pixels.astype(np.float32)
    darker = np.min(cv2.GaussianBlur(bright, (0, 0), values["sigma"]) - bright, axis=2).clip(0, 255)
    counted = darker[darker > values["threshold"]]
    scale = max(16.0, float(np.median(counted))) if counted.size else 16.0
    return (darker / scale * 127).clip(0, 255).astype(np.uint8)


def threshold(pixels: Pixels, values: Values) -> Pixels:
    """White where the picture is brighter than a value."""
    return np.where(grey(pixels) > values["value"], 255, 0).astype(np.uint8)


def invert(pixels: Pixels, values: Values) -> Pixels:
    """Dark for light."""
    return 255 - grey(pixels)


def shuffle(pixels: Pixels, values: Values) -> Pixels:
    """Move the picture along a smooth random flow until only its colours are left; the same seed flows the same way."""
    import cv2  # noqa: PLC0415

    height, width = pixels.shape[:2]
    random = np.random.default_rng(int(values["seed"]))
    across = _smooth_noise(random, (height, width), scale=values["scale"]) * (width - 1)
    down = _smooth_noise(random, (height, width), scale=values["scale"]) * (height - 1)
    return np.asarray(cv2.remap(np.ascontiguousarray(pixels), across, down, cv2.INTER_LINEAR), np.uint8)


def _smooth_noise(random: np.random.Generator, size: tuple[int, int], *, scale: float) -> NDArray[np.float32]:
    """Noise of 0 .. 1 with knots `scale` pixels apart and cubic in between."""
    import cv2  # noqa: PLC0415

    height, width = size
    knots = random.random((max(2, round(height / scale) + 1), max(2, round(width / scale) + 1)), np.float32)
    noise = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = float(noise.min()), float(noise.max())
    return ((noise - low) / max(high - low, 1e-6)).astype(np.float32)


MAKERS: Mapping[str, Callable[[Pixels, Values], Pixels]] = {
    "canny": canny,
    "lineart_standard": lineart_standard,
    "threshold": threshold,
    "invert": invert,
    "shuffle": shuffle,
}
"""By the names of the table's rows."""
