"""From the network's scores to facts: which things stand in the picture, on what ground, in what light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import ndimage
from torch.nn import functional

from ..world.scene import GROUNDS, LIGHTS
from .network import COLOUR_NAMES, SHAPE_NAMES, SIDE_IN, SIDE_OUT, Judge, Scores

WEIGHTS = Path(__file__).parent / "judge.safetensors"
SMALLEST = 22


@dataclass(frozen=True)
class Found:
    """One thing seen: what it is, its area in pixels of a 64 x 64 picture, and its middle (x, y) in 0..1."""

    shape: str
    colour: str
    area: int
    x: float
    y: float


@dataclass(frozen=True)
class Verdict:
    """Everything the judge says of one picture; `things` from large to small."""

    things: tuple[Found, ...]
    ground: str
    light: str


def load_judge(path: Path = WEIGHTS) -> Judge:
    """The trained judge, float32."""
    judge = Judge()
    judge.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return judge.eval()


def object_masks(judge: Judge, pictures: NDArray[np.uint8], shape: str = "") -> NDArray[np.bool_]:
    """Where things are, or things of one shape, in pictures uint8 (N, H, W, 3): bool (N, 64, 64)."""
    masks = [np.zeros((0, SIDE_OUT, SIDE_OUT), np.bool_)]
    for start in range(0, len(pictures), 32):
        chances = _scores(judge, pictures[start : start + 32]).shape.softmax(1).numpy()
        masks.append(chances[:, SHAPE_NAMES.index(shape)] > 0.5 if shape else chances[:, 0] < 0.5)
    return np.concatenate(masks)


def _scores(judge: Judge, pictures: NDArray[np.uint8]) -> Scores:
    raw = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        return judge(functional.interpolate(raw, size=(SIDE_IN, SIDE_IN), mode="area"))


def look(judge: Judge, pictures: NDArray[np.uint8]) -> list[Verdict]:
    """Judge pictures, uint8 (N, H, W, 3)."""
    verdicts: list[Verdict] = []
    for start in range(0, len(pictures), 32):
        scores = _scores(judge, pictures[start : start + 32])
        shape, colour = scores.shape.softmax(1).numpy(), scores.colour.softmax(1).numpy()
        for row in range(len(shape)):
            verdicts.append(
                Verdict(
                    _things(shape[row], colour[row]),
                    GROUNDS[int(scores.ground[row].argmax())],
                    LIGHTS[int(scores.light[row].argmax())],
                )
            )
    return verdicts


def _things(shape: NDArray[np.float32], colour: NDArray[np.float32]) -> tuple[Found, ...]:
    """Connected areas of one colour, each with the shape its pixels favour together."""
    solid = (shape[0] < 0.5) & (colour[0] < 0.5)
    paint = colour[1:].argmax(0)
    things: list[Found] = []
    for number in np.unique(paint[solid]):
        areas, count = ndimage.label(solid & (paint == number))
        for label in range(1, count + 1):
            mask = areas == label
            area = int(mask.sum())
            if area >= SMALLEST:
                name = SHAPE_NAMES[1 + int(shape[1:, mask].sum(1).argmax())]
                y, x = np.argwhere(mask).mean(0)
                things.append(Found(name, COLOUR_NAMES[1 + int(number)], area, float(x) / 64, float(y) / 64))
    return tuple(sorted(things, key=lambda thing: -thing.area))
