"""Pose maps: people found in a picture, drawn in OpenPose's colours, and their joints themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.control.detectors import Detector, Loader, checked
from studio.control.lines import run
from studio.control.plain import Pixels, Values
from studio.pose import FACE_POINTS, MAX_PEOPLE, Person, Point, Points, Pose
from studio.pose.drawing import draw

# Of COCO's 17 points those that are OpenPose's 18 joints, in its order; the neck lies between the shoulders.
_NECK = -1
_FROM_COCO = (0, _NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_SHOULDERS = (5, 6)
_PERSON = 0
# How sure OpenPose's face network must be of a point, as controlnet-aux has it.
_LEAST_SURE = 0.05
_UNKNOWN = Point(0, 0, visible=False)


@dataclass(frozen=True)
class PeopleFinder:
    """A detector that draws people, and also tells where they are: `find` returns them in pixels of the picture."""

    draw: Detector
    find: Callable[[Pixels, Values], list[Person]]

    def __call__(self, pixels: Pixels, values: Values) -> Pixels:
        """Return the map."""
        return self.draw(pixels, values)


def _openpose(folders: list[Path]) -> Detector:
    from controlnet_aux.open_pose import OpenposeDetector  # noqa: PLC0415
    from controlnet_aux.util import resize_image  # noqa: PLC0415

    for name in ("body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"):
        checked(folders[0] / name)
    detector = OpenposeDetector.from_pretrained(str(folders[0]))

    def draw_all(pixels: Pixels, values: Values) -> Pixels:
        parts = {f"include_{part}": values[part] >= 0.5 for part in ("body", "hand", "face")}
        return run(detector, pixels, values, **parts)

    def find(pixels: Pixels, values: Values) -> list[Person]:
        # The network's colours are those of OpenCV.
        seen = resize_image(np.ascontiguousarray(pixels), int(values["resolution"]))[:, :, ::-1].copy()
        height, width = pixels.shape[:2]
        return [person_of(found, width, height) for found in _seen_by_openpose(detector, seen, values)]

    return PeopleFinder(draw_all, find)


def _seen_by_openpose(detector: Any, seen: Pixels, values: Values) -> Iterator[dict[str, Sequence[Any]]]:
    """Yield people's parts as lists of places (x, y) in shares of the picture, None where one was not found."""
    import torch  # noqa: PLC0415

    height, width = seen.shape[:2]
    with torch.no_grad():
        for body in detector.body_estimation.format_body_result(*detector.body_estimation(seen)):
            parts: dict[str, Sequence[Any]] = {"joints": [point and (point.x / width, point.y / height) for point in body.keypoints]}
            if values["body"] < 0.5:
                parts["joints"] = [None] * len(parts["joints"])
            if values["hand"] >= 0.5:
                hands = detector.detect_hands(body, seen)
                parts |= {name: hand or () for name, hand in zip(("left_hand", "right_hand"), hands, strict=True)}
            if values["face"] >= 0.5:
                parts["face"] = _face(detector, body, seen)
            yield parts


def _face(detector: Any, body: Any, seen: Pixels) -> Sequence[Any]:
    """Return the 70 points of a face; controlnet-aux's own way drops what it does not find, so that nobody knows which is which."""
    from controlnet_aux.open_pose.util import faceDetect  # noqa: PLC0415

    if (square := faceDetect(body, seen)) is None:
        return ()
    left, top, side = square
    heat = detector.face_estimation(seen[top : top + side, left : left + side])[: max(FACE_POINTS)]
    peaks = [np.unravel_index(int(each.argmax()), each.shape) for each in heat]
    height, width = seen.shape[:2]
    return [
        ((left + x) / width, (top + y) / height) if each.max() > _LEAST_SURE else None for (y, x), each in zip(peaks, heat, strict=True)
    ]


def person_of(parts: Mapping[str, Sequence[Any]], width: int, height: int) -> Person:
    """Return a person, in pixels, whose parts are named as `Person` does and lie in shares of the picture, `None` and negative: unknown."""

    def placed(point: Any) -> Point:
        return Point(float(point[0] * width), float(point[1] * height)) if point and min(point[:2]) > 0 else _UNKNOWN

    def points(name: str) -> Points:
        return tuple(placed(point) for point in parts.get(name, ()))

    return Person(points("joints"), left_hand=points("left_hand"), right_hand=points("right_hand"), face=points("face"))


def _vitpose(folders: list[Path]) -> Detector:
    import torch  # noqa: PLC0415
    from transformers import AutoImageProcessor, AutoModelForObjectDetection, VitPoseForPoseEstimation  # noqa: PLC0415

    finder_reads, reads = (AutoImageProcessor.from_pretrained(folder, local_files_only=True) for folder in folders)
    options = {"local_files_only": True, "use_safetensors": True}
    finder = AutoModelForObjectDetection.from_pretrained(folders[0], **options).eval()
    model = VitPoseForPoseEstimation.from_pretrained(folders[1], **options).eval()

    def find(pixels: Pixels, values: Values) -> list[Person]:
        size = [pixels.shape[:2]]
        with torch.inference_mode():
            seen = finder(**finder_reads(images=pixels, return_tensors="pt"))
            (things,) = finder_reads.post_process_object_detection(seen, threshold=values["score"], target_sizes=size)
            # The surest come first.
            boxes = things["boxes"][things["labels"] == _PERSON][:MAX_PEOPLE].numpy()
            if not len(boxes):
                return []
            boxes[:, 2:] -= boxes[:, :2]
            found = model(**reads(pixels, boxes=[boxes], return_tensors="pt"))
        (people,) = reads.post_process_pose_estimation(found, boxes=[boxes])
        return [_from_coco(each["keypoints"].numpy(), each["scores"].numpy(), least=values["joint"]) for each in people]

    def draw_all(pixels: Pixels, values: Values) -> Pixels:
        height, width = pixels.shape[:2]
        return np.asarray(draw(Pose(width, height, tuple(find(pixels, values)))), np.uint8)

    return PeopleFinder(draw_all, find)


def _from_coco(places: Any, sure: Any, *, least: float) -> Person:
    """Return a person of COCO's 17 points; points less sure than `least` (0 .. 1) are invisible."""

    def joint(index: int) -> Point:
        chosen = list(_SHOULDERS) if index == _NECK else [index]
        x, y = places[chosen].mean(axis=0)
        return Point(float(x), float(y), visible=bool(sure[chosen].min() >= least))

    return Person(tuple(joint(index) for index in _FROM_COCO))


LOADERS: Mapping[str, Loader] = {"openpose": _openpose, "vitpose": _vitpose}
"""By the names of the table's rows."""
