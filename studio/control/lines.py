"""Line maps by small networks of controlnet-aux: line art, soft edges, scribbles, straight lines. White on black."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studio.control.detectors import Detector, Loader, checked
from studio.control.plain import Pixels, Values


def _lineart(folders: list[Path], *, coarse: bool) -> Detector:
    from controlnet_aux.lineart import LineartDetector  # noqa: PLC0415

    for name in ("sk_model.pth", "sk_model2.pth"):
        checked(folders[0] / name)
    detector = LineartDetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values, coarse=coarse)


def _lineart_anime(folders: list[Path]) -> Detector:
    from controlnet_aux.lineart_anime import LineartAnimeDetector  # noqa: PLC0415

    checked(folders[0] / "netG.pth")
    detector = LineartAnimeDetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values)


def _hed(folders: list[Path], *, scribble: bool) -> Detector:
    from controlnet_aux.hed import HEDdetector  # noqa: PLC0415

    checked(folders[0] / "ControlNetHED.pth")
    detector = HEDdetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values, scribble=scribble, safe=values.get("safe", 0) >= 0.5)


def _pidinet(folders: list[Path], *, scribble: bool) -> Detector:
    from controlnet_aux.pidi import PidiNetDetector  # noqa: PLC0415

    checked(folders[0] / "table5_pidinet.pth")
    detector = PidiNetDetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values, scribble=scribble, safe=values.get("safe", 0) >= 0.5)


def _teed(folders: list[Path]) -> Detector:
    from controlnet_aux.teed import TEEDdetector  # noqa: PLC0415

    checked(folders[0] / "5_model.pth")
    detector = TEEDdetector.from_pretrained(str(folders[0]), "5_model.pth")
    return lambda pixels, values: np.asarray(
        detector(pixels, detect_resolution=int(values["resolution"]), safe_steps=2 * int(values["safe"] >= 0.5), output_type="np")
    )


def _anyline(folders: list[Path]) -> Detector:
    from controlnet_aux.anyline import AnylineDetector  # noqa: PLC0415

    checked(folders[0] / "Anyline" / "MTEED.pth")
    detector = AnylineDetector.from_pretrained(str(folders[0] / "Anyline"), "MTEED.pth")
    return lambda pixels, values: np.asarray(detector(pixels, detect_resolution=int(values["resolution"]), output_type="np"))


def _mlsd(folders: list[Path]) -> Detector:
    from controlnet_aux.mlsd import MLSDdetector  # noqa: PLC0415

    checked(folders[0] / "mlsd_large_512_fp32.pth")
    detector = MLSDdetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values, thr_v=values["score"], thr_d=values["length"])


def run(detector: Any, pixels: Pixels, values: Values, **options: Any) -> Pixels:
    """Run a detector of controlnet-aux at the resolution that was asked for."""
    resolution = int(values["resolution"])
    made = detector(np.ascontiguousarray(pixels), detect_resolution=resolution, image_resolution=resolution, output_type="np", **options)
    return np.asarray(made, np.uint8)


LOADERS: Mapping[str, Loader] = {
    "lineart_realistic": lambda folders: _lineart(folders, coarse=False),
    "lineart_coarse": lambda folders: _lineart(folders, coarse=True),
    "lineart_anime": _lineart_anime,
    "softedge_hed": lambda folders: _hed(folders, scribble=False),
    "scribble_hed": lambda folders: _hed(folders, scribble=True),
    "softedge_pidinet": lambda folders: _pidinet(folders, scribble=False),
    "scribble_pidinet": lambda folders: _pidinet(folders, scribble=True),
    "teed": _teed,
    "anyline": _anyline,
    "mlsd": _mlsd,
}
"""By the names of the table's rows."""
