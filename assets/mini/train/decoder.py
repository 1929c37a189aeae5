"""Stage `decoder`: the autoencoder's decoder alone goes on learning, on whole pictures from cached latents; the latents stay what they are.

A little noise on the latents makes it forgiving of the U-Net's small errors; whole pictures cure the frames that crops leave at borders.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from .loop import Pace, learn
from .scenes import identities, pictures
from .vae import OBJECT_WEIGHT, picture_loss

BATCH = 2
ROUGH = 0.10


def train_decoder(run: Path, minutes: float) -> AutoencoderKL:
    """Train decoder and post_quant_conv, write them back into `<run>/vae`."""
    vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(run / "vae")).to(memory_format=torch.channels_last)
    latents = np.load(run / "latents-train.npy", mmap_mode="r")
    count = int((run / "latents-train.done").read_text())
    parts = nn.ModuleDict({"decoder": vae.decoder, "after": vae.post_quant_conv})

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng(6_000_000 + step)
        torch.manual_seed(step)
        rows = np.sort(rng.integers(count, size=BATCH))
        code = torch.from_numpy(latents[rows]).float()
        code = code + ROUGH * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(code)
        wanted = torch.from_numpy(pictures(run, "train")[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        weight = 1 + OBJECT_WEIGHT * torch.from_numpy(identities(run, "train")[rows] >= 2)[:, None].float()
        with torch.autocast("cpu", torch.bfloat16):
            found = vae.decode(code.contiguous(memory_format=torch.channels_last)).sample
        return picture_loss(found.float(), wanted, weight)

    parts.load_state_dict(learn(parts, loss_of, Pace(minutes, 6e-4, average=0.995), run, "decoder"))
    vae.save_pretrained(run / "vae")
    return vae
