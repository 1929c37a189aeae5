"""Restyles a rendering, as examples for the style LoRAs: clay, ink with a wash of colour, pixel blocks, neon. numpy and OpenCV only.

Each style keeps what stands where and in which colour, so that a prompt's facts can still be judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .render import FIRST_ID
from .shapes import Array

Picture = NDArray[np.uint8]
BLOCK = 8
BLACK = 70  # black things are no brighter; neon gives them a dull grey tube
DULL = np.asarray((84, 84, 92), np.float32)
PAPER = np.asarray((250, 246, 236), np.float32)


def _soft(picture: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32)


def _lines(picture: Picture, ids: Picture, thick: int) -> Array:
    """Outlines of things and their strong inner edges, float32 (H, W) in 0..1, `thick` pixels wide."""
    drawn = np.zeros(ids.shape, np.uint8)
    things = np.where(ids >= FIRST_ID, ids, 0)
    inner = cv2.Canny(cv2.GaussianBlur(picture, (0, 0), 1.2), 60, 130)
    drawn[(inner > 0) & (cv2.dilate(things, np.ones((3, 3), np.uint8)) > 0)] = 255
    for number in np.unique(things[things > 0]):
        found, _ = cv2.findContours((ids == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, found, -1, 255, 1)
    return _soft(cv2.dilate(drawn, np.ones((thick, thick), np.uint8)).astype(np.float32) / 255, 0.7)


def _paint(picture: Picture, ids: Picture) -> Array:
    """Every pixel of a thing in the thing's own mean colour, float32 (H, W, 3); elsewhere the picture."""
    flat = picture.astype(np.float32)
    for number in np.unique(ids[ids >= FIRST_ID]):
        mask = ids == number
        flat[mask] = np.median(flat[mask], 0)
    return flat


def clay(picture: Picture, ids: Picture) -> Picture:
    """Matte and warm: no gleam, things shaded in few steps with a pressed rim, smooth grounds, as if modelled by hand."""
    things = (ids >= FIRST_ID).astype(np.float32)[..., None]
    rest = _soft(1 - things, 6.0)[..., None]
    ground = _soft(picture.astype(np.float32) * (1 - things), 6.0) / np.maximum(rest, 1e-3)
    paint = np.maximum(_paint(picture, ids), 30)
    light = _soft(cv2.bilateralFilter(picture, 9, 60, 9).astype(np.float32).mean(2), 1.5)[..., None] / paint.mean(2, keepdims=True)
    steps = np.clip(np.round(light / 0.28) * 0.28, 0.56, 1.4)
    edge = _soft(things[..., 0], 2.0)[..., None]
    modelled = paint * steps * np.clip(0.55 + 0.6 * (edge - 0.35), 0.5, 1.0)
    soft = _soft(things[..., 0], 1.0)[..., None]
    warm = ((modelled * soft + ground * (1 - soft)) * 0.78 + 44) * np.asarray((1.06, 0.97, 0.84), np.float32)
    return np.clip(warm, 0, 255).astype(np.uint8)


def ink(picture: Picture, ids: Picture) -> Picture:
    """Black lines on white paper; things in a flat wash of their colour, ground and sky in a breath of theirs."""
    washed = _paint(picture, ids)
    strength = np.where(ids >= FIRST_ID, 0.78, 0.16).astype(np.float32)[..., None]
    wash = PAPER * (1 - strength) + washed * strength
    shadow = (ids == 1) & (picture.mean(2) < 0.72 * _soft(picture.astype(np.float32).mean(2), 24))
    row, column = np.indices(ids.shape)
    hatch = shadow & ((row + column) % 7 < 2)
    line = np.maximum(_lines(picture, ids, 3), 0.75 * hatch.astype(np.float32))[..., None]
    horizon = np.zeros(ids.shape, np.float32)
    horizon[1:][(ids[:-1] == 0) & (ids[1:] == 1)] = 1
    line = np.maximum(line, cv2.dilate(horizon, np.ones((2, 1), np.uint8))[..., None])
    return np.clip(wash * (1 - line) + 18 * line, 0, 255).astype(np.uint8)


def pixel(picture: Picture, ids: Picture) -> Picture:
    """Blocks of 8 pixels in few, lively colours."""
    del ids
    side = picture.shape[0] // BLOCK
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = small.mean(2, keepdims=True)
    few = np.round(np.clip(grey + 1.25 * (small - grey), 0, 255) / 42.5) * 42.5
    return cv2.resize(few.clip(0, 255).astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def neon(picture: Picture, ids: Picture) -> Picture:
    """Night with glowing tubes: things dim inside, outlined in their own colour at full strength; the ground shows as a faint glow."""
    paint = _paint(picture, ids)
    vivid = paint / np.maximum(paint.max(2, keepdims=True), 40) * 255
    vivid = np.where(paint.max(2, keepdims=True) < BLACK, DULL, vivid)
    vivid = np.clip(vivid.mean(2, keepdims=True) + 1.35 * (vivid - vivid.mean(2, keepdims=True)), 20, 255)
    things = (ids >= FIRST_ID).astype(np.float32)[..., None]
    near = cv2.dilate((vivid * things).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(np.float32)
    tube = _lines(picture, ids, 4)[..., None] * near
    dark = picture.astype(np.float32) * np.asarray((0.10, 0.08, 0.16), np.float32) + np.asarray((6, 4, 16), np.float32)
    inside = paint * 0.34 * things + dark * (1 - things)
    glow = 0.9 * _soft(tube, 5) + 0.5 * _soft(tube, 14)
    return np.clip(inside + glow + tube, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Style:
    """A style's `name`, the `trigger` words that captions call it by, and how it is made: from a picture (H, W, 3) and its ids."""

    name: str
    trigger: str
    restyle: Callable[[Picture, Picture], Picture]


STYLES = {
    style.name: style
    for style in (
        Style("clay", "clay style", clay),
        Style("ink", "ink style", ink),
        Style("pixel", "pixel style", pixel),
        Style("neon", "neon style", neon),
    )
}
