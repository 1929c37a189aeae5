"""The one fit rule: crop, pad and stretch."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from studio.fit import FITS, FitName, cut, lay, place

sides = st.integers(16, 3000)


@example(source=(127, 16), size=(575, 16), how="crop")
@given(source=st.tuples(sides, sides), size=st.tuples(sides, sides), how=st.sampled_from(sorted(FITS)))
def test_placements_stay_inside(source: tuple[int, int], size: tuple[int, int], how: FitName) -> None:
    placed = place(source, size, how)
    left, top, right, bottom = placed.box
    assert 0 <= left < right <= source[0] + 1e-6 and 0 <= top < bottom <= source[1] + 1e-6
    assert all(at >= 0 and at + inner <= whole for at, inner, whole in zip(placed.offset, placed.inner, size, strict=True))
    across, down = placed.inner[0] / (right - left), placed.inner[1] / (bottom - top)
    if how != "stretch":
        # Rounding to whole pixels may bend proportions by one pixel.
        assert abs(across * (bottom - top) - placed.inner[1]) <= 1 + across or abs(down * (right - left) - placed.inner[0]) <= 1 + down
    if how != "pad":
        assert placed.inner == size


@pytest.mark.parametrize("how", FITS)
def test_a_picture_of_the_size_is_left_alone(how: FitName) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    placed = place(picture.size, (64, 48), how)
    assert lay(cut(picture, placed, exact=True), placed).tobytes() == picture.tobytes()


def test_what_each_does_to_a_wide_picture() -> None:
    wide = Image.new("RGB", (200, 100), "red")
    wide.paste("blue", (50, 0, 150, 100))
    colours = {}
    for how in FITS:
        placed = place(wide.size, (64, 64), how)
        frame = lay(cut(wide, placed, exact=True), placed)
        assert frame.size == (64, 64)
        colours[how] = [frame.getpixel(at) for at in ((1, 32), (32, 1), (32, 32))]
    red, blue, black = (255, 0, 0), (0, 0, 255), (0, 0, 0)
    assert colours == {"crop": [blue, blue, blue], "pad": [red, black, blue], "stretch": [red, blue, blue]}


def test_maps_are_resampled_without_ringing() -> None:
    lines = Image.new("L", (100, 100))
    lines.paste(255, (40, 0, 42, 100))
    grown = np.asarray(cut(lines, place(lines.size, (300, 300), "stretch"), exact=True))
    assert set(np.unique(grown)) == {0, 255}
    shrunk = np.asarray(cut(lines, place(lines.size, (50, 50), "stretch"), exact=True))
    assert shrunk[25, 20] == 255 and shrunk.sum() == 255 * 50
