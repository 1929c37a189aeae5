"""Noisy latents and what a v-predicting network should say of them: for the U-Net and the members that learn after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..models import LATENT, PIXELS, new_scheduler
from .precision import FAST

GAMMA, FLOOR = 5.0, 0.5
# How much places in and beside things count, and those that an outline crosses, where even ground and sky count 1.
THINGS, OUTLINES = 3.0, 6.0
CELL = PIXELS // LATENT
# Shares of a batch, and up to which timestep each reaches.
EVEN = ((0.0, 1.0), (0.0, 1000.0))
# Silhouettes are settled from 950 down to 600; what is bent by then can be straightened from 400 down, where noise hides no outline.
SHAPING = ((0.0, 0.05, 0.4, 0.55, 0.97, 1.0), (0.0, 100.0, 400.0, 600.0, 950.0, 1000.0))
# Timesteps at which a bend can be seen through the noise and what is beneath it still be changed. Below them the answers were learned by
# heart instead: from 100 on, the loss on held-out renderings rose by a third at timestep 150.
BENDABLE = (300, 900)


@dataclass(frozen=True)
class Noisy:
    """`latents` (N, 32, 16, 16) in FAST precision at `times`, int64 (N,).

    `wanted` is the velocity, float32, and `weight` (N,) how much each example counts.
    """

    latents: Tensor
    times: Tensor
    wanted: Tensor
    weight: Tensor

    def loss(self, found: Tensor, places: Tensor | float = 1.0, metric: Tensor | None = None) -> Tensor:
        """Weighted mean square distance of the found velocity (N, 32, 16, 16).

        `places` (N, 16, 16) says how much each place counts, `metric` (32, 32) what errors are multiplied by before they are squared.
        """
        error = found.float() - self.wanted
        if metric is not None:
            error = torch.einsum("ij,njhw->nihw", metric, error)
        each = error.square().mean(1) * places
        return (each.mean((1, 2)) * self.weight).mean()


def emphasis(ids: NDArray[np.uint8]) -> Tensor:
    """How much the places of latents count, float32 (N, 16, 16), from ids (N, 256, 256): more in and around things, most at their outlines.

    The best answer at each place stays what it is, but the even ground and sky, learned long before, no longer have most of the gradient.
    """
    cells = torch.from_numpy(ids >= 2).view(len(ids), LATENT, CELL, LATENT, CELL)
    touched, filled = cells.any(4).any(2), cells.all(4).all(2)
    near = functional.max_pool2d(touched.float(), 3, stride=1, padding=1)
    return torch.where(touched & ~filled, OUTLINES, 1 + (THINGS - 1) * near)


def noise_levels() -> tuple[Tensor, Tensor]:
    """Per timestep the signal's and the noise's factor, float32 (1000,)."""
    kept = new_scheduler().alphas_cumprod
    return kept.sqrt(), (1 - kept).sqrt()


def blur(clean: Tensor, shares: tuple[tuple[float, ...], tuple[float, ...]] = EVEN, bent: Tensor | None = None) -> Noisy:
    """Mix clean latents, float32 (N, 32, 16, 16), with noise from torch's global generator, at times spread as `shares` says.

    The times come in any order, as batches come sorted: else each scene would be seen at its own noise level only. Where they fall into
    BENDABLE, the latents `bent` are mixed instead, and the answer stays the clean ones.

    Places and colours are settled at high noise, where minimum-SNR weights would be next to nothing: hence their floor.
    """
    signal, spread = noise_levels()
    count, noise = clean.shape[0], torch.randn_like(clean)
    places = (torch.randperm(count) + torch.rand(count)) / count
    times = torch.from_numpy(np.interp(places.numpy(), *shares)).long().clamp(max=999)
    a, s = signal[times].view(-1, 1, 1, 1), spread[times].view(-1, 1, 1, 1)
    weight = (torch.minimum((signal / spread) ** 2, torch.tensor(GAMMA)) * spread**2).clamp(min=FLOOR)
    low, high = BENDABLE
    bendable = ((times >= low) & (times < high)).view(-1, 1, 1, 1)
    shown = clean if bent is None else torch.where(bendable, bent, clean)
    noisy = (a * shown + s * noise).to(FAST, memory_format=torch.channels_last)
    # The velocity that leads from what is shown to the clean latents: a * noise - s * clean where the two are the same.
    wanted = a * noise - s * clean + a * a / s * (shown - clean)
    return Noisy(noisy, times, wanted, weight[times])
