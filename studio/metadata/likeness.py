"""How like two pictures are: the same bits, or by how much they differ."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float64]
# Of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004: a Gaussian window of 11 with sigma 1.5.
WINDOW, SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class Likeness:
    """Two pictures of one size compared.

    Attributes:
        same: whether every bit of every pixel is the same.
        psnr: peak signal-to-noise ratio over all channels in decibels; infinite when they are the same.
        ssim: structural similarity of the brightness, -1 to 1; 1 when they are the same.
    """

    same: bool
    psnr: float
    ssim: float


def compare(one: Image.Image, other: Image.Image) -> Likeness:
    """Compare two pictures of one size.

    Raises:
        ValueError: their sizes differ.
    """
    if one.size != other.size:
        raise ValueError(f"sizes {one.size} and {other.size} differ")
    left, right = (np.asarray(picture.convert("RGB"), np.float64) for picture in (one, other))
    error = float(np.mean((left - right) ** 2))
    psnr = math.inf if error == 0 else 10 * math.log10(255**2 / error)
    return Likeness(error == 0, psnr, 1.0 if error == 0 else ssim(_brightness(left), _brightness(right)))


def ssim(left: Plane, right: Plane) -> float:
    """Return the mean structural similarity of two planes of values 0 to 255, over the windows that lie wholly inside."""
    window = min(WINDOW, *left.shape)
    mean_left, mean_right = _blurred(left, window), _blurred(right, window)
    spread_left = _blurred(left * left, window) - mean_left**2
    spread_right = _blurred(right * right, window) - mean_right**2
    shared = _blurred(left * right, window) - mean_left * mean_right
    above = (2 * mean_left * mean_right + _C1) * (2 * shared + _C2)
    below = (mean_left**2 + mean_right**2 + _C1) * (spread_left + spread_right + _C2)
    return float(np.mean(above / below))


def _brightness(pixels: Plane) -> Plane:
    """ITU-R BT.601, as in the paper's own program."""
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114]))


def _blurred(plane: Plane, window: int) -> Plane:
    places = np.arange(window) - (window - 1) / 2
    kernel = np.exp(-(places**2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    down = sum(weight * plane[i : plane.shape[0] - window + 1 + i] for i, weight in enumerate(kernel))
    wide = np.asarray(down)
    return np.asarray(sum(weight * wide[:, i : wide.shape[1] - window + 1 + i] for i, weight in enumerate(kernel)))
