"""The inventory from the disk: embedded models, then every folder under the data folder's `models/`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.errors import BadLora, BrokenModel
from studio.families import family_of
from studio.inventory import BrokenCard, Inventory, ModelCard, UnetShape
from studio.loras.safetensors_header import RawHeader, Tensor, read_raw
from studio.loras.verdict import Modules, text_shapes, unet_shapes
from studio.settings import LORAS_FOLDER, Settings
from studio.storage.loras import LoraFolders


class DiskInventory:
    """Reads model folders' configs. A folder that did not change is not read again."""

    def __init__(self, settings: Settings, *, first: str = "") -> None:
        """`first` is the name or folder of the model that becomes the default one."""
        self._settings, self._first = settings, first
        self._read: dict[Path, tuple[float, ModelCard | BrokenCard]] = {}
        self._loras = LoraFolders((*settings.embedded_loras, settings.loras_dir, *settings.lora_dirs))

    def read(self) -> Inventory:
        """Return what there is now, the default model first."""
        cards = [self._card(name, folder) for name, folder in self._folders()]
        models = [card for card in cards if isinstance(card, ModelCard)]
        models.sort(key=lambda card: not card.is_called(self._first))
        loras, broken_loras = self._loras.read()
        broken = tuple(card for card in cards if isinstance(card, BrokenCard))
        return Inventory(tuple(models), broken, loras=loras, broken_loras=broken_loras)

    def _folders(self) -> Iterator[tuple[str, Path]]:
        yield from self._settings.embedded_models
        if os.path.isdir(self._first):  # noqa: PTH112  (unlike Path.is_dir it takes any text)
            yield Path(self._first).resolve().name, Path(self._first)
        models = self._settings.models_dir
        if models.is_dir():
            folders = (folder for folder in sorted(models.iterdir()) if folder.is_dir() and folder.name != LORAS_FOLDER)
            yield from ((folder.name, folder) for folder in folders if not folder.name.startswith("."))

    def _card(self, name: str, folder: Path) -> ModelCard | BrokenCard:
        changed = _last_change(folder)
        known = self._read.get(folder)
        if known and known[0] == changed:
            return known[1]
        try:
            card: ModelCard | BrokenCard = describe(name, folder)
        except BrokenModel as error:
            card = BrokenCard(name, folder, str(error))
        self._read[folder] = (changed, card)
        return card


def describe(name: str, folder: Path) -> ModelCard:
    """Read a model folder's configs, in the layout of `StableDiffusionPipeline.save_pretrained`.

    Raises:
        BrokenModel: a config is missing or damaged, or the folder is of another kind; the sentence names the file.
    """
    kind = _config(name, folder / "model_index.json").get("_class_name")
    if kind != "StableDiffusionPipeline":
        raise BrokenModel(f"{name} is a {kind} folder; this studio runs StableDiffusionPipeline folders.")
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
            native_size=int(unet["sample_size"]) * scale,
            multiple_of=max(8, scale),
            bytes=sum(file.stat().st_size for file in folder.glob("*/*.safetensors")),
            unet=UnetShape(int(unet["in_channels"]), tuple(map(int, unet["block_out_channels"])), int(unet["cross_attention_dim"])),
            modules=_modules(folder),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenModel(f"{name} cannot be used: its unet or vae config.json lacks {error}.") from error


def _modules(folder: Path) -> Modules | None:
    """Look at what LoRAs can change; weights that are missing or damaged are told of when the model is loaded."""
    try:
        return Modules(unet_shapes(_weights(folder / "unet")), text_shapes(_weights(folder / "text_encoder")))
    except BadLora:
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
    shown = f"{path.parent.name}/{path.name}" if path.name != "model_index.json" else path.name
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenModel(f"{name} cannot be used: {shown} is missing; copy the model folder again.") from None
    except (OSError, ValueError) as error:
        raise BrokenModel(f"{name} cannot be used: {shown} is damaged; copy the model folder again.") from error
    if not isinstance(data, dict):
        raise BrokenModel(f"{name} cannot be used: {shown} is damaged; copy the model folder again.")
    return data


def _last_change(folder: Path) -> float:
    watched = (folder, folder / "model_index.json", *(folder / part for part in ("unet", "vae", "scheduler")))
    return max((path.stat().st_mtime for path in watched if path.exists()), default=0.0)
