"""OpenPose's JSON, read and written: its own files (COCO's 18 or BODY_25's 25 points), and the lists of frames that pose editors write.

Format: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from studio.errors import BadPose
from studio.pose import FACE_POINTS, HAND_POINTS, JOINTS, MAX_PEOPLE, Person, Point, Points, Pose

MAX_CHARACTERS = 400_000
MAX_SIDE = 16_384
# BODY_25 has a joint between the hips and six on the feet, for which the 18 joints have no place.
_FROM_BODY_25 = (*range(8), *range(9, 19))
_COUNTS = {
    "pose_keypoints_2d": (18, 25),
    "hand_left_keypoints_2d": (HAND_POINTS,),
    "hand_right_keypoints_2d": (HAND_POINTS,),
    "face_keypoints_2d": FACE_POINTS,
}
_EXAMPLE = '{"people": [{"pose_keypoints_2d": [x, y, confidence, ...]}]}'


def read(text: str) -> Pose:
    """Read a pose.

    Coordinates are pixels, or shares of the canvas when all of them lie between -1 and 2. Without `canvas_width` and `canvas_height`
    the canvas is what holds everybody. Of several frames the first that shows somebody counts. A confidence of 0 makes a point invisible.

    Raises:
        BadPose: one sentence that says which part of the text is not as it must be.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadPose(
            f"This pose has {len(text):,} characters; one of at most {MAX_CHARACTERS:,} can be read, so leave people or frames out."
        )
    try:
        data = json.loads(text)
    except RecursionError:
        raise BadPose("This JSON is nested too deeply to be a pose; export it again from the program that wrote it.") from None
    except ValueError as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadPose(f"This is no JSON{where}; give a file that OpenPose or a pose editor wrote.") from None
    return _frame(data)


def write(pose: Pose) -> str:
    """Return a pose as OpenPose's JSON, which `read` turns into an equal pose: pixels, invisible points with confidence 0."""
    people = [
        {
            "pose_keypoints_2d": _flat(person.joints),
            "hand_left_keypoints_2d": _flat(person.left_hand),
            "hand_right_keypoints_2d": _flat(person.right_hand),
            "face_keypoints_2d": _flat(person.face),
        }
        for person in pose.people
    ]
    return json.dumps({"canvas_width": pose.width, "canvas_height": pose.height, "people": people}, allow_nan=False)


def _flat(points: Points) -> list[float]:
    return [number for point in points for number in (point.x, point.y, 1 if point.visible else 0)]


def _frame(data: Any) -> Pose:
    frames = data if isinstance(data, list) else [data]
    for frame in frames:
        if not isinstance(frame, dict) or not isinstance(frame.get("people"), list):
            raise BadPose(f"This JSON has no list of people; a pose looks like {_EXAMPLE}.")
        if len(frame["people"]) > MAX_PEOPLE:
            raise BadPose(f"This pose has {len(frame['people']):,} people; keep at most {MAX_PEOPLE} of them.")
        people = [_person(person, index) for index, person in enumerate(frame["people"])]
        seen = tuple(person for person in people if person.seen)
        if seen:
            return _placed(seen, _canvas(frame))
    raise BadPose("Nobody is in this pose; give one with at least one person who has a visible joint.")


def _person(data: Any, index: int) -> Person:
    if not isinstance(data, dict):
        raise BadPose(f"people[{index}] is no object; a pose looks like {_EXAMPLE}.")
    parts = {key: _points(data.get(key), f"people[{index}].{key}", counts) for key, counts in _COUNTS.items()}
    body, left, right, face = parts.values()
    if not body:
        raise BadPose(f"people[{index}].pose_keypoints_2d is missing; it must be a list of {_wanted((18, 25))}.")
    if len(body) == 25:
        body = tuple(body[place] for place in _FROM_BODY_25)
    return Person(body, left_hand=left, right_hand=right, face=face)


def _points(data: Any, where: str, counts: Sequence[int]) -> Points:
    if data is None or data == []:
        return ()
    if not isinstance(data, list):
        raise BadPose(f"{where} is no list; it must be a list of {_wanted(counts)}.")
    if len(data) not in [3 * count for count in counts]:
        raise BadPose(f"{where} has {len(data):,} numbers; it must have {_wanted(counts)}.")
    for place, number in enumerate(data):
        # A bool is an int for Python, but no coordinate.
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise BadPose(f"{where}[{place}] is no number; x, y and confidence must be numbers.")
        if not -1e9 < number < 1e9:
            raise BadPose(f"{where}[{place}] is {_told(number)}; x, y and confidence must be finite numbers of a picture's size.")
    return tuple(Point(float(data[i]), float(data[i + 1]), data[i + 2] > 0) for i in range(0, len(data), 3))


def _told(number: Any) -> str:
    return str(number) if isinstance(number, float) and not math.isfinite(number) else "a huge number"


def _wanted(counts: Sequence[int]) -> str:
    return " or ".join(f"{3 * count} numbers ({count} points)" for count in counts)


def _canvas(frame: dict[str, Any]) -> tuple[int, int] | None:
    if frame.get("canvas_width") is None and frame.get("canvas_height") is None:
        return None
    return _side(frame, "canvas_width"), _side(frame, "canvas_height")


def _side(frame: dict[str, Any], name: str) -> int:
    side = frame.get(name)
    if isinstance(side, bool) or not isinstance(side, int | float) or not 1 <= side <= MAX_SIDE or int(side) != side:
        raise BadPose(f"{name} must be a whole number from 1 to {MAX_SIDE}; leave both canvas sides out when they are not known.")
    return int(side)


def _placed(people: tuple[Person, ...], canvas: tuple[int, int] | None) -> Pose:
    """Put people on their canvas, in pixels."""
    seen = [point for person in people for point in person.seen]
    if all(-1 <= number <= 2 for point in seen for number in point[:2]):
        across, down = canvas or (512, 512)
        people = tuple(person.moved(lambda point: point._replace(x=point.x * across, y=point.y * down)) for person in people)
        canvas = across, down
    elif canvas is None:
        # A tenth more, so that hands and feet do not touch the edge.
        canvas = max(1, math.ceil(1.1 * max(point.x for point in seen))), max(1, math.ceil(1.1 * max(point.y for point in seen)))
    width, height = canvas
    if max(width, height) > MAX_SIDE:
        raise BadPose(f"The people of this pose stand {max(width, height):,} pixels wide or deep; at most {MAX_SIDE:,} can be read.")
    return Pose(width, height, tuple(_near(person, index, canvas) for index, person in enumerate(people)))


def _near(person: Person, index: int, canvas: tuple[int, int]) -> Person:
    """Return the person, whose visible points lie at most one canvas outside of it; invisible ones further off have no place."""

    def far(point: Point) -> bool:
        return any(not -side <= number <= 2 * side for number, side in zip(point[:2], canvas, strict=True))

    for place, point in enumerate(person.points):
        if point.visible and far(point):
            part = JOINTS[place] if place < len(JOINTS) else "hand or face"
            where = f"{point.x:.0f}, {point.y:.0f}"
            raise BadPose(
                f"people[{index}]: the {part} lies at {where}, far outside of the {canvas[0]} x {canvas[1]} canvas; correct one of them."
            )
    return person.moved(lambda point: Point(0, 0, visible=False) if far(point) else point)
