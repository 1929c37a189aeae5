"""The committed base loads offline through stock classes and has the shapes the rest relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline

BASE = Path(__file__).parents[2] / "assets" / "mini" / "base"
LIMIT = 45 * 2**20


@pytest.fixture(scope="module")
def pipeline() -> Any:
    found: Any = StableDiffusionPipeline.from_pretrained(BASE, local_files_only=True)
    found.set_progress_bar_config(disable=True)
    return found


def test_same_seed_same_picture(pipeline: Any) -> None:
    first, second = (
        pipeline("a red sphere on grass", num_inference_steps=2, generator=torch.Generator().manual_seed(1), output_type="np").images
        for _ in range(2)
    )
    assert first.shape == (1, 256, 256, 3)
    assert (first == second).all()


def test_any_text_is_accepted(pipeline: Any) -> None:
    ids = pipeline.tokenizer("😀 Émile 漢字 " * 40, truncation=True, padding="max_length").input_ids
    assert len(ids) == 77
    assert pipeline.tokenizer.model_max_length == 77


def test_latents_are_standardised(pipeline: Any) -> None:
    assert pipeline.vae.config.scaling_factor == 1.0
    assert pipeline.vae_scale_factor == 16
    assert pipeline.unet.config.in_channels == pipeline.vae.config.latent_channels == 32


def test_preview_decoder_reads_the_same_latents() -> None:
    tiny: Any = AutoencoderTiny.from_pretrained(BASE / "preview_decoder", local_files_only=True)
    with torch.no_grad():
        assert tiny.decode(torch.zeros(1, 32, 16, 16)).sample.shape == (1, 3, 64, 64)


def test_no_file_is_large() -> None:
    sizes = [path.stat().st_size for path in BASE.rglob("*") if path.is_file()]
    assert max(sizes) < LIMIT
    assert sum(sizes) < LIMIT
