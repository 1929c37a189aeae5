"""Stage `preview`: a tiny decoder learns to draw, from latents, what the autoencoder would draw, at 64 x 64."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from ..export import BASE
from ..models import new_preview_decoder
from .inherit import inherit
from .loop import Pace, learn
from .scenes import pictures

BATCH = 32
SIDE = 64


def small(picture: Tensor) -> Tensor:
    """Area-average a picture (N, 3, 256, 256) to (N, 3, 64, 64)."""
    return functional.interpolate(picture, size=(SIDE, SIDE), mode="area")


def train_preview(run: Path, minutes: float) -> AutoencoderTiny:
    """Train on cached latents towards the renderings, which the autoencoder's output is close to. Writes `<run>/preview_decoder`."""
    torch.manual_seed(4)
    tiny = new_preview_decoder()
    inherit(tiny, BASE / "preview_decoder")
    latents = np.load(run / "latents-train.npy", mmap_mode="r")
    count = int((run / "latents-train.done").read_text())

    def loss_of(step: int) -> Tensor:
        rows = np.sort(np.random.default_rng(7_000_000 + step).integers(count, size=BATCH))
        wanted = torch.from_numpy(np.asarray(pictures(run, "train")[rows])).permute(0, 3, 1, 2).float() / 127.5 - 1
        noise = torch.randn(BATCH, 1, 1, 1).abs() * 0.05
        code = torch.from_numpy(np.asarray(latents[rows])).float()
        gap = tiny.decode(code + noise * torch.randn_like(code)).sample - small(wanted)
        return gap.abs().mean() + 2 * gap.square().mean()

    tiny.load_state_dict(learn(tiny, loss_of, Pace(minutes, 3e-3, average=0.995), run, "preview"))
    tiny.save_pretrained(run / "preview_decoder")
    return tiny


def preview_quality(vae: AutoencoderKL, tiny: AutoencoderTiny, latents: Tensor) -> float:
    """PSNR in dB of the tiny decoder against the autoencoder's output averaged down to the same size, for latents (N, 32, 16, 16)."""
    with torch.no_grad():
        gaps = [
            (cast("Tensor", tiny.decode(code).sample).clamp(-1, 1) - small(vae.decode(code).sample.clamp(-1, 1))).square().mean()
            for code in latents.split(8)
        ]
    return float(10 * torch.log10(4 / torch.stack(gaps).mean()))
