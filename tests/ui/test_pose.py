"""The pose editor's server functions over plain HTTP: maps are kept and become units, files are read, nonsense is a sentence."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from studio.engine.fake import FakeAnnotator, FakeEngine, fake_parts
from studio.images import content_key
from studio.ports import Offer, Progress
from studio.pose import FACE_POINTS, HAND_POINTS, Point, Pose, drawing, openpose
from studio.pose.library import library
from studio.request import ControlUse
from studio.service import Studio
from studio.ui.panels.pose import found
from studio.weights import TABLE
from tests.served import Served
from tests.ui.browserless import VISITOR_A, Page

WAVING = next(named.pose for named in library() if named.name == "Waving")
TEXT = openpose.write(WAVING)


@pytest.fixture
def visitor(http: httpx.Client) -> Page:
    return Page(http, VISITOR_A)


def test_a_pose_becomes_a_kept_map_that_a_unit_follows(visitor: Page, page: Served) -> None:
    answer = visitor.call("control", "pose_map", [TEXT, [256, 320]])
    kept = page.studio.picture(answer["image"])
    assert answer["error"] == "" and kept is not None
    assert np.array_equal(np.asarray(kept), np.asarray(drawing.draw(WAVING.fitted(256, 320))))
    assert visitor.call("control", "pose_map", [TEXT, [256, 320]]) == answer
    unit = {"kind": "pose", "image": answer["image"], "preprocessor": "none"}
    view = visitor.finish(visitor.generate(controls=[unit], seed=1, steps=2, width=256, height=320)["job"])
    assert view["phase"] == "done"


def test_the_map_as_a_file(visitor: Page) -> None:
    sent = visitor.call("control", "pose_png", [TEXT, [256, 256]])["png"]
    picture = Image.open(io.BytesIO(base64.b64decode(sent.partition(",")[2])))
    assert np.array_equal(np.asarray(picture), np.asarray(drawing.draw(WAVING.fitted(256, 256))))


def test_files_are_read_and_people_mirrored(visitor: Page) -> None:
    frames = json.dumps([{"people": []}, json.loads(TEXT)])
    pose = visitor.call("control", "pose_read", frames)["pose"]
    assert openpose.read(json.dumps(pose)) == WAVING
    mirrored = visitor.call("control", "pose_mirror", [TEXT, 0])["pose"]
    assert openpose.read(json.dumps(mirrored)) == WAVING.mirrored(0) != WAVING


def test_the_library_comes_with_names(visitor: Page) -> None:
    poses = visitor.call("control", "pose_library", None)["poses"]
    assert [one["name"] for one in poses] == [named.name for named in library()]
    assert openpose.read(json.dumps(poses[1]["pose"])) == WAVING


def data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_a_pose_map_can_be_edited_again(visitor: Page) -> None:
    read = openpose.read(json.dumps(visitor.call("control", "pose_find", data_url(drawing.draw(WAVING)))["pose"]))
    for joint, wanted in zip(read.people[0].joints, WAVING.people[0].joints, strict=True):
        assert joint.x == pytest.approx(wanted.x, abs=3) and joint.y == pytest.approx(wanted.y, abs=3)


def test_a_photograph_without_a_detector_is_a_sentence(visitor: Page) -> None:
    answer = visitor.call("control", "pose_find", data_url(Image.new("RGB", (64, 64), "gray")))
    assert answer["error"].startswith("No pose detector is here yet; give the photo under Picture")
    assert visitor.call("control", "pose_find", "data:image/png;base64,AAAA")["error"].startswith(
        "The picture is no picture that can be read"
    )
    assert visitor.call("control", "pose_find", 5)["error"] == "This page did not ask properly; reload it."


def whole(pose: Pose) -> Pose:
    """The pose with hands and a face, as OpenPose finds them."""
    hand, face = (tuple(Point(10.0 + i, 20.0 + 2 * i) for i in range(count)) for count in (HAND_POINTS, FACE_POINTS[1]))
    return replace(pose, people=tuple(replace(one, left_hand=hand, right_hand=hand, face=face) for one in pose.people))


class Finder(FakeAnnotator):
    """Finds the same person in every picture, as detectors whose weights are here; the second one also hands and faces."""

    def people(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Pose:
        person = WAVING.fitted(*size)
        return whole(person) if use.settings == {"hand": 1, "face": 1} else person

    def offers(self, kind: str) -> list[Offer]:
        return [Offer(TABLE[name], "ready", "") for name in ("none", "vitpose", "openpose")]


def test_a_photograph_becomes_people_with_hands_and_faces() -> None:
    studio = Studio(FakeEngine, replace(fake_parts(), annotator=Finder()))
    pose = found(studio, data_url(Image.new("RGB", (1600, 1200), "gray")))
    assert pose == whole(WAVING.fitted(1024, 768)), "the detector's own joints, not those read off its drawing"


def test_the_map_of_a_unit_is_edited_as_people(visitor: Page) -> None:
    key = visitor.call("control", "keep", [data_url(drawing.draw(WAVING)), "pose"])["image"]
    pose = visitor.call("control", "pose_people", [{"kind": "pose", "image": key}, [256, 256]])["pose"]
    assert (pose["canvas_width"], len(pose["people"])) == (256, 1)
    nobody = visitor.call("control", "keep", [data_url(Image.new("RGB", (64, 64), "gray")), "pose"])["image"]
    answer = visitor.call("control", "pose_people", [{"kind": "pose", "image": nobody}, [256, 256]])
    assert answer == {"error": "Nobody was found in this picture; give one that shows people from head to hip at least."}
    for asked in (None, [], [{}, [64]], [[], [64, 64]]):
        assert visitor.call("control", "pose_people", asked) == {"error": "This page did not ask properly; reload it."}


def test_a_pose_file_steers_a_run_over_http(client: Client) -> None:
    unit = {"kind": "pose", "image": TEXT}
    made = client.predict({"controls": [unit], "seed": 1, "steps": 1}, api_name="/generate")["requests"][0]
    assert made["controls"][0]["image"] == content_key(drawing.draw(WAVING))
    with pytest.raises(AppError, match="This pose has 10,000 people; keep at most 16 of them"):
        client.predict({"controls": [{"kind": "pose", "image": json.dumps({"people": [{}] * 10_000})}]}, api_name="/generate")


@pytest.mark.parametrize(
    ("function", "sent", "sentence"),
    [
        ("pose_read", None, "This page did not ask properly; reload it."),
        ("pose_read", "[" * 100_000, "This JSON is nested too deeply to be a pose"),
        ("pose_read", '{"people": [{"pose_keypoints_2d": [NaN, 1]}]}', "people[0].pose_keypoints_2d has 2 numbers"),
        ("pose_read", json.dumps({"people": [{}] * 10_000}), "This pose has 10,000 people"),
        ("pose_map", None, "This page did not ask properly; reload it."),
        ("pose_map", [TEXT], "This page did not ask properly; reload it."),
        ("pose_map", [TEXT, [None, None]], "This page did not ask properly; reload it."),
        ("pose_map", [TEXT, [256, 1e9]], "height must be"),
        ("pose_map", [TEXT, [7, 256]], "width must be"),
        ("pose_map", [TEXT, ["256", {}]], "width must be"),
        ("pose_map", ["{}", [256, 256]], "This JSON has no list of people"),
        ("pose_png", ["{}", [256, 256]], "This JSON has no list of people"),
        ("pose_mirror", [TEXT, "first"], "This page did not ask properly; reload it."),
    ],
)
def test_nonsense_is_a_sentence(visitor: Page, function: str, sent: Any, sentence: str) -> None:
    answer = visitor.call("control", function, sent)
    assert answer["error"].startswith(sentence) and set(answer) == {"error"}


def test_mirroring_somebody_who_is_not_there_changes_nothing(visitor: Page) -> None:
    assert openpose.read(json.dumps(visitor.call("control", "pose_mirror", [TEXT, 99])["pose"])) == WAVING
