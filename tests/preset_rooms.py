"""A person's presets on a disk, over the fake inventory, for tests."""

from pathlib import Path

from studio.collection import Presets
from studio.engine.fake import FakeInventory, MemoryPictures
from studio.settings import EMBEDDED_PRESETS
from studio.storage.presets import DiskPresets


def room(folder: Path, *, builtin: Path = EMBEDDED_PRESETS, pictures: MemoryPictures | None = None) -> Presets:
    """Return the presets below `folder`, as another start of the studio would see them."""
    return Presets(DiskPresets(folder, builtin), pictures or MemoryPictures(), FakeInventory())
