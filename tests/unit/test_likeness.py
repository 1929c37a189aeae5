"""How like two pictures are, against values worked out by hand and by the definition."""

import math

import numpy as np
import pytest
from PIL import Image

from studio.metadata.likeness import compare, ssim
from studio.provenance import Mark, Provenance


def noise(seed: int, side: int = 32) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def test_the_same_is_the_same() -> None:
    found = compare(Image.fromarray(noise(1)), Image.fromarray(noise(1)))
    assert (found.same, found.psnr, found.ssim) == (True, math.inf, 1.0)


def test_one_level_everywhere_is_48_decibels() -> None:
    grey = np.full((20, 30, 3), 100, np.uint8)
    found = compare(Image.fromarray(grey), Image.fromarray(grey + 1))
    assert not found.same and found.psnr == pytest.approx(20 * math.log10(255))
    # Without any structure only the first factor of the measure is left: (2ab + C1) / (a^2 + b^2 + C1).
    a, b, c = 100.0, 101.0, (0.01 * 255) ** 2
    assert found.ssim == pytest.approx((2 * a * b + c) / (a * a + b * b + c))


def test_ssim_is_that_of_the_definition() -> None:
    left, right = (noise(seed, 13)[..., 0].astype(float) for seed in (1, 2))
    places = np.arange(11) - 5
    kernel = np.exp(-(places**2) / 4.5)
    window = np.outer(kernel, kernel) / np.outer(kernel, kernel).sum()
    values = []
    for y in range(3):
        for x in range(3):
            a, b = left[y : y + 11, x : x + 11], right[y : y + 11, x : x + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            spread_a, spread_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            shared = (window * (a - mean_a) * (b - mean_b)).sum()
            first = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
            values.append(first * (2 * shared + 58.5225) / (spread_a + spread_b + 58.5225))
    assert ssim(left, right) == pytest.approx(np.mean(values))


def test_what_differs_less_is_more_alike() -> None:
    base = noise(3)
    near, far = (np.clip(base + np.random.default_rng(4).normal(0, size, base.shape), 0, 255).astype(np.uint8) for size in (3, 60))
    one, other = compare(Image.fromarray(base), Image.fromarray(near)), compare(Image.fromarray(base), Image.fromarray(far))
    assert 0.9 < one.ssim <= 1 and other.ssim < one.ssim and other.psnr < one.psnr
    assert compare(Image.fromarray(base), Image.fromarray(255 - base)).ssim < 0


def test_tiny_pictures_and_other_sizes() -> None:
    assert compare(Image.new("RGB", (3, 8), "red"), Image.new("RGB", (3, 8), "blue")).ssim < 1
    with pytest.raises(ValueError, match="differ"):
        compare(Image.new("RGB", (3, 8)), Image.new("RGB", (8, 3)))


def test_differences_are_named_with_both_sides() -> None:
    then = Provenance(
        versions={"torch": "2.1", "old": "1"}, device="GPU", precision="float16", model=Mark(name="a", hash="1" * 64), maps=("2" * 64,)
    )
    now = Provenance(versions={"torch": "2.2"}, device="CPU", precision="float16", model=Mark(name="b", hash="3" * 64), maps=("4" * 64,))
    assert then.differences(now) == [
        "old 1 then, unknown now",
        "torch 2.1 then, 2.2 now",
        "device GPU then, CPU now",
        "model a with hash 1111111111 then, b with 3333333333 now",
        "control map 1",
    ]
    assert then.differences(then) == []
    renamed = now.model_copy(update={"model": Mark(name="renamed", hash="3" * 64)})
    assert now.differences(renamed) == []
    assert now.differences(now.model_copy(update={"model": Mark(name="b")})) == ["model b: its hash now is unknown"]
