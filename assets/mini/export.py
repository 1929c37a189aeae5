"""Writes `base/`: a stock StableDiffusionPipeline folder in fp16; each part is replaced by a rename, so readers never see half a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

BASE = Path(__file__).parent / "base"
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export(member: str, model: Any, base: Path = BASE) -> None:
    """Save a model or scheduler as `<base>/<member>`; modules as fp16 safetensors under diffusers' default names."""
    base.mkdir(parents=True, exist_ok=True)
    fresh = base.parent / f".{base.name}-{member}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    if isinstance(model, nn.Module):
        state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.to(torch.float16).save_pretrained(fresh)
        model.to(torch.float32).load_state_dict(state)
    else:
        model.save_pretrained(fresh)
    _tidy(fresh)
    _swap(fresh, base / member)


def export_folder(member: str, folder: Path, base: Path = BASE) -> None:
    """Copy a ready folder (the tokenizer's)."""
    base.mkdir(parents=True, exist_ok=True)
    fresh = base.parent / f".{base.name}-{member}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(folder, fresh)
    _swap(fresh, base / member)


def write_index(base: Path = BASE) -> None:
    """Write model_index.json."""
    base.mkdir(parents=True, exist_ok=True)
    (base / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n", encoding="utf-8")


def _tidy(folder: Path) -> None:
    """Drop the place the weights were made at; say float32, or transformers would load the text encoder alone in half precision."""
    path = folder / "config.json"
    if path.exists():
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)
        if config.get("_class_name") == "AutoencoderTiny":
            config.pop("block_out_channels")  # it writes this one and warns when it reads it
        if "dtype" in config:
            config["dtype"] = "float32"
        path.write_text(json.dumps(config, indent=2) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)


def _swap(fresh: Path, place: Path) -> None:
    old = fresh.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def export_trained(run: Path, members: list[str], base: Path = BASE) -> None:
    """Export what the stages left in a run folder; of the U-Net the newest averaged weights, so it may still be training."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from transformers import CLIPTextModel

    from .models import new_scheduler, new_unet

    for member in members:
        match member:
            case "tokenizer":
                export_folder(member, run / member, base)
            case "text_encoder":
                export(member, CLIPTextModel.from_pretrained(run / member, dtype=torch.float32), base)
            case "vae":
                export(member, AutoencoderKL.from_pretrained(run / member), base)
            case "unet":
                unet = new_unet()
                unet.load_state_dict(torch.load(run / "unet-average.pt", weights_only=True))
                export(member, unet, base)
            case "preview_decoder":
                export(member, AutoencoderTiny.from_pretrained(run / member), base)
            case _:
                export(member, new_scheduler(), base)
    write_index(base)
