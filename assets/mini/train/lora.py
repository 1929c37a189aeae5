"""Stages `lora-<style>`: low-rank additions learn to draw in a style, from restyled renderings whose captions name its trigger words."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.attention_processor import AttentionProcessor
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from ..export import LORAS
from ..tokens import load_tokenizer
from ..world.captions import Writer
from ..world.styles import STYLES, Style
from .adapters import TEXT_LAYERS, UNET_LAYERS, adapt, take_over
from .control import trained_unet
from .encoding import Encoder
from .loop import Pace, learn
from .noise import blur
from .scenes import identities, pictures, scene_of
from .text import token_ids
from .twin import Twin
from .unet import EMPTY, FULL

BATCH = 32
EXAMPLES = 1_600
WITH_TEXT = ("ink", "neon")  # their triggers are also taught to the text encoder


class Painter(nn.Module):
    """Text encoder and U-Net as one module, so that both may learn."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def set_attn_processor(self, processor: AttentionProcessor) -> None:
        """For the twin, which wants the plain attention."""
        self.unet.set_attn_processor(processor)

    def forward(self, noisy: Tensor, times: Tensor, ids: Tensor) -> Tensor:
        """Velocity (N, 32, 16, 16) of noisy latents under token ids (N, 77)."""
        states = self.text_encoder(ids).last_hidden_state
        return self.unet(noisy, times, states, return_dict=False)[0]


def restyled_latents(run: Path, style: Style, count: int = EXAMPLES) -> Tensor:
    """Latents of the first training pictures in a style, float32 (N, 32, 16, 16); made once and kept in `<run>/latents-<style>.npy`."""
    path = run / f"latents-{style.name}.npy"
    if not path.exists():
        encode, drawn, ids = Encoder(run / "vae"), pictures(run, "train"), identities(run, "train")
        np.save(path, encode(np.stack([style.restyle(np.asarray(drawn[row]), np.asarray(ids[row])) for row in range(count)])))
    return torch.from_numpy(np.load(path)).float()


def styled_text(style: Style, index: int, rng: np.random.Generator) -> str:
    """A training scene's caption with the trigger words before or after it; one in ten is empty, so that the style holds under guidance."""
    if rng.random() < EMPTY:
        return ""
    caption = Writer(rng).caption(scene_of("train", index), FULL).text
    return f"{style.trigger}, {caption}" if rng.random() < 0.5 else f"{caption}, {style.trigger}"


def train_lora(run: Path, name: str, minutes: float) -> dict[str, Tensor]:
    """Train a style; the averaged weights are in `<run>/lora-<name>-average.pt`, base included."""
    torch.manual_seed(12)
    style = STYLES[name]
    clean = restyled_latents(run, style)
    tokenizer = cast("CLIPTokenizer", load_tokenizer(run / "tokenizer"))
    encoder = cast("CLIPTextModel", CLIPTextModel.from_pretrained(run / "text_encoder", dtype=torch.float32)).eval()
    painter = Painter(trained_unet(run), encoder)
    painter.requires_grad_(False)
    adapt(painter.unet, UNET_LAYERS)
    if name in WITH_TEXT:
        adapt(painter.text_encoder, TEXT_LAYERS)
    committed = LORAS / f"{name}.safetensors"
    if committed.exists():
        print(f"{name}: {take_over(painter, load_file(committed))} layers are the committed ones")
    twin = Twin(painter)

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng(10_000_000 + step)
        torch.manual_seed(step)
        rows = rng.integers(len(clean), size=BATCH)
        texts = [styled_text(style, int(row), rng) for row in rows]
        noisy = blur(clean[torch.from_numpy(rows)])
        return noisy.loss(twin.network(noisy.latents, noisy.times, token_ids(tokenizer, texts)))

    return learn(twin, loss_of, Pace(minutes, 2e-3, warm=0.05, average=0.99), run, f"lora-{name}")
