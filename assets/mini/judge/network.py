"""The judge's network: a small encoder-decoder that names shape and colour per pixel, and ground and light per picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..world.scene import COLOURS, FIGURE, GROUNDS, LIGHTS, SHAPES

SIDE_IN, SIDE_OUT = 128, 64
SHAPE_NAMES = ("", *SHAPES, FIGURE)
COLOUR_NAMES = ("", *COLOURS)


@dataclass(frozen=True)
class Scores:
    """Raw scores: `shape` (N, 7, 64, 64), `colour` (N, 10, 64, 64), `ground` (N, 4), `light` (N, 3)."""

    shape: Tensor
    colour: Tensor
    ground: Tensor
    light: Tensor


def _block(wide: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(wide, out, 3, stride, 1, bias=False), nn.GroupNorm(8, out), nn.SiLU())


class Judge(nn.Module):
    """About 0.9 M parameters; input (N, 3, 128, 128) in -1..1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(3, 32, 2), _block(32, 32))
        self.down1 = nn.Sequential(_block(32, 64, 2), _block(64, 64))
        self.down2 = nn.Sequential(_block(64, 96, 2), _block(96, 96))
        self.down3 = nn.Sequential(_block(96, 128, 2), _block(128, 128))
        self.up2, self.up1, self.up0 = _block(128 + 96, 96), _block(96 + 64, 64), _block(64 + 32, 48)
        self.pixels = nn.Conv2d(48, len(SHAPE_NAMES) + len(COLOUR_NAMES), 1)
        self.whole = nn.Linear(2 * 128, len(GROUNDS) + len(LIGHTS))

    def forward(self, picture: Tensor) -> Scores:
        fine = self.stem(picture)
        half = self.down1(fine)
        quarter = self.down2(half)
        deep = self.down3(quarter)
        up = self.up2(torch.cat([functional.interpolate(deep, scale_factor=2.0), quarter], 1))
        up = self.up1(torch.cat([functional.interpolate(up, scale_factor=2.0), half], 1))
        pixels = self.pixels(self.up0(torch.cat([functional.interpolate(up, scale_factor=2.0), fine], 1)))
        whole = self.whole(torch.cat([deep[:, :, :3].mean((2, 3)), deep[:, :, 3:].mean((2, 3))], 1))
        return Scores(pixels[:, : len(SHAPE_NAMES)], pixels[:, len(SHAPE_NAMES) :], whole[:, : len(GROUNDS)], whole[:, len(GROUNDS) :])
