"""What the measurements run on: a studio around a model folder, and a full-size model with random weights."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from studio import heap
from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.fake import fake_parts
from studio.engine.tokens import FolderTokens
from studio.inventory import Inventory, ModelCard
from studio.ports import Engine
from studio.request import GenerationRequest
from studio.service import Studio
from studio.settings import EMBEDDED_MODELS, Settings
from studio.storage.inventory import describe
from tests.tiny import make_tiny_model

SIDE = 256
"""Width and height in pixels where a measurement does not leave it to the model."""


@dataclass(frozen=True)
class OneModel:
    """An inventory of one model."""

    card: ModelCard

    def read(self) -> Inventory:
        return Inventory((self.card,))


def arguments(description: str, **extra: Any) -> argparse.Namespace:
    """Read the command line: --model, --pairs, --steps, and what `extra` adds as name to default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, default=EMBEDDED_MODELS[0][1], help="model folder")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    for name, default in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


def open_on(folder: Path, *, wrap: Callable[[Engine], Engine] = lambda engine: engine, **settings: Any) -> Studio:
    """Open a studio on one model folder; `settings` are fields of `Settings`."""
    heap.keep_freed()
    card = describe(folder.name, folder)
    chosen = Settings(**settings)
    return Studio(lambda: wrap(DiffusersEngine(chosen)), replace(fake_parts(), inventory=OneModel(card), tokens=FolderTokens())).open()


def request(number: int, **fields: Any) -> GenerationRequest:
    """Return a request whose prompt and seed are new for every number, so that no cache helps."""
    prompt = f"a large red sphere on grass, number {number}"
    return GenerationRequest(**{"prompt": prompt, "seed": number % 1000, "scheduler": "Euler", "guidance_scale": 5.0, **fields})


def make_full_size(folder: Path) -> Path:
    """Write a model of Stable Diffusion 1.5's sizes (1.07 billion parameters) with random weights in bfloat16, once; 2.1 GB."""
    if (folder / "model_index.json").is_file():
        return folder
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    make_tiny_model(folder)
    index = (folder / "model_index.json").read_text()
    (folder / "model_index.json").unlink()
    torch.manual_seed(0)
    words = len(json.loads((folder / "tokenizer" / "vocab.json").read_text()))
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=words - 1,
    )
    CLIPTextModel(text).bfloat16().save_pretrained(folder / "text_encoder")
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    unet.bfloat16().save_pretrained(folder / "unet")
    blocks = 4
    vae = AutoencoderKL(
        sample_size=512,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        latent_channels=4,
    )
    vae.bfloat16().save_pretrained(folder / "vae")
    # Last, so that a folder half written is written again.
    (folder / "model_index.json").write_text(index)
    return folder
