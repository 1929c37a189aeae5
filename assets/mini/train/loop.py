"""What every training stage shares: a schedule by wall clock, averaged weights, and checkpoints that can be resumed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from . import crew
from .muon import Muon, split
from .twin import Twin

SAVE_EVERY = 120.0


@dataclass(frozen=True)
class Pace:
    """How long to train: `minutes` of wall time, `rate` the highest learning rate, `warm` the warm-up's share of the time."""

    minutes: float
    rate: float
    warm: float = 0.02
    average: float = 0.999

    def rate_at(self, share: float) -> float:
        """Learning rate after `share` (0..1) of the time: linear warm-up, then a cosine down to 1 % of the top."""
        if share < self.warm:
            return self.rate * (0.02 + 0.98 * share / self.warm)
        along = min(1.0, (share - self.warm) / (1 - self.warm))
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))


class Average:
    """Exponential moving average of a module's parameters, quick to start: the decay grows with the number of steps."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone().float() for name, value in module.state_dict().items()}

    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module's present weights."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            fresh = [value.float() for value in module.state_dict().values()]
            torch._foreach_lerp_(list(self.weights.values()), fresh, 1 - decay)


def learn(trained: nn.Module | Twin, loss_of: Callable[[int], Tensor], pace: Pace, run: Path, name: str) -> dict[str, Tensor]:
    """Train a module, or a twin's, until the pace's time is over and return the averaged weights; continues from `<run>/<name>.pt`.

    `loss_of(step)` computes the loss on a fresh batch, or a worker's share of one, seeded by the step number. Every two minutes the state
    is saved and the averaged weights are written to `<run>/<name>-average.pt`; the curve goes to `<run>/<name>.csv`.
    """
    module = trained.module if isinstance(trained, Twin) else trained
    matrices, others = split(module)
    optimisers = (Muon(matrices, pace.rate), torch.optim.AdamW(others, lr=pace.rate, betas=(0.9, 0.98), weight_decay=0))
    average = Average(module, pace.average)
    path, step, spent = run / f"{name}.pt", 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        module.load_state_dict(state["module"])
        for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        average.weights, step, spent = state["average"], state["step"], state["spent"]
    saved = last = time.monotonic()
    smooth, begun = 0.0, False
    while spent < pace.minutes * 60:
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = pace.rate_at(spent / (pace.minutes * 60))
        loss = _gradients(trained, partial(loss_of, step))
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        average.update(module, step)
        smooth = loss if smooth == 0 else 0.98 * smooth + 0.02 * loss
        now = time.monotonic()
        # The first step compiles.
        spent, last = crew.firsts(spent + (now - last if begun else 0.0)), now
        begun = True
        if crew.rank():
            continue
        if step % 50 == 0:
            with (run / f"{name}.csv").open("a") as curve:
                curve.write(f"{step},{spent:.0f},{smooth:.5f}\n")
        if now - saved > SAVE_EVERY or spent >= pace.minutes * 60:
            saved = now
            state = {"module": module.state_dict(), "average": average.weights}
            kept = [optimiser.state_dict() for optimiser in optimisers]
            _save(path, {**state, "optimisers": kept, "step": step, "spent": spent})
            _save(run / f"{name}-average.pt", average.weights)
    return average.weights


def _gradients(trained: nn.Module | Twin, loss_of: Callable[[], Tensor]) -> float:
    """Compute the gradients of all workers' mean loss; return this worker's loss."""
    module = trained.module if isinstance(trained, Twin) else trained
    module.zero_grad(set_to_none=True)
    if isinstance(trained, Twin):
        trained.refresh()
    loss = loss_of()
    loss.backward()
    if isinstance(trained, Twin):
        trained.collect()
    crew.share_gradients(module)
    return loss.item()


def _save(path: Path, state: object) -> None:
    fresh = path.with_suffix(".new")
    torch.save(state, fresh)
    fresh.replace(path)
