"""Stages `judge-styled`, `judge-styles` and `judge-depth`: what measures LoRAs and the depth ControlNet learns from renderings alone."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from ..judge import depth, style
from ..judge.network import SIDE_IN, SIDE_OUT, Judge
from ..judge.verdict import WEIGHTS as JUDGE
from ..judge.verdict import load_judge
from ..world.maps import nearness, survey
from ..world.styles import STYLES
from .judge import facts_lost, roughen
from .loop import Pace, learn
from .lora import restyled_latents
from .precision import autocast
from .scenes import identities, pictures, rendered, scene_of

BATCH = 48
CLEAN, SMEARED = 1_200, 400
CHUNK = 20
PLAIN = 0.4


def _small(drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.resize(drawn, (SIDE_IN, SIDE_IN), interpolation=cv2.INTER_AREA).astype(np.uint8)


def styled_pictures(run: Path, name: str) -> NDArray[np.uint8]:
    """The first training pictures in a style at 128 x 128, the last of them as the autoencoder gives them; uint8 (1600, 128, 128, 3)."""
    path = run / f"styled-{name}.npy"
    if not path.exists():
        restyle = STYLES[name].restyle
        drawn, ids = pictures(run, "train"), identities(run, "train")
        rows = [_small(restyle(np.asarray(drawn[index]), np.asarray(ids[index]))) for index in range(CLEAN)]
        vae = cast("AutoencoderKL", AutoencoderKL.from_pretrained(run / "vae")).eval().to(memory_format=torch.channels_last)
        for code in restyled_latents(run, STYLES[name])[CLEAN : CLEAN + SMEARED].split(CHUNK):
            with torch.no_grad(), autocast():
                back = vae.decode(code).sample.float().clamp(-1, 1)
            rows += [_small(picture) for picture in ((back + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()]
        np.save(path, np.stack(rows))
    return cast("NDArray[np.uint8]", np.load(path, mmap_mode="r"))


def _save(module: nn.Module, path: Path) -> None:
    save_file({name: value.half().contiguous() for name, value in module.state_dict().items()}, path)
    path.chmod(0o644)


def _tensor(drawn: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 127.5 - 1


class Gallery:
    """Training pictures at 128 x 128, plain and in every style, at random."""

    def __init__(self, run: Path) -> None:
        self._styled = {name: styled_pictures(run, name) for name in STYLES}
        self._plain = pictures(run, "train")
        self._count = rendered(run, "train")

    def some(self, rng: np.random.Generator, count: int = BATCH) -> tuple[Tensor, list[str], list[int]]:
        """Pictures (N, 3, 128, 128) in -1..1, roughened, channels last; the style of each, '' for none; and the scene's index."""
        names = ["" if rng.random() < PLAIN else str(rng.choice(list(STYLES))) for _ in range(count)]
        rows = [int(rng.integers(CLEAN + SMEARED if name else self._count)) for name in names]
        drawn = [self._styled[name][row] if name else _small(np.asarray(self._plain[row])) for name, row in zip(names, rows, strict=True)]
        return roughen(_tensor(drawn), rng).contiguous(memory_format=torch.channels_last), names, rows


def train_styled(run: Path, minutes: float) -> Judge:
    """Go on with the judge, so that it knows things in every style too, and write it (fp16)."""
    torch.manual_seed(13)
    judge = load_judge().train().to(memory_format=torch.channels_last)
    gallery, ids = Gallery(run), identities(run, "train")

    def loss_of(step: int) -> Tensor:
        torch.manual_seed(step)
        seen, names, rows = gallery.some(np.random.default_rng(11_000_000 + step))
        with autocast():
            scores = judge(seen)
        # In a style, light and ground may not show.
        plain = torch.tensor([not name for name in names])
        return facts_lost(scores, [scene_of("train", row) for row in rows], [ids[row] for row in rows], whole=plain)

    judge.load_state_dict(learn(judge, loss_of, Pace(minutes, 1e-3, average=0.99), run, "judge-styled"))
    _save(judge, JUDGE)
    return judge


def train_style_reader(run: Path, minutes: float) -> style.StyleReader:
    """Train and write the style reader's weights (fp16)."""
    torch.manual_seed(15)
    reader, gallery = style.StyleReader(), Gallery(run)

    def loss_of(step: int) -> Tensor:
        torch.manual_seed(step)
        seen, names, _ = gallery.some(np.random.default_rng(13_000_000 + step))
        return functional.cross_entropy(reader(seen), torch.tensor([style.STYLE_NAMES.index(name) for name in names]))

    reader.load_state_dict(learn(reader, loss_of, Pace(minutes, 4e-3, average=0.99), run, "judge-styles"))
    _save(reader, style.WEIGHTS)
    return reader


def train_depth_reader(run: Path, minutes: float) -> depth.DepthReader:
    """Train and write the depth reader's weights (fp16)."""
    torch.manual_seed(14)
    reader = depth.DepthReader()
    count = rendered(run, "train")

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng(12_000_000 + step)
        torch.manual_seed(step)
        rows = np.sort(rng.integers(count, size=BATCH))
        seen = roughen(_tensor([_small(np.asarray(pictures(run, "train")[row])) for row in rows]), rng)
        wanted = np.stack([nearness(survey(scene_of("train", int(row)), SIDE_OUT)) for row in rows])
        with autocast():
            found = reader(seen)
        return (found.float() - torch.from_numpy(wanted).float() / 255).abs().mean()

    reader.load_state_dict(learn(reader, loss_of, Pace(minutes, 2e-3, average=0.99), run, "judge-depth"))
    _save(reader, depth.WEIGHTS)
    return reader
