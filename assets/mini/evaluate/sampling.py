"""Pictures from the base, through the stock pipeline: DPM-Solver++ 2M, 20 steps, one CPU generator a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from numpy.typing import NDArray

from ..export import BASE

STEPS = 20
GUIDANCE = 3.0
BATCH = 16


@dataclass(frozen=True)
class Settings:
    """How to sample; `negative` is the same for every picture."""

    guidance: float = GUIDANCE
    steps: int = STEPS
    negative: str = ""
    dtype: torch.dtype = torch.float32


def load_pipeline(dtype: torch.dtype = torch.float32, base: Path = BASE) -> Any:
    """The base as a stock pipeline with its scheduler swapped, quiet."""
    pipeline = cast("Any", StableDiffusionPipeline).from_pretrained(base, torch_dtype=dtype)
    return _ready(pipeline)


def _ready(pipeline: Any) -> Any:
    pipeline.scheduler = cast("Any", DPMSolverMultistepScheduler).from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_control_pipeline(folder: Path, dtype: torch.dtype = torch.float32, base: Path = BASE) -> Any:
    """The base with a ControlNet, through the stock pipeline."""
    control = cast("Any", ControlNetModel).from_pretrained(folder, torch_dtype=dtype)
    pipeline = cast("Any", StableDiffusionControlNetPipeline).from_pretrained(base, controlnet=control, torch_dtype=dtype)
    return _ready(pipeline)


def draw(
    pipeline: Any, prompts: list[str], seeds: list[int], settings: Settings, maps: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Pictures, uint8 (N, 256, 256, 3); `maps` in the same form where the pipeline has a ControlNet."""
    rows: list[NDArray[np.uint8]] = []
    for start in range(0, len(prompts), BATCH):
        part = prompts[start : start + BATCH]
        extra = {} if maps is None else {"image": torch.from_numpy(maps[start : start + BATCH]).permute(0, 3, 1, 2).float() / 255}
        found = pipeline(
            part,
            **extra,
            negative_prompt=[settings.negative] * len(part) if settings.negative else None,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds[start : start + BATCH]],
            output_type="np",
        ).images
        rows.append((np.asarray(found) * 255).round().astype(np.uint8))
    return np.concatenate(rows)
