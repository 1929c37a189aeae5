"""Stages `control-sketch`, `control-depth` and `control-pose`: a ControlNet learns to steer the finished U-Net, which stays as it is.

Half of the captions say nothing of what stands where, so that the map must. Only the U-Net's decoder is differentiated: its encoder comes
before the places where the control is added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor

from ..export import BASE, CONTROLNETS, OBEDIENCE, scale_exits
from ..models import PIXELS, new_controlnet, new_unet
from ..world.captions import Writer
from ..world.maps import Map, canny, draw_pose, hide, joints, nearness, sketch, survey, vary_depth
from ..world.scene import Scene
from . import crew
from .inherit import inherit
from .loop import Pace, learn
from .noise import blur
from .precision import FAST
from .scenes import identities, pictures, render_all, scene_of
from .text import load_reader
from .twin import Twin
from .unet import EMPTY, FULL, encode_latents, shares

BATCH = 32
VAGUE = 0.5
COARSE = 128
KINDS = ("sketch", "depth", "pose")
Draw = Callable[[Path, str, int, np.random.Generator], Map]


@dataclass(frozen=True)
class Examples:
    """A batch: `clean` latents float32 (N, 32, 16, 16), `texts`, and `maps` in 0..1, in FAST precision (N, 3, 256, 256) channels last."""

    clean: Tensor
    texts: list[str]
    maps: Tensor


def draw_posed(run: Path) -> None:
    """Stage `posed`: render and encode figures with limbs anywhere, which the pose ControlNet learns from. Resumes by chunk."""
    render_all(run)
    encode_latents(run, part="posed")


def _sketch(run: Path, part: str, index: int, rng: np.random.Generator) -> Map:
    picture = np.asarray(pictures(run, part)[index])
    return sketch(canny(picture), picture, np.asarray(identities(run, part)[index]), rng)


def _depth(run: Path, part: str, index: int, rng: np.random.Generator) -> Map:
    """Half of the maps are cast coarsely and enlarged, as estimators do; that costs 1 ms instead of 5."""
    side = COARSE if rng.random() < 0.5 else PIXELS
    near = nearness(survey(scene_of(part, index), side))
    return vary_depth(cv2.resize(near, (PIXELS, PIXELS)).astype(np.uint8), np.asarray(identities(run, part)[index]), rng)


def _pose(run: Path, part: str, index: int, rng: np.random.Generator) -> Map:
    del run
    return draw_pose([hide(joints(scene_of(part, index)), rng)])


DRAW: dict[str, Draw] = {"sketch": _sketch, "depth": _depth, "pose": _pose}


class Source:
    """Draws batches of one kind of map; for poses from the training figures and, half of the time, from figures with limbs anywhere."""

    def __init__(self, run: Path, kind: str) -> None:
        self._run, self._draw = run, DRAW[kind]
        parts = ("train", "posed") if kind == "pose" else ("train",)
        self._latents = {part: np.load(run / f"latents-{part}.npy", mmap_mode="r") for part in parts}
        count = int((run / "latents-train.done").read_text())
        self._odds = {"train": shares(count)}
        if kind == "pose":
            figures = np.asarray([bool(scene_of("train", index).things[0].pose) for index in range(count)])
            free = int((run / "latents-posed.done").read_text())
            self._odds = {"train": figures / figures.sum(), "posed": np.full(free, 1 / free)}

    def batch(self, rng: np.random.Generator, count: int = BATCH) -> Examples:
        """`count` examples, divided evenly between the parts."""
        rows: list[tuple[str, int]] = []
        for part, odds in self._odds.items():
            rows += [(part, int(index)) for index in np.sort(rng.choice(len(odds), count // len(self._odds), p=odds))]
        clean = np.stack([self._latents[part][index] for part, index in rows]).astype(np.float32)
        maps = np.stack([_coloured(self._draw(self._run, part, index, rng)) for part, index in rows])
        texts = [text_for(scene_of(part, index), rng) for part, index in rows]
        return Examples(torch.from_numpy(clean), texts, torch.from_numpy(maps).permute(0, 3, 1, 2).to(FAST).div_(255))


def _coloured(drawn: Map) -> NDArray[np.uint8]:
    """Grey maps as three equal channels."""
    return drawn if drawn.ndim == 3 else np.repeat(drawn[..., None], 3, 2)


def text_for(scene: Scene, rng: np.random.Generator) -> str:
    """Nothing for one in ten; for half of the others a caption that leaves the geometry to the map."""
    writer = Writer(rng)
    if rng.random() < EMPTY:
        return ""
    return writer.vague(scene) if rng.random() < VAGUE else writer.caption(scene, FULL).text


def trained_unet(run: Path) -> UNet2DConditionModel:
    """The newest averaged weights of the run folder, or else the committed ones."""
    path = run / "unet-average.pt"
    if not path.exists():
        return cast("UNet2DConditionModel", UNet2DConditionModel.from_pretrained(BASE / "unet", torch_dtype=torch.float32))
    unet = new_unet()
    unet.load_state_dict(torch.load(path, weights_only=True))
    return unet


def train_control(run: Path, kind: str, minutes: float) -> ControlNetModel:
    """Train the ControlNet of one kind; writes `<run>/control-<kind>`."""
    torch.manual_seed(11)
    unet = trained_unet(run)
    control = new_controlnet(unet)
    if inherit(control, CONTROLNETS / kind):
        scale_exits(control, 1 / OBEDIENCE[kind])
    twin, source, read = Twin(control), Source(run, kind), load_reader(run)
    unet.requires_grad_(False).to(FAST, memory_format=torch.channels_last).set_attn_processor(AttnProcessor())
    painter: Any = torch.compile(unet)

    def loss_of(step: int) -> Tensor:
        torch.manual_seed(step * crew.size() + crew.rank())
        shown = source.batch(np.random.default_rng((9_000_000 + step, crew.rank())), BATCH // crew.size())
        noisy, states = blur(shown.clean), read(shown.texts)
        down, middle = twin.network(noisy.latents, noisy.times, states, shown.maps, return_dict=False)
        residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return noisy.loss(painter(noisy.latents, noisy.times, states, **residuals, return_dict=False)[0])

    name = f"control-{kind}"
    control.load_state_dict(learn(twin, loss_of, Pace(minutes, 1e-3, warm=0.03, average=0.99), run, name))
    if crew.rank() == 0:
        control.save_pretrained(run / name)
    return control
