"""The map that pose ControlNets follow: people drawn as OpenPose's renderer in controlnet-aux draws them, on black.

Drawn with OpenCV, because ControlNets learned its very outlines: limbs are dimmed ellipses below the joints, hands thin coloured lines.
"""

import colorsys
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio.pose import JOINTS, LIMBS, Points, Pose

Canvas = NDArray[np.uint8]
COLOURS = tuple((*(round(255 * part) for part in colorsys.hsv_to_rgb(index / 18, 1, 1)),) for index in range(len(JOINTS)))
"""Of joint and limb number 0 .. 17, RGB: once round the colour circle."""
DIMMED = 0.6
"""How bright a limb is beside its joints."""
HALF_WIDTH = 4
"""Of a limb, and the radius of a joint, in pixels of a picture whose shorter side is at most `SIDE`; larger pictures have thicker ones."""
SIDE = 512
_FINGERS = tuple((0 if place == 0 else 4 * finger + place, 4 * finger + place + 1) for finger in range(5) for place in range(4))


def draw(pose: Pose) -> Image.Image:
    """Return the map of a pose, RGB, of its canvas's size."""
    canvas = np.zeros((pose.height, pose.width, 3), np.uint8)
    scale = max(1.0, min(pose.width, pose.height) / SIDE)
    for person in pose.people:
        _body(canvas, person.joints, round(HALF_WIDTH * scale))
        _hand(canvas, person.left_hand, scale)
        _hand(canvas, person.right_hand, scale)
        _dots(canvas, person.face, radius=round(3 * scale), colour=(255, 255, 255))
    return Image.fromarray(canvas, "RGB")


def _cv2() -> Any:
    # Imported here because it takes a while, and a page without poses never needs it.
    import cv2  # noqa: PLC0415

    return cv2


def _body(canvas: Canvas, joints: Points, half_width: int) -> None:
    cv2 = _cv2()
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        one, other = joints[start], joints[end]
        if one.visible and other.visible:
            middle = int((one.x + other.x) / 2), int((one.y + other.y) / 2)
            length = int(math.hypot(one.x - other.x, one.y - other.y) / 2)
            angle = int(math.degrees(math.atan2(one.y - other.y, one.x - other.x)))
            outline = cv2.ellipse2Poly(middle, (length, half_width), angle, 0, 360, 1)
            cv2.fillConvexPoly(canvas, outline, [int(DIMMED * part) for part in colour])
    for joint, colour in zip(joints, COLOURS, strict=True):
        if joint.visible:
            cv2.circle(canvas, (int(joint.x), int(joint.y)), half_width, colour, -1)


def _hand(canvas: Canvas, points: Points, scale: float) -> None:
    for index, (start, end) in enumerate(_FINGERS if points else ()):
        one, other = points[start], points[end]
        if _inside(one) and _inside(other):
            colour = [255 * part for part in colorsys.hsv_to_rgb(index / len(_FINGERS), 1, 1)]
            _cv2().line(canvas, (int(one.x), int(one.y)), (int(other.x), int(other.y)), colour, round(2 * scale))
    _dots(canvas, points, radius=round(4 * scale), colour=(0, 0, 255))


def _dots(canvas: Canvas, points: Points, *, radius: int, colour: tuple[int, int, int]) -> None:
    for point in points:
        if _inside(point):
            _cv2().circle(canvas, (int(point.x), int(point.y)), radius, colour, -1)


def _inside(point: Any) -> bool:
    """Whether a point of a hand or face is drawn: detectors put those that they did not find at or left of the first pixel."""
    return bool(point.visible and int(point.x) > 0 and int(point.y) > 0)
