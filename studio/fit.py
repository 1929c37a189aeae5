"""The one rule by which a picture is brought to the size of the result: crop, pad or stretch. Pure."""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

FitName = Literal["crop", "pad", "stretch"]
FITS: dict[FitName, str] = {
    "crop": "fills the frame; what stands over at two sides is cut off, the same on both",
    "pad": "all of the picture is seen; black bars fill what is left of the frame",
    "stretch": "all of the picture fills the frame; its proportions change",
}


@dataclass(frozen=True)
class Placement:
    """Where a picture comes to lie in a frame.

    Attributes:
        box: the part of the picture that is used: left, top, right, bottom in its pixels, fractions allowed.
        inner: width and height that part gets, in the frame's pixels.
        offset: left and top of the part in the frame.
        size: width and height of the frame.
    """

    box: tuple[float, float, float, float]
    inner: tuple[int, int]
    offset: tuple[int, int]
    size: tuple[int, int]


def place(source: tuple[int, int], size: tuple[int, int], how: FitName) -> Placement:
    """Return where a picture of size `source` lies in a frame of `size`, both (width, height) in pixels."""
    (across, down), (width, height) = source, size
    whole = (0.0, 0.0, float(across), float(down))
    match how:
        case "stretch":
            return Placement(whole, size, (0, 0), size)
        case "crop":
            scale = min(across / width, down / height)
            # Rounding must not put a corner outside by a hair, which Pillow refuses.
            left, top = max(0.0, (across - width * scale) / 2), max(0.0, (down - height * scale) / 2)
            return Placement((left, top, across - left, down - top), size, (0, 0), size)
        case "pad":
            scale = min(width / across, height / down)
            inner = max(1, min(width, round(across * scale))), max(1, min(height, round(down * scale)))
            return Placement(whole, inner, ((width - inner[0]) // 2, (height - inner[1]) // 2), size)


def cut(picture: Image.Image, placement: Placement, *, exact: bool = False) -> Image.Image:
    """Return the used part of a picture in its size in the frame; the mode stays.

    `exact` is for maps, whose values mean something: each pixel is the mean of those it covers when the picture shrinks, and a copy of the
    nearest one when it grows, so nothing rings. Photographs are resampled with Lanczos' kernel.
    """
    resampling = Image.Resampling.BOX if exact else Image.Resampling.LANCZOS
    return picture.resize(placement.inner, resampling, box=placement.box)


def lay(picture: Image.Image, placement: Placement) -> Image.Image:
    """Return the frame with the part `cut` made in its place; what is left is black."""
    if picture.size == placement.size:
        return picture
    frame = Image.new(picture.mode, placement.size)
    frame.paste(picture, placement.offset)
    return frame
