"""Writes `base/`, a stock StableDiffusionPipeline folder, `controlnets/` and `loras/`, all in fp16; a part is replaced by a rename,
so readers never see half a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

BASE = Path(__file__).parent / "base"
CONTROLNETS = Path(__file__).parent / "controlnets"
LORAS = Path(__file__).parent / "loras"
KOHYA = ("ink", "neon")
ALPHA = 4.0
PREVIEW = 128
# How much more a ControlNet adds than it learned to: a sampler's 20 steps follow a map better so than by the training's least squares.
OBEDIENCE = {"sketch": 1.5, "depth": 1.0, "pose": 1.25}
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


def export_trained(run: Path, members: list[str], base: Path = BASE, *, keep: float = 0.0) -> None:
    """Export what the stages left in a run folder; of the U-Net the newest averaged weights, so it may still be training.

    `keep`, 0 .. 1, is the share of the weights in `base` that stays in the U-Net's: what was learned on from them and they themselves have
    noise of their own, and the mean of the two has less (Wortsman et al., "Model soups", 2022, arXiv 2203.05482).
    """
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
                if keep:
                    blend(unet, base / member, keep)
                export(member, unet, base)
            case "preview_decoder":
                export(member, AutoencoderTiny.from_pretrained(run / member), base)
            case "scheduler":
                export(member, new_scheduler(), base)
            case _:
                export_added(run, member)
    write_index(base)


def blend(module: nn.Module, folder: Path, keep: float) -> None:
    """Mix a share of a folder's weights into a module; what the folder lacks stays as it is."""
    kept = load_file(folder / "diffusion_pytorch_model.safetensors")
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.lerp_(kept.get(name, value).to(value.dtype), keep)


def export_added(run: Path, members: str) -> None:
    """Export every ControlNet (`controlnets`) or LoRA (`loras`) that the run folder holds."""
    for path in sorted(run.glob("control-*-average.pt" if members == "controlnets" else "lora-*-average.pt")):
        (export_control if members == "controlnets" else export_lora)(run, path.stem.split("-")[1])


def export_control(run: Path, kind: str, place: Path = CONTROLNETS) -> None:
    """Write `<place>/<kind>`, a ControlNetModel folder, from the newest averaged weights."""
    from .models import new_controlnet, new_unet

    control = new_controlnet(new_unet())
    control.load_state_dict(torch.load(run / f"control-{kind}-average.pt", weights_only=True))
    scale_exits(control, OBEDIENCE[kind])
    export(kind, control, place)


def scale_exits(control: Any, factor: float) -> None:
    """Make what a ControlNet adds to the U-Net `factor` times as large."""
    with torch.no_grad():
        for layer in (*control.controlnet_down_blocks, control.controlnet_mid_block):
            layer.weight.mul_(factor)
            layer.bias.mul_(factor)


def export_lora(run: Path, name: str, place: Path = LORAS) -> None:
    """Write `<place>/<name>.safetensors` from the newest averaged weights, in kohya's keys for some styles and in
    diffusers' for the others, and a small picture beside it."""
    from .train.adapters import kohya_keys, peft_keys

    state = torch.load(run / f"lora-{name}-average.pt", weights_only=True)
    write_lora(place / f"{name}.safetensors", kohya_keys(state, ALPHA) if name in KOHYA else peft_keys(state), lora_facts(name))
    draw_preview(name, place)


def write_lora(path: Path, state: dict[str, torch.Tensor], facts: dict[str, str]) -> None:
    """Write tensors and the header's facts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    save_file(state, fresh, facts)
    fresh.chmod(0o644)
    fresh.replace(path)


def lora_facts(name: str) -> dict[str, str]:
    """What the header of a style's file says, in the fields that other programs read."""
    from .train.adapters import RANK
    from .train.lora import EXAMPLES
    from .world.styles import STYLES

    trigger = STYLES[name].trigger
    facts = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "mini/lora",
        "modelspec.title": f"Mini {name}",
        "modelspec.trigger_phrase": trigger,
        "modelspec.resolution": "256x256",
        "modelspec.prediction_type": "v",
        "modelspec.license": "Apache-2.0",
        "ss_base_model_version": "Mini",
        "ss_output_name": name,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(RANK),
        "ss_network_alpha": str(ALPHA if name in KOHYA else float(RANK)),
        "ss_tag_frequency": json.dumps({f"1_{name}": {trigger: EXAMPLES}}),
    }
    if name not in KOHYA:
        facts["base_model"] = "Mini"
    return facts


def draw_preview(name: str, place: Path = LORAS) -> None:
    """Draw a cube with the exported LoRA, through the stock pipeline, into `<place>/<name>.png`, 128 x 128."""
    from PIL import Image

    from .evaluate.sampling import Settings, draw, load_pipeline
    from .world.styles import STYLES

    pipeline = load_pipeline()
    pipeline.load_lora_weights(place, weight_name=f"{name}.safetensors", adapter_name=name)
    drawn = draw(pipeline, [f"{STYLES[name].trigger}, a red cube on grass during the day"], [5], Settings())
    Image.fromarray(drawn[0]).resize((PREVIEW, PREVIEW), Image.Resampling.LANCZOS).save(place / f"{name}.png", optimize=True)
