"""Depth and surface maps: bright for near; normals in colours. From controlnet-aux and transformers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studio.control.detectors import Detector, Loader, checked, tensors
from studio.control.lines import run
from studio.control.plain import Pixels
from studio.errors import StudioError


def _midas(folders: list[Path]) -> Detector:
    from controlnet_aux.midas import MidasDetector  # noqa: PLC0415

    checked(folders[0] / "dpt_hybrid-midas-501f0c75.pt")
    detector = MidasDetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values)


def _zoe(folders: list[Path]) -> Detector:
    from controlnet_aux.zoe import ZoeDetector  # noqa: PLC0415
    from controlnet_aux.zoe.zoedepth.models.zoedepth.zoedepth_v1 import ZoeDepth  # noqa: PLC0415
    from controlnet_aux.zoe.zoedepth.utils.config import get_config  # noqa: PLC0415

    # Not by `from_pretrained`, which takes any checkpoint at all: where keys differ it loads none and only prints so.
    path = folders[0] / "ZoeD_M12_N.pt"
    model = ZoeDepth.build_from_config(get_config("zoedepth", "infer"))
    missing, unknown = model.load_state_dict(tensors(path)["model"], strict=False)
    if [key for key in (*missing, *unknown) if not key.endswith("relative_position_index")]:
        raise StudioError(f"{path.name} is no ZoeDepth checkpoint; delete it from {path.parent}.")
    detector = ZoeDetector(model.eval())
    return lambda pixels, values: run(detector, pixels, values)


def _leres(folders: list[Path]) -> Detector:
    from controlnet_aux.leres import LeresDetector  # noqa: PLC0415
    from controlnet_aux.leres.leres.multi_depth_model_woauxi import RelDepthModel  # noqa: PLC0415
    from controlnet_aux.leres.leres.net_tools import strip_prefix_if_present  # noqa: PLC0415

    # Not by `from_pretrained`, which reads this program's command line and wants 318 MB more for a refinement that is not used.
    model = RelDepthModel(backbone="resnext101")
    model.load_state_dict(strip_prefix_if_present(tensors(folders[0] / "res101.pth")["depth_model"], "module."))
    detector = LeresDetector(model.eval(), None)
    return lambda pixels, values: run(detector, pixels, values)


def _normal_bae(folders: list[Path]) -> Detector:
    from controlnet_aux.normalbae import NormalBaeDetector  # noqa: PLC0415

    checked(folders[0] / "scannet.pt")
    detector = NormalBaeDetector.from_pretrained(str(folders[0]))
    return lambda pixels, values: run(detector, pixels, values)


def _transformers(folders: list[Path]) -> Detector:
    import torch  # noqa: PLC0415
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation  # noqa: PLC0415

    processor = AutoImageProcessor.from_pretrained(folders[0], local_files_only=True)
    model = AutoModelForDepthEstimation.from_pretrained(folders[0], local_files_only=True, use_safetensors=True).eval()

    def detect(pixels: Pixels, values: Mapping[str, float]) -> Pixels:
        with torch.inference_mode():
            inputs = processor(images=pixels, return_tensors="pt")
            depth = model(**inputs).predicted_depth[0].float().numpy()
        return _spread(depth)

    return detect


def _spread(depth: Any) -> Pixels:
    """Bring inverse depth of any range to 0 .. 255."""
    low, high = float(depth.min()), float(depth.max())
    return np.round((depth - low) / max(high - low, 1e-9) * 255).astype(np.uint8)


LOADERS: Mapping[str, Loader] = {
    "depth_midas": _midas,
    "depth_zoe": _zoe,
    "depth_leres": _leres,
    "normal_bae": _normal_bae,
    "depth_anything": _transformers,
    "depth_dpt": _transformers,
}
"""By the names of the table's rows."""
