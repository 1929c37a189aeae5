"""Bent renderings: what stands in them is pushed about softly, as the U-Net itself bends silhouettes where noise leaves it a choice.

A bent rendering under noise is shown with the straight one as the answer. Where many bends are possible the best answer is the shape
between them, so round things are pulled round and edges straight, at noise levels at which the U-Net would else keep what it finds.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..models import CHANNELS, LATENT, PIXELS
from .encoding import Encoder
from .scenes import identities, pictures

# So many of the first training scenes are bent, half of all: the others are seen straight at every noise level.
BENT = 11_000
CHUNK = 20

# Knots of the soft field along each side, and the deviation of their pushes in pixels.
KNOTS = 6
PUSH = 7.0
# How far beyond a thing, in pixels, its surroundings go along.
REACH = 24


def bend(picture: NDArray[np.uint8], ids: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture (256, 256, 3) whose things, ids 2 and up in (256, 256), are bent; horizon and ground stay where they are."""
    knots = rng.normal(scale=PUSH * rng.uniform(0.3, 1.0), size=(KNOTS, KNOTS, 2)).astype(np.float32)
    field = cv2.resize(knots, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC)
    near = cv2.dilate((ids >= 2).astype(np.float32), np.ones((REACH, REACH)))
    field *= cv2.GaussianBlur(near, (0, 0), REACH / 3)[..., None]
    rows, columns = np.mgrid[:PIXELS, :PIXELS].astype(np.float32)
    bent = cv2.remap(picture, columns + field[..., 0], rows + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return bent.astype(np.uint8, copy=False)


def encode_bent(run: Path) -> None:
    """Write `<run>/latents-bent.npy`, float16 (BENT, 32, 16, 16), of the first training pictures, each bent in its own way."""
    path = run / "latents-bent.npy"
    if path.exists():
        return
    encode, drawn, ids = Encoder(run / "vae"), pictures(run, "train"), identities(run, "train")
    latents = np.empty((BENT, CHANNELS, LATENT, LATENT), np.float16)
    for start in range(0, BENT, CHUNK):
        rng, rows = np.random.default_rng(13_000_000 + start), range(start, start + CHUNK)
        latents[start : start + CHUNK] = encode(np.stack([bend(np.asarray(drawn[i]), np.asarray(ids[i]), rng) for i in rows]))
    np.save(path, latents)
