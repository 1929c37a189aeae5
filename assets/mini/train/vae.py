"""Stage `vae`: the autoencoder, on crops that favour objects and on whole pictures; then its latents are standardised inside the weights.

The posterior's deviation is fixed (NOISE) and only a weak pull keeps the means small: with a learned deviation two of twelve channels
were still dead after ten minutes, and the rest carried too much noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from ..export import BASE
from ..models import CHANNELS, LATENT, PIXELS, new_vae
from ..world.styles import STYLES
from .inherit import inherit
from .loop import Pace, learn
from .precision import FAST
from .scenes import identities, pictures, rendered
from .twin import Twin

CROP, BATCH = 128, 8
# Every so many steps as many pixels of whole pictures, which teach it where a picture truly ends.
WHOLE_EVERY, WHOLE_BATCH = 4, 2
# One crop in so many is in one of the LoRAs' styles, whose lines and blocks plain renderings do not have.
STYLED_EVERY = 8
OBJECT_WEIGHT = 3.0
NOISE = 0.1
PULL = 1e-5


def crop_batch(run: Path, part: str, seed: int, *, count: int = BATCH, side: int = CROP) -> tuple[Tensor, Tensor]:
    """Crops (N, 3, side, side) in -1..1 and their weight maps (N, 1, side, side); four of five lie on an object."""
    rng = np.random.default_rng(seed)
    drawn, ids = pictures(run, part), identities(run, part)
    crops, weights = np.empty((count, side, side, 3), np.uint8), np.empty((count, side, side), np.float32)
    for row, index in enumerate(rng.integers(rendered(run, part), size=count)):
        mask = np.asarray(ids[index]) >= 2
        top, left = _corner(mask, side, rng)
        picture = drawn[index]
        if rng.integers(STYLED_EVERY) == 0:
            picture = STYLES[rng.choice(list(STYLES))].restyle(np.asarray(picture), np.asarray(ids[index]))
        crop = picture[top : top + side, left : left + side]
        flip = rng.random() < 0.5
        crops[row] = crop[:, ::-1] if flip else crop
        part_mask = mask[top : top + side, left : left + side]
        weights[row] = 1 + OBJECT_WEIGHT * (part_mask[:, ::-1] if flip else part_mask)
    batch = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last), torch.from_numpy(weights)[:, None]


def _corner(mask: NDArray[np.bool_], side: int, rng: np.random.Generator) -> tuple[int, int]:
    size = mask.shape[0]
    if rng.random() < 0.2:
        return int(rng.integers(size - side + 1)), int(rng.integers(size - side + 1))
    spots = np.flatnonzero(mask)
    row, column = divmod(int(rng.choice(spots)) if spots.size else size * size // 2, size)
    corner = np.asarray((row, column)) - rng.integers(side // 5, side - side // 5, 2)
    top, left = np.clip(corner, 0, size - side)
    return int(top), int(left)


def to_opponent(picture: Tensor) -> Tensor:
    """RGB to brightness, blue-yellow and red-green (N, 3, H, W)."""
    red, green, blue = picture.unbind(1)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([light, blue - light, red - light], 1)


def picture_loss(found: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Weighted square distance in brightness, in colour (doubled) and in edges.

    Squares, because what is left is at edges: absolute distances pull as hard on the nearly right pixels of flat parts, and
    gained half as much in 300 steps.
    """
    scale = torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1)
    gap = to_opponent(found - wanted)
    plain = (gap.square() * scale * weight).mean()
    edges = (gap.diff(dim=2).square() * weight[:, :, 1:]).mean() + (gap.diff(dim=3).square() * weight[:, :, :, 1:]).mean()
    return 4 * plain + 8 * edges


class RoundTrip(nn.Module):
    """An autoencoder's parts under the names of its own state, from a picture to its latents and back in one call."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.encoder, self.decoder = vae.encoder, vae.decoder
        self.quant_conv, self.post_quant_conv = cast("nn.Module", vae.quant_conv), cast("nn.Module", vae.post_quant_conv)

    def forward(self, picture: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, h, w) in -1..1 to the same pictures, drawn from noisy latents, and the latents' means (N, 32, h / 16, w / 16)."""
        mean = self.quant_conv(self.encoder(picture)).chunk(2, dim=1)[0]
        return self.decoder(self.post_quant_conv(mean + NOISE * noise)), mean


def train_vae(run: Path, minutes: float) -> AutoencoderKL:
    """Train, average, standardise; writes `<run>/vae` in diffusers' layout."""
    torch.manual_seed(1)
    vae = new_vae().to(memory_format=torch.channels_last)
    inherit(vae, BASE / "vae")
    twin = Twin(RoundTrip(vae))

    def loss_of(step: int) -> Tensor:
        count, side = (WHOLE_BATCH, PIXELS) if step % WHOLE_EVERY == 0 else (BATCH, CROP)
        wanted, weight = crop_batch(run, "train", 1_000 + step, count=count, side=side)
        torch.manual_seed(step)
        noise = torch.randn(count, CHANNELS, side * LATENT // PIXELS, side * LATENT // PIXELS)
        form: dict[str, Any] = {"dtype": FAST, "memory_format": torch.channels_last}
        found, mean = twin.network(wanted.to(**form), noise.to(**form))
        return picture_loss(found.float(), wanted, weight) + PULL * mean.float().square().mean()

    vae.load_state_dict(learn(twin, loss_of, Pace(minutes, 1e-3), run, "vae"))
    standardise(vae, run)
    vae.save_pretrained(run / "vae")
    return vae


def standardise(vae: AutoencoderKL, run: Path) -> None:
    """Fold shift and scale into the 1 x 1 convolutions at the bottleneck, so every latent channel has mean 0 and deviation 1."""
    rows: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, 384, 16):
            whole = torch.from_numpy(np.asarray(pictures(run, "train")[start : start + 16])).permute(0, 3, 1, 2)
            rows.append(vae.encode(whole.float() / 127.5 - 1).latent_dist.mean)
        means = torch.cat(rows)
        mean, deviation = means.mean((0, 2, 3)), means.std((0, 2, 3))
        channels = mean.numel()
        before, after = vae.quant_conv, vae.post_quant_conv
        assert before is not None and after is not None
        before.weight[:channels] /= deviation.view(-1, 1, 1, 1)
        before.bias[:channels] = (before.bias[:channels] - mean) / deviation
        before.weight[channels:] = 0
        before.bias[channels:] = 2 * (NOISE / deviation).log()
        after.bias += (after.weight[:, :, 0, 0] @ mean.view(-1, 1)).view(-1)
        after.weight *= deviation.view(1, -1, 1, 1)


def quality(vae: AutoencoderKL, run: Path, count: int = 96) -> dict[str, float]:
    """PSNR in dB on held-out pictures: all pixels, and object pixels only."""
    total, objects = [], []
    with torch.no_grad():
        for start in range(0, count, 16):
            raw = torch.from_numpy(np.asarray(pictures(run, "held")[start : start + 16])).permute(0, 3, 1, 2).float()
            mask = torch.from_numpy(np.asarray(identities(run, "held")[start : start + 16]) >= 2)
            found = vae.decode(vae.encode(raw / 127.5 - 1).latent_dist.mean).sample
            gap = ((found.clamp(-1, 1) + 1) * 127.5 - raw).square().mean(1)
            total.append(gap.mean())
            objects.append(gap[mask].mean())
    return {name: float(10 * torch.log10(255**2 / torch.stack(rows).mean())) for name, rows in (("all", total), ("objects", objects))}
