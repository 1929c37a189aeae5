"""The poses that a person can start from: OpenPose files with a name, in `assets/poses`."""

import json
from dataclasses import dataclass
from pathlib import Path

from studio.pose import Pose, openpose
from studio.settings import ROOT

FOLDER = ROOT / "assets" / "poses"


@dataclass(frozen=True)
class NamedPose:
    """A pose of the library."""

    name: str
    pose: Pose


def library(folder: Path = FOLDER) -> list[NamedPose]:
    """Read the library, in the order of the files' names.

    Raises:
        BadPose: a file is damaged.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        found.append(NamedPose(str(json.loads(text)["name"]), openpose.read(text)))
    return found
