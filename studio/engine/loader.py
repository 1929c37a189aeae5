"""Reads a checked model folder into modules: safetensors only, nothing from the internet, no code from the folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from studio.engine.adapters import Adapters
from studio.engine.checks import Folder, Weights, inspect, inspect_weights
from studio.engine.devices import Placement, is_out_of_memory, memory_explained, place
from studio.engine.previews import PREVIEWERS, Previewer
from studio.engine.sampling import make_scheduler, set_steps
from studio.engine.text import TextEncoder
from studio.errors import BrokenModel
from studio.inventory import ModelCard
from studio.ports import Progress
from studio.reading import READING
from studio.schedulers import TABLE
from studio.settings import PrecisionName, PreviewName

PREVIEW_DECODER = "preview_decoder"
HALF = {"F16": torch.float16, "BF16": torch.bfloat16}
"""As headers of safetensors files name them."""


@dataclass(frozen=True)
class Model:
    """A model ready to run. Runs share it and change nothing of it.

    Attributes:
        card: what was loaded.
        placement: where, and in which number format.
        text: prompt encoder.
        unet, vae: diffusers modules.
        scheduler_config: the checkpoint's pristine config.
        previewer: draws steps; None where previews are off.
        adapters: its LoRAs; they hang on the modules while a run that wants them is stepped.
    """

    card: ModelCard
    placement: Placement
    text: TextEncoder
    unet: Any
    vae: Any
    scheduler_config: dict[str, Any]
    previewer: Previewer | None
    adapters: Adapters


@dataclass(frozen=True)
class LoadOptions:
    """How to load: the device and what the settings say."""

    device: torch.device
    precision: PrecisionName
    preview: PreviewName


def load_model(card: ModelCard, options: LoadOptions, *, progress: Progress) -> Model:
    """Load a model folder.

    Raises:
        BrokenModel: a file is missing, truncated, pickled or does not fit its config; the sentence names it.
        OutOfMemory: the device has no room.
    """
    progress(0.0, "checking files")
    folder = inspect(card)
    with memory_explained(options.device, doing=f"loading {card.name}"), quiet():
        return _Reader(card, folder, options, progress).read()


@dataclass(frozen=True)
class _Reader:
    card: ModelCard
    folder: Folder
    options: LoadOptions
    progress: Progress

    def read(self) -> Model:
        unet = self.part("unet", UNet2DConditionModel, start=0.0)
        parameters = sum(weight.numel() for weight in unet.parameters())
        placement = place(self.options.device, self.options.precision, parameters=parameters)
        unet = unet.to(placement.device, placement.dtype)
        text = self.part("text_encoder", CLIPTextModel, start=0.6).to(placement.device, placement.dtype)
        vae = self.part("vae", AutoencoderKL, start=0.75).to(placement.device, placement.vae_dtype)
        self.belong_together(unet.config, text.config, vae.config)
        self.progress(0.85, "reading the tokenizer")
        load = lambda: CLIPTokenizer.from_pretrained(self.folder.path / "tokenizer")  # noqa: E731
        # The libraries do not say which of its files they stumbled over.
        tokenizer = _attempt(self.card.name, "the tokenizer", load)
        _attempt(self.card.name, "scheduler/scheduler_config.json", self.try_schedule)
        self.progress(0.9, "fitting previews")
        previewer = PREVIEWERS[self.options.preview](vae, self.preview_decoder(placement))
        self.progress(1.0, "ready")
        adapters = Adapters(unet, text, placement)
        encoder = TextEncoder(tokenizer, text, adapters.text)
        return Model(self.card, placement, encoder, unet, vae, dict(self.folder.scheduler_config), previewer, adapters)

    def belong_together(self, unet: Any, text: Any, vae: Any) -> None:
        """Refuse parts of several models now, not in the middle of the first picture."""
        if unet.in_channels > vae.latent_channels:
            raise BrokenModel(
                f"{self.card.name} cannot be used: its U-Net also reads a picture ({unet.in_channels} channels), to inpaint or edit it; "
                "use a model that makes pictures from text alone."
            )
        for part, has, width, wanted in (
            ("text encoder", text.hidden_size, "numbers a token", unet.cross_attention_dim),
            ("VAE", vae.latent_channels, "latent channels", unet.in_channels),
        ):
            if has != wanted:
                raise BrokenModel(
                    f"{self.card.name} cannot be used: its {part} has {has} {width} and its U-Net reads {wanted}; "
                    "they are of two models, so copy the model folder again."
                )

    def try_schedule(self) -> None:
        """Make a scheduler from the config, which no other check understands."""
        row = TABLE["DDIM"]
        made = make_scheduler(self.folder.scheduler_config, row, seeds=[0])
        set_steps(made, row, steps=2, device=torch.device("cpu"))
        if made.config.prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction_type {made.config.prediction_type}")

    def part(self, part: str, kind: Any, *, start: float) -> Any:
        """Read one module, in the number format of its file."""
        self.progress(start, f"reading the {part.replace('_', ' ')}")
        return read_module(self.card.name, self.folder.weights[part], kind)

    def preview_decoder(self, placement: Placement) -> Any | None:
        folder = self.folder.path / PREVIEW_DECODER
        if self.options.preview != "decoder" or not folder.is_dir():
            return None
        weights = inspect_weights(self.card.name, folder, stem="diffusion_pytorch_model")
        module = read_module(self.card.name, weights, AutoencoderTiny)
        return module.to(placement.device, placement.vae_dtype)


def read_module(name: str, weights: Weights, kind: Any) -> Any:
    """Read one module, in the number format of its files, or in float32 where they hold several; frozen, in evaluation mode.

    Args:
        name: what the model is called in sentences.
        weights: where they are, beside their config.json; checked before.
        kind: a diffusers or transformers class.

    Raises:
        BrokenModel: the weights do not fit the config.
    """

    def load() -> tuple[Any, dict[str, Any]]:
        options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
        # Named, as diffusers would take "auto" for float32: twice the memory of most files.
        floats = [name for name in weights.formats if "F" in name]
        dtype = HALF.get(floats[0], torch.float32) if len(floats) == 1 else torch.float32
        module, info = kind.from_pretrained(folder, variant=weights.variant or None, dtype=dtype, **options)
        return module, info

    folder = weights.folder
    with READING:
        module, info = _attempt(name, f"{folder.name}/config.json", load)
    missing = sorted(info["missing_keys"])
    if missing:
        raise BrokenModel(
            f"{name} cannot be used: {folder.name} lacks {len(missing)} weights that its config.json asks for, "
            f"such as {missing[0]}; copy the model folder again."
        )
    return module.eval().requires_grad_(False)


def _attempt(name: str, file: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        # The libraries raise whatever comes to hand, bare Exceptions too, when files do not fit their config.
        if is_out_of_memory(error):
            raise
        raise BrokenModel(f"{name} cannot be used: {file} does not fit its files ({_brief(error)}).") from error


def _brief(error: Exception) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first if len(first) <= 120 else first[:117] + "..."


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and tables out of the terminal while a model is read, and put them back."""
    levels = diffusers.utils.logging.get_verbosity(), transformers.utils.logging.get_verbosity()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        diffusers.utils.logging.set_verbosity(levels[0])
        transformers.utils.logging.set_verbosity(levels[1])
        transformers.utils.logging.enable_progress_bar()
