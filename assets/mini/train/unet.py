"""Stages `latents` and `unet`: pictures become latents once, then the denoiser learns on them, with captions written afresh each step."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from ..export import BASE
from ..models import CHANNELS, LATENT, new_unet
from ..tokens import load_tokenizer
from ..world.captions import Writer
from ..world.scene import FIGURE, Scene
from . import crew
from .encoding import Encoder
from .inherit import inherit
from .loop import Pace, learn
from .metric import pixel_metric
from .noise import SHAPING, blur, emphasis
from .scenes import COUNTS, identities, pictures, scene_of
from .text import token_ids
from .twin import Twin

BATCH = 64
EMPTY = 0.1
CHUNK = 100
FULL = 0.75
# The latents may still be encoded while the U-Net learns.
LOOK_EVERY = 200
# Single objects are right long before pairs and figures, and `left of` and `right of` before the other relations.
MIX = {"single": 0.25, "sides": 0.15, "pair": 0.4, "figure": 0.2}


def encode_latents(run: Path, limit: int = 22_000, part: str = "train") -> None:
    """Write `<run>/latents-<part>.npy`, float16 (N, 32, 16, 16): the means of the autoencoder's posterior. Resumes by chunk;
    the U-Net may already train on what is there."""
    path, marker, count = run / f"latents-{part}.npy", run / f"latents-{part}.done", COUNTS[part]
    if not path.exists():
        np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, CHANNELS, LATENT, LATENT)).flush()
    encode, latents = Encoder(run / "vae"), np.load(path, mmap_mode="r+")
    first = int(marker.read_text()) if marker.exists() else 0
    for start in range(first, min(limit, count), CHUNK):
        latents[start : start + CHUNK] = encode(pictures(run, part)[start : start + CHUNK])
        marker.write_text(str(start + CHUNK))


def texts_for(part: str, indexes: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """A fresh caption for each scene, one in ten empty."""
    writer = Writer(rng)
    return ["" if rng.random() < EMPTY else writer.caption(scene_of(part, int(index)), FULL).text for index in indexes]


def shares(count: int) -> NDArray[np.float64]:
    """How often each of the first training scenes is drawn, so that the kinds come in the proportions of MIX."""
    kinds = [_kind(scene_of("train", index)) for index in range(count)]
    share = np.asarray([MIX[kind] / kinds.count(kind) for kind in kinds])
    return share / share.sum()


def _kind(scene: Scene) -> str:
    if len(scene.things) == 2:
        return "sides" if scene.relation in ("left of", "right of") else "pair"
    return "figure" if scene.things[0].shape == FIGURE else "single"


def _encoded(run: Path) -> int:
    return int(crew.firsts(int((run / "latents-train.done").read_text())))


def _bends(run: Path) -> NDArray[np.float16]:
    """The first scenes' latents as the U-Net left them; none before stage `bends` has run."""
    path = run / "latents-bent.npy"
    return np.load(path, mmap_mode="r") if path.exists() else np.empty((0, CHANNELS, LATENT, LATENT), np.float16)


def train_unet(run: Path, minutes: float) -> UNet2DConditionModel:
    """Train with v-prediction; writes `<run>/unet`."""
    torch.manual_seed(3)
    unet = new_unet()
    inherit(unet, BASE / "unet")
    twin = Twin(unet)
    tokenizer = cast("CLIPTokenizer", load_tokenizer(run / "tokenizer"))
    encoder = cast("CLIPTextModel", CLIPTextModel.from_pretrained(run / "text_encoder", dtype=torch.bfloat16)).eval()
    latents, bends = np.load(run / "latents-train.npy", mmap_mode="r"), _bends(run)
    ids, metric = identities(run, "train"), pixel_metric(run)
    odds = shares(_encoded(run))

    def loss_of(step: int) -> Tensor:
        nonlocal odds
        if step % LOOK_EVERY == 0 and _encoded(run) > len(odds):
            odds = shares(_encoded(run))
        rng = np.random.default_rng(5_000_000 + step)
        wording = np.random.default_rng((5_000_000 + step, crew.rank()))
        torch.manual_seed(step * crew.size() + crew.rank())
        indexes = crew.own(np.sort(rng.choice(len(odds), BATCH, p=odds)))
        clean = torch.from_numpy(latents[indexes]).float()
        with torch.no_grad():
            states = encoder(token_ids(tokenizer, texts_for("train", indexes, wording))).last_hidden_state
        bent = torch.from_numpy(np.stack([(bends if row < len(bends) else latents)[row] for row in indexes])).float()
        noisy = blur(clean, SHAPING, bent)
        found = twin.network(noisy.latents, noisy.times, encoder_hidden_states=states).sample
        return noisy.loss(found, emphasis(ids[indexes]), metric)

    unet.load_state_dict(learn(twin, loss_of, Pace(minutes, 1e-3, warm=0.02, average=0.998), run, "unet"))
    if crew.rank() == 0:
        unet.save_pretrained(run / "unet")
    return unet
