"""The picture a model expects, from one prediction: x0 = keep * sample + take * prediction.

Kerras et al. 2022 (arXiv 2206.00364) for the noise levels, Salimans and Ho 2022 (arXiv 2202.00512) for v-prediction.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Blend:
    """Factors of the sample and of the prediction in x0."""

    keep: float
    take: float


def blend(scheduler: Any, timestep: torch.Tensor, training_step: float) -> Blend:
    """Return the factors for the sample that `scheduler` is about to step from, before its `step` is called.

    Args:
        scheduler: of any class in the table, its steps set.
        timestep: what `step` gets.
        training_step: the same as a number; read beforehand, so that no device is waited for.
    """
    signal, noise, scale = _levels(scheduler, timestep, training_step)
    match scheduler.config.prediction_type:
        case "epsilon":
            return Blend(1 / (signal * scale), -noise / signal)
        case "v_prediction":
            return Blend(signal / scale, -noise)
        case _:
            return Blend(0.0, 1.0)


def _levels(scheduler: Any, timestep: torch.Tensor, training_step: float) -> tuple[float, float, float]:
    """Return (signal, noise, scale): sample / scale = signal * x0 + noise * e, with signal^2 + noise^2 = 1."""
    if not hasattr(scheduler, "sigmas"):
        kept = float(scheduler.alphas_cumprod[round(training_step)])
        return _unit(math.sqrt(kept), math.sqrt(1 - kept), 1.0)
    if float(scheduler.init_noise_sigma) > 1:
        # Samples of these classes are x0 + sigma * e. What a scheduler shrinks its input by tells sigma,
        # also between the levels, where second-order classes evaluate the model.
        signal = float(scheduler.scale_model_input(torch.ones(1), timestep))
        signal = min(signal, 1.0)
        return _unit(signal, math.sqrt(1 - signal**2), 1 / signal)
    index = scheduler.step_index
    sigma = float(scheduler.sigmas[0 if index is None else index])
    signal = 1 / math.sqrt(sigma**2 + 1)
    return _unit(signal, sigma * signal, 1.0)


def _unit(signal: float, noise: float, scale: float) -> tuple[float, float, float]:
    # At zero terminal signal-to-noise the sample says nothing about x0; epsilon models are not trained there.
    return max(signal, 1e-3), noise, scale
