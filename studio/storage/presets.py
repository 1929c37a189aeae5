"""Presets on the disk: one JSON file each, pictures by their content's hash beside them, a trash for undo.

    presets/*.json              this machine's own
    presets/people/<id>/*.json  a guest's
    .../trash, .../damaged      what was deleted or replaced; files that could not be read, set aside as they are
    presets/pictures            pictures of control units, and those that stand for a preset

A file's name is made from the preset's when it is first saved; which preset it is, says its content.
"""

import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from studio import atomic
from studio.errors import BadPreset, StudioError, UnknownPreset
from studio.people import OWNER, Person
from studio.presets import Preset, decode, encode, names, plain
from studio.presets.document import NewerPreset
from studio.presets.shelf import Shelf
from studio.storage.names import shown
from studio.storage.pictures import DiskPictures

MAX_TRASH = 200
CALLED = "The presets folder"
Stamp = tuple[int, int, int]
"""(time of the last change in nanoseconds, size in bytes, number of the file): two changes may fall on one tick of the disk's clock"""
_TOKEN = re.compile(r"[0-9a-f]{24}-(deleted|replaced)")


class DiskPresets:
    """Keeps presets below `folder`; those in `builtin` are on everybody's shelf and never written."""

    def __init__(self, folder: Path, builtin: Path) -> None:
        atomic.sweep(folder)
        self._folder, self._builtin = folder, builtin
        self._pictures = DiskPictures(folder / "pictures")
        self._known: dict[Path, tuple[Stamp, Preset | BadPreset]] = {}
        self._lock = threading.RLock()

    @property
    def pictures(self) -> DiskPictures:
        """Where the pictures of presets are kept."""
        return self._pictures

    def read(self, person: Person) -> Shelf:
        """Return what there is now. A file that cannot be read is set aside once its writer must be done, and told of."""
        with self._lock:
            folder = self._folder_of(person)
            own, problems = self._own(folder)
            shipped = [found for _, found in self._files(self._builtin) if isinstance(found, Preset)]
            taken = {names.key(preset.name) for preset in own.values()}
            builtin = [replace(preset, builtin=True) for preset in shipped if names.key(preset.name) not in taken]
            return Shelf((*own.values(), *builtin), tuple(problems))

    def write(self, person: Person, preset: Preset, *, replaces: Preset | None = None, undo: bool = False) -> str:
        """Keep a preset; see `ports.PresetStore`."""
        content = encode(preset)
        with self._lock:
            folder = atomic.make_folder(self._folder_of(person), called=CALLED)
            path, token = _free(folder, preset.name), ""
            if replaces:
                path, old = self._place(folder, replaces)
                token = self._trash(folder, encode(old), "replaced") if undo else ""
            atomic.write(path, content, called=CALLED)
            self._known.pop(path, None)
        return token

    def remove(self, person: Person, preset: Preset) -> str:
        """Move a preset into the trash; see `ports.PresetStore`."""
        with self._lock:
            folder = self._folder_of(person)
            token = _token("deleted")
            path, _ = self._place(folder, preset)
            atomic.move(path, _trash_folder(folder) / f"{token}.json", called=CALLED)
            _prune(folder)
        return token

    def restore(self, person: Person, token: str) -> Preset:
        """Bring a preset back; see `ports.PresetStore`."""
        with self._lock:
            folder = self._folder_of(person)
            kept = folder / "trash" / f"{token}.json"
            if not _TOKEN.fullmatch(token) or not kept.is_file():
                raise UnknownPreset("What was there before is no longer kept.")
            try:
                preset = decode(kept.read_bytes(), called="The kept preset")
            except OSError as error:
                raise StudioError(f"What was there before cannot be read now: {error.strerror or error}; try again.") from error
            shelf = self.read(person)
            there = shelf.get(preset.name)
            if there and (there.builtin or token.endswith("deleted")):
                preset, there = replace(preset, name=names.free(preset.name, shelf.keys())), None
            self.write(person, preset, replaces=there, undo=True)
            with suppress(OSError):  # it would only be offered once more
                kept.unlink()
        return preset

    def deleted(self, person: Person) -> list[tuple[str, Preset]]:
        """Return what was deleted, the newest first; see `ports.PresetStore`."""
        with self._lock:
            found = [(path.stem, preset) for path, preset in self._files(self._folder_of(person) / "trash") if _TOKEN.fullmatch(path.stem)]
        return [(token, preset) for token, preset in reversed(found) if token.endswith("deleted") and isinstance(preset, Preset)]

    def _own(self, folder: Path) -> tuple[dict[Path, Preset], list[str]]:
        """Return a person's presets by file, and a sentence for each file that is none."""
        own: dict[Path, Preset] = {}
        keys: set[str] = set()
        problems = []
        for path, found in self._files(folder):
            if isinstance(found, NewerPreset):
                problems.append(str(found))
            elif isinstance(found, OSError):
                problems.append(f"{shown(path.name)} cannot be read: {found.strerror or found}.")
            elif isinstance(found, BadPreset):
                problems.append(self._set_aside(path, found))
            elif names.key(found.name) in keys:
                problems.append(
                    f"{shown(path.name)} is left out, as another preset is called {found.name}, too; rename it inside the file."
                )
            else:
                keys.add(names.key(found.name))
                own[path] = found
        problems += [
            f"{shown(path.name)} was set aside in the folder damaged; mend it and put it back, or delete it."
            for path in _jsons(folder / "damaged")
        ]
        return own, list(dict.fromkeys(problems))

    def _set_aside(self, path: Path, error: BadPreset) -> str:
        """Move a damaged file away and say what is wrong with it."""
        try:
            if time.time() - path.stat().st_mtime < atomic.DEAD_AFTER:
                return str(error)  # somebody may still be copying it
            place = atomic.make_folder(path.parent / "damaged", called=CALLED) / path.name
            if place.exists():
                place = place.with_name(f"{place.stem}-{secrets.token_hex(4)}.json")
            atomic.move(path, place, called=CALLED)
        except (OSError, StudioError):
            return f"{error} It stays where it is."
        return str(error)

    def _files(self, folder: Path) -> Iterator[tuple[Path, Preset | BadPreset | OSError]]:
        """Read a folder's files, by name; one that did not change is not read again."""
        there = _jsons(folder)
        for gone in {path for path in self._known if path.parent == folder}.difference(there):
            del self._known[gone]
        for path in there:
            try:
                stat = path.stat()
                stamp = stat.st_mtime_ns, stat.st_size, stat.st_ino
                known = self._known.get(path)
                if known is None or known[0] != stamp:
                    known = stamp, _read(path, stat.st_size)
                    self._known[path] = known
            except OSError as error:
                # Says nothing of the file, which therefore stays where it is: too many may be open.
                yield path, error
            else:
                yield path, known[1]

    def _place(self, folder: Path, preset: Preset) -> tuple[Path, Preset]:
        """Return the file that holds a preset, and what it holds now."""
        own, _ = self._own(folder)
        for path, found in own.items():
            if names.key(found.name) == names.key(preset.name):
                return path, found
        raise UnknownPreset(f"{preset.name} is no longer here; somebody took it away.")

    def _folder_of(self, person: Person) -> Path:
        # An id is somebody else's text, so that it never becomes part of a path.
        return self._folder if person == OWNER else self._folder / "people" / hashlib.sha256(person.id.encode()).hexdigest()[:32]

    def _trash(self, folder: Path, content: bytes, why: Literal["deleted", "replaced"]) -> str:
        token = _token(why)
        atomic.write(_trash_folder(folder) / f"{token}.json", content, called=CALLED)
        _prune(folder)
        return token


