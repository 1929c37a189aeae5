"""The inventory from the disk: what is embedded, then every folder under the data folder's `models/` and `controlnets/`."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from studio.characters import has_half
from studio.errors import BadLora, BrokenModel
from studio.families import PIPELINES, family_of
from studio.inventory import BrokenCard, ControlNetCard, Inventory, ModelCard
from studio.loras.safetensors_header import RawHeader, Tensor, read_raw
from studio.loras.verdict import Modules, text_shapes, unet_shapes
from studio.settings import LORAS_FOLDER, Settings
from studio.stamps import Stamp, stamp
from studio.storage import controlnets
from studio.storage.configs import MISREAD, misread, read_config, unet_shape
from studio.storage.hashes import HashCache
from studio.storage.loras import LoraFolders
from studio.storage.names import left_out, shown

log = logging.getLogger("studio")
Card = ModelCard | ControlNetCard | BrokenCard
Part = Literal["model", "controlnet"]
Net = TypeVar("Net", ModelCard, ControlNetCard)
LARGEST_SIDE = 2**16
"""Pixels that a model may have been trained for; more is a damaged number, which no page could show either."""


@dataclass(frozen=True)
class Shelf:
    """One kind of folder: what it is, how it becomes a card, and what changes when it is to be read again."""

    part: Part
    describe: Callable[[str, Path], Card]
    watched: Callable[[Path], tuple[Path, ...]]


class DiskInventory:
    """Reads model folders' configs. A folder that did not change is not read again."""

    def __init__(self, settings: Settings, *, first: str = "", hashes: HashCache | None = None) -> None:
        """`first` is the name or folder of the model that becomes the default one; without `hashes` cards have none."""
        self._settings, self._first, self._hashes = settings, first, hashes
        self._read: dict[Path, tuple[Stamp, Card]] = {}
        self._closed: dict[Path, BrokenCard] = {}
        self._loras = LoraFolders((*settings.embedded_loras, settings.loras_dir, *settings.lora_dirs), hashes)

    def read(self) -> Inventory:
        """Return what there is now, the default model first."""
        cards = [self._card(name, folder, MODELS) for name, folder in self._models()]
        nets = [self._card(name, folder, CONTROLNETS) for name, folder in self._controlnets()]
        models = [card for card in cards if isinstance(card, ModelCard)]
        kept, others = _once(sorted(models, key=lambda card: not card.is_called(self._first)), "model")
        kept_nets, other_nets = _once((card for card in nets if isinstance(card, ControlNetCard)), "controlnet")
        broken = [card for card in [*cards, *nets] if isinstance(card, BrokenCard)]
        loras, broken_loras = self._loras.read()
        return Inventory(
            models=kept,
            broken=(*broken, *others, *other_nets, *self._closed.values()),
            controlnets=kept_nets,
            loras=loras,
            broken_loras=broken_loras,
        )

    def _models(self) -> Iterator[tuple[str, Path]]:
        yield from self._settings.embedded_models
        first = os.path.realpath(self._first) if os.path.isdir(self._first) else ""  # noqa: PTH112  (unlike Path.is_dir it takes any text)
        if first:
            yield Path(first).name, Path(self._first)
        for entry in self._entries(self._settings.models_dir, "model"):
            if first and os.path.realpath(entry) == first:  # unlike Path.resolve it takes links that lead in a circle
                continue
            if entry.name != LORAS_FOLDER and _may_hold(entry):
                yield entry.name, entry

    def _controlnets(self) -> Iterator[tuple[str, Path]]:
        yield from ((name, folder) for name, folder in self._settings.embedded_controlnets if folder.is_dir())
        for entry in self._entries(self._settings.controlnets_dir, "controlnet"):
            if _may_hold(entry):
                yield entry.name, entry

    def _entries(self, folder: Path, part: Part) -> list[Path]:
        """List a folder that somebody fills; one that cannot be read is told of."""
        self._closed.pop(folder, None)
        try:
            return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            told = f"The folder {folder.name} cannot be read: {error.strerror or error}; let the studio read it."
            self._closed[folder] = BrokenCard(folder.name, folder, told, part)
            return []

    def _card(self, name: str, folder: Path, shelf: Shelf) -> Card:
        if has_half(name):
            return BrokenCard(shown(name), folder, left_out([name]), shelf.part)
        try:
            changed = stamp(shelf.watched(folder))
            known = self._read.get(folder)
            if known and known[0] == changed:
                return self._hashed(known[1])
            card = _described(name, folder, shelf)
        except OSError as error:
            # It may be on its way here or away.
            return BrokenCard(name, folder, f"{name} cannot be read: {error.strerror or error}.", shelf.part)
        self._read[folder] = (changed, card)
        return self._hashed(card)

    def _hashed(self, card: Card) -> Card:
        return card if self._hashes is None or isinstance(card, BrokenCard) else self._hashes.hashed(card)


