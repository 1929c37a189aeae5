"""How well a picture follows a map: edges by F1, depth by rank correlation, poses by the distance of joints. NumPy and OpenCV only.

The words' bounds lie between what Mini reaches with and without control (see `assets/mini/README.md`), and are the same for every model:

| measure | follows closely | follows loosely |
|---|---|---|
| edges | F1 at least 0.7 | at least 0.4 |
| depth | correlation at least 0.85 | at least 0.6 |
| joints | distance at most 0.05 | at most 0.15 |
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studio.control.plain import Pixels, grey
from studio.events import Agreement
from studio.pose.drawing import COLOURS

TOLERANCE = 2 / 256
"""How far apart edges may lie, as a share of the shorter side: 2 pixels at 256."""
MISSING = 0.5
"""The distance that counts for a joint which is not found, as a share of the figure's height."""
RANKED_SIDE = 128
Word = Literal["follows closely", "follows loosely", "hardly follows"]


def edges(found: Pixels, wanted: Pixels) -> Agreement:
    """Compare two line maps, white on black, grey or RGB, of one size.

    Lines are thinned first, so that a broad stroke and a Canny edge in its middle agree. A line is met when the other map has one within
    `TOLERANCE`. F1 is the harmonic mean of the share of wanted lines that are met and the share of found ones that were wanted.
    """
    one, other = _lines(found), _lines(wanted)
    if not other.any():
        return Agreement("edges", None, "", "The map has no lines, so there is nothing to follow.")
    if not one.any():
        return Agreement("edges", 0.0, "hardly follows", "The picture has no edges.")
    reach = max(1.0, TOLERANCE * min(one.shape))
    recall, precision = _met(other, one, reach), _met(one, other, reach)
    score = 2 * recall * precision / max(recall + precision, 1e-9)
    note = f"{recall:.0%} of the lines are in the picture, {precision:.0%} of its edges are in the map."
    return Agreement("edges", score, _word(score, closely=0.7, loosely=0.4), note)


def depth(found: Pixels, wanted: Pixels) -> Agreement:
    """Compare two depth maps, bright for near, of one size, by Spearman's rank correlation: only the order of distances counts."""
    first, second = (_small(grey(pixels) if pixels.ndim == 3 else pixels).ravel() for pixels in (found, wanted))
    if np.ptp(second) == 0 or np.ptp(first) == 0:
        which = "map" if np.ptp(second) == 0 else "picture"
        return Agreement("depth", None, "", f"The {which} is equally far everywhere, so there is no order to compare.")
    value = float(np.corrcoef(ranks(first), ranks(second))[0, 1])
    note = f"The order of near and far agrees by {value:.2f}, where 1 is the same and 0 is chance."
    return Agreement("depth", value, _word(value, closely=0.85, loosely=0.6), note)


def joints(found: Pixels, wanted: Pixels) -> Agreement:
    """Compare two drawings in OpenPose's colours, RGB, of one size.

    Each wanted joint is compared with the nearest found one of its kind, and counts `MISSING` when there is none. Distances are shares of
    the larger side of the wanted joints' frame.
    """
    there, places = joint_places(found), joint_places(wanted)
    points = [point for each in places for point in each]
    if not points:
        return Agreement("joints", None, "", "The map has no joints, so there is nothing to follow.")
    height = max(1.0, float(np.ptp(np.array(points), axis=0).max()))
    distances = [_nearest(point, there[kind]) / height for kind, each in enumerate(places) for point in each]
    value = float(np.mean([min(MISSING, distance) for distance in distances]))
    seen = sum(bool(there[kind]) for kind, each in enumerate(places) for _ in each)
    word = _word(-value, closely=-0.05, loosely=-0.15)
    return Agreement("joints", value, word, f"{seen} of {len(points)} joints were found, {value:.0%} of the figure's height off.")


def joint_places(pixels: Pixels) -> list[list[tuple[float, float]]]:
    """Return per joint of OpenPose's 18 the places (x, y) of its dots, from their colours: hue 20 degrees apart, limbs are darker."""
    import cv2  # noqa: PLC0415

    result = []
    for colour in COLOURS:
        near = (np.abs(pixels.astype(np.float32) - np.array(colour)).max(axis=2) < 30).astype(np.uint8)
        _, _, stats, centres = cv2.connectedComponentsWithStats(near)
        # A single pixel of the colour is where two others blend.
        result.append([(float(x), float(y)) for (x, y), area in zip(centres[1:], stats[1:, cv2.CC_STAT_AREA], strict=True) if area >= 4])
    return result


def ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return each value's rank; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count - 1) / 2)[place]


def _lines(pixels: Pixels) -> NDArray[np.bool_]:
    """Return where lines are, thinned to their middles (morphological skeleton)."""
    import cv2  # noqa: PLC0415

    left = ((grey(pixels) if pixels.ndim == 3 else pixels) > 127).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    thin = np.zeros_like(left)
    while left.any():
        worn = cv2.erode(left, cross, borderValue=0)
        thin |= left & ~cv2.dilate(worn, cross)
        left = worn
    return thin.astype(bool)


def _met(lines: NDArray[np.bool_], others: NDArray[np.bool_], reach: float) -> float:
    """Return the share of lines that have one of the others within `reach` pixels."""
    import cv2  # noqa: PLC0415

    away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away[lines] <= reach).mean())


def _small(values: Pixels) -> Pixels:
    import cv2  # noqa: PLC0415

    scale = min(1.0, RANKED_SIDE / max(values.shape))
    size = max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.uint8)


def _nearest(point: tuple[float, float], others: list[tuple[float, float]]) -> float:
    return min((float(np.hypot(point[0] - x, point[1] - y)) for x, y in others), default=float("inf"))


def _word(value: float, *, closely: float, loosely: float) -> Word:
    return "follows closely" if value >= closely else "follows loosely" if value >= loosely else "hardly follows"
