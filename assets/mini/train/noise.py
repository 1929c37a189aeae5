"""Noisy latents and what a v-predicting network should say of them, for the members that learn after the U-Net."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .unet import GAMMA, noise_levels

FLOOR = 0.3


@dataclass(frozen=True)
class Noisy:
    """`latents` bfloat16 (N, 12, 16, 16) at `times` int64 (N,); `wanted` is the velocity, float32, `weight` (N,) how much each counts."""

    latents: Tensor
    times: Tensor
    wanted: Tensor
    weight: Tensor

    def loss(self, found: Tensor) -> Tensor:
        """Weighted mean square distance of the found velocity (N, 12, 16, 16)."""
        return ((found.float() - self.wanted).square().mean((1, 2, 3)) * self.weight).mean()


def blur(clean: Tensor) -> Noisy:
    """Mix clean latents, float32 (N, 12, 16, 16), with noise at random times, from torch's global generator.

    Places and colours are settled at high noise, where minimum-SNR weights would be next to nothing: hence their floor.
    """
    signal, spread = noise_levels()
    times, noise = torch.randint(1000, (clean.shape[0],)), torch.randn_like(clean)
    a, s = signal[times].view(-1, 1, 1, 1), spread[times].view(-1, 1, 1, 1)
    weight = (torch.minimum((signal / spread) ** 2, torch.tensor(GAMMA)) * spread**2).clamp(min=FLOOR)
    noisy = (a * clean + s * noise).to(torch.bfloat16, memory_format=torch.channels_last)
    return Noisy(noisy, times, a * noise - s * clean, weight[times])
