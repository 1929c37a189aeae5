"""The ground's paint: a base colour per kind and a quiet pattern fixed to the world."""

from __future__ import annotations

import numpy as np

from .palette import SOIL, linear
from .shapes import Array


def _waves(x: Array, z: Array, waves: tuple[tuple[float, float, float], ...]) -> Array:
    """Mean of sines with (kx, kz, phase), in -1..1."""
    total = np.zeros_like(x)
    for kx, kz, phase in waves:
        total += np.sin(x * np.float32(kx) + z * np.float32(kz) + np.float32(phase))
    return total / len(waves)


def soil(ground: str, x: Array, z: Array) -> Array:
    """Linear colour (3, N) of the ground at world positions (x, z)."""
    fade = np.clip(1.3 - (z + 5.4) / 14, 0, 1)
    base = linear(SOIL[ground])
    match ground:
        case "grass":
            patches = _waves(x, z, ((2.1, 1.3, 0.4), (-1.7, 2.6, 1.9), (3.9, -2.2, 4.0), (6.1, 3.7, 2.2)))
            return base * (1 + 0.30 * patches * fade)
        case "sand":
            bend = x * 0.5 + 0.35 * np.sin(x * 1.3 + 0.5)
            return base * (1 + 0.085 * np.sin(z * 7.5 + bend * 2.4).astype(np.float32) * fade)
        case "snow":
            drifts = _waves(x, z, ((0.9, 1.7, 0.0), (-1.4, 0.8, 2.0), (0.5, 2.9, 1.0)))
            return base * (1 + 0.07 * drifts * fade)
        case "stone":
            row = np.floor(z / 0.9)
            u, v = (x + 0.45 * np.mod(row, 2)) / 0.9, z / 0.9
            gap = np.minimum(np.minimum(np.mod(u, 1), 1 - np.mod(u, 1)), np.minimum(np.mod(v, 1), 1 - np.mod(v, 1)))
            width = 0.02 + 0.008 * np.maximum(z + 3.4, 0)
            joint = 1 - 0.38 * np.clip(1.6 - gap / width, 0, 1) * fade
            tile = 1 + 0.10 * np.sin(np.floor(u) * 12.9 + row * 4.1) * fade
            return base * (joint * tile).astype(np.float32)
        case _:
            raise ValueError(f"no ground {ground!r}")
