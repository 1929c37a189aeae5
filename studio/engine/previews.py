"""Preview methods: what turns a step's x0 estimate into a small picture, off the engine's thread.

To add one, write a class with `draw` and `learn` and a line in `PREVIEWERS`.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from studio.engine.estimate import Blend
from studio.engine.linear_map import FIRST_FIT_WEIGHT, Floats, LinearMap, practice_pictures
from studio.settings import PreviewName

Fetch = Callable[[], Floats]
# Latent positions the first fit sees; SD's encoder takes about a second a thousand on two CPU cores.
FIT_POSITIONS = 2048
FIT_SIDE = 256
# Finished pictures that a map learns from; those after them would not change it so that it shows.
LEARNED_FROM = 24


class Previewer(Protocol):
    """Draws latents small."""

    def draw(self, latents: Floats) -> list[Image.Image]:
        """Return one RGB picture per row of latents (n, channels, h, w). Called on the preview thread."""
        ...

    def learn(self, latents: Floats, pictures: Floats) -> None:
        """Improve from finished pictures, RGB 0 .. 1, (n, height, width, 3). Called on the engine's thread."""
        ...


class LinearPreviewer:
    """Draws with a linear map; about 0.1 ms a picture and no memory on the device."""

    def __init__(self, fitted: LinearMap) -> None:
        self._map = fitted
        self._learned = 0

    def draw(self, latents: Floats) -> list[Image.Image]:
        """Return pictures of `patch` pixels per latent position."""
        return [Image.fromarray(picture) for picture in self._map.draw(latents)]

    def learn(self, latents: Floats, pictures: Floats) -> None:
        """Refit the map, until it has seen enough."""
        if self._learned < LEARNED_FROM:
            self._map.learn(latents, pictures)
            self._learned += len(pictures)


class DecoderPreviewer:
    """Draws with a tiny decoder (`AutoencoderTiny`), in full size and sharper; a few per cent of a step."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def draw(self, latents: Floats) -> list[Image.Image]:
        """Return pictures in the decoder's own size."""
        with torch.inference_mode():
            # An AutoencoderTiny takes latents as the denoising loop has them; its own factor is 1 as a rule.
            rows = torch.from_numpy(latents / self._decoder.config.scaling_factor)
            decoded = self._decoder.decode(rows.to(self._decoder.device, self._decoder.dtype)).sample
            values = decoded.float().cpu().permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(np.clip(picture * 127.5 + 128, 0, 255).astype(np.uint8)) for picture in values]

    def learn(self, latents: Floats, pictures: Floats) -> None:
        """Nothing to learn; the decoder was trained."""


def fit_linear(vae: Any) -> LinearPreviewer:
    """Fit a linear map to a VAE by encoding painted pictures."""
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    fitted = LinearMap(int(vae.config.latent_channels), max(1, scale // 4))
    side = FIT_SIDE // scale
    pictures = practice_pictures(max(1, FIT_POSITIONS // side**2), FIT_SIDE)
    latents = np.concatenate([_encode(vae, picture) for picture in pictures])
    fitted.learn(latents, pictures, weight=FIRST_FIT_WEIGHT / len(pictures))
    return LinearPreviewer(fitted)


@torch.inference_mode()
def _encode(vae: Any, picture: Floats) -> Floats:
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] * 2 - 1
    latents = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode() * vae.config.scaling_factor
    return np.asarray(latents.float().cpu().numpy(), np.float32)


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


def fetch_estimate(sample: torch.Tensor, prediction: torch.Tensor, blend: Blend) -> Fetch:
    """Return a function that brings x0 = keep * sample + take * prediction to the CPU as float32.

    Only notes references here: nothing is calculated and no device is waited for before the function is called, which
    happens on another thread. On CUDA the copy runs on a stream of its own, so that it does not wait for the steps
    queued since, nor they for it.
    """
    if sample.device.type != "cuda":
        return lambda: _mix(sample.cpu().numpy(), prediction.cpu().numpy(), blend)
    ready = torch.cuda.Event()
    ready.record()
    return lambda: _fetch_cuda(sample, prediction, blend=blend, ready=ready)


def _fetch_cuda(sample: torch.Tensor, prediction: torch.Tensor, *, blend: Blend, ready: torch.cuda.Event) -> Floats:
    aside = torch.cuda.Stream(sample.device)
    with torch.inference_mode(), torch.cuda.stream(aside):
        aside.wait_event(ready)
        estimate = sample * blend.keep + prediction * blend.take
        pinned = torch.empty(estimate.shape, pin_memory=True)
        pinned.copy_(estimate, non_blocking=True)
        done = torch.cuda.Event()
        done.record(aside)
    done.synchronize()
    return np.array(pinned.numpy())


def _mix(sample: Floats, prediction: Floats, blend: Blend) -> Floats:
    return np.asarray(sample * np.float32(blend.keep) + prediction * np.float32(blend.take), np.float32)
