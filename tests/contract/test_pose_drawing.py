"""The pose map is, pixel by pixel, what controlnet-aux draws of the same joints."""

import colorsys
import importlib.util
import random
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest

from studio.control.poses import person_of
from studio.pose import FACE_POINTS, HAND_POINTS, JOINTS, Person, Point, Pose
from studio.pose.drawing import draw
from studio.pose.library import library


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    if importlib.util.find_spec("matplotlib") is None:
        # All that controlnet-aux asks of matplotlib is one conversion, and nothing else here needs that library.
        colors = types.SimpleNamespace(hsv_to_rgb=lambda hsv: np.array(colorsys.hsv_to_rgb(*hsv)))
        monkeypatch.setitem(sys.modules, "matplotlib", types.SimpleNamespace(colors=colors))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from controlnet_aux import open_pose
    return open_pose


def their_map(theirs: Any, pose: Pose) -> np.ndarray[Any, Any]:
    """Draw with controlnet-aux. It takes shares of the canvas, and multiplies them with its sides again."""

    def points(of: tuple[Point, ...]) -> list[Any]:
        keypoint = theirs.body.Keypoint
        return [keypoint(point.x / pose.width, point.y / pose.height) if point.visible else None for point in of]

    def found(of: tuple[Point, ...]) -> list[Any] | None:
        # Of hands and faces its detector gives -1 for what it did not find.
        keypoint = theirs.body.Keypoint
        return [point or keypoint(-1 / pose.width, -1 / pose.height) for point in points(of)] or None

    people = [
        theirs.PoseResult(theirs.BodyResult(points(one.joints), 0.0, 0), found(one.left_hand), found(one.right_hand), found(one.face))
        for one in pose.people
    ]
    drawn: np.ndarray[Any, Any] = theirs.draw_poses(people, pose.height, pose.width)
    return drawn


def inner(pose: Pose) -> Pose:
    """Joints in the middle of pixels, so that going through shares of the canvas cannot change the pixel."""
    people = [person.moved(lambda point: point._replace(x=int(point.x) + 0.5, y=int(point.y) + 0.5)) for person in pose.people]
    return Pose(pose.width, pose.height, tuple(people))


@pytest.mark.parametrize("size", [(512, 512), (256, 256), (512, 768), (296, 224)])
def test_the_library_is_drawn_like_controlnet_aux(theirs: Any, size: tuple[int, int]) -> None:
    for one in library():
        pose = inner(one.pose.fitted(*size))
        ours = np.asarray(draw(pose))
        assert ours.any() and np.array_equal(ours, their_map(theirs, pose)), one.name


def test_hands_faces_and_missing_points_are_drawn_like_controlnet_aux(theirs: Any) -> None:
    chance = random.Random(3)

    def some(count: int) -> tuple[Point, ...]:
        return tuple(Point(chance.randrange(-60, 570) + 0.5, chance.randrange(-60, 700) + 0.5, chance.random() < 0.8) for _ in range(count))

    for _ in range(40):
        people = tuple(
            Person(some(len(JOINTS)), left_hand=some(HAND_POINTS), right_hand=some(HAND_POINTS), face=some(chance.choice(FACE_POINTS)))
            for _ in range(2)
        )
        pose = Pose(512, 640, people)
        assert np.array_equal(np.asarray(draw(pose)), their_map(theirs, pose))


def test_what_openpose_finds_becomes_the_people_that_it_would_draw(theirs: Any) -> None:
    chance = random.Random(5)

    def found(count: int, none: Any) -> list[Any]:
        return [
            (chance.randrange(1, 500) / 512 + 1e-4, chance.randrange(1, 600) / 640 + 1e-4) if chance.random() < 0.7 else none
            for _ in range(count)
        ]

    for _ in range(20):
        none = (-1 / 512, -1 / 640)
        parts = {"joints": found(18, None), "left_hand": found(21, none), "right_hand": (), "face": found(70, None)}
        person = person_of(parts, 512, 640)
        assert [point.visible for point in person.joints] == [point is not None for point in parts["joints"]]
        assert [point.visible for point in person.left_hand] == [point != none for point in parts["left_hand"]]
        assert (len(person.right_hand), len(person.face)) == (0, 70)
        keypoint = theirs.body.Keypoint
        drawn = theirs.draw_poses(
            [
                theirs.PoseResult(
                    theirs.BodyResult([point and keypoint(*point) for point in parts["joints"]], 0.0, 0),
                    [keypoint(*point) for point in parts["left_hand"]],
                    None,
                    [keypoint(*(point or none)) for point in parts["face"]],
                )
            ],
            640,
            512,
        )
        assert np.array_equal(np.asarray(draw(Pose(512, 640, (person,)))), drawn)


def test_a_larger_picture_has_thicker_limbs() -> None:
    small, large = (np.asarray(draw(library()[0].pose.fitted(side, side))) for side in (512, 1024))
    share = [float((drawn.max(2) > 0).mean()) for drawn in (small, large)]
    assert share[1] == pytest.approx(share[0], rel=0.1)
