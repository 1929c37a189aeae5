"""A patch critic for the decoder (Isola et al. 2017, arXiv 1611.07004; hinge loss of Lim and Ye 2017, arXiv 1705.02894).

Distances alone are least for a soft edge wherever the latents leave its place open; the critic prefers one sharp edge.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE = 2e-4
SAVE_EVERY = 100


class Critic:
    """Scores (N, 1, 32, 32) of pictures (N, 3, 256, 256): high where a patch looks rendered. Keeps its state in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.network = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.GroupNorm(8, 64),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, 2, 1),
            nn.GroupNorm(8, 128),
            nn.LeakyReLU(0.2),
            nn.Conv2d(128, 1, 3, 1, 1),
        ).to(memory_format=torch.channels_last)
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=RATE, betas=(0.5, 0.9))
        self._steps = 0
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])

    def learn(self, rendered: Tensor, decoded: Tensor) -> None:
        """Take one step towards telling the two apart."""
        with torch.autocast("cpu", torch.bfloat16):
            scores = self.network(torch.cat([rendered, decoded.detach()])).float()
        good, bad = scores.chunk(2)
        self._optimiser.zero_grad(set_to_none=True)
        (functional.relu(1 - good).mean() + functional.relu(1 + bad).mean()).backward()
        self._optimiser.step()
        self._steps += 1
        if self._steps % SAVE_EVERY == 0:
            torch.save({"network": self.network.state_dict(), "optimiser": self._optimiser.state_dict()}, self._path)

    def complaint(self, decoded: Tensor) -> Tensor:
        """Return the loss that asks decoded pictures to look rendered, a scalar."""
        with torch.autocast("cpu", torch.bfloat16):
            return -self.network(decoded).float().mean()
