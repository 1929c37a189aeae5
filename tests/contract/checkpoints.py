"""Checkpoints of the preprocessors' real architectures and file names, with random weights, made when a test asks for them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

ANNOTATORS = "lllyasviel/Annotators"


def make(folder: Path, repo: str, name: str) -> Path:
    """Make one file of a repository below `folder`, unless it is there."""
    path = folder / repo / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        if repo in TRANSFORMERS:
            TRANSFORMERS[repo](path.parent)
        else:
            torch.save(STATES[name](), path)
    return path


def _hed() -> Any:
    from controlnet_aux.hed import ControlNetHED_Apache2

    # As published: in half precision.
    return {key: value.half() for key, value in ControlNetHED_Apache2().state_dict().items()}


def _pidinet() -> Any:
    from controlnet_aux.pidi.model import pidinet

    return {"epoch": 19, "state_dict": {f"module.{key}": value for key, value in pidinet().state_dict().items()}}


def _lineart() -> Any:
    from controlnet_aux.lineart import Generator

    return Generator(3, 1, 3).state_dict()


def _lineart_anime() -> Any:
    import functools

    from controlnet_aux.lineart_anime import UnetGenerator

    norm = functools.partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    state = UnetGenerator(3, 1, 8, 64, norm_layer=norm, use_dropout=False).state_dict()
    return {f"module.{key}": value for key, value in state.items()}


def _mlsd() -> Any:
    from controlnet_aux.mlsd.models.mbv2_mlsd_large import MobileV2_MLSD_Large

    return MobileV2_MLSD_Large().state_dict()


def _ted() -> Any:
    from controlnet_aux.teed.ted import TED

    return TED().state_dict()


def _body() -> Any:
    from controlnet_aux.open_pose.model import bodypose_model

    return _as_caffe(bodypose_model())


def _hand() -> Any:
    from controlnet_aux.open_pose.model import handpose_model

    return _as_caffe(handpose_model())


def _as_caffe(model: torch.nn.Module) -> Any:
    """Name layers as in the published files, without the block they are in."""
    return {key.partition(".")[2]: value for key, value in model.state_dict().items()}


def _face() -> Any:
    from controlnet_aux.open_pose.face import FaceNet

    return FaceNet().state_dict()


def _midas() -> Any:
    from controlnet_aux.midas.midas.dpt_depth import DPTDepthModel

    return DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True).state_dict()


def _zoe() -> Any:
    from controlnet_aux.zoe.zoedepth.models.zoedepth.zoedepth_v1 import ZoeDepth
    from controlnet_aux.zoe.zoedepth.utils.config import get_config

    return {"model": ZoeDepth.build_from_config(get_config("zoedepth", "infer")).state_dict()}


def _leres() -> Any:
    from controlnet_aux.leres.leres.multi_depth_model_woauxi import RelDepthModel

    return {"depth_model": {f"module.{key}": value for key, value in RelDepthModel(backbone="resnext101").state_dict().items()}}


def _normal_bae() -> Any:
    from types import SimpleNamespace

    from controlnet_aux.normalbae.nets.NNET import NNET

    settings = {"mode": "client", "architecture": "BN", "pretrained": "scannet", "sampling_ratio": 0.4, "importance_ratio": 0.7}
    return {"model": {f"module.{key}": value for key, value in NNET(SimpleNamespace(**settings)).state_dict().items()}}


def _sam(kind: str) -> Any:
    from controlnet_aux.segment_anything.build_sam import sam_model_registry

    return sam_model_registry[kind]().state_dict()


STATES: Mapping[str, Callable[[], Any]] = {
    "ControlNetHED.pth": _hed,
    "table5_pidinet.pth": _pidinet,
    "sk_model.pth": _lineart,
    "sk_model2.pth": _lineart,
    "netG.pth": _lineart_anime,
    "mlsd_large_512_fp32.pth": _mlsd,
    "5_model.pth": _ted,
    "Anyline/MTEED.pth": _ted,
    "body_pose_model.pth": _body,
    "hand_pose_model.pth": _hand,
    "facenet.pth": _face,
    "dpt_hybrid-midas-501f0c75.pt": _midas,
    "ZoeD_M12_N.pt": _zoe,
    "res101.pth": _leres,
    "scannet.pt": _normal_bae,
    "checkpoints/sam_vit_b_01ec64.pth": lambda: _sam("vit_b"),
    "mobile_sam.pt": lambda: _sam("vit_t"),
}


def _save(model: Any, processor: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    # Newer releases of transformers may name it otherwise; the hub's repositories have this one.
    if not (folder / "preprocessor_config.json").is_file():
        (folder / "preprocessor_config.json").write_text(json.dumps(processor.to_dict()))


def _depth_anything(folder: Path) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    sides = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    backbone = Dinov2Config(**sides, out_indices=[1, 2, 3, 4], apply_layernorm=True, reshape_hidden_states=False)
    sizes = {"reassemble_hidden_size": 32, "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "head_hidden_size": 8}
    model = DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, patch_size=14, **sizes))
    size = {"height": 56, "width": 56}
    _save(model, DPTImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14), folder)


def _dpt(folder: Path) -> None:
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    sides = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 64}
    sizes = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8}
    model = DPTForDepthEstimation(DPTConfig(patch_size=16, **sides, **sizes))
    _save(model, DPTImageProcessor(size={"height": 64, "width": 64}), folder)


def _rtdetr(folder: Path) -> None:
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrImageProcessor
    from transformers.models.rt_detr.configuration_rt_detr_resnet import RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage2", "stage3", "stage4"]
    )
    sides = {
        "encoder_hidden_dim": 32,
        "encoder_in_channels": [16, 16, 16],
        "encoder_ffn_dim": 32,
        "encoder_attention_heads": 2,
    }
    decoder = {"decoder_in_channels": [32, 32, 32], "decoder_ffn_dim": 32, "decoder_attention_heads": 2, "decoder_layers": 2, "d_model": 32}
    config = RTDetrConfig(backbone_config=backbone, num_queries=30, num_labels=80, **sides, **decoder)
    model = RTDetrForObjectDetection(config)
    # Random weights hardly ever see a person, and then nothing after them runs.
    for name, values in model.named_parameters():
        if "class_embed" in name and name.endswith(".bias"):
            values.data[0] += 5
    _save(model, RTDetrImageProcessor(size={"height": 64, "width": 64}), folder)


def _vitpose(folder: Path) -> None:
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

    sides = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": [64, 48], "patch_size": [16, 16]}
    config = VitPoseConfig(backbone_config=VitPoseBackboneConfig(**sides), num_labels=17, use_simple_decoder=True)
    _save(VitPoseForPoseEstimation(config), VitPoseImageProcessor(size={"height": 64, "width": 48}), folder)


TRANSFORMERS: Mapping[str, Callable[[Path], None]] = {
    # Of the real classes; how wide and deep they are is in their config.json, which is served too.
    "depth-anything/Depth-Anything-V2-Small-hf": _depth_anything,
    "Intel/dpt-large": _dpt,
    "PekingU/rtdetr_r50vd_coco_o365": _rtdetr,
    "usyd-community/vitpose-base-simple": _vitpose,
}
