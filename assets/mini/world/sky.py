"""The sky: a gradient for each light, a glow at sunset, stars and a moon at night."""

from __future__ import annotations

import numpy as np

from .palette import Light, linear
from .shapes import Array, dot, unit, vector

MOON = (-0.235, 0.128, 1.0)
STARS = tuple(
    (float(x), float(y))
    for x, y in (
        (-0.12, 0.20), (-0.05, 0.11), (0.04, 0.17), (0.10, 0.09), (0.17, 0.19), (0.24, 0.12), (0.29, 0.21),
        (-0.29, 0.19), (-0.16, 0.075), (0.20, 0.055), (0.01, 0.23), (0.31, 0.07),
    )
)  # fmt: skip


def sky(name: str, light: Light, ray: Array) -> Array:
    """Linear colour (3, N) of the sky along unit rays."""
    height = np.clip(ray[1], 0, 0.24) / np.float32(0.24)
    horizon, middle, zenith = linear(light.horizon), linear(light.middle), linear(light.zenith)
    low, high = np.clip(height * 2, 0, 1), np.clip(height * 2 - 1, 0, 1)
    colour = horizon + (middle - horizon) * low + (zenith - middle) * high
    if name == "sunset":
        glow = np.exp(-((ray[0] + 0.33) ** 2 + (ray[1] * 1.4) ** 2) * 9).astype(np.float32)
        return colour + vector(0.36, 0.20, 0.02) * glow
    if name == "night":
        up = ray[1] > 0
        moon = dot(ray, unit(vector(*MOON)))
        disc = np.clip((moon - 0.99955) / 0.00008, 0, 1)
        halo = np.exp((moon - 1) * 260)
        colour = colour + vector(0.85, 0.86, 0.78) * disc + vector(0.07, 0.08, 0.11) * halo
        near = np.zeros_like(moon)
        for x, y in STARS:
            near = np.maximum(near, dot(ray, unit(vector(x, y, 1.0))))
        return colour + vector(0.8, 0.82, 0.9) * (np.exp((near - 1) * 160000) * up)
    return colour
