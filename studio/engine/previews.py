"""Preview methods: what turns a step's x0 estimate into a small picture.

To add one, write a class with `begin` and `learn` and a line in `PREVIEWERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from studio.engine.estimate import Blend
from studio.engine.linear_map import FIRST_FIT_WEIGHT, Floats, LinearMap, practice_pictures
from studio.ports import Draw
from studio.settings import PreviewName

# Latent positions the first fit sees; SD's encoder takes about a second a thousand on two CPU cores.
FIT_POSITIONS = 2048
FIT_SIDE = 256
# Finished pictures that a map learns from; those after them would not change it so that it shows.
LEARNED_FROM = 24


@dataclass(frozen=True)
class Latest:
    """What the newest step saw: enough to draw the picture it expects.

    Attributes:
        sample, prediction: (pictures, channels, h, w), float32 on the model's device; never written to.
        blend: how the two make x0.
    """

    sample: torch.Tensor
    prediction: torch.Tensor
    blend: Blend

    def estimate(self) -> torch.Tensor:
        """Return x0."""
        return torch.add(self.sample * self.blend.keep, self.prediction, alpha=self.blend.take)


class Previewer(Protocol):
    """Draws steps small."""

    def begin(self, latest: Latest) -> Draw:
        """Do what is cheap on the engine's thread, and return what draws one RGB picture per row on another, if somebody looks."""
        ...

    def learn(self, latents: torch.Tensor, pictures: Floats) -> None:
        """Improve from finished pictures, RGB 0 .. 1, (n, height, width, 3). Called on the engine's thread."""
        ...


class LinearPreviewer:
    """Draws with a linear map, `patch` pixels per latent position, as one more small layer of every step."""

    def __init__(self, fitted: LinearMap) -> None:
        self._map = fitted
        self._learned = 0

    @torch.inference_mode()
    def begin(self, latest: Latest) -> Draw:
        """Draw on the device; what is left is to bring the pixels to the CPU."""
        fetch = fetched(self._map.draw(latest.estimate()))
        return lambda: [Image.fromarray(picture) for picture in fetch().numpy()]

    def learn(self, latents: torch.Tensor, pictures: Floats) -> None:
        """Refit the map, until it has seen enough."""
        if self._learned < LEARNED_FROM:
            self._map.learn(latents, pictures)
            self._learned += len(pictures)


class DecoderPreviewer:
    """Draws with a tiny decoder (`AutoencoderTiny`), in full size and sharper; a few per cent of a step."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    @torch.inference_mode()
    def begin(self, latest: Latest) -> Draw:
        """Make the estimate; the decoder is worth running for a viewer only."""
        fetch = fetched(latest.estimate())
        return lambda: self._draw(fetch())

    @torch.inference_mode()
    def _draw(self, latents: torch.Tensor) -> list[Image.Image]:
        # An AutoencoderTiny takes latents as the denoising loop has them; its own factor is 1 as a rule.
        rows = latents / self._decoder.config.scaling_factor
        decoded = self._decoder.decode(rows.to(self._decoder.device, self._decoder.dtype)).sample
        values = decoded.float().cpu().permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(np.clip(picture * 127.5 + 128, 0, 255).astype(np.uint8)) for picture in values]

    def learn(self, latents: torch.Tensor, pictures: Floats) -> None:
        """Nothing to learn; the decoder was trained."""


def fit_linear(vae: Any) -> LinearPreviewer:
    """Fit a linear map to a VAE by encoding painted pictures."""
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    fitted = LinearMap(int(vae.config.latent_channels), max(1, scale // 4))
    side = FIT_SIDE // scale
    pictures = practice_pictures(max(1, FIT_POSITIONS // side**2), FIT_SIDE)
    latents = torch.cat([_encode(vae, picture) for picture in pictures])
    fitted.learn(latents, pictures, weight=FIRST_FIT_WEIGHT / len(pictures))
    return LinearPreviewer(fitted)


@torch.inference_mode()
def _encode(vae: Any, picture: Floats) -> torch.Tensor:
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1
    latents: torch.Tensor = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode() * vae.config.scaling_factor
    return latents


def _linear(vae: Any, decoder: Any | None) -> Previewer | None:
    return fit_linear(vae)


def _decoder(vae: Any, decoder: Any | None) -> Previewer | None:
    return DecoderPreviewer(decoder) if decoder is not None else fit_linear(vae)


def _none(vae: Any, decoder: Any | None) -> Previewer | None:
    return None


PREVIEWERS: dict[PreviewName, Callable[[Any, Any | None], Previewer | None]] = {
    "linear": _linear,
    "decoder": _decoder,
    "none": _none,
}
"""By the setting's value: makes a previewer from the VAE and the tiny decoder, if the model folder has one."""


def fetched(made: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return a function that brings a tensor to the CPU from another thread, where it may still be in the making.

    On CUDA the copy runs on a stream of its own, so that it does not wait for the steps queued since, nor they for it.
    """
    if made.device.type != "cuda":
        return made.cpu
    ready = torch.cuda.Event()
    ready.record()
    return lambda: _fetched_aside(made, ready)


def _fetched_aside(made: torch.Tensor, ready: torch.cuda.Event) -> torch.Tensor:
    aside = torch.cuda.Stream(made.device)
    with torch.inference_mode(), torch.cuda.stream(aside):
        aside.wait_event(ready)
        pinned = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
        pinned.copy_(made, non_blocking=True)
        # Its memory must not be given to a later step before the copy is over.
        made.record_stream(aside)
        done = torch.cuda.Event()
        done.record(aside)
    done.synchronize()
    return pinned
