"""Stage `decoder`: the autoencoder's decoder alone goes on learning, on whole pictures from cached latents; the latents stay what they are.

Noise on the latents makes it forgiving of the U-Net's small errors; whole pictures cure the frames that crops leave at borders;
a critic asks for sharp edges.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from .critic import Critic
from .loop import Pace, learn
from .scenes import identities, pictures
from .twin import Twin
from .vae import OBJECT_WEIGHT, picture_loss

BATCH = 2
ROUGH = 0.25
# The critic first learns what it judges; then its word counts this much beside the distances (about 0.1 in all, once it has learned).
CRITIC_STARTS, CRITIC_WEIGHT = 600, 0.02


class Decoding(nn.Module):
    """What of an autoencoder turns latents into pictures."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.decoder, self.after = vae.decoder, vae.post_quant_conv

    def forward(self, code: Tensor) -> Tensor:
        """Latents (N, 12, h, w) to pictures (N, 3, 16 h, 16 w) in -1..1."""
        return cast("Tensor", self.decoder(cast("nn.Module", self.after)(code)))


def train_decoder(run: Path, minutes: float) -> AutoencoderKL:
    """Train decoder and post_quant_conv, write them back into `<run>/vae`."""
    vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(run / "vae")).to(memory_format=torch.channels_last)
    latents = np.load(run / "latents-train.npy", mmap_mode="r")
    count = int((run / "latents-train.done").read_text())
    parts = Decoding(vae)
    twin, critic = Twin(parts), Critic(run / "critic.pt")

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng(6_000_000 + step)
        torch.manual_seed(step)
        rows = np.sort(rng.integers(count, size=BATCH))
        code = torch.from_numpy(latents[rows]).float()
        code = code + ROUGH * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(code)
        wanted = torch.from_numpy(pictures(run, "train")[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        weight = 1 + OBJECT_WEIGHT * torch.from_numpy(identities(run, "train")[rows] >= 2)[:, None].float()
        found = twin.network(code.to(torch.bfloat16, memory_format=torch.channels_last)).float()
        loss = picture_loss(found, wanted, weight)
        critic.learn(wanted, found)
        return loss if step < CRITIC_STARTS else loss + CRITIC_WEIGHT * critic.complaint(found)

    parts.load_state_dict(learn(twin, loss_of, Pace(minutes, 6e-4, average=0.995), run, "decoder"))
    vae.save_pretrained(run / "vae")
    return vae
