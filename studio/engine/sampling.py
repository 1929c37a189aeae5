"""Builds the scheduler of one run: the checkpoint's pristine config, a table row's keywords, the run's seeds."""

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import diffusers
import torch

from studio.errors import InvalidRequest
from studio.schedulers import Row

ZERO_SNR = "rescale_betas_zero_snr"
# What a checkpoint's config says of the model. The rest, such as `use_karras_sigmas` or `algorithm_type`, is how its makers liked to
# sample: that is the row's to say, and would turn "Euler" into "Euler Karras" or make two choices that exclude each other.
OF_THE_MODEL = frozenset(
    {
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "trained_betas",
        "prediction_type",
        "rescale_betas_zero_snr",
        "set_alpha_to_one",
        "steps_offset",
        "timestep_spacing",
        "original_inference_steps",
    }
)


def make_scheduler(config: Mapping[str, Any], row: Row, *, seeds: Sequence[int]) -> Any:
    """Return a new scheduler of the row's class.

    Always from the checkpoint's own config: a config that went through another class has that class's settings in it.
    """
    kind = getattr(diffusers, row.class_name)
    known = inspect.signature(kind.__init__).parameters
    options = {name: value for name, value in config.items() if name in known and name in OF_THE_MODEL} | dict(row.options)
    if "clip_sample" in known:
        # Meant for pixels in -1..1, and on by default; latents go beyond.
        options["clip_sample"] = False
    if config.get(ZERO_SNR) and ZERO_SNR not in known and "trained_betas" in known:
        options["trained_betas"] = zero_snr_betas(config)
    if row.seed_option:
        options[row.seed_option] = list(seeds)
    return kind(**options)


def zero_snr_betas(config: Mapping[str, Any]) -> list[float]:
    """Return a config's betas as `rescale_betas_zero_snr` changes them (Lin et al., arXiv 2305.08891), for the classes that know no such
    switch; like diffusers' Euler sampler, which it asks, with a last level that is next to pure noise instead of dividing by nothing.
    """
    kind = diffusers.EulerDiscreteScheduler
    known = inspect.signature(kind.__init__).parameters
    kept = kind(**{name: value for name, value in config.items() if name in known and name in OF_THE_MODEL}).alphas_cumprod.double()
    return (1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])).tolist()


def set_steps(scheduler: Any, row: Row, *, steps: int, device: torch.device) -> list[torch.Tensor]:
    """Prepare a scheduler for so many steps and return its timesteps, one 0-d tensor per model evaluation.

    Raises:
        InvalidRequest: a distilled sampler cannot take so many with this model.
    """
    taken = inspect.signature(scheduler.set_timesteps).parameters
    # DPM2 would take float64 timesteps to the device, and Apple's GPUs have none.
    later = device.type == "mps" and hasattr(scheduler, "sigmas_interpol")
    place = torch.device("cpu") if later else device
    if row.sigmas:
        scheduler.set_timesteps(sigmas=spread_sigmas(row.sigmas, steps), device=place)
    elif row.timesteps:
        scheduler.set_timesteps(timesteps=spread_timesteps(row.timesteps, steps), device=place)
    elif "original_inference_steps" in taken:
        scheduler.set_timesteps(steps, device=place, **_distilled(scheduler.config, row, steps=steps))
    else:
        scheduler.set_timesteps(steps, device=place)
    _cut(scheduler, row.evaluations(steps))
    if hasattr(scheduler, "sigmas_interpol"):
        # diffusers takes the levels back to the CPU, where sums with them wait for no device, but forgets those in between.
        scheduler.sigmas_interpol = scheduler.sigmas_interpol.cpu()
    if later:
        scheduler.timesteps = scheduler.timesteps.to(device, torch.float32)
    if hasattr(scheduler, "set_begin_index"):
        # Without it the first step is looked up by its timestep, and lands one too far when that one occurs twice.
        scheduler.set_begin_index(0)
    return list(scheduler.timesteps)


