"""Latents to small RGB pictures by one matrix product, fitted by least squares to what the VAE itself makes.

Each latent position sees its 3 x 3 neighbourhood and draws a patch of pixels, so edges come out sharper than by the usual
per-position map. It is drawn on the preview thread, by numpy: torch would start a thread pool of its own there, for work of
microseconds. It is fitted on the engine's thread, by torch, which has its threads there: those of numpy's OpenBLAS would spin for some
30 ms after the last product, which is as long as a step of a small model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
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
        self._xx = torch.zeros(features, features, dtype=torch.float64)
        self._xy = torch.zeros(features, self.patch**2 * 3, dtype=torch.float64)
        self._matrix = np.zeros(tuple(self._xy.shape), np.float32)

    def draw(self, latents: Floats) -> NDArray[np.uint8]:
        """Return RGB pictures, (n, h * patch, w * patch, 3), of latents (n, channels, h, w)."""
        n, _, height, width = latents.shape
        seen = neighbourhoods(latents)
        block = max(1, LONE_THREAD_WORK // self._matrix.size)
        values = np.concatenate([seen[i : i + block] @ self._matrix for i in range(0, len(seen), block)])
        values *= 255
        values += 0.5
        patches = values.clip(0, 255, out=values).astype(np.uint8).reshape(n, height, width, self.patch, self.patch, 3)
        return patches.swapaxes(2, 3).reshape(n, height * self.patch, width * self.patch, 3)

    def learn(self, latents: Floats, pictures: Floats, *, weight: float = 1.0) -> None:
        """Take finished pictures into the fit.

        Args:
            latents: (n, channels, h, w), as the denoising loop has them.
            pictures: RGB in 0 .. 1, (n, h * s, w * s, 3), with s a multiple of `patch`.
            weight: of each picture; one picture counts the same whatever its size.
        """
        seen = torch.from_numpy(neighbourhoods(latents)).double()
        wanted = torch.from_numpy(self._patches(pictures, latents.shape[2:])).double()
        share = weight * len(latents) / len(seen)
        self._xx += share * seen.T @ seen
        self._xy += share * seen.T @ wanted
        ridge = RIDGE * self._xx.trace() / len(self._xx)
        solved = torch.linalg.solve(self._xx + ridge * torch.eye(len(self._xx), dtype=torch.float64), self._xy)
        # Replaced as a whole, because another thread may be drawing.
        self._matrix = np.asarray(solved.float().numpy(), np.float32)

    def _patches(self, pictures: Floats, grid: Sequence[int]) -> Floats:
        height, width = grid
        n, side = len(pictures), pictures.shape[1] // (height * self.patch)
        # Rows first, which lie in one piece each: half the time of both at once.
        low = pictures.reshape(n, height * self.patch, side, -1).mean(2)
        small = low.reshape(n, height * self.patch, width * self.patch, side, 3).mean(3)
        tiles = small.reshape(n, height, self.patch, width, self.patch, 3).swapaxes(2, 3)
        return tiles.reshape(n * height * width, -1)


def neighbourhoods(latents: Floats) -> Floats:
    """Return (n * h * w, channels * 9 + 1): each position's 3 x 3 surroundings, repeated at the border, and a 1."""
    n, channels, height, width = latents.shape
    rows, columns = (np.arange(-1, size + 1).clip(0, size - 1) for size in (height, width))
    padded = np.ascontiguousarray(latents.transpose(0, 2, 3, 1)[:, rows][:, :, columns])
    picture, row, column, channel = padded.strides
    # Three neighbours in a row lie one after another already, so they are copied in one piece.
    threes = as_strided(padded, (n, height, width, 3, 3 * channels), (picture, row, column, row, channel), writeable=False)
    features = np.empty((n, height, width, channels * 9 + 1), np.float32)
    for i in range(3):
        features[..., i * 3 * channels : (i + 1) * 3 * channels] = threes[:, :, :, i]
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
