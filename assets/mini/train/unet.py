"""Stages `latents` and `unet`: pictures become latents once, then the denoiser learns on them, with captions written afresh each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor

from ..export import BASE
from ..models import CHANNELS, LATENT, new_unet
from ..world.captions import Writer
from ..world.scene import FIGURE, Scene
from . import crew
from .encoding import Encoder
from .inherit import inherit
from .loop import Pace, learn
from .metric import pixel_metric
from .noise import SHAPING, blur, emphasis
from .scenes import COUNTS, identities, pictures, scene_of
from .text import load_reader
from .twin import Twin

BATCH = 64
EMPTY = 0.1
CHUNK = 100
FULL = 0.75
# Learning rates: of a network that knows nothing yet, and of one that is trained further, which a higher one only shakes.
FRESH, ON = 1e-3, 3e-4
# How often the scenes of each part are drawn. Among random scenes one in fifty is a single large sphere, the first that one sees bent.
PARTS = {"train": 0.65, "large": 0.35}
# Single objects are right long before pairs and figures, and `left of` and `right of` before the other relations.
MIX = {"single": 0.2, "sides": 0.1, "pair": 0.4, "figure": 0.3}


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
    """A fresh caption for each scene, one in ten empty. Those of large things say all, so that things without a size stay of medium one."""
    writer, full = Writer(rng), 1.0 if part == "large" else FULL
    return ["" if rng.random() < EMPTY else writer.caption(scene_of(part, int(index)), full).text for index in indexes]


def shares(count: int) -> NDArray[np.float64]:
    """How often each of the first training scenes is drawn, so that the kinds come in the proportions of MIX."""
    kinds = [_kind(scene_of("train", index)) for index in range(count)]
    share = np.asarray([MIX[kind] / kinds.count(kind) for kind in kinds])
    return share / share.sum()


def _kind(scene: Scene) -> str:
    if len(scene.things) == 2:
        return "sides" if scene.relation in ("left of", "right of") else "pair"
    return "figure" if scene.things[0].shape == FIGURE else "single"


@dataclass(frozen=True)
class Examples:
    """A batch: `clean` latents and what is shown `bent`, float32 (N, 32, 16, 16), `texts`, and `ids` (N, 256, 256)."""

    clean: Tensor
    bent: Tensor
    texts: list[str]
    ids: NDArray[np.uint8]


class Part:
    """One part of the scenes: as many as are encoded, each with its odds of being drawn."""

    def __init__(self, run: Path, name: str, share: float) -> None:
        self.name, count = name, encoded(run, name)
        self.odds = share * (shares(count) if name == "train" else np.full(count, 1 / count))
        self._latents, self._ids = np.load(run / f"latents-{name}.npy", mmap_mode="r"), identities(run, name)
        bent = run / f"bent-{name}.npy"
        # None before stage `bends` has run.
        self._bent = np.load(bent, mmap_mode="r") if bent.exists() else self._latents[:0]

    def rows(self, indexes: NDArray[np.int64], rng: np.random.Generator) -> Examples:
        """The scenes of these numbers, with captions."""
        bent = np.stack([(self._bent if row < len(self._bent) else self._latents)[row] for row in indexes])
        clean = torch.from_numpy(self._latents[indexes]).float()
        return Examples(clean, torch.from_numpy(bent).float(), texts_for(self.name, indexes, rng), self._ids[indexes])


class Source:
    """Draws batches from all parts, as PARTS says."""

    def __init__(self, run: Path) -> None:
        self._parts = [Part(run, name, share) for name, share in PARTS.items()]
        self._odds = np.concatenate([part.odds for part in self._parts])

    def batch(self, step: int) -> Examples:
        """This worker's share of a step's batch."""
        drawn = np.random.default_rng(5_000_000 + step).choice(len(self._odds), BATCH, p=self._odds)
        wording = np.random.default_rng((5_000_000 + step, crew.rank()))
        left, found = crew.own(np.sort(drawn)), list[Examples]()
        for part in self._parts:
            rows = left[left < len(part.odds)]
            found += [part.rows(rows, wording)] if len(rows) else []
            left = left[len(rows) :] - len(part.odds)
        clean, bent = (torch.cat([getattr(each, name) for each in found]) for name in ("clean", "bent"))
        texts = [text for each in found for text in each.texts]
        return Examples(clean, bent, texts, np.concatenate([each.ids for each in found]))


def encoded(run: Path, part: str) -> int:
    """How many leading scenes of a part have latents."""
    return int((run / f"latents-{part}.done").read_text())


def train_unet(run: Path, minutes: float) -> UNet2DConditionModel:
    """Train with v-prediction; writes `<run>/unet`."""
    torch.manual_seed(3)
    unet = new_unet()
    known = inherit(unet, BASE / "unet") > len(unet.state_dict()) / 2
    twin = Twin(unet)
    source, read, metric = Source(run), load_reader(run), pixel_metric(run)

    def loss_of(step: int) -> Tensor:
        torch.manual_seed(step * crew.size() + crew.rank())
        shown = source.batch(step)
        noisy = blur(shown.clean, SHAPING, shown.bent)
        found = twin.network(noisy.latents, noisy.times, encoder_hidden_states=read(shown.texts)).sample
        return noisy.loss(found, emphasis(shown.ids), metric)

    unet.load_state_dict(learn(twin, loss_of, Pace(minutes, ON if known else FRESH, warm=0.02, average=0.999), run, "unet"))
    if crew.rank() == 0:
        unet.save_pretrained(run / "unet")
    return unet
