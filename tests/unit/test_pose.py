"""Poses as values: OpenPose's JSON read and written, bad files, mirroring, fitting, the library."""

import json
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from studio import intake
from studio.errors import BadPose
from studio.pose import FACE_POINTS, HAND_POINTS, JOINTS, MAX_PEOPLE, Person, Point, Pose, openpose
from studio.pose.drawing import draw
from studio.pose.library import library
from studio.pose.reading import read_map
from tests.flat import flat

STANDING = library()[0].pose


def points(count: int) -> st.SearchStrategy[tuple[Point, ...]]:
    # Halves of pixels, so that mirroring and adding are exact.
    place = st.integers(-40, 1000).map(lambda number: number / 2)
    return st.lists(st.builds(Point, place, place, st.booleans()), min_size=count, max_size=count).map(tuple)


def somebody() -> st.SearchStrategy[Person]:
    hands = st.just(()) | points(HAND_POINTS)
    faces = st.just(()) | points(FACE_POINTS[0]) | points(FACE_POINTS[1])
    people = st.builds(Person, points(len(JOINTS)), left_hand=hands, right_hand=hands, face=faces)
    return people.filter(lambda person: max((max(point[:2]) for point in person.seen), default=0) > 2)


poses = st.builds(Pose, st.integers(500, 600), st.integers(500, 600), st.lists(somebody(), min_size=1, max_size=3).map(tuple))


@settings(max_examples=25, deadline=None)
@given(poses)
def test_what_is_written_is_read(pose: Pose) -> None:
    assert openpose.read(openpose.write(pose)) == pose


@settings(max_examples=25, deadline=None)
@given(somebody())
def test_mirrored_twice_is_the_same(person: Person) -> None:
    once = person.mirrored()
    assert once.mirrored() == person
    assert once.box() == person.box()


def test_the_right_hand_becomes_the_left_one() -> None:
    person = next(named.pose.people[0] for named in library() if named.name == "Waving")
    left, right = JOINTS.index("left wrist"), JOINTS.index("right wrist")
    assert person.joints[left].y < person.joints[right].y
    mirrored = person.mirrored()
    assert mirrored.joints[right].y < mirrored.joints[left].y
    assert mirrored.joints[right].x < mirrored.joints[left].x, "a person who faces us has the right hand on our left"


def test_a_pose_fits_into_the_middle_of_another_canvas() -> None:
    pose = Pose(100, 200, (Person((Point(0, 0), Point(100, 200), *[Point(0, 0, visible=False)] * 16)),))
    joints = pose.fitted(400, 200).people[0].joints
    assert joints[:3] == (Point(150, 0), Point(250, 200), Point(0, 0, visible=False))
    assert pose.fitted(100, 200) is pose


def body(count: int = 18, **changed: float) -> list[float]:
    numbers = [float(place) for i in range(count) for place in (10 * i + 5, 300 - 4 * i, 1)]
    for place, number in changed.items():
        numbers[int(place[1:])] = number
    return numbers


def test_25_points_become_18() -> None:
    joints = openpose.read(json.dumps({"people": [{"pose_keypoints_2d": body(25)}]})).people[0].joints
    assert [round((point.x - 5) / 10) for point in joints] == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


def test_shares_of_the_canvas_become_pixels() -> None:
    shares = [number / 512 if i % 3 < 2 else number for i, number in enumerate(body())]
    pose = openpose.read(json.dumps({"canvas_width": 1024, "canvas_height": 512, "people": [{"pose_keypoints_2d": shares}]}))
    assert pose.people[0].joints[3] == Point(70, 288)


def test_the_first_frame_with_somebody_counts() -> None:
    nobody = {"people": [{"pose_keypoints_2d": [0] * 54}]}
    frames = [
        {"people": []},
        nobody,
        {"people": [{"pose_keypoints_2d": body()}, *nobody["people"]], "canvas_width": 512, "canvas_height": 640},
    ]
    pose = openpose.read(json.dumps(frames))
    assert (len(pose.people), pose.width, pose.height) == (1, 512, 640)


