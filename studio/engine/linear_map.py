"""Latents to small RGB pictures by one matrix product, fitted by least squares to what the VAE itself makes.

Each latent position sees its 3 x 3 neighbourhood and draws a patch of pixels, so edges come out sharper than by the usual
per-position map. numpy only: torch would start a second thread pool for work of a few microseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Keeps the fit defined for latent channels that hardly vary, and is far below the data otherwise.
RIDGE = 1e-4
# Multiplications in one matrix product below which OpenBLAS keeps to the calling thread; its others would compete with the model.
LONE_THREAD_WORK = 2**18
# How much the procedural pictures weigh against finished ones, in pictures.
FIRST_FIT_WEIGHT = 2.0


@dataclass
class LinearMap:
    """The fitted map and the sums it is fitted from.

    Attributes:
        channels: latent channels.
        patch: side in pixels of what one latent position draws.
    """

    channels: int
    patch: int

    def __post_init__(self) -> None:
        features = self.channels * 9 + 1
        self._xx = np.zeros((features, features))
        self._xy = np.zeros((features, self.patch**2 * 3))
        self._matrix = np.zeros(self._xy.shape, np.float32)

    def draw(self, latents: Floats) -> NDArray[np.uint8]:
        """Return RGB pictures, (n, h * patch, w * patch, 3), of latents (n, channels, h, w)."""
        n, _, height, width = latents.shape
        seen = neighbourhoods(latents)
        block = max(1, LONE_THREAD_WORK // self._matrix.size)
        values = np.concatenate([seen[i : i + block] @ self._matrix for i in range(0, len(seen), block)])
        patches = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8).reshape(n, height, width, self.patch, self.patch, 3)
        return patches.swapaxes(2, 3).reshape(n, height * self.patch, width * self.patch, 3)

    def learn(self, latents: Floats, pictures: Floats, *, weight: float = 1.0) -> None:
        """Take finished pictures into the fit.

        Args:
            latents: (n, channels, h, w), as the denoising loop has them.
            pictures: RGB in 0 .. 1, (n, h * s, w * s, 3), with s a multiple of `patch`.
            weight: of each picture; one picture counts the same whatever its size.
        """
        seen = neighbourhoods(latents).astype(np.float64)
        wanted = self._patches(pictures, latents.shape[2:]).astype(np.float64)
        share = weight * len(latents) / len(seen)
        self._xx += share * seen.T @ seen
        self._xy += share * seen.T @ wanted
        ridge = RIDGE * np.trace(self._xx) / len(self._xx)
        # Replaced as a whole, because another thread may be drawing.
        self._matrix = np.linalg.solve(self._xx + ridge * np.eye(len(self._xx)), self._xy).astype(np.float32)

    def _patches(self, pictures: Floats, grid: Sequence[int]) -> Floats:
        height, width = grid
        n, side = len(pictures), pictures.shape[1] // (height * self.patch)
        small = pictures.reshape(n, height * self.patch, side, width * self.patch, side, 3).mean((2, 4))
        tiles = small.reshape(n, height, self.patch, width, self.patch, 3).swapaxes(2, 3)
        return tiles.reshape(n * height * width, -1)


def neighbourhoods(latents: Floats) -> Floats:
    """Return (n * h * w, channels * 9 + 1): each position's 3 x 3 surroundings, repeated at the border, and a 1."""
    n, channels, height, width = latents.shape
    padded = np.pad(latents, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    features = np.empty((n, height, width, channels * 9 + 1), np.float32)
    for i in range(9):
        shifted = padded[:, :, i // 3 : i // 3 + height, i % 3 : i % 3 + width]
        features[..., i * channels : (i + 1) * channels] = shifted.transpose(0, 2, 3, 1)
    features[..., -1] = 1
    return features.reshape(n * height * width, -1)


def practice_pictures(count: int, side: int) -> Floats:
    """Paint pictures to fit a map to: soft light, discs and blocks of every colour, fine noise. (count, side, side, 3), 0 .. 1."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    pictures = np.empty((count, side, side, 3), np.float32)
    for picture in pictures:
        top, bottom = random.random((2, 3))
        picture[:] = top + (bottom - top) * y[..., None]
        for _ in range(24):
            centre, size = random.random(2), 0.04 + 0.2 * random.random()
            away = np.abs(np.stack([y - centre[0], x - centre[1]]))
            round_one = np.hypot(*away) if random.random() < 0.5 else away.max(0)
            shade = random.random(3) * (0.6 + 0.4 * y[..., None])
            picture[round_one < size] = shade[round_one < size]
        picture += random.normal(0, 0.03, picture.shape)
    return pictures.clip(0, 1)
