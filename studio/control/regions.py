"""Region maps by Segment Anything: each thing in a colour of its own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from studio.control.detectors import Detector, Loader, checked
from studio.control.plain import Pixels, Values

SEEN = 1024
"""Longer side, in pixels, of what Segment Anything looks at. It draws 192 masks at once as large as the picture it is given, which for
4096 x 2048 would take 6 GB."""


def _segment_anything(path: Path, *, model_type: str) -> Detector:
    import cv2  # noqa: PLC0415
    from controlnet_aux.segment_anything.automatic_mask_generator import SamAutomaticMaskGenerator  # noqa: PLC0415
    from controlnet_aux.segment_anything.build_sam import sam_model_registry  # noqa: PLC0415

    model = sam_model_registry[model_type](checkpoint=str(checked(path)))

    def detect(pixels: Pixels, values: Values) -> Pixels:
        scale = min(values["resolution"] / min(pixels.shape[:2]), SEEN / max(pixels.shape[:2]))
        seen = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        generator = SamAutomaticMaskGenerator(model, points_per_side=int(values["points"]), pred_iou_thresh=values["score"])
        found = sorted(generator.generate(seen), key=lambda mask: mask["area"], reverse=True)
        # Drawn here because controlnet-aux draws other colours each time and fails where nothing is found.
        random = np.random.default_rng(0)
        drawn = np.zeros_like(seen)
        for mask in found:
            drawn[mask["segmentation"]] = random.integers(0, 256, 3, np.uint8)
        return drawn

    return detect


LOADERS: Mapping[str, Loader] = {
    "segment_anything": lambda folders: _segment_anything(folders[0] / "checkpoints" / "sam_vit_b_01ec64.pth", model_type="vit_b"),
    "segment_mobile": lambda folders: _segment_anything(folders[0] / "mobile_sam.pt", model_type="vit_t"),
}
"""By the names of the table's rows."""
