"""Makes the maps: fits the picture, runs the preprocessor, keeps what it made."""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from studio import intake, weights
from studio.control import agreement, depths, lines, plain, poses, regions
from studio.control.detectors import Loader, Shelf, bounded, sized
from studio.control.given import given_map, ranged, rgb
from studio.errors import StudioError
from studio.events import Agreement
from studio.fit import cut, lay, place
from studio.images import content_key, eight_bit
from studio.ports import MEASURES, Offer, Progress
from studio.pose import MAX_PEOPLE, Pose
from studio.pose.reading import read_map
from studio.request import ControlUse

KEPT_BYTES = 128 * 2**20
# Seconds.
MOST_PATIENCE = 2.0
LOADERS: Mapping[str, Loader] = {**lines.LOADERS, **depths.LOADERS, **poses.LOADERS, **regions.LOADERS}
JUDGES: Mapping[str, tuple[str, ...]] = {
    "sketch": ("canny", "lineart_standard", *lines.LOADERS, "threshold"),
    "depth": ("depth_anything", *(name for name in depths.LOADERS if name != "normal_bae")),
    "pose": ("vitpose", "openpose"),
}
"""Per kind the preprocessors that may measure a finished picture, the usual one first."""
UNMEASURED = ("shuffle", "normal_bae", *regions.LOADERS)
"""Preprocessors whose maps hold neither edges nor an order of depth, so that no measure of these would say anything."""
COMPARE = {"edges": agreement.edges, "depth": agreement.depth, "joints": agreement.joints}


class ControlAnnotator:
    """Implements `ports.Annotator`. Safe to call from several threads."""

    def __init__(self, folder: Path, *, endpoint: str | None = None) -> None:
        """`folder` is where weights are kept; `endpoint` is the model hub's address where it is not the usual one."""
        self._kept = KeptMaps(KEPT_BYTES)
        self._shelf = Shelf(folder, LOADERS, endpoint=endpoint)

    def annotate(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Image.Image:
        """Return the map of one unit, RGB, of `size`; the same picture, preprocessor, settings, fit and size are computed once.

        Raises:
            MissingWeights: the preprocessor's weights are not here and cannot be fetched.
            StudioError: its weights are damaged.
        """
        row = weights.TABLE[use.preprocessor]
        values = row.filled(use.kind, use.settings)
        picture = intake.tidy(picture, kind=use.kind).picture
        key = (content_key(picture), use.kind, row.name, tuple(sorted(values.items())), size, use.fit)
        if (known := self._kept.get(key)) is not None:
            return known.copy()
        placement = place(picture.size, size, use.fit)
        if row.name == weights.DEFAULT:
            made = given_map(picture, use, placement=placement, values=values)
        else:
            made = self._detected(row, np.array(cut(eight_bit(picture), placement)), values, progress)
            if "near" in values:
                made = ranged(made, values)
        result = lay(rgb(made), placement)
        # Who is given it may draw on it, and the next one must not get that.
        self._kept.put(key, result.copy())
        return result

    def people(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Pose | None:
        """Return the people of a pose unit's map, on a canvas of `size`, or None when nobody is there.

        A detector's own joints, with the hands and faces it was set to find; of all else the drawn map is read.

        Raises:
            MissingWeights, StudioError: as `annotate`.
        """
        row = weights.TABLE[use.preprocessor]
        if row.name not in poses.LOADERS:
            return read_map(self.annotate(picture, use, size, progress))
        picture = intake.tidy(picture, kind=use.kind).picture
        placement = place(picture.size, size, use.fit)
        pixels = np.array(cut(eight_bit(picture), placement))
        with self._shelf.lent(row, progress) as detector:
            assert isinstance(detector, poses.PeopleFinder)
            found = detector.find(pixels, bounded(row.filled(use.kind, use.settings), pixels))
        left, top = placement.offset
        people = [one.moved(lambda point: point._replace(x=point.x + left, y=point.y + top)) for one in found if one.seen]
        return Pose(*size, tuple(people[:MAX_PEOPLE])) if people else None

    def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
        """Say how well a picture follows a map; what is no detector itself (a given map, an inverted one) is measured by the usual one."""
        measure = MEASURES[use.kind]
        if use.preprocessor in UNMEASURED:
            return Agreement(measure, None, "", f"Not measured: no measure suits the maps of {weights.TABLE[use.preprocessor].label}.")
        judges = [weights.TABLE[name] for name in JUDGES[use.kind]]
        own = [row for row in judges if row.name == use.preprocessor]
        # A map that was given has no detector of its own, so any that is here will do.
        row = next((row for row in own or judges if self._shelf.has(row)), None)
        if row is None:
            wanted = (own or judges)[0]
            missing = f"the weights of {wanted.label} ({wanted.bytes / 1e6:,.0f} MB) are not here"
            return Agreement(measure, None, "", f"Not measured: {missing}; make one map with it to fetch them.")
        values = row.filled(use.kind, use.settings if own else {})
        pixels = np.array(eight_bit(picture).resize(control.size))
        try:
            found = self._detected(row, pixels, values, _impatient())
        except _Busy:
            return Agreement(measure, None, "", f"Not measured: {row.label} is making another map.")
        return COMPARE[measure](found, np.asarray(eight_bit(control)))

    def _detected(self, row: weights.Row, pixels: plain.Pixels, values: plain.Values, progress: Progress) -> plain.Pixels:
        if row.name in plain.MAKERS:
            return plain.MAKERS[row.name](pixels, values)
        with self._shelf.lent(row, progress) as detector:
            return sized(detector(pixels, bounded(values, pixels)), pixels)

    def offers(self, kind: str) -> list[Offer]:
        """Return the preprocessors for a kind of control and whether each can be used now."""
        return [self._offer(row) for row in weights.rows_for(kind)]

    def _offer(self, row: weights.Row) -> Offer:
        if self._shelf.has(row):
            return Offer(row, "ready", "")
        needs = f"{row.bytes / 1e6:,.0f} MB, {row.licence}"
        if self._shelf.reachable():
            return Offer(row, "download", f"downloads {needs}")
        return Offer(row, "offline", f"offline, and {needs} would have to be fetched")


class _Busy(StudioError):
    """A detector that would measure works for somebody else."""


def _impatient() -> Progress:
    """Return what gives up waiting for a detector after a while: a finished picture waits for its measure."""
    until = time.monotonic() + MOST_PATIENCE

    def heard(fraction: float, message: str) -> None:
        if time.monotonic() > until:
            raise _Busy(message)

    return heard


class KeptMaps:
    """The maps made last, up to a number of bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._maps: OrderedDict[Hashable, Image.Image] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Image.Image | None:
        """Return a map, or None."""
        with self._lock:
            if key in self._maps:
                self._maps.move_to_end(key)
            return self._maps.get(key)

    def put(self, key: Hashable, made: Image.Image) -> None:
        """Keep a map (RGB); the ones not asked for longest make room."""
        with self._lock:
            if key not in self._maps:
                self._maps[key] = made
                self._bytes += _bytes(made)
            while self._bytes > self._room and len(self._maps) > 1:
                self._bytes -= _bytes(self._maps.popitem(last=False)[1])


def _bytes(picture: Image.Image) -> int:
    return picture.width * picture.height * 3
