"""Schedulers where an optional library is missing, and distilled ones at any number of steps."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from studio.engine.sampling import make_scheduler, set_steps
from studio.errors import InvalidRequest
from studio.schedulers import TABLE, Row

DISTILLED = [pytest.param(TABLE[name], id=name) for name in ("LCM", "TCD")]


def test_without_torchsde_all_other_schedulers_are_there() -> None:
    code = """
import sys
sys.modules["torchsde"] = None
import importlib, pkgutil
import torch
import studio.engine
from studio.schedulers import TABLE
for module in pkgutil.iter_modules(studio.engine.__path__):
    importlib.import_module(f"studio.engine.{module.name}")
from studio.engine.sampling import make_scheduler, set_steps
assert {row.name for row in TABLE.values() if row.unavailable()} == {row.name for row in TABLE.values() if "torchsde" in row.needs} != set()
for row in TABLE.values():
    if not row.unavailable():
        assert len(set_steps(make_scheduler({}, row, seeds=[5]), row, steps=7, device=torch.device("cpu"))) == row.evaluations(7), row.name
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE.values() if not row.unavailable()])
def test_every_row_takes_the_noise_levels_of_a_checkpoint_that_ends_in_pure_noise(row: Row) -> None:
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}
    plain, changed = (make_scheduler(config | more, row, seeds=[5]) for more in ({}, {"rescale_betas_zero_snr": True}))
    wanted = make_scheduler(config | {"rescale_betas_zero_snr": True}, TABLE["Euler"], seeds=[5]).alphas_cumprod
    assert torch.allclose(changed.alphas_cumprod[:999], wanted[:999], rtol=1e-4, atol=1e-7)
    assert changed.alphas_cumprod[999] < 1e-6
    assert plain.alphas_cumprod[999] > 1e-3


@pytest.mark.parametrize("name", ["DPM2 Karras", "DPM2 a Karras", "Heun"])
def test_apples_gpus_which_have_no_float64_are_given_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moves to such a device are watched and stay on the CPU."""
    moved = torch.Tensor.to

    def to(values: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        place = [one for one in (*given, *named.values()) if isinstance(one, torch.device) and one.type == "mps"]
        others = [one for one in given if one not in place]
        kinds = {key: one for key, one in named.items() if one not in place}
        values = moved(values, *others, **kinds) if others or kinds else values
        assert not place or values.dtype != torch.float64
        return values

    row, wanted = TABLE[name], timesteps_of(TABLE[name], 9)
    scheduler = make_scheduler({}, row, seeds=[5])
    monkeypatch.setattr(torch.Tensor, "to", to)
    assert [int(timestep) for timestep in set_steps(scheduler, row, steps=9, device=torch.device("mps"))] == wanted


def timesteps_of(row: Row, steps: int, **config: object) -> list[int]:
    scheduler = make_scheduler(config, row, seeds=[5])
    return [int(timestep) for timestep in set_steps(scheduler, row, steps=steps, device=torch.device("cpu"))]


@pytest.mark.parametrize("row", DISTILLED)
@pytest.mark.parametrize("own", [25, 50, 100, 0, 2000, None])
def test_a_distilled_sampler_takes_any_number_of_steps(row: Row, own: int | None) -> None:
    for steps in (1, 4, 25, 26, 30, 51, 100, 150):
        timesteps = timesteps_of(row, steps, original_inference_steps=own)
        assert len(timesteps) == steps == len(set(timesteps)) and 0 <= min(timesteps) <= max(timesteps) < 1000
        assert timesteps == sorted(timesteps, reverse=True)


@pytest.mark.parametrize("row", DISTILLED)
def test_a_distilled_sampler_keeps_to_the_checkpoints_own_steps(row: Row) -> None:
    # As many as there are: each of them once.
    assert timesteps_of(row, 25, original_inference_steps=25) == [*range(999, 0, -40)]
    assert timesteps_of(row, 100, original_inference_steps=100) == [*range(999, 0, -10)]


@pytest.mark.parametrize("row", DISTILLED)
def test_more_steps_than_the_model_knows_are_one_sentence(row: Row) -> None:
    with pytest.raises(InvalidRequest, match=f"steps: {row.name} takes at most 100 with this model; ask for fewer"):
        timesteps_of(row, 120, num_train_timesteps=100)
