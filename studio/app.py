"""The composition root: the only place that knows concrete classes. Heavy libraries load when an engine starts."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio import heap, verification
from studio.access import Access
from studio.control.annotator import ControlAnnotator
from studio.engine.fake import CARD, FakeEngine, FakeInventory, FakeTokens
from studio.engine.tokens import FolderTokens
from studio.errors import BrokenModel, InvalidRequest, UnknownModel
from studio.inventory import Inventory
from studio.ports import Engine, Hashes, InventorySource, Parts, Progress, Tokens
from studio.request import shorten
from studio.service import Studio
from studio.settings import CHOICES, Settings
from studio.storage.access import DiskBook
from studio.storage.backlog import DiskBacklog
from studio.storage.drafts import DiskDrafts
from studio.storage.hashes import HashCache
from studio.storage.history import DiskHistory
from studio.storage.inventory import DiskInventory
from studio.storage.pictures import DiskPictures
from studio.storage.presets import DiskPresets
from studio.verification import Verification


def build(settings: Settings, *, progress: Progress = lambda fraction, message: None) -> Studio:
    """Put a studio together; it is not open yet.

    Args:
        settings: what to start with.
        progress: hears (fraction, message) while a model is fetched from the hub.

    Raises:
        StudioError: `settings.model` names nothing that is here or can be fetched.
    """
    if settings.engine == "fake":
        if settings.model not in ("", CARD.name):
            raise UnknownModel(f"model: the fake engine has none but {CARD.name}, so leave {shorten(settings.model)} out.")
        return Studio(FakeEngine, lasting(FakeInventory(), FakeTokens(), settings))
    # Here, because it has to be said before the engine's thread begins.
    heap.keep_freed()
    hashes = HashCache(settings.data_dir / "cache" / "hashes.json")
    inventory = DiskInventory(settings, first=_local_model(settings, progress), hashes=hashes)
    return Studio(lambda: _diffusers_engine(settings), lasting(inventory, FolderTokens(), settings, hashes=hashes))


def lasting(inventory: InventorySource, tokens: Tokens, settings: Settings, *, hashes: Hashes | None = None) -> Parts:
    """Return parts on the disk: what is made, given and asked for is found again by the next studio. Maps are real with every engine."""
    return Parts(
        inventory,
        tokens,
        pictures=DiskPictures(settings.inputs_dir),
        annotator=ControlAnnotator(settings.weights_dir),
        presets=DiskPresets(settings.presets_dir, settings.embedded_presets),
        hashes=hashes,
        access=access(settings),
        gallery=DiskHistory(settings.data_dir, limit=settings.history_limit),
        backlog=DiskBacklog(settings.data_dir / "queue"),
        drafts=DiskDrafts(settings.data_dir / "drafts"),
    )


def access(settings: Settings) -> Access:
    """Return the register of who may come in; it touches the disk only when asked."""
    return Access(DiskBook(settings.data_dir / "access"))


def open_studio(**settings: Any) -> Studio:
    """Open a studio for use from Python; use it as a context manager.

    Args:
        settings: fields of `Settings`, such as `data_dir`, `model`, `engine` or `device`.

    Raises:
        StudioError: `model` names nothing that is here or can be fetched, or another setting is none of its names.
    """
    for name, choices in CHOICES.items():
        if name in settings and settings[name] not in choices:
            raise InvalidRequest(f"{name} must be one of {', '.join(choices)}, not {shorten(settings[name])}.")
    if "data_dir" in settings:
        settings["data_dir"] = Path(settings["data_dir"])
    return build(replace(Settings(), **settings)).open()


def verify(path: str | Path, **settings: Any) -> Verification:
    """Run the request of a picture file again, in a studio opened for it, and say whether the same picture comes out.

    Args:
        path: the picture, PNG, JPEG or WebP.
        settings: as for `open_studio`.

    Raises:
        StudioError: the file carries no settings, or they cannot be run here.
    """
    with open_studio(**settings) as studio:
        return verification.verify(studio, path)


def _diffusers_engine(settings: Settings) -> Engine:
    # Imported here because torch and diffusers take seconds; this runs on the engine's own thread.
    from studio.engine.diffusers_engine import DiffusersEngine  # noqa: PLC0415

    return DiffusersEngine(settings)


def _local_model(settings: Settings, progress: Progress) -> str:
    """Return the name or folder of the model to start with, fetched first when it is a hub id."""
    wanted = settings.model
    here = DiskInventory(settings, first=wanted).read()
    if not wanted or any(card.is_called(wanted) for card in here.models):
        return wanted
    _refuse_broken(here, wanted)
    if re.fullmatch(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", wanted):
        from studio.engine.hub import fetch  # noqa: PLC0415  (huggingface_hub is only needed for this)

        folder = str(fetch(wanted, settings.models_dir, progress))
        _refuse_broken(DiskInventory(settings, first=folder).read(), folder)
        return folder
    names = ", ".join(card.name for card in here.models)
    raise UnknownModel(f"model: {shorten(wanted)} is neither a model here ({names}), nor a folder, nor a hub id.")


def _refuse_broken(here: Inventory, wanted: str) -> None:
    for broken in here.broken:
        if broken.part == "model" and broken.is_called(wanted):
            raise BrokenModel(broken.problem)
