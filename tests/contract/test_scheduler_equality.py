"""Every scheduler of the table: our loop against the stock pipeline, repeatable, and the same alone as in a batch."""

import copy
from collections.abc import Iterator
from typing import Any

import diffusers
import pytest
import torch
from diffusers import StableDiffusionPipeline

from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.sampling import make_scheduler, set_steps, spread_sigmas, spread_timesteps, step_arguments
from studio.inventory import ModelCard
from studio.schedulers import TABLE, Row
from tests.contract.drive import latents_of, run_of, same

STEPS = 6
FEW = {"steps": STEPS, "guidance_scale": 4.0, "negative_prompt": "blue"}
ROWS = [pytest.param(row, id=row.name) for row in TABLE.values()]


@pytest.fixture(scope="module")
def pipeline(tiny_card: ModelCard) -> Iterator[StableDiffusionPipeline]:
    """The stock pipeline with the same weights."""
    diffusers.utils.logging.set_verbosity_error()
    yield _pipeline(tiny_card)
    diffusers.utils.logging.set_verbosity_warning()


@pytest.fixture(scope="module")
def velocity_pipeline(velocity_card: ModelCard) -> StableDiffusionPipeline:
    """The stock pipeline with the velocity model's weights."""
    return _pipeline(velocity_card)


@pytest.mark.parametrize("row", ROWS)
def test_latents_equal_the_stock_pipeline(
    row: Row, engine: DiffusersEngine, tiny_card: ModelCard, pipeline: StableDiffusionPipeline
) -> None:
    ours = latents_of(run_of(engine, tiny_card, scheduler=row.name, **FEW))
    assert same(ours, _stock(pipeline, row))


@pytest.mark.parametrize("row", ROWS)
def test_velocity_latents_equal_the_stock_pipeline(
    row: Row, velocity_engine: DiffusersEngine, velocity_card: ModelCard, velocity_pipeline: StableDiffusionPipeline
) -> None:
    ours = latents_of(run_of(velocity_engine, velocity_card, scheduler=row.name, **FEW))
    assert same(ours, _stock(velocity_pipeline, row))


@pytest.mark.parametrize("row", ROWS)
def test_same_seed_twice_gives_the_same_bytes(row: Row, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    first, second = (run_of(engine, tiny_card, scheduler=row.name, **FEW) for _ in range(2))
    assert torch.equal(latents_of(first), latents_of(second))
    assert [image.tobytes() for image in first.finish()] == [image.tobytes() for image in second.finish()]


@pytest.mark.parametrize("row", ROWS)
def test_batch_member_equals_its_single_run(row: Row, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    batch = latents_of(run_of(engine, tiny_card, scheduler=row.name, seed=11, batch_size=3, **FEW))
    assert not same(batch[0], batch[1], relative=0.05)
    for i in range(3):
        alone = latents_of(run_of(engine, tiny_card, scheduler=row.name, seed=11 + i, **FEW))
        assert same(batch[i], alone[0])


@pytest.mark.parametrize("row", ROWS)
def test_snapshot_goes_on_to_the_same_bytes(row: Row, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    run = run_of(engine, tiny_card, scheduler=row.name, **FEW)
    for _ in range(run.total // 2):
        run.advance()
    kept = run.snapshot()
    early = kept.snapshot()
    finished = latents_of(run)
    assert torch.equal(latents_of(kept), finished)
    assert early.index < early.total
    assert torch.equal(latents_of(early), finished)


@pytest.mark.parametrize("row", ROWS)
def test_any_number_of_steps_is_counted_and_finite(row: Row, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    # Without the U-Net, so that long runs are quick: a model that always expects the same picture.
    config = run_of(engine, tiny_card).model.scheduler_config
    for steps in (1, 2, 3, 7, 51, 61, 103, 122, 150):
        scheduler = make_scheduler(config, row, seeds=[5])
        timesteps = set_steps(scheduler, row, steps=steps, device=torch.device("cpu"))
        assert len(timesteps) == row.evaluations(steps)
        assert min(timesteps) >= 0
        generators = [torch.Generator().manual_seed(5)]
        arguments = step_arguments(scheduler, row, generators)
        latents = torch.randn(1, 4, 4, 4, generator=generators[0]) * scheduler.init_noise_sigma
        for timestep in timesteps:
            prediction = 0.9 * (scheduler.scale_model_input(latents, timestep) - 0.1)
            latents = scheduler.step(prediction, timestep, latents, **arguments)[0]
        assert bool(torch.isfinite(latents).all()), steps


@pytest.mark.parametrize("row", ROWS)
def test_how_the_checkpoint_liked_to_sample_changes_no_row(row: Row, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    config = run_of(engine, tiny_card).model.scheduler_config
    liked = {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++", "solver_order": 1, "final_sigmas_type": "sigma_min"}
    plain = {name: value for name, value in config.items() if name != "clip_sample"}
    wanted = make_scheduler(config, row, seeds=[5])
    assert dict(make_scheduler({**plain, **liked}, row, seeds=[5]).config) == dict(wanted.config)
    assert not wanted.config.get("clip_sample")


@pytest.mark.parametrize("name", ["DPM2", "DPM2 a", "Heun", "Euler", "LMS"])
def test_a_step_too_many_of_trailing_spacing_is_cut_without_leaving_noise(name: str, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    row, config = TABLE[name], {**run_of(engine, tiny_card).model.scheduler_config, "timestep_spacing": "trailing"}
    scheduler = make_scheduler(config, row, seeds=[5])
    timesteps = set_steps(scheduler, row, steps=61, device=torch.device("cpu"))
    assert len(timesteps) == row.evaluations(61)
    arguments = step_arguments(scheduler, row, [torch.Generator().manual_seed(5)])
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(5)) * scheduler.init_noise_sigma
    for timestep in timesteps:
        # A model that knows the picture, which is all zeros: what is there is noise, as strong as its scaling tells.
        signal = float(scheduler.scale_model_input(torch.ones(1), timestep))
        latents = scheduler.step(latents / (1 / signal**2 - 1) ** 0.5, timestep, latents, **arguments)[0]
    assert latents.abs().max() < 1e-3


def _pipeline(card: ModelCard) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(card.path, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    # Kept, because a scheduler made from another's config inherits that one's settings.
    pipeline.pristine = copy.deepcopy(pipeline.scheduler.config)
    return pipeline


def _stock(pipeline: Any, row: Row, *, seed: int = 11) -> torch.Tensor:
    """Return the latents of `StableDiffusionPipeline.__call__` with the row's scheduler."""
    seeds = {row.seed_option: seed} if row.seed_option else {}
    pipeline.scheduler = getattr(diffusers, row.class_name).from_config(pipeline.pristine, **row.options, **seeds)
    arguments: dict[str, Any] = dict(row.step_options)
    if row.sigmas:
        arguments["sigmas"] = spread_sigmas(row.sigmas, STEPS)
    if row.timesteps:
        arguments["timesteps"] = spread_timesteps(row.timesteps, STEPS)
    images = pipeline(
        "a red cat",
        negative_prompt="blue",
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **arguments,
    ).images
    assert isinstance(images, torch.Tensor)
    return images