def _read(path: Path, size: int) -> Preset | BadPreset:
    try:
        if size > plain.MAX_BYTES:
            raise BadPreset(f"{shown(path.name)} has {size / 1e6:.1f} MB; a preset has at most {plain.MAX_BYTES // 10**6} MB.")
        return decode(path.read_bytes(), called=shown(path.name))
    except BadPreset as error:
        return error


def _jsons(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StudioError(f"{CALLED} cannot be read: {error.strerror or error}; try again.") from error
    return sorted(path for path in found if os.path.isfile(path))  # noqa: PTH113  (unlike Path.is_file it says no where it may not look)


def _free(folder: Path, name: str) -> Path:
    """Return a file of that name that is not there, not even as one that is damaged or newer."""
    path = folder / f"{names.stem(name)}.json"
    while path.exists():
        path = folder / f"{names.stem(name)}-{secrets.token_hex(4)}.json"
    return path


def _token(why: Literal["deleted", "replaced"]) -> str:
    return f"{time.time_ns():016x}{secrets.token_hex(4)}-{why}"


def _trash_folder(folder: Path) -> Path:
    return atomic.make_folder(folder / "trash", called=CALLED)


def _prune(folder: Path) -> None:
    """Keep the newest of the trash; names begin with the time."""
    for old in _jsons(folder / "trash")[:-MAX_TRASH]:
        with suppress(OSError):  # what is too much stays until the next time, and nothing else fails for it
            old.unlink()
