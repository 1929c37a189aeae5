"""Pose maps: people found in a picture, drawn in OpenPose's colours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studio.control.detectors import Detector, Loader, checked
from studio.control.lines import run
from studio.control.plain import Pixels, Values
from studio.pose import MAX_PEOPLE, Person, Point, Pose
from studio.pose.drawing import draw

# Of COCO's 17 points those that are OpenPose's 18 joints, in its order; the neck lies between the shoulders.
_NECK = -1
_FROM_COCO = (0, _NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_SHOULDERS = (5, 6)
_PERSON = 0


def _openpose(folders: list[Path]) -> Detector:
    from controlnet_aux.open_pose import OpenposeDetector  # noqa: PLC0415

    for name in ("body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"):
        checked(folders[0] / name)
    detector = OpenposeDetector.from_pretrained(str(folders[0]))

    def detect(pixels: Pixels, values: Values) -> Pixels:
        parts = {f"include_{part}": values[part] >= 0.5 for part in ("body", "hand", "face")}
        return run(detector, pixels, values, **parts)

    return detect


def _vitpose(folders: list[Path]) -> Detector:
    import torch  # noqa: PLC0415
    from transformers import AutoImageProcessor, AutoModelForObjectDetection, VitPoseForPoseEstimation  # noqa: PLC0415

    finder_reads, reads = (AutoImageProcessor.from_pretrained(folder, local_files_only=True) for folder in folders)
    options = {"local_files_only": True, "use_safetensors": True}
    finder = AutoModelForObjectDetection.from_pretrained(folders[0], **options).eval()
    model = VitPoseForPoseEstimation.from_pretrained(folders[1], **options).eval()

    def detect(pixels: Pixels, values: Values) -> Pixels:
        size = [pixels.shape[:2]]
        with torch.inference_mode():
            seen = finder(**finder_reads(images=pixels, return_tensors="pt"))
            (things,) = finder_reads.post_process_object_detection(seen, threshold=values["score"], target_sizes=size)
            boxes = things["boxes"][things["labels"] == _PERSON].numpy()
            if not len(boxes):
                return np.zeros_like(pixels)
            boxes[:, 2:] -= boxes[:, :2]
            found = model(**reads(pixels, boxes=[boxes], return_tensors="pt"))
        (people,) = reads.post_process_pose_estimation(found, boxes=[boxes])
        return _draw(pixels, people, least=values["joint"])

    return detect


def _draw(pixels: Pixels, people: list[Mapping[str, Any]], *, least: float) -> Pixels:
    """Draw people, given as COCO's 17 points, as OpenPose does; points less sure than `least` (0 .. 1) are left out."""
    height, width = pixels.shape[:2]
    found = tuple(_person(each["keypoints"].numpy(), each["scores"].numpy(), least=least) for each in people[:MAX_PEOPLE])
    return np.asarray(draw(Pose(width, height, found)), np.uint8)


def _person(places: Any, sure: Any, *, least: float) -> Person:
    def joint(index: int) -> Point:
        chosen = list(_SHOULDERS) if index == _NECK else [index]
        x, y = places[chosen].mean(axis=0)
        return Point(float(x), float(y), visible=bool(sure[chosen].min() >= least))

    return Person(tuple(joint(index) for index in _FROM_COCO))


LOADERS: Mapping[str, Loader] = {"openpose": _openpose, "vitpose": _vitpose}
"""By the names of the table's rows."""
