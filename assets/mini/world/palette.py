"""Colours and lights of the world. Colours are sRGB in 0..255 as painted; lights are linear factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import Array, unit, vector

PAINT: dict[str, tuple[int, int, int]] = {
    "red": (214, 30, 34),
    "orange": (250, 126, 8),
    "yellow": (250, 218, 30),
    "green": (32, 150, 58),
    "blue": (30, 84, 222),
    "purple": (128, 40, 186),
    "pink": (250, 120, 178),
    "white": (242, 242, 242),
    "black": (26, 26, 30),
}
SOIL: dict[str, tuple[int, int, int]] = {
    "grass": (104, 158, 66),
    "sand": (226, 190, 128),
    "snow": (226, 233, 243),
    "stone": (134, 130, 128),
}


@dataclass(frozen=True)
class Light:
    """A time of day: direction to the sun or moon, its colour, the sky's fill, and the sky from horizon to zenith (sRGB 0..255)."""

    toward: tuple[float, float, float]
    sun: tuple[float, float, float]
    fill: tuple[float, float, float]
    horizon: tuple[int, int, int]
    middle: tuple[int, int, int]
    zenith: tuple[int, int, int]
    softness: float


SKY: dict[str, Light] = {
    "day": Light((-0.55, 0.80, -0.55), (0.96, 0.92, 0.85), (0.38, 0.42, 0.48), (214, 233, 248), (142, 196, 240), (86, 156, 228), 0.07),
    "sunset": Light((-0.90, 0.46, -0.50), (1.02, 0.76, 0.50), (0.40, 0.34, 0.42), (255, 190, 104), (246, 128, 96), (128, 84, 142), 0.09),
    "night": Light((-0.50, 0.74, -0.62), (0.46, 0.49, 0.58), (0.16, 0.18, 0.25), (66, 82, 132), (32, 42, 88), (14, 18, 48), 0.08),
}


def linear(colour: tuple[int, int, int]) -> Array:
    """sRGB 0..255 to linear light, shape (3, 1)."""
    return (np.asarray(colour, np.float32).reshape(3, 1) / 255) ** np.float32(2.2)


def toward_light(light: Light, turn_by: float) -> Array:
    """Unit vector to the light, turned a little about the vertical axis."""
    x, y, z = light.toward
    cos, sin = float(np.cos(turn_by)), float(np.sin(turn_by))
    return unit(vector(cos * x + sin * z, y, cos * z - sin * x))
