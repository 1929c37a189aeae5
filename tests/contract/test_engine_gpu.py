"""The real engine on a CUDA device: the same seed means the same picture as on the CPU, and previews come from a stream aside."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from studio.engine.diffusers_engine import DiffusersEngine
from studio.inventory import ModelCard
from studio.settings import Settings
from tests.contract.drive import latents_of, run_of, same

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cuda_engine(settings: Settings, tiny_card: ModelCard) -> Iterator[DiffusersEngine]:
    """The engine on the GPU in float32."""
    engine = DiffusersEngine(replace(settings, device="cuda"))
    engine.load(tiny_card, lambda *_: None)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "name",
    ["Euler", "Euler a", "Heun", "DPM2", "DPM2 a Karras", "DPM++ 2M Karras", "DPM++ SDE", "DPM++ 2M SDE", "LCM", "DDPM", "SA-Solver"],
)
def test_seed_means_the_same_as_on_the_cpu(name: str, cuda_engine: DiffusersEngine, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    fields = {"scheduler": name, "batch_size": 2}
    there = latents_of(run_of(cuda_engine, tiny_card, **fields))
    assert same(there.cpu(), latents_of(run_of(engine, tiny_card, **fields)), relative=1e-2)


def test_snapshot_goes_on_to_the_same_bytes(cuda_engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    run = run_of(cuda_engine, tiny_card, scheduler="DPM++ SDE")
    run.advance()
    twin = run.snapshot()
    assert torch.equal(latents_of(run), latents_of(twin))


def test_previews_are_those_of_the_cpu(cuda_engine: DiffusersEngine, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    drawn = []
    for one in (cuda_engine, engine):
        run = run_of(one, tiny_card, scheduler="Euler")
        run.advance()
        draw = run.preview()
        latents_of(run)
        assert draw is not None
        drawn.append(np.asarray(draw()[0], int))
    assert np.abs(drawn[0] - drawn[1]).max() <= 6


def test_half_precision_is_chosen(settings: Settings, tiny_card: ModelCard) -> None:
    engine = DiffusersEngine(replace(settings, device="auto", precision="auto"))
    engine.load(tiny_card, lambda *_: None)
    run = run_of(engine, tiny_card)
    latents_of(run)
    assert "float16" in engine.describe() and next(run.finish()).size == (64, 64)
