"""Stage `judge`: trains the judge on renderings, roughened by blur, noise, light and the autoencoder's smear."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from ..judge.network import COLOUR_NAMES, SHAPE_NAMES, SIDE_IN, Judge, Scores
from ..judge.verdict import WEIGHTS
from ..world.scene import GROUNDS, LIGHTS, Scene
from .loop import Pace, learn
from .precision import autocast
from .scenes import identities, pictures, rendered, scene_of

BATCH = 48


def labels(scene: Scene, ids: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shape and colour class per pixel of a 64 x 64 picture."""
    shape, colour = np.zeros(16, np.int64), np.zeros(16, np.int64)
    for index, thing in enumerate(scene.things):
        shape[2 + index], colour[2 + index] = SHAPE_NAMES.index(thing.shape), COLOUR_NAMES.index(thing.colour)
    small = np.asarray(ids)[2::4, 2::4]
    return shape[small], colour[small]


def roughen(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur, noise and a change of brightness and tint, each by chance, for a whole batch (N, 3, H, W)."""
    if rng.random() < 0.5:
        weak = float(rng.uniform(0.2, 1.0))
        picture = picture * (1 - weak) + weak * functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    if rng.random() < 0.25:
        picture = functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    if rng.random() < 0.5:
        picture = picture + float(rng.uniform(0, 0.06)) * torch.randn_like(picture)
    tint = torch.from_numpy(rng.uniform(0.95, 1.05, (picture.shape[0], 3, 1, 1)).astype(np.float32))
    return ((picture + 1) * tint - 1).clamp(-1, 1)


def facts_lost(scores: Scores, scenes: list[Scene], ids: list[NDArray[np.uint8]], whole: Tensor | None = None) -> Tensor:
    """How far scores are from what stands in the scenes; ground and light count where `whole` (N,) says so, or everywhere."""
    wanted = [labels(scene, own) for scene, own in zip(scenes, ids, strict=True)]
    shape = functional.cross_entropy(scores.shape.float(), torch.from_numpy(np.stack([pair[0] for pair in wanted])))
    colour = functional.cross_entropy(scores.colour.float(), torch.from_numpy(np.stack([pair[1] for pair in wanted])))
    grounds, lights = [GROUNDS.index(scene.ground) for scene in scenes], [LIGHTS.index(scene.light) for scene in scenes]
    ground = functional.cross_entropy(scores.ground.float(), torch.tensor(grounds), reduction="none")
    light = functional.cross_entropy(scores.light.float(), torch.tensor(lights), reduction="none")
    counted = torch.ones(len(scenes)) if whole is None else whole.float()
    return 3 * shape + 3 * colour + 0.3 * ((ground + light) * counted).mean()


def train_judge(run: Path, minutes: float) -> Judge:
    """Train and write the judge's weights (fp16) into the repository."""
    torch.manual_seed(5)
    judge = Judge().to(memory_format=torch.channels_last)
    count = rendered(run, "train")
    smeared = np.load(run / "smeared.npy", mmap_mode="r") if (run / "smeared.npy").exists() else None

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng(8_000_000 + step)
        torch.manual_seed(step)
        source = smeared if smeared is not None and rng.random() < 0.35 else pictures(run, "train")
        rows = np.sort(rng.integers(min(count, len(source)), size=BATCH))
        raw = torch.from_numpy(np.asarray(source[rows])).permute(0, 3, 1, 2).float() / 127.5 - 1
        picture = roughen(functional.interpolate(raw, size=(SIDE_IN, SIDE_IN), mode="area"), rng)
        scenes = [scene_of("train", int(row)) for row in rows]
        with autocast():
            scores = judge(picture.contiguous(memory_format=torch.channels_last))
        return facts_lost(scores, scenes, [identities(run, "train")[row] for row in rows])

    judge.load_state_dict(learn(judge, loss_of, Pace(minutes, 2e-3, average=0.99), run, "judge"))
    save_file({name: value.half().contiguous() for name, value in judge.state_dict().items()}, WEIGHTS)
    WEIGHTS.chmod(0o644)
    return judge


def smear(run: Path, count: int = 600) -> None:
    """Write `<run>/smeared.npy`: the first training pictures as the autoencoder gives them back."""
    vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(run / "vae")).eval().to(memory_format=torch.channels_last)
    latents, rows = np.load(run / "latents-train.npy", mmap_mode="r"), []
    for start in range(0, count, 20):
        with torch.no_grad(), autocast():
            drawn = vae.decode(torch.from_numpy(np.asarray(latents[start : start + 20])).float()).sample.float()
        rows.append(((drawn.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    np.save(run / "smeared.npy", np.concatenate(rows))