def test_hands_and_face_are_kept_and_null_is_none() -> None:
    person = {
        "pose_keypoints_2d": body(),
        "hand_left_keypoints_2d": body(21),
        "hand_right_keypoints_2d": None,
        "face_keypoints_2d": body(70, _2=0),
    }
    # Without a canvas, everybody stands on one that holds them.
    pose = openpose.read(json.dumps({"people": [person], "version": 1.3}))
    read = pose.people[0]
    assert (len(read.left_hand), read.right_hand, len(read.face), read.face[0].visible) == (21, (), 70, False)
    assert pose.width >= max(point.x for point in read.seen) and pose.height >= max(point.y for point in read.seen)


def one(**parts: object) -> str:
    return json.dumps({"people": [parts]})


def on_canvas(numbers: list[float], width: int | None, height: int | None) -> str:
    sides = {"canvas_width": width, "canvas_height": height}
    return json.dumps({"people": [{"pose_keypoints_2d": numbers}], **{name: side for name, side in sides.items() if side is not None}})


HAND = {"hand_left_keypoints_2d": [1]}
BAD = [
    ("", "This is no JSON (line 1, column 1)"),
    ("{", "This is no JSON"),
    ("GIF89a", "This is no JSON"),
    ("[" * 100_000, "This JSON is nested too deeply"),
    ('{"people":' * 30_000, "This JSON is nested too deeply"),
    ("1" * 5_000, "This is no JSON"),
    (" " * 1_000_000, "This pose has 1,000,000 characters"),
    ("null", "This JSON has no list of people"),
    ("{}", "This JSON has no list of people"),
    ("[]", "Nobody is in this pose"),
    ("[5]", "This JSON has no list of people"),
    ('{"people": {}}', "This JSON has no list of people"),
    ('{"people": []}', "Nobody is in this pose"),
    ('{"people": [null]}', "people[0] is no object"),
    ('{"people": [{}]}', "people[0].pose_keypoints_2d is missing; it must be a list of 54 numbers"),
    ('{"people": [{"pose_keypoints_2d": "all"}]}', "people[0].pose_keypoints_2d is no list"),
    ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "people[0].pose_keypoints_2d has 3 numbers; it must have 54 numbers (18 points)"),
    (one(pose_keypoints_2d=body(_4=float("nan"))), "people[0].pose_keypoints_2d[4] is nan; x, y and confidence"),
    (one(pose_keypoints_2d=body(_0=float("inf"))), "people[0].pose_keypoints_2d[0] is inf"),
    (one(pose_keypoints_2d=body()).replace("5.0", "1" * 400, 1), "people[0].pose_keypoints_2d[0] is a huge number"),
    (one(pose_keypoints_2d=[None, *body()[1:]]), "people[0].pose_keypoints_2d[0] is no number"),
    (one(pose_keypoints_2d=[True, *body()[1:]]), "people[0].pose_keypoints_2d[0] is no number"),
    (one(pose_keypoints_2d=[0] * 54), "Nobody is in this pose"),
    (one(pose_keypoints_2d=body(), **HAND), "people[0].hand_left_keypoints_2d has 1 numbers"),
    (json.dumps({"people": [{"pose_keypoints_2d": [0] * 54}] * 10_000}), "This pose has 1,870,012 characters"),
    (json.dumps({"people": [{}] * 10_000}), f"This pose has 10,000 people; keep at most {MAX_PEOPLE}"),
    (on_canvas(body(), 0, 9), "canvas_width must be a whole number"),
    (on_canvas(body(), 512, None), "canvas_height must be a whole number"),
    (on_canvas(body(_12=5e5), 512, 512), "people[0]: the right wrist lies"),
    (one(pose_keypoints_2d=body(_12=5e5)), "The people of this pose stand 550,000 pixels wide"),
    (one(pose_keypoints_2d=body(_12=-900)), "people[0]: the right wrist lies at -900, 284, far outside"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), BAD, ids=[sentence[:40] for _, sentence in BAD])
def test_a_bad_file_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadPose) as told:
        openpose.read(text)
    assert str(told.value).startswith(sentence)
    one_sentence(str(told.value))


def one_sentence(text: str) -> None:
    assert text.endswith(".") and "\n" not in text and len(text) < 220 and not re.search(r"[.!?] [A-Z]", text)