def _distilled(config: Any, row: Row, *, steps: int) -> dict[str, int]:
    """Return what lets a distilled sampler take so many steps.

    It picks them from those the checkpoint was distilled with, and raises when there are not as many; then it picks from a finer grid.
    """
    own, trained = config.original_inference_steps, config.num_train_timesteps
    if steps > trained:
        raise InvalidRequest(f"steps: {row.name} takes at most {trained} with this model; ask for fewer, or choose another scheduler.")
    if isinstance(own, int) and steps <= own <= trained:
        return {}
    return {"original_inference_steps": trained // (trained // steps)}


def _cut(scheduler: Any, count: int) -> None:
    """Drop what is beyond `count` evaluations: diffusers' trailing spacing counts down by a fraction, and for some numbers of steps, such
    as 61, rounding lets one more in, at timestep -1, which DDIM takes for pure noise.
    """
    if len(scheduler.timesteps) <= count:
        return
    scheduler.timesteps = scheduler.timesteps[:count]
    if hasattr(scheduler, "sigmas"):
        scheduler.sigmas = torch.cat([scheduler.sigmas[:count], scheduler.sigmas[-1:]])
    if hasattr(scheduler, "sigmas_interpol"):
        # Where the last step of these classes leads to, too.
        between = scheduler.sigmas_interpol
        scheduler.sigmas_interpol = torch.cat([between[: count - 1], between.new_zeros(2)])
    scheduler.num_inference_steps = len(scheduler.timesteps)


def spread_sigmas(levels: Sequence[float], steps: int) -> list[float]:
    """Interpolate noise levels (the last one 0) to `steps` steps, evenly in their logarithm; returns steps + 1 values."""
    logs = [math.log(level) for level in levels[:-1]]
    return [math.exp(value) for value in _spread(logs, steps)] + [0.0]


def spread_timesteps(timesteps: Sequence[int], steps: int) -> list[int]:
    """Interpolate training timesteps to `steps` of them."""
    return [round(value) for value in _spread([float(t) for t in timesteps], steps)]


def step_arguments(scheduler: Any, row: Row, generators: list[torch.Generator]) -> dict[str, Any]:
    """Return the keywords of every `step` call: the row's, and one generator per picture where the class takes them."""
    taken = inspect.signature(scheduler.step).parameters
    arguments = {**row.step_options, "return_dict": False}
    return {**arguments, "generator": generators} if "generator" in taken else arguments


def seed_noise(scheduler: Any, row: Row, *, latents: torch.Tensor, seeds: Sequence[int]) -> None:
    """Give a scheduler that draws its own noise one that comes from the CPU, so that a seed means the same on every device."""
    if not row.seed_option or latents.device.type == "cpu":
        return
    levels = scheduler.sigmas[scheduler.sigmas > 0]
    scheduler.noise_sampler = _CpuNoise(latents, float(levels.min()), float(levels.max()), seeds=seeds)


def copy_scheduler(scheduler: Any, row: Row, *, latents: torch.Tensor, seeds: Sequence[int]) -> Any:
    """Return an independent scheduler in the same state, which goes on with the same noise."""
    twin = copy.copy(scheduler)
    if row.seed_option:
        # A Brownian tree cannot be copied; made again from its seeds it gives the same values at the same levels.
        twin.noise_sampler = None
    twin = copy.deepcopy(twin)
    seed_noise(twin, row, latents=latents, seeds=seeds)
    return twin


class _CpuNoise:
    """Stands in for the Brownian tree that `DPMSolverSDEScheduler` would make on the device."""

    def __init__(self, like: torch.Tensor, low: float, high: float, *, seeds: Sequence[int]) -> None:
        # Its module imports torchsde, without which all rows but those that name it work.
        from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler  # noqa: PLC0415

        self._device = like.device
        self._tree = BrownianTreeNoiseSampler(like.cpu(), low, high, list(seeds))

    def __call__(self, level: torch.Tensor, next_level: torch.Tensor) -> torch.Tensor:
        noise: torch.Tensor = self._tree(level.cpu(), next_level.cpu())
        return noise.to(self._device)


def _spread(values: Sequence[float], count: int) -> list[float]:
    last = len(values) - 1
    places = [last * i / max(1, count - 1) for i in range(count)]
    return [_at(values, place) for place in places]


def _at(values: Sequence[float], place: float) -> float:
    below = min(int(place), len(values) - 2)
    return values[below] + (place - below) * (values[below + 1] - values[below])
