"""LoRA files on the disk: what lies in the folders, read again only when it changed."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from studio.characters import has_half
from studio.errors import BadLora
from studio.inventory import BrokenCard, LoraCard
from studio.loras.header import PEFT_CONFIG, read_header
from studio.loras.safetensors_header import PICKLED
from studio.storage.hashes import HashCache
from studio.storage.names import left_out, shown

log = logging.getLogger("studio")
MAX_FILES = 20_000
PICTURES = (".preview.png", ".png", ".jpg", ".jpeg", ".webp", ".preview.jpg", ".preview.jpeg", ".preview.webp")
Stamp = tuple[int, int, int]
UNREAD: Stamp = (-1, -1, -1)
"""(time of the last change in nanoseconds, size in bytes, time of the last change of peft's settings beside it)"""


class LoraFolders:
    """Offers the LoRAs of some folders and their sub-folders; `folders` that are not there are passed over."""

    def __init__(self, folders: Sequence[Path], hashes: HashCache | None = None) -> None:
        self._folders, self._hashes = folders, hashes
        self._known: dict[Path, tuple[Stamp, LoraCard | BrokenCard]] = {}

    def read(self) -> tuple[tuple[LoraCard, ...], tuple[BrokenCard, ...]]:
        """Return the LoRAs there are now, by name, and the files that cannot be used with the reason."""
        loras: dict[str, LoraCard] = {}
        broken: list[BrokenCard] = []
        known = {}
        nameless: list[tuple[str, Path]] = []
        for name, path, beside in self._files():
            if has_half(name):
                nameless.append((name, path))
                continue
            found = self._card(name, path, beside)
            if found is None:
                continue
            known[path] = found
            card = found[1]
            if isinstance(card, BrokenCard):
                broken.append(card)
            elif name in loras:
                broken.append(
                    BrokenCard(name, path, f"{path.name} in {path.parent.name} is left out, as another LoRA has its name; rename it.")
                )
            else:
                loras[name] = card
        if nameless:
            name, path = nameless[0]
            broken.append(BrokenCard(shown(name), path, left_out([name for name, _ in nameless])))
        self._known = known
        return tuple(sorted(loras.values(), key=lambda card: card.name.lower())), tuple(broken)

    def _card(self, name: str, path: Path, beside: frozenset[str]) -> tuple[Stamp, LoraCard | BrokenCard] | None:
        try:
            stat = path.stat()
        except OSError:
            # Removed just now, or a link that leads nowhere.
            return None
        stamp = stat.st_mtime_ns, stat.st_size, _changed(path.with_name(PEFT_CONFIG)) if PEFT_CONFIG in beside else 0
        picture = next((path.with_name(path.stem + ending) for ending in PICTURES if path.stem + ending in beside), None)
        known = self._known.get(path)
        if known and known[0] == stamp and (isinstance(known[1], BrokenCard) or known[1].picture == picture):
            return stamp, self._hashed(known[1])
        try:
            header = read_header(path)
        except BadLora as error:
            # What could not be read is tried again: who lets the studio read it changes neither time nor size.
            return UNREAD if isinstance(error.__cause__, OSError) else stamp, BrokenCard(name, path, str(error))
        except Exception:
            # Strangers make these files: whatever one of them still thinks of must not keep all the others from being offered.
            log.exception("the LoRA %s cannot be read", path)
            return stamp, BrokenCard(name, path, f"{path.name} cannot be read: it holds what nobody expects; fetch the file again.")
        changed, size, settings = stamp
        card = LoraCard(name=name, path=path, bytes=size, changed=changed, settings=settings, header=header, picture=picture)
        return stamp, self._hashed(card)

    def _hashed(self, card: LoraCard | BrokenCard) -> LoraCard | BrokenCard:
        return self._hashes.hashed(card) if self._hashes and isinstance(card, LoraCard) else card

    def _files(self) -> Iterator[tuple[str, Path, frozenset[str]]]:
        """Return (name, path, names of the files beside it) of all LoRA files."""
        left = MAX_FILES
        seen: set[str] = set()
        for root in self._folders:
            for folder, below, files in os.walk(root, followlinks=True):
                # Links may lead in a circle, and one folder stand in another.
                real = os.path.realpath(folder)
                if real in seen:
                    below.clear()
                    continue
                seen.add(real)
                below[:] = sorted(name for name in below if not name.startswith("."))
                beside = frozenset(files)
                for file in sorted(files):
                    path = Path(folder, file)
                    if file.startswith(".") or path.suffix.lower() not in (".safetensors", *PICKLED) or left <= 0:
                        continue
                    left -= 1
                    yield path.relative_to(root).with_suffix("").as_posix(), path, beside


def _changed(path: Path) -> int:
    """When a file changed, in nanoseconds since 1970; 0 where it went away."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
