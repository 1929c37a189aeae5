"""Hashes of weight files, computed on a thread of their own and kept between starts by path, size and time of the last change.

A file's hashes are its SHA-256, whose first ten digits A1111 and Civitai call the (AutoV2) hash, and the SHA-256 of what follows a
safetensors header, whose first twelve digits they use for LoRAs ("addnet" hash, AutoV3), as a header may be rewritten.
"""

import hashlib
import heapq
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from studio import atomic
from studio.errors import StudioError
from studio.inventory import ControlNetCard, LoraCard, ModelCard

log = logging.getLogger("studio")
SCHEMA = 1
BLOCK = 1 << 20
# Often enough that an end in the middle of a large collection costs little.
KEEP_EVERY = 20.0
PARTS = ("text_encoder", "unet", "vae")
Card = TypeVar("Card", bound=ModelCard | ControlNetCard | LoraCard)


@dataclass(frozen=True)
class Prints:
    """SHA-256 of a whole file and of its tensors alone, 64 hexadecimal digits each."""

    whole: str
    tensors: str


@dataclass(frozen=True)
class Stamp:
    """A file as it was found; one that changed has another stamp."""

    path: str
    size: int
    changed: int


class HashCache:
    """Knows the hashes of files that were seen before and computes the others in the background, small ones first."""

    def __init__(self, file: Path) -> None:
        """`file` is where they are kept; one that is missing or damaged is made anew."""
        self._file = file
        self._changed = threading.Condition()
        self._known: dict[str, tuple[Stamp, Prints | None]] = {}
        self._queue: list[tuple[int, int, str]] = []
        self._asked: dict[str, Stamp] = {}
        self._thread: threading.Thread | None = None
        self._read = False

    def hashed(self, card: Card, *, wait: float = 0.0) -> Card:
        """Return a card with its hashes, or without where they are not known after `wait` seconds.

        Asking puts what is not known yet in the queue; waiting puts it first.
        """
        if card.hash:
            return card
        prints = self._prints(weight_files(card), time.monotonic() + wait if wait else 0.0)
        if prints is None:
            return card
        return replace(card, **_fields(card, prints))

    def _prints(self, files: Mapping[str, Path], until: float) -> Mapping[str, Prints] | None:
        """Return the hashes of files by name; None while one is missing, or when one cannot be read."""
        stamps = {name: stamp for name, path in files.items() if (stamp := _stamp(path))}
        if not files or len(stamps) < len(files):
            return None
        with self._changed:
            self._load()
            for stamp in stamps.values():
                self._ask(stamp, first=until > 0)
            if until:
                self._changed.wait_for(lambda: all(map(self._settled, stamps.values())), max(0.0, until - time.monotonic()))
            found = {name: self._known[stamp.path][1] for name, stamp in stamps.items() if self._settled(stamp)}
        known = {name: prints for name, prints in found.items() if prints}
        return known if len(known) == len(files) else None

    def _settled(self, stamp: Stamp) -> bool:
        return stamp.path in self._known and self._known[stamp.path][0] == stamp

    def _ask(self, stamp: Stamp, *, first: bool) -> None:
        if self._settled(stamp) or (self._asked.get(stamp.path) == stamp and not first):
            return
        self._asked[stamp.path] = stamp
        heapq.heappush(self._queue, (0 if first else 1, stamp.size, stamp.path))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="studio-hashes", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """Compute what is asked until nothing is left, then end; a later question starts another thread."""
        _step_back()
        kept = time.monotonic()
        for stamp in self._wanted():
            prints = _compute(stamp)
            with self._changed:
                self._known[stamp.path] = stamp, prints
                self._asked.pop(stamp.path, None)
                self._changed.notify_all()
            if time.monotonic() - kept > KEEP_EVERY:
                self._keep()
                kept = time.monotonic()

    def _wanted(self) -> Iterator[Stamp]:
        while True:
            with self._changed:
                stamp = None
                while self._queue and stamp is None:
                    stamp = self._asked.get(heapq.heappop(self._queue)[2])
            if stamp is not None:
                yield stamp
                continue
            self._keep()
            with self._changed:
                if not self._queue:
                    self._thread = None
                    return

    def _load(self) -> None:
        if self._read:
            return
        self._read = True
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))["files"]
            for path, (size, changed, whole, tensors) in entries.items():
                self._known[path] = Stamp(path, int(size), int(changed)), Prints(str(whole), str(tensors))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            log.warning("%s is damaged; the hashes are computed again", self._file)

    def _keep(self) -> None:
        with self._changed:
            known = [(stamp, prints) for stamp, prints in self._known.values() if prints]
        files = {stamp.path: [stamp.size, stamp.changed, prints.whole, prints.tensors] for stamp, prints in known}
        try:
            atomic.make_folder(self._file.parent)
            atomic.write(self._file, json.dumps({"schema": SCHEMA, "files": files}).encode())
        except StudioError as error:
            # They are only computed once more after the next start.
            log.warning("%s", error)


def weight_files(card: ModelCard | ControlNetCard | LoraCard) -> dict[str, Path]:
    """Return the weight files that a card's hash covers, by their names inside its folder."""
    if isinstance(card, LoraCard):
        return {card.path.name: card.path}
    folders = [card.path / part for part in PARTS] if isinstance(card, ModelCard) else [card.path]
    return {file.relative_to(card.path).as_posix(): file for folder in folders for file in folder.glob("*.safetensors")}


def _fields(card: ModelCard | ControlNetCard | LoraCard, prints: Mapping[str, Prints]) -> dict[str, Any]:
    if isinstance(card, LoraCard):
        (only,) = prints.values()
        return {"hash": only.whole, "tensor_hash": only.tensors}
    return {"hash": folder_hash({name: each.whole for name, each in prints.items()})}


def folder_hash(hashes: Mapping[str, str]) -> str:
    """Return the hash of a folder of weights: SHA-256 over the lines "name sha256", sorted by name, each ended by a line feed.

    Moving or renaming the folder does not change it, any other weight does.
    """
    return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)).encode("utf-8", "surrogatepass")).hexdigest()


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(str(path.absolute()), found.st_size, found.st_mtime_ns)


def _compute(stamp: Stamp) -> Prints | None:
    """Read a file once for both hashes; None when it cannot be read."""
    whole, tensors = hashlib.sha256(), hashlib.sha256()
    try:
        with Path(stamp.path).open("rb") as file:
            head = file.read(8)
            header = file.read(min(int.from_bytes(head, "little"), stamp.size))
            whole.update(head + header)
            while block := file.read(BLOCK):
                whole.update(block)
                tensors.update(block)
    except OSError as error:
        log.warning("%s cannot be hashed: %s", stamp.path, error.strerror or error)
        return None
    return Prints(whole.hexdigest(), tensors.hexdigest())


def _step_back() -> None:
    """Let runs go first where a single thread can be told so."""
    if sys.platform == "linux":
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, min(19, os.getpriority(os.PRIO_PROCESS, own) + 10))