def _may_hold(entry: Path) -> bool:
    """Whether something is a folder, or a file that somebody may take for one of weights, and is told why it is none."""
    return entry.suffix in controlnets.SINGLE_FILES or os.path.isdir(entry)  # noqa: PTH112  (unlike Path.is_dir it says no where it may not look)


def _once(cards: Iterable[Net], part: Part) -> tuple[tuple[Net, ...], list[BrokenCard]]:
    """Part the cards from those with the name of one before them: a request could not say which of the two it means."""
    first: dict[str, Net] = {}
    others = [card for card in cards if first.setdefault(card.name, card) is not card]
    told = "{0.parent.name}/{0.name} is left out, as another {1} has its name; rename the folder."
    return tuple(first.values()), [BrokenCard(card.name, card.path, told.format(card.path, part), part) for card in others]


def _described(name: str, folder: Path, shelf: Shelf) -> Card:
    try:
        return shelf.describe(name, folder)
    except BrokenModel as error:
        return BrokenCard(name, folder, str(error), shelf.part)
    except OSError:
        raise
    except Exception:
        # Strangers make these folders: whatever one of them still thinks of must not keep all the others from being offered.
        log.exception("the folder %s cannot be read", folder)
        return BrokenCard(name, folder, f"{name} cannot be read: its files hold what nobody expects; copy the folder again.", shelf.part)


def describe(name: str, folder: Path) -> ModelCard:
    """Read a model folder's configs, in the layout of `StableDiffusionPipeline.save_pretrained`.

    Raises:
        BrokenModel: a config is missing or damaged, or the folder is of another kind; the sentence names the file.
        OSError: a file cannot be read, which may pass.
    """
    if folder.is_file():
        raise BrokenModel(f"{name} is a single file; this studio reads folders in the layout of diffusers, so fetch the model as one.")
    if not (folder / "model_index.json").exists() and controlnets.is_controlnet(folder):
        raise BrokenModel(f"{name} is a ControlNet; move it from models/ to controlnets/.")
    kind = _config(name, folder / "model_index.json").get("_class_name")
    if kind not in PIPELINES:
        raise BrokenModel(f"{name} is a {shown(str(kind))[:60]} folder; this studio runs {' and '.join(PIPELINES)} folders.")
    unet = _config(name, folder / "unet" / "config.json")
    vae = _config(name, folder / "vae" / "config.json")
    sampling = _config(name, folder / "scheduler" / "scheduler_config.json")
    try:
        scale = 2 ** (len(vae["block_out_channels"]) - 1)
        return ModelCard(
            name=name,
            path=folder,
            family=family_of(unet["cross_attention_dim"]).name,
            prediction_type=str(sampling.get("prediction_type", "epsilon")),
            native_size=_native_size(unet, scale),
            multiple_of=max(8, scale),
            bytes=sum(file.stat().st_size for file in folder.glob("*/*.safetensors")),
            unet=unet_shape(unet, pixels=scale),
            modules=_modules(folder),
        )
    except MISREAD as error:
        raise misread(name, "unet or vae config.json", error) from error


def _native_size(unet: Mapping[str, Any], scale: int) -> int:
    size = int(unet["sample_size"]) * scale
    if not 0 < size <= LARGEST_SIDE:
        raise ValueError(f"sample_size is {size}")
    return size


def _modules(folder: Path) -> Modules | None:
    """Look at what LoRAs can change; weights that are missing or damaged are told of when the model is loaded."""
    try:
        return Modules(unet_shapes(_weights(folder / "unet")), text_shapes(_weights(folder / "text_encoder")))
    except BadLora as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        return None


def _weights(folder: Path) -> RawHeader:
    """Read the headers of all weight files of a part, of one variant when there are several."""
    files = sorted(folder.glob("*.safetensors"))
    files = [file for file in files if ".fp16" not in file.name] or files
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors.update(read_raw(file).tensors)
    if not tensors:
        raise BadLora(f"{folder.name} has no weights.")
    return RawHeader(tensors, {})


def _config(name: str, path: Path) -> dict[str, Any]:
    return read_config(name, path, shown=path.name if path.name == "model_index.json" else f"{path.parent.name}/{path.name}")


def _watched(folder: Path) -> tuple[Path, ...]:
    return folder, folder / "model_index.json", folder / "config.json", *folder.glob("*/*config.json"), *folder.glob("*/*.safetensors")


MODELS = Shelf("model", describe, _watched)
CONTROLNETS = Shelf("controlnet", controlnets.describe_controlnet, controlnets.watched)
