"""Muon (Jordan et al., 2024): steps whose matrices are made orthogonal, for convolution and linear weights; scaled to AdamW's step size.

A published optimiser that needs markedly fewer steps than AdamW; worth its extra arithmetic where a step itself is expensive.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

ROUNDS = 5
FACTORS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearest semi-orthogonal matrix by Newton-Schulz rounds, roughly (singular values in 0.7..1.2)."""
    a, b, c = FACTORS
    rows = matrix.bfloat16()
    turned = rows.shape[0] > rows.shape[1]
    rows = rows.T if turned else rows
    rows = rows / (rows.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = rows @ rows.T
        rows = a * rows + (b * square + c * square @ square) @ rows
    return (rows.T if turned else rows).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, times 0.2 sqrt(longer side), so that AdamW's learning rates fit."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for value in group["params"]:
                if value.grad is None:
                    continue
                state = self.state[value]
                if "speed" not in state:
                    state["speed"] = torch.zeros_like(value)
                speed = state["speed"]
                speed.lerp_(value.grad, 1 - group["momentum"])
                ahead = value.grad.lerp(speed, group["momentum"]).reshape(value.shape[0], -1)
                change = orthogonal(ahead) * (0.2 * max(ahead.shape) ** 0.5)
                value.add_(change.reshape(value.shape), alpha=-group["lr"])


def split(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights for Muon (of convolutions and linear layers, at least 16 x 16; no embeddings) and the rest."""
    matrices = [
        part.weight
        for part in module.modules()
        if isinstance(part, nn.Conv2d | nn.Linear) and min(part.weight.shape[0], part.weight[0].numel()) >= 16
    ]
    chosen = {id(value) for value in matrices}
    return matrices, [value for value in module.parameters() if id(value) not in chosen]
