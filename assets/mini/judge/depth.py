"""Reads how near every pixel of a picture is, as the depth ControlNet's measure: a small encoder-decoder trained on renderings only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from .network import SIDE_IN, SIDE_OUT

WEIGHTS = Path(__file__).parent / "depth.safetensors"
WIDTHS = (24, 48, 64, 96)


def _block(wide: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(wide, out, 3, stride, 1), nn.GroupNorm(8, out), nn.SiLU())


class DepthReader(nn.Module):
    """Pictures (N, 3, 128, 128) in -1..1 to nearness (N, 64, 64) in 0..1; two channels of position tell high from low."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = WIDTHS
        self.down0, self.down1, self.down2, self.down3 = (
            _block(5, one, 2),
            _block(one, two, 2),
            _block(two, three, 2),
            _block(three, four, 2),
        )
        self.up2, self.up1, self.up0 = _block(four + three, three), _block(three + two, two), _block(two + one, one)
        self.near = nn.Conv2d(one, 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        line = torch.linspace(-1, 1, SIDE_IN, dtype=picture.dtype)
        place = torch.stack(torch.meshgrid(line, line, indexing="ij")).expand(picture.shape[0], -1, -1, -1)
        fine = self.down0(torch.cat([picture, place], 1))
        half = self.down1(fine)
        quarter = self.down2(half)
        up = self.up2(torch.cat([functional.interpolate(self.down3(quarter), scale_factor=2.0), quarter], 1))
        up = self.up1(torch.cat([functional.interpolate(up, scale_factor=2.0), half], 1))
        return self.near(self.up0(torch.cat([functional.interpolate(up, scale_factor=2.0), fine], 1)))[:, 0].sigmoid()


def load_depth_reader(path: Path = WEIGHTS) -> DepthReader:
    """The trained reader, float32."""
    reader = DepthReader()
    reader.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return reader.eval()


def read_depth(reader: DepthReader, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Nearness of pictures, uint8 (N, H, W, 3): float32 (N, 64, 64)."""
    rows = [np.zeros((0, SIDE_OUT, SIDE_OUT), np.float32)]
    for start in range(0, len(pictures), 32):
        raw = torch.from_numpy(np.ascontiguousarray(pictures[start : start + 32])).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            rows.append(reader(functional.interpolate(raw, size=(SIDE_IN, SIDE_IN), mode="area")).numpy())
    return np.concatenate(rows)
