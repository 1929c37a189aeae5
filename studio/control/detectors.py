"""What a detector is, and how its weights are fetched, read without pickles, and kept."""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.control.plain import Pixels, Values
from studio.errors import StudioError, Unreachable
from studio.hub import fetch_files
from studio.ports import Progress
from studio.reading import READING
from studio.weights import Row

Detector = Callable[[Pixels, Values], Pixels]
"""Takes RGB pixels and the row's settings; returns a map of any size, grey or RGB."""
Loader = Callable[[list[Path]], Detector]
"""Builds a detector from the folders of the row's sources, in their order."""
# Detectors are kept while their weights take no more than this, and the newest one always.
RESIDENT_BYTES = 1_500_000_000
# So long after it could not be reached the hub counts as out of reach.
RETRY_SECONDS = 30.0
# A detector's memory grows with its picture; 64 x 2048 at a resolution of 2048 would be 2048 x 65,536.
LONGEST_SIDE = 4096
log = logging.getLogger("studio")


@dataclass
class _Resident:
    detector: Detector
    lock: threading.Lock


class Shelf:
    """The detectors that need weights. Safe to call from several threads; each detector works for one caller at a time.

    They run on the CPU: the device belongs to the engine's thread, and its memory to the model.
    """

    def __init__(self, folder: Path, loaders: Mapping[str, Loader], *, endpoint: str | None = None) -> None:
        """`folder` is where weights are kept, `loaders` are by row name, `endpoint` is the hub's address where it is not the usual one."""
        self._folder, self._loaders, self._endpoint = folder, loaders, endpoint
        self._resident: OrderedDict[str, tuple[Row, _Resident]] = OrderedDict()
        self._lock, self._fetching = threading.Lock(), threading.Lock()
        self._asked_in_vain = -RETRY_SECONDS

    def has(self, row: Row) -> bool:
        """Whether a row's weights are all here."""
        return all((self._place(source.repo) / name).is_file() for source in row.sources for name in source.files)

    def reachable(self) -> bool:
        """Whether the hub may be asked, and has not just been asked in vain."""
        lately = time.monotonic() - self._asked_in_vain < RETRY_SECONDS
        return not lately and os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE")

    @contextmanager
    def lent(self, row: Row, progress: Progress) -> Iterator[Detector]:
        """Hand out a row's detector to one caller at a time, fetching its weights if they are not here.

        Raises:
            MissingWeights: they cannot be fetched.
            StudioError: they are damaged.
        """
        self._fetch(row, progress)
        resident = self._get(row, progress)
        with _held(resident.lock, progress):
            yield resident.detector

    def _fetch(self, row: Row, progress: Progress) -> None:
        if self.has(row):
            return
        with _held(self._fetching, progress, "download"):
            try:
                for source in row.sources:
                    fetch_files(source.repo, source.files, self._folder, progress, endpoint=self._endpoint)
            except Unreachable:
                self._asked_in_vain = time.monotonic()
                raise

    def _get(self, row: Row, progress: Progress) -> _Resident:
        with _held(self._lock, progress):
            if row.name not in self._resident:
                progress(1.0, f"reading {row.label}")
                refuse_pickles()
                self._resident[row.name] = row, _Resident(self._load(row), threading.Lock())
                while len(self._resident) > 1 and sum(each.bytes for each, _ in self._resident.values()) > RESIDENT_BYTES:
                    self._resident.popitem(last=False)
            self._resident.move_to_end(row.name)
            return self._resident[row.name][1]

    def _load(self, row: Row) -> Detector:
        folders = [self._place(source.repo) for source in row.sources]
        try:
            with READING:
                return self._loaders[row.name](folders)
        except (StudioError, MemoryError):
            raise
        except Exception as error:
            # What a cut or foreign checkpoint makes the libraries raise is not theirs to promise.
            log.warning("%s could not be read", row.label, exc_info=True)
            where = " and ".join(str(folder) for folder in folders)
            raise StudioError(f"The weights of {row.label} are damaged; delete {where}, and they are fetched again.") from error

    def _place(self, repo: str) -> Path:
        return self._folder / repo.replace("/", "--")


@contextmanager
def _held(lock: threading.Lock, progress: Progress, work: str = "map") -> Iterator[None]:
    """Hold a lock. `progress` is heard while waiting for it, so that one who waits can give up, too."""
    while not lock.acquire(timeout=0.2):
        progress(0.0, f"waiting for another {work}")
    try:
        yield
    finally:
        lock.release()


def bounded(values: Values, pixels: Pixels) -> Values:
    """Return a row's settings with a resolution, which is the shorter side's, that keeps a long narrow picture within `LONGEST_SIDE`."""
    if "resolution" not in values:
        return values
    short, long = sorted(pixels.shape[:2])
    most = max(64, LONGEST_SIDE * short // long // 64 * 64)
    return {**values, "resolution": min(values["resolution"], most)}


def refuse_pickles() -> None:
    """Make sure that `torch.load` takes tensors only, which is its default: no checkpoint may run a program.

    Raises:
        StudioError: the environment switches that off.
    """
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "").lower() in ("1", "y", "yes", "true"):
        raise StudioError("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets checkpoints run programs; unset it and start again.")


def checked(path: Path) -> Path:
    """Return the path of a checkpoint after it was read to its end as tensors only, without keeping them.

    Raises:
        StudioError: it holds anything else, or is damaged.
    """
    tensors(path, device="meta")
    return path


def tensors(path: Path, *, device: str = "cpu") -> Any:
    """Read a checkpoint of torch's own format: dictionaries of tensors and numbers, nothing that runs.

    Raises:
        StudioError: it holds anything else, or is damaged.
    """
    import pickle  # noqa: PLC0415  (for the name of what torch's restricted reader raises)

    import torch  # noqa: PLC0415

    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise StudioError(f"{path.name} is damaged or holds more than weights, so it is not used; delete it from {path.parent}.") from error


def sized(pixels: Any, like: Pixels) -> Pixels:
    """Return a map in the height and width of a picture."""
    import cv2  # noqa: PLC0415

    made = np.ascontiguousarray(np.asarray(pixels, np.uint8))
    height, width = like.shape[:2]
    if made.shape[:2] == (height, width):
        return made
    kind = cv2.INTER_AREA if made.shape[0] >= height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(made, (width, height), interpolation=kind), np.uint8)
