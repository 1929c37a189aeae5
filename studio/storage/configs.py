"""Reads the small JSON files of model folders; what is wrong with one becomes a sentence."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.errors import BrokenModel
from studio.inventory import UnetShape

# What reading a field raises: it is not there, of another kind, no number, or endless, as JSON's 1e999 is.
MISREAD = (KeyError, TypeError, ValueError, OverflowError)


def misread(name: str, shown: str, error: Exception) -> BrokenModel:
    """Say of what is called `name` that a field of the config `shown` cannot be used; `error` is one of `MISREAD`."""
    problem = f"lacks {error}" if isinstance(error, KeyError) else "has a value of the wrong kind"
    return BrokenModel(f"{name} cannot be used: its {shown} {problem}; copy the model folder again.")


def read_config(name: str, path: Path, *, shown: str) -> dict[str, Any]:
    """Read a config file that is one JSON object.

    Args:
        name: what the folder is called.
        path: the file.
        shown: what the file is called in the sentence.

    Raises:
        BrokenModel: it is missing or damaged.
        OSError: it cannot be read, which may pass.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise BrokenModel(f"{name} cannot be used: {shown} is missing; copy the model folder again.") from None
    except (ValueError, RecursionError) as error:
        raise BrokenModel(f"{name} cannot be used: {shown} is damaged; copy the model folder again.") from error
    if not isinstance(data, dict):
        raise BrokenModel(f"{name} cannot be used: {shown} is damaged; copy the model folder again.")
    return data


def unet_shape(config: Mapping[str, Any], *, pixels: int) -> UnetShape:
    """Read the shape out of the config of a `UNet2DConditionModel` or a `ControlNetModel`; `pixels` is a side of a latent.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: a field is missing, of another kind, or endless; see `MISREAD`.
    """
    widths = tuple(map(int, config["block_out_channels"]))
    layers = config.get("layers_per_block", 2)
    return UnetShape(
        latent_channels=int(config["in_channels"]),
        widths=widths,
        context_width=int(config["cross_attention_dim"]),
        layers=tuple(map(int, layers)) if isinstance(layers, list) else (int(layers),) * len(widths),
        pixels=pixels,
    )
