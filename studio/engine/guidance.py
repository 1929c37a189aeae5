"""Classifier-free guidance: which rows the U-Net gets, and how its two answers become one."""

import torch


def both(negative: torch.Tensor, positive: torch.Tensor, *, pictures: int, guided: bool) -> torch.Tensor:
    """Stack embeddings for a batch: (2 x pictures, window, width) when guided, negative rows first, else (pictures, ...)."""
    rows = positive.expand(pictures, -1, -1)
    return torch.cat([negative.expand(pictures, -1, -1), rows]) if guided else rows


def combine(prediction: torch.Tensor, scale: float) -> torch.Tensor:
    """Return negative + scale x (positive - negative) from a (2 x pictures, ...) prediction.

    Ho and Salimans 2022, arXiv 2207.12598.
    """
    negative, positive = prediction.chunk(2)
    return negative + scale * (positive - negative)


def scale_embedding(scale: float, width: int) -> torch.Tensor:
    """Embed a guidance scale as models distilled with it expect, (1, width), float32.

    These models (a U-Net with `time_cond_proj_dim`) take the scale as an input instead of a second row.
    Sinusoids of 1000 x (scale - 1), as in `StableDiffusionPipeline.get_guidance_scale_embedding`.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = (torch.tensor([scale - 1.0]) * 1000.0)[:, None] * frequencies[None, :]
    embedded = torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.nn.functional.pad(embedded, (0, width % 2))
