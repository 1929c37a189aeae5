"""People as OpenPose describes them: 18 joints each, hands and a face where they are known. Values and geometry, nothing else.

Joints are in the order of OpenPose's COCO model (Cao et al., 2017). Coordinates are pixels of the pose's canvas, x to the right, y down.
A person who faces the viewer has the right hand on the picture's left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

JOINTS = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist", "right hip", "right knee",
    "right ankle", "left hip", "left knee", "left ankle", "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Joint to joint, in the order in which they are drawn."""
HAND_POINTS = 21
FACE_POINTS = (68, 70)
"""A face has 70 points from OpenPose, and 68, without pupils, from others."""
MAX_PEOPLE = 16
_BODY_SWAP = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
# Jaw, brows, bridge, nostrils, eyes, outer lips above and below, inner lips above and below, pupils.
_FACE_SWAP = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1), 69, 68,
)  # fmt: skip


class Point(NamedTuple):
    """A place in pixels; an invisible point takes no part in the picture, and at (0, 0) its place is not known either."""

    x: float
    y: float
    visible: bool = True


Points = tuple[Point, ...]
Move = Callable[[Point], Point]


@dataclass(frozen=True)
class Person:
    """One person: 18 joints; a hand has 21 points, a face 68 or 70, and each is empty where it is not known."""

    joints: Points
    left_hand: Points = ()
    right_hand: Points = ()
    face: Points = ()

    @property
    def points(self) -> Points:
        """All points, the invisible ones too."""
        return self.joints + self.left_hand + self.right_hand + self.face

    @property
    def seen(self) -> Points:
        """The visible points."""
        return tuple(point for point in self.points if point.visible)

    def box(self) -> tuple[float, float, float, float]:
        """Return (left, top, right, bottom) around the visible points; somebody invisible is a point at 0, 0."""
        seen = self.seen or (Point(0, 0),)
        return min(p.x for p in seen), min(p.y for p in seen), max(p.x for p in seen), max(p.y for p in seen)

    def moved(self, move: Move) -> "Person":
        """Return the person with every point moved; points whose place is not known stay so."""

        def all_of(points: Points) -> Points:
            return tuple(move(point) if point.visible or point[:2] != (0, 0) else point for point in points)

        return Person(all_of(self.joints), all_of(self.left_hand), all_of(self.right_hand), all_of(self.face))

    def mirrored(self) -> "Person":
        """Return the person turned left to right in its own place, so that the right hand becomes the left one."""
        left, _, right, _ = self.box()
        flipped = self.moved(lambda point: point._replace(x=left + right - point.x))
        face = flipped.face and _ordered(flipped.face, _FACE_SWAP[: len(flipped.face)])
        return Person(_ordered(flipped.joints, _BODY_SWAP), left_hand=flipped.right_hand, right_hand=flipped.left_hand, face=face)


@dataclass(frozen=True)
class Pose:
    """People on a canvas of `width` x `height` pixels."""

    width: int
    height: int
    people: tuple[Person, ...]

    def fitted(self, width: int, height: int) -> "Pose":
        """Return the pose on another canvas: as large as goes without cutting or stretching, in the middle."""
        if (width, height) == (self.width, self.height):
            return self
        scale = min(width / self.width, height / self.height)
        across, down = (width - scale * self.width) / 2, (height - scale * self.height) / 2

        def move(point: Point) -> Point:
            return point._replace(x=scale * point.x + across, y=scale * point.y + down)

        return Pose(width, height, tuple(person.moved(move) for person in self.people))

    def mirrored(self, index: int) -> "Pose":
        """Return the pose with one person mirrored."""
        people = [person.mirrored() if i == index else person for i, person in enumerate(self.people)]
        return replace(self, people=tuple(people))


def _ordered(points: Points, order: Sequence[int]) -> Points:
    return tuple(points[index] for index in order)
