"""LoRA files with random weights, in the dialects people have, for a model's own modules."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from studio.loras.verdict import Modules

UNET = "down_blocks.{}.attentions.0.transformer_blocks.0.attn{}.to_{}"


def attention_of_sd(width: int, *, channels: int = 320) -> dict[str, tuple[int, int]]:
    """Return (out, in) of some attention modules of a U-Net with text states of `width`, by dotted name."""
    names = {UNET.format(block, 1, part): (channels, channels) for block in range(2) for part in "qkv"}
    return names | {UNET.format(block, 2, part): (channels, width) for block in range(2) for part in "kv"}


def write_lora(path: Path, modules: Mapping[str, tuple[int, ...]], *, dialect: str = "kohya", rank: int = 4, **options: Any) -> Path:
    """Write a LoRA and return its path.

    Args:
        path: where to; folders are made.
        modules: shapes of the weights to change, by dotted name; those of the text encoder start with `encoder.layers`.
        dialect: `kohya`, `peft` or `attn_procs`.
        rank: of every layer.
        options: `alpha` (float, kohya only), `metadata`, `size` of the weights, `seed`, `extra` tensors by key, `dtype`.
    """
    random = np.random.default_rng(options.get("seed", 0))
    size = options.get("size", 0.5)
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    for name, (wide, deep, *kernel) in modules.items():
        tail = [1] * len(kernel)
        down = random.normal(0, size, (rank, deep, *kernel))
        up = random.normal(0, size, (wide, rank, *tail))
        down_key, up_key, alpha_key = keys(name, dialect)
        tensors[down_key] = down.astype(options.get("dtype", "float32"))
        tensors[up_key] = up.astype(options.get("dtype", "float32"))
        if "alpha" in options:
            tensors[alpha_key] = np.array(options["alpha"], "float32")
    tensors |= options.get("extra", {})
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=options.get("metadata"))
    return path


def keys(name: str, dialect: str) -> tuple[str, str, str]:
    """Return the keys of down, up and alpha of one module."""
    text = name.startswith("encoder.layers")
    if dialect == "kohya":
        stem = ("lora_te_text_model_" if text else "lora_unet_") + name.replace(".", "_")
        return f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"
    if dialect == "peft":
        stem = ("text_encoder.text_model." if text else "unet.") + name
        return f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", f"{stem}.alpha"
    module, _, part = name.removesuffix(".to_out.0").rpartition(".") if not name.endswith(".to_out.0") else (name[:-9], "", "to_out")
    stem = f"unet.{module}.processor.{part}_lora"
    return f"{stem}.down.weight", f"{stem}.up.weight", f"{stem}.alpha"


def write_raw(path: Path, header: object, *, data: bytes = b"", length: int | None = None) -> Path:
    """Write a safetensors file with any header, and a length that need not be true."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def modules_of(unet: Mapping[str, tuple[int, ...]], text: Mapping[str, tuple[int, ...]] | None = None) -> Modules:
    """Return modules as a model card holds them, from dotted names."""
    return Modules(
        {name.replace(".", "_"): shape for name, shape in unet.items()}, {k.replace(".", "_"): v for k, v in (text or {}).items()}
    )
