"""Says in which style a picture is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ..world.styles import STYLES
from .network import SIDE_IN

WEIGHTS = Path(__file__).parent / "styles.safetensors"
STYLE_NAMES = ("", *STYLES)


class StyleReader(nn.Module):
    """Scores (N, 5) of pictures (N, 3, 128, 128) in -1..1, from the mean and spread of textures; the first is of a plain rendering."""

    def __init__(self) -> None:
        super().__init__()
        self.texture = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1),
            nn.SiLU(),
            nn.Conv2d(24, 48, 3, 2, 1),
            nn.GroupNorm(8, 48),
            nn.SiLU(),
            nn.Conv2d(48, 64, 3, 2, 1),
            nn.SiLU(),
        )
        self.name = nn.Linear(128, len(STYLE_NAMES))

    def forward(self, picture: Tensor) -> Tensor:
        seen = self.texture(picture)
        return self.name(torch.cat([seen.mean((2, 3)), seen.std((2, 3))], 1))


def load_style_reader(path: Path = WEIGHTS) -> StyleReader:
    """The trained reader, float32."""
    reader = StyleReader()
    reader.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return reader.eval()


def styles_of(reader: StyleReader, pictures: NDArray[np.uint8]) -> list[str]:
    """The style of each picture, uint8 (N, H, W, 3); '' for none."""
    names: list[str] = []
    for start in range(0, len(pictures), 32):
        raw = torch.from_numpy(np.ascontiguousarray(pictures[start : start + 32])).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            scores = reader(functional.interpolate(raw, size=(SIDE_IN, SIDE_IN), mode="area"))
        names += [STYLE_NAMES[int(index)] for index in scores.argmax(1)]
    return names
