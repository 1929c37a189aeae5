"""Latents to pictures with the VAE, one picture at a time, in tiles when they are large."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from studio.engine.devices import is_out_of_memory, release
from studio.engine.linear_map import Floats

TILED_ABOVE = 1024 * 1024
"""Pixels; a larger picture is decoded in overlapping tiles, in bounded memory."""


@torch.inference_mode()
def decode(vae: Any, latents: torch.Tensor) -> Floats:
    """Return RGB pictures in 0 .. 1, (n, height, width, 3), of latents (n, channels, h, w) as the loop has them.

    Runs out of memory only when decoding in tiles does.
    """
    return np.concatenate([_one(vae, row[None]) for row in latents / vae.config.scaling_factor])


def to_image(picture: Floats) -> Image.Image:
    """Round a picture in 0 .. 1, (height, width, 3), to 8-bit RGB, as diffusers does."""
    return Image.fromarray((picture * 255).round().astype(np.uint8))


def _one(vae: Any, latents: torch.Tensor) -> Floats:
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    height, width = latents.shape[2:]
    tiled = height * width * scale**2 > TILED_ABOVE
    try:
        return _forward(vae, latents, tiled=tiled)
    except (MemoryError, RuntimeError) as error:
        if tiled or not is_out_of_memory(error):
            raise
    release(latents.device)
    return _forward(vae, latents, tiled=True)


def _forward(vae: Any, latents: torch.Tensor, *, tiled: bool) -> Floats:
    vae.use_tiling = tiled
    decoded = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
    picture = (decoded.float() / 2 + 0.5).clamp(0, 1)
    return np.asarray(picture.permute(0, 2, 3, 1).cpu().numpy(), np.float32)
