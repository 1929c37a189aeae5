"""Latents to small RGB pictures by one convolution, fitted by least squares to what the VAE itself makes.

Each latent position sees its 3 x 3 neighbourhood and draws a patch of pixels, so edges come out sharper than by the usual
per-position map. All of it is torch's work on the engine's thread and the model's device: anywhere else the same few products would
take the processor away from a step for ten times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Floats = NDArray[np.float32]
# Keeps the fit defined for latent channels that hardly vary, and is far below the data otherwise.
RIDGE = 1e-4
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
        self._kernel, self._bias = torch.zeros(len(self._xy.T), self.channels, 3, 3), torch.zeros(len(self._xy.T))

    def draw(self, latents: torch.Tensor) -> torch.Tensor:
        """Return RGB pictures, uint8 (n, h * patch, w * patch, 3), of latents (n, channels, h, w), on their device."""
        if self._kernel.device != latents.device:
            self._kernel, self._bias = self._kernel.to(latents.device), self._bias.to(latents.device)
        values = functional.conv2d(_bordered(latents.float()), self._kernel, self._bias).clamp_(0, 255).to(torch.uint8)
        n, _, height, width = values.shape
        patches = values.view(n, self.patch, self.patch, 3, height, width).permute(0, 4, 1, 5, 2, 3)
        return patches.reshape(n, height * self.patch, width * self.patch, 3)

    def learn(self, latents: torch.Tensor, pictures: Floats, *, weight: float = 1.0) -> None:
        """Take finished pictures into the fit.

        Args:
            latents: (n, channels, h, w), as the denoising loop has them.
            pictures: RGB in 0 .. 1, (n, h * s, w * s, 3), with s a multiple of `patch`.
            weight: of each picture; one picture counts the same whatever its size.
        """
        around = functional.unfold(_bordered(latents.float().cpu()), 3).transpose(1, 2).flatten(0, 1)
        seen = functional.pad(around, (0, 1), value=1.0).double()
        wanted = torch.from_numpy(self._patches(pictures, latents.shape[2:])).double()
        share = weight * len(latents) / len(seen)
        self._xx += share * seen.T @ seen
        self._xy += share * seen.T @ wanted
        ridge = RIDGE * self._xx.trace() / len(self._xx)
        solved = torch.linalg.solve(self._xx + ridge * torch.eye(len(self._xx), dtype=torch.float64), self._xy)
        # Written so that the convolution gives levels, rounded when their fraction is cut off.
        scaled = (solved.T * 255).float()
        self._kernel, self._bias = scaled[:, :-1].reshape(self._kernel.shape), scaled[:, -1] + 0.5

    def _patches(self, pictures: Floats, grid: Sequence[int]) -> Floats:
        height, width = grid
        n, side = len(pictures), pictures.shape[1] // (height * self.patch)
        # Rows first, which lie in one piece each: half the time of both at once.
        low = pictures.reshape(n, height * self.patch, side, -1).mean(2)
        small = low.reshape(n, height * self.patch, width * self.patch, side, 3).mean(3)
        tiles = small.reshape(n, height, self.patch, width, self.patch, 3).swapaxes(2, 3)
        return tiles.reshape(n * height * width, -1)


def _bordered(latents: torch.Tensor) -> torch.Tensor:
    """Repeat the outermost latents once around."""
    return functional.pad(latents, (1, 1, 1, 1), mode="replicate")


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
