"""Stage `decoder`: the autoencoder's decoder alone goes on learning, on whole pictures from cached latents; the latents stay what they are,
so the U-Net and all that is trained on it may learn at the same time.

A little noise on the latents makes it forgiving of the U-Net's small errors; whole pictures cure the frames that crops leave at borders.
Beside squares, which see little but the worst of edges, absolute distances count: a faint rim around a thing on even sky is next to nothing
squared, and the first that one sees. A critic that asks for sharp edges was tried and left bright rims.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from ..world.styles import STYLES
from .loop import Pace, learn
from .lora import restyled_latents
from .precision import FAST
from .scenes import identities, pictures
from .twin import Twin
from .vae import OBJECT_WEIGHT, STYLED_EVERY, picture_loss

BATCH = 2
ROUGH = 0.1
# How much absolute distances count, and below which they are taken for none, in a range of -1..1.
FAINT, NONE = 0.5, 0.01


class Decoding(nn.Module):
    """What of an autoencoder turns latents into pictures."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.decoder, self.after = vae.decoder, vae.post_quant_conv

    def forward(self, code: Tensor) -> Tensor:
        """Latents (N, 32, h, w) to pictures (N, 3, 16 h, 16 w) in -1..1."""
        return cast("Tensor", self.decoder(cast("nn.Module", self.after)(code)))


class Pairs:
    """Draws latents with the pictures they stand for, one in STYLED_EVERY in a style of the LoRAs."""

    def __init__(self, run: Path) -> None:
        self._latents = np.load(run / "latents-train.npy", mmap_mode="r")
        self._count = int((run / "latents-train.done").read_text())
        self._styled = {name: restyled_latents(run, style) for name, style in STYLES.items()}
        self._pictures, self._ids = pictures(run, "train"), identities(run, "train")

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (N, 32, 16, 16), pictures (N, 3, 256, 256) in -1..1 and their weight maps (N, 1, 256, 256)."""
        codes, drawn, weights = zip(*(self._one(rng) for _ in range(BATCH)), strict=True)
        wanted = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return torch.stack(codes), wanted, torch.from_numpy(np.stack(weights))[:, None]

    def _one(self, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.uint8], NDArray[np.float32]]:
        if rng.integers(STYLED_EVERY) == 0:
            name = str(rng.choice(list(STYLES)))
            row = int(rng.integers(len(self._styled[name])))
            ids, code = np.asarray(self._ids[row]), self._styled[name][row]
            drawn = STYLES[name].restyle(np.asarray(self._pictures[row]), ids)
        else:
            row = int(rng.integers(self._count))
            ids, code, drawn = np.asarray(self._ids[row]), torch.from_numpy(self._latents[row]).float(), np.asarray(self._pictures[row])
        return code, drawn, 1 + np.float32(OBJECT_WEIGHT) * (ids >= 2)


def faint_loss(found: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Absolute distance of pixels and of their differences, rounded off below NONE (Charbonnier et al. 1994)."""
    gap = found - wanted

    def size(value: Tensor, counts: Tensor) -> Tensor:
        return ((value.square() + NONE**2).sqrt() * counts).mean()

    return size(gap, weight) + size(gap.diff(dim=2), weight[:, :, 1:]) + size(gap.diff(dim=3), weight[:, :, :, 1:])


def train_decoder(run: Path, minutes: float) -> AutoencoderKL:
    """Train decoder and post_quant_conv, write them back into `<run>/vae`."""
    vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(run / "vae")).to(memory_format=torch.channels_last)
    parts = Decoding(vae)
    twin, source = Twin(parts), Pairs(run)

    def loss_of(step: int) -> Tensor:
        torch.manual_seed(step)
        code, wanted, weight = source.batch(np.random.default_rng(6_000_000 + step))
        code = code + ROUGH * torch.rand(BATCH, 1, 1, 1) * torch.randn_like(code)
        found = twin.network(code.to(FAST, memory_format=torch.channels_last)).float()
        return picture_loss(found, wanted, weight) + FAINT * faint_loss(found, wanted, weight)

    parts.load_state_dict(learn(twin, loss_of, Pace(minutes, 6e-4, average=0.995), run, "decoder"))
    vae.save_pretrained(run / "vae")
    return vae
