"""How much of an error in latents one would see: some directions of the 32 channels move pixels hundreds of times as much as others.

What is best to answer stays the same under any metric; what a small network gets right first does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from ..models import CHANNELS, LATENT
from .scenes import pictures

SCENES = 24
PROBES = 2
# The rest counts all directions alike: the picture must be left, at the end, without noise in any.
SEEN = 0.75


def pixel_metric(run: Path) -> Tensor:
    """A matrix (32, 32) by which to multiply errors of latents before squaring them, so that they count as pixels would change.

    It is a root of SEEN * J^T J + (1 - SEEN) * I, where J^T J, the pixels' distance pulled back through the decoder, is its mean over
    places and renderings, scaled to a trace of 32; estimated by gradients of random projections of the pixels.
    """
    vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(run / "vae")).eval()
    source, pulled = torch.Generator().manual_seed(0), torch.zeros(CHANNELS, CHANNELS, dtype=torch.float64)
    for drawn in pictures(run, "held")[:SCENES]:
        pixels = torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        latents = vae.encode(pixels).latent_dist.mean.detach().requires_grad_()
        seen = vae.decode(latents).sample
        for _ in range(PROBES):
            probe = torch.randn(seen.shape, generator=source)
            (moved,) = torch.autograd.grad(seen, latents, probe, retain_graph=True)
            places = moved.view(CHANNELS, LATENT * LATENT).double()
            pulled += places @ places.T
    pulled *= SEEN * CHANNELS / pulled.trace()
    return torch.linalg.cholesky(pulled + (1 - SEEN) * torch.eye(CHANNELS)).T.float()
