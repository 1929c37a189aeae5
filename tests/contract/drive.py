"""Short ways to plan and drive runs in the engine's tests."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.runs import DiffusersRun
from studio.inventory import Inventory, ModelCard
from studio.plan import Plan, resolve
from studio.request import GenerationRequest


def plan_of(card: ModelCard, **fields: Any) -> Plan:
    """Plan a request for a model; seed 11 and 4 steps unless said otherwise."""
    return resolve(GenerationRequest(**{"prompt": "a red cat", "seed": 11, "steps": 4, **fields}), Inventory((card,)), entropy=0)


def run_of(engine: DiffusersEngine, card: ModelCard, **fields: Any) -> DiffusersRun:
    """Begin a run."""
    return engine.start(plan_of(card, **fields))


def nothing(fraction: float, message: str) -> None:
    """Hear progress and say nothing."""


def controlled_run(engine: DiffusersEngine, inventory: Inventory, maps: Sequence[Image.Image], **fields: Any) -> DiffusersRun:
    """Plan a request with control units on the first model, make it ready and begin it."""
    plan = resolve(GenerationRequest(**{"prompt": "a red cat", "seed": 11, "steps": 4, **fields}), inventory, entropy=0)
    engine.prepare(plan, nothing)
    return engine.start(plan, maps)


def latents_of(run: DiffusersRun) -> torch.Tensor:
    """Take a run to its end, without decoding, and return its latents."""
    while run.index < run.total:
        run.advance()
    return run.latents


def same(left: torch.Tensor, right: torch.Tensor, *, relative: float = 1e-4) -> bool:
    """Whether two tensors differ by at most `relative` of the larger one's size everywhere."""
    return bool((left - right).abs().max() <= relative * right.abs().max())
