"""The way back from a drawn map to people, so that what a detector drew, or a map from elsewhere, can be edited.

Joints are found by their colours and joined where a limb of the right colour runs between them, the surest first.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio.pose import JOINTS, LIMBS, MAX_PEOPLE, Person, Point, Pose
from studio.pose.drawing import COLOURS, DIMMED

Pixels = NDArray[np.float32]
Joint = tuple[int, int]
"""A kind of joint, and which of its dots."""
# How far a colour may be off, per channel: maps that were made smaller or saved as JPEG are blurred.
JOINT_OFF, LIMB_OFF = 48, 60
LEAST_PIXELS = 4
# A map is black but for its people, a photograph hardly ever.
BLACK, LEAST_BLACK = 24, 0.5
LEAST_SHARE = 0.85
MOST_DOTS = 4 * MAX_PEOPLE
_SAMPLES = np.linspace(0.12, 0.88, 24)
# Faces are small, so one in three dots of a person may be hidden by others.
_LEAST_JOINTS = 3


def read_map(picture: Image.Image) -> Pose | None:
    """Return the people of a pose map, on a canvas of the picture's size, or None when it is no map or shows nobody.

    Hands and faces are not read.
    """
    pixels = np.asarray(picture.convert("RGB")).astype(np.float32)
    if (pixels.max(axis=2) < BLACK).mean() < LEAST_BLACK:
        return None
    dots = [_dots(pixels, kind) for kind in range(len(JOINTS))]
    people = [_person(group, dots) for group in _groups(pixels, dots)]
    return Pose(picture.width, picture.height, tuple(people[:MAX_PEOPLE])) if people else None


def _dots(pixels: Pixels, kind: int) -> list[tuple[float, float]]:
    """Return where dots of a joint's colour are, the largest first, in pixels."""
    import cv2  # noqa: PLC0415  (takes a while, and is rarely needed)

    near = (np.abs(pixels - np.array(COLOURS[kind], np.float32)).max(axis=2) < JOINT_OFF).astype(np.uint8)
    _, _, stats, centres = cv2.connectedComponentsWithStats(near)
    areas: Any = stats[1:, cv2.CC_STAT_AREA]
    found = [(float(x), float(y)) for x, y in centres[1:]]
    order = [int(place) for place in np.argsort(-areas, kind="stable") if areas[place] >= LEAST_PIXELS]
    return [found[place] for place in order[:MOST_DOTS]]


def _groups(pixels: Pixels, dots: list[list[tuple[float, float]]]) -> Iterator[dict[int, int]]:
    """Join dots to people: one dot of a kind each, by kind."""
    owner: dict[Joint, dict[int, int]] = {}
    used: set[tuple[int, Joint]] = set()
    for _, limb, one, other in sorted(_limbs(pixels, dots)):
        if (limb, one) in used or (limb, other) in used:
            continue
        mine, theirs = (owner.get(joint) or {joint[0]: joint[1]} for joint in (one, other))
        if mine is theirs or mine.keys() & theirs.keys():
            # The same person already, or two people who touch.
            continue
        used |= {(limb, one), (limb, other)}
        mine |= theirs
        owner |= dict.fromkeys(mine.items(), mine)
    distinct = {id(group): group for group in owner.values()}
    yield from (group for group in distinct.values() if len(group) >= _LEAST_JOINTS)


def _limbs(pixels: Pixels, dots: list[list[tuple[float, float]]]) -> Iterator[tuple[float, int, Joint, Joint]]:
    """Yield (how unsure it is, limb, joint, joint) for each pair of dots with something drawn between; long limbs are less sure."""
    height, width = pixels.shape[:2]
    for limb, (start, end) in enumerate(LIMBS):
        colour = np.array([int(DIMMED * part) for part in COLOURS[limb]], np.float32)
        for one, other in product(range(len(dots[start])), range(len(dots[end]))):
            first, second = np.array(dots[start][one]), np.array(dots[end][other])
            places = (first + (second - first) * _SAMPLES[:, None]).round().astype(int)
            x, y = places[:, 0].clip(0, width - 1), places[:, 1].clip(0, height - 1)
            own = float((np.abs(pixels[y, x] - colour).max(axis=1) < LIMB_OFF).mean())
            drawn = float((pixels[y, x].max(axis=1) > LIMB_OFF).mean())
            # What is drawn later, other limbs and dots, may lie over a limb; it cannot make it black.
            if drawn >= LEAST_SHARE:
                length = math.dist(first, second) / min(width, height)
                yield length - own - drawn / 2, limb, (start, one), (end, other)


def _person(group: dict[int, int], dots: list[list[tuple[float, float]]]) -> Person:
    def joint(kind: int) -> Point:
        if kind not in group:
            return Point(0, 0, visible=False)
        x, y = dots[kind][group[kind]]
        return Point(round(x) + 0.5, round(y) + 0.5)

    return Person(tuple(joint(kind) for kind in range(len(JOINTS))))
