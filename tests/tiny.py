"""A Stable Diffusion folder with random weights, small enough to make in a second and run in milliseconds."""

import json
from pathlib import Path
from typing import Any

SIDE = 64
"""Native width and height in pixels; latents are 8 x 8."""


def make_tiny_model(folder: Path, *, prediction_type: str = "epsilon", **unet_options: Any) -> Path:
    """Write a model folder and return it. The same arguments write the same weights.

    Args:
        folder: where to; made when missing.
        prediction_type: `epsilon` or `v_prediction`, as the scheduler's config says it.
        unet_options: keywords over the U-Net's config.
    """
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    folder.mkdir(parents=True, exist_ok=True)
    words = _write_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text = CLIPTextConfig(
            vocab_size=words,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            bos_token_id=words - 2,
            eos_token_id=words - 1,
            pad_token_id=words - 1,
        )
        CLIPTextModel(text).eval().save_pretrained(folder / "text_encoder")
        UNet2DConditionModel(**{**_UNET, **unet_options}).save_pretrained(folder / "unet")
        AutoencoderKL(**_VAE).save_pretrained(folder / "vae")
    _write(folder / "scheduler" / "scheduler_config.json", {**_SCHEDULER, "prediction_type": prediction_type})
    _write(folder / "model_index.json", _INDEX)
    return folder


def make_tiny_controlnet(folder: Path, *, seed: int = 1, **options: Any) -> Path:
    """Write a ControlNet folder for the tiny model and return it; random weights throughout, so that it acts.

    Args:
        folder: where to; made when missing. Its name tells the kind of map.
        seed: the weights follow from it.
        options: keywords over the ControlNet's config.
    """
    import torch
    from diffusers import ControlNetModel

    shared = ("block_out_channels", "layers_per_block", "down_block_types", "cross_attention_dim", "attention_head_dim", "norm_num_groups")
    config = {**{key: _UNET[key] for key in shared}, "conditioning_embedding_out_channels": (8, 8, 16, 16)}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _randomised(ControlNetModel(**{**config, **options})).save_pretrained(folder)
    return folder


def make_tiny_adapter(folder: Path, *, seed: int = 1, **options: Any) -> Path:
    """Write a T2I-Adapter folder for the tiny model with attention on its first level, and return it."""
    import torch
    from diffusers import T2IAdapter

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = {"channels": _UNET["block_out_channels"], "num_res_blocks": 1, **options}
        _randomised(T2IAdapter(**config)).save_pretrained(folder)
    return folder


def _randomised(module: Any) -> Any:
    """Give every layer that starts at zero weights that act."""
    import torch

    with torch.no_grad():
        for weight in module.parameters():
            if not weight.any():
                weight.normal_(std=0.2)
    return module


_UNET: dict[str, Any] = {
    "sample_size": SIDE // 8,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
_VAE: dict[str, Any] = {
    "sample_size": SIDE,
    "block_out_channels": (8, 8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "norm_num_groups": 4,
}
_SCHEDULER: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
_INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_MERGES = (("r", "e"), ("re", "d</w>"), ("t", "h"), ("th", "e</w>"), ("a", "n"))


def _write_tokenizer(folder: Path) -> int:
    """Write CLIP's tokenizer files with every byte and a few merges; return the size of the vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in _MERGES)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {word: i for i, word in enumerate(words)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in _MERGES), encoding="utf-8")
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    _write(folder / "special_tokens_map.json", marks)
    _write(folder / "tokenizer_config.json", {**marks, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    return len(words)


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")