def test_5000_damaged_files_are_read_or_refused_in_a_sentence() -> None:
    draw = random.Random(7)
    whole = openpose.write(library()[-3].pose)
    junk = [
        "NaN",
        "-Infinity",
        "null",
        "true",
        "[]",
        "{}",
        '"x"',
        "1e999",
        "-1e308",
        "99999999999",
        "\\ud800",
        "\x00",
        "[[[",
        "]",
        ",",
        "-",
    ]
    refused = 0
    for _ in flat(5000, most=64 * 2**20):
        text = list(whole)
        for _ in range(draw.randint(1, 6)):
            start = draw.randrange(len(text) or 1)
            text[start : start + draw.choice([0, 1, 1, 5, 60])] = draw.choice([*junk, ""])
        if draw.random() < 0.2:
            del text[draw.randrange(len(text) + 1) :]
        try:
            pose = openpose.read("".join(text))
        except BadPose as error:
            refused += 1
            one_sentence(str(error))
        else:
            assert openpose.read(openpose.write(pose)) == pose
    assert 2500 < refused < 5000


def test_the_library_is_whole() -> None:
    named = library()
    assert len(named) >= 12
    assert len({pose.name for pose in named}) == len(named)
    for one in named:
        assert openpose.read(openpose.write(one.pose)) == one.pose
        for person in one.pose.people:
            left, top, right, bottom = person.box()
            assert left >= 0 and top >= 0 and right <= one.pose.width and bottom <= one.pose.height, one.name
            assert sum(joint.visible for joint in person.joints) >= 8, one.name


def test_people_of_the_library_have_arms_and_legs_of_like_length() -> None:
    for one in library():
        for person in one.pose.people:
            for limb, other in (((2, 3), (5, 6)), ((3, 4), (6, 7)), ((8, 9), (11, 12)), ((9, 10), (12, 13))):
                if all(person.joints[joint].visible for joint in (*limb, *other)):
                    assert 0.7 < length(person, limb) / length(person, other) < 1.4, one.name


def length(person: Person, limb: tuple[int, int]) -> float:
    one, other = (person.joints[joint] for joint in limb)
    return float(((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5)


@pytest.mark.parametrize("side", [512, 256])
def test_people_are_read_back_from_their_map(side: int) -> None:
    wanted = found = 0
    for named in library():
        pose = named.pose.fitted(side, side)
        read = read_map(draw(pose))
        assert read is not None and len(read.people) == len(pose.people), named.name
        for person in pose.people:
            wanted += sum(joint.visible for joint in person.joints)
            found += max(joints_met(person, other) for other in read.people)
    assert found >= 0.98 * wanted


def joints_met(one: Person, other: Person) -> int:
    pairs = zip(one.joints, other.joints, strict=True)
    return sum(a.visible and b.visible and math.dist(a[:2], b[:2]) < 3.2 for a, b in pairs)


def test_what_is_no_map_shows_nobody() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert read_map(Image.fromarray(noise)) is None
    assert read_map(Image.new("RGB", (64, 64))) is None


def test_a_pose_file_may_stand_where_a_pose_picture_may(tmp_path: Path) -> None:
    text = openpose.write(STANDING)
    drawn = np.asarray(draw(STANDING))
    for taken in (intake.read(text.encode(), kind="pose"), intake.decode(text, kind="pose")):
        assert np.array_equal(np.asarray(taken.picture), drawn)
    huge = openpose.write(STANDING.fitted(16_000, 16_000))
    assert intake.read(huge.encode(), kind="pose").picture.size == (2048, 2048)
    with pytest.raises(BadPose, match="This JSON has no list of people"):
        intake.read(b"{}", kind="pose")
    with pytest.raises(BadPose, match="This is no JSON"):
        intake.read(b"[\xff\xfe", kind="pose")
    (tmp_path / "bad.json").write_text("{}")
    bad = "{" + " " * 100 + "}"
    with pytest.raises(BadPose, match=r"^controls\[1\]\.image: This JSON has no list of people"):
        intake.lift({"controls": [{}, {"kind": "pose", "image": bad}]})
    with pytest.raises(BadPose, match=r"^bad\.json: This JSON has no list of people"):
        intake.gather({"controls": [{"kind": "pose", "image": "bad.json"}]}, tmp_path)
