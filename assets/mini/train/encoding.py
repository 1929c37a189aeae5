"""Pictures to latents, with the autoencoder that no later stage changes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray

from .precision import autocast

# Few, so that their maps stay in the cache: by twos a picture took half the time that it took by twenties.
AT_ONCE = 2


class Encoder:
    """The encoder of a run folder's autoencoder."""

    def __init__(self, folder: Path) -> None:
        self._vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(folder)).eval().to(memory_format=torch.channels_last)

    def __call__(self, drawn: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Pictures, uint8 (N, 256, 256, 3), to the means of the posterior, float16 (N, 32, 16, 16)."""
        rows: list[NDArray[np.float16]] = []
        for start in range(0, len(drawn), AT_ONCE):
            raw = torch.from_numpy(np.array(drawn[start : start + AT_ONCE])).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.no_grad(), autocast():
                found = self._vae.encode(raw.contiguous(memory_format=torch.channels_last)).latent_dist.mean
            rows.append(found.float().numpy().astype(np.float16))
        return np.concatenate(rows)
