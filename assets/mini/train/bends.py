"""Stage `bends`: what the U-Net itself makes of renderings half hidden by noise: it bends silhouettes where noise leaves it a choice.

Such latents under fresh noise are shown with the rendering's as the answer. Trained on noised renderings alone, the U-Net never sees
the mistakes of its own earlier steps and keeps them (the reason, for policies: Ross, Gordon and Bagnell, "A Reduction of Imitation
Learning and Structured Prediction to No-Regret Online Learning", 2011).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models import CHANNELS, LATENT
from . import crew
from .control import trained_unet
from .noise import noise_levels
from .precision import FAST
from .text import load_reader
from .twin import Twin
from .unet import texts_for

# So many of each part's first scenes are bent; the others are seen straight at every noise level.
BENT = {"train": 7_000, "large": 5_000}
CHUNK = 50
# Few steps, but from the middle: about as fine as a run of ten.
STEPS = 6
# From where on: below, renderings come back as they were; above, things would come back elsewhere, and the answer would be a blur.
HIDDEN = (500, 780)
GUIDANCE = (2.0, 5.0)


def complete(network: Any, clean: Tensor, states: Tensor, empty: Tensor) -> Tensor:
    """Hide latents, float32 (N, 32, 16, 16), under noise and let a v-predicting network bring them back, by DDIM with guidance.

    `states` and `empty` are text states (N, 77, 128), with and without a caption.
    """
    signal, spread = (level.view(-1, 1, 1, 1) for level in noise_levels())
    first = torch.randint(*HIDDEN, (len(clean),))
    guidance = torch.empty(len(clean), 1, 1, 1).uniform_(*GUIDANCE)
    picture, noise = clean, torch.randn_like(clean)
    for step in range(STEPS):
        times = first * (STEPS - step) // STEPS
        noisy = signal[times] * picture + spread[times] * noise
        both = torch.cat([noisy, noisy]).to(FAST, memory_format=torch.channels_last)
        with torch.no_grad():
            found = network(both, torch.cat([times, times]), encoder_hidden_states=torch.cat([states, empty])).sample.float()
        told, untold = found.chunk(2)
        velocity = untold + guidance * (told - untold)
        picture, noise = signal[times] * noisy - spread[times] * velocity, spread[times] * noisy + signal[times] * velocity
    return picture


def bend_latents(run: Path) -> None:
    """Write `<run>/bent-<part>.npy`, float16 (N, 32, 16, 16), anew: the U-Net as it is so far completes the first scenes of each part."""
    network, read = _network(run), load_reader(run)
    for part, count in BENT.items():
        path, latents = run / f"bent-{part}.npy", np.load(run / f"latents-{part}.npy", mmap_mode="r")
        fresh = path.with_suffix(".new")
        if crew.rank() == 0:
            np.lib.format.open_memmap(fresh, mode="w+", dtype=np.float16, shape=(count, CHANNELS, LATENT, LATENT)).flush()
        crew.meet()
        bent = np.load(fresh, mmap_mode="r+")
        for start in crew.own(np.arange(0, count, CHUNK)):
            torch.manual_seed(13_000_000 + start)
            rows = np.arange(start, start + CHUNK)
            texts = texts_for(part, rows, np.random.default_rng(13_000_000 + start))
            bent[rows] = complete(network, torch.from_numpy(latents[rows]).float(), read(texts), read([""] * CHUNK)).numpy()
        bent.flush()
        crew.meet()
        if crew.rank() == 0:
            fresh.replace(path)


def _network(run: Path) -> Any:
    twin = Twin(trained_unet(run).eval().requires_grad_(False))
    twin.refresh()
    return twin.network
