"""The pose editor's server functions over plain HTTP: maps are kept and become units, files are read, nonsense is a sentence."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from studio.pose import drawing, openpose
from studio.pose.library import library
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
