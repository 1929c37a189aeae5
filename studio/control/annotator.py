"""Makes the maps: fits the picture, runs the preprocessor, keeps what it made."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping

import numpy as np
from PIL import Image

from studio import intake, weights
from studio.control import agreement, plain
from studio.control.given import given_map, ranged, rgb
from studio.events import Agreement
from studio.fit import cut, lay, place
from studio.images import content_key, eight_bit
from studio.ports import MEASURES, Offer, Progress
from studio.request import ControlUse

KEPT_BYTES = 128 * 2**20
JUDGES: Mapping[str, tuple[str, ...]] = {"sketch": ("canny", "lineart_standard"), "depth": ("depth_anything",), "pose": ("vitpose",)}
"""Per kind the preprocessors that may measure a finished picture, the usual one first."""
COMPARE = {"edges": agreement.edges, "depth": agreement.depth, "joints": agreement.joints}


class ControlAnnotator:
    """Implements `ports.Annotator`. Safe to call from several threads."""

    def __init__(self) -> None:
        self._kept = KeptMaps(KEPT_BYTES)

    def annotate(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Image.Image:
        """Return the map of one unit, RGB, of `size`; the same picture, preprocessor, settings, fit and size are computed once.

        Raises:
            StudioError: the picture does not suit the preprocessor.
        """
        row = weights.TABLE[use.preprocessor]
        values = row.filled(use.kind, use.settings)
        picture = intake.tidy(picture, kind=use.kind).picture
        key = (content_key(picture), use.kind, row.name, tuple(sorted(values.items())), size, use.fit)
        if (known := self._kept.get(key)) is not None:
            return known
        placement = place(picture.size, size, use.fit)
        if row.name == weights.DEFAULT:
            made = given_map(picture, use, placement=placement, values=values)
        else:
            made = plain.MAKERS[row.name](np.asarray(cut(eight_bit(picture), placement)), values)
            if "near" in values:
                made = ranged(made, values)
        result = lay(rgb(made), placement)
        self._kept.put(key, result)
        return result

    def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
        """Say how well a picture follows a map; what is no detector itself (a given map, a threshold) is measured by the usual one."""
        judge = use.preprocessor if use.preprocessor in JUDGES[use.kind] else JUDGES[use.kind][0]
        row = weights.TABLE.get(judge)
        measure = MEASURES[use.kind]
        if row is None:
            return Agreement(measure, None, "", f"There is no detector here that could measure {measure} on the picture.")
        values = row.filled(use.kind, use.settings if judge == use.preprocessor else {})
        found = plain.MAKERS[judge](np.asarray(eight_bit(picture).resize(control.size)), values)
        return COMPARE[measure](found, np.asarray(eight_bit(control)))

    def offers(self, kind: str) -> list[Offer]:
        """Return the preprocessors for a kind of control and whether each can be used now."""
        return [Offer(row, "ready", "") for row in weights.rows_for(kind)]


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
