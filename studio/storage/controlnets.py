"""ControlNet and T2I-Adapter folders on the disk: what their config files say, and which maps they read."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from studio.errors import BrokenModel
from studio.inventory import ControlNetCard, UnetShape
from studio.request import ControlUse
from studio.storage.configs import MISREAD, misread, read_config, unet_shape
from studio.storage.names import shown

CLASSES: Mapping[str, Literal["controlnet", "t2i_adapter"]] = {"ControlNetModel": "controlnet", "T2IAdapter": "t2i_adapter"}
KINDS = get_args(ControlUse.model_fields["kind"].annotation)
# The words by which ControlNets and T2I-Adapters on the hub are named, and the kind of map each of them reads.
WORDS: Mapping[str, str] = {
    **dict.fromkeys(("sketch", "canny", "scribble", "lineart", "softedge", "hed", "pidi", "pidinet", "mlsd", "teed", "anyline"), "sketch"),
    **dict.fromkeys(("depth", "midas", "zoedepth", "zoe", "leres"), "depth"),
    **dict.fromkeys(("pose", "openpose", "dwpose"), "pose"),
}
MARK = "studio.json"
SINGLE_FILES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")


def describe_controlnet(name: str, folder: Path) -> ControlNetCard:
    """Read a folder in the layout of `ControlNetModel.save_pretrained` or `T2IAdapter.save_pretrained`.

    The kind of map is what `studio.json` says ({"kind": "sketch"}, or depth, or pose), else what the folder's name or the name in the
    config says in the words that the hub uses.

    Raises:
        BrokenModel: the config is missing or damaged, or of another class, or nothing tells the kind; the sentence names the file.
    """
    _refuse_others(name, folder)
    config = read_config(name, folder / "config.json", shown="config.json")
    kind = config.get("_class_name")
    try:
        match kind:
            case "ControlNetModel":
                channels, shape = config.get("conditioning_channels", 3), _controlnet_shape(config)
            case "T2IAdapter":
                channels, shape = config.get("in_channels", 3), _adapter_shape(config)
            case None:
                raise BrokenModel(f"{name} cannot be used: its config.json names no class; copy the model folder again.")
            case _:
                raise BrokenModel(f"{name} is a {shown(str(kind))[:60]} folder; this studio runs ControlNetModel and T2IAdapter folders.")
    except MISREAD as error:
        raise misread(name, "config.json", error) from error
    if channels != 3 and (kind == "ControlNetModel" or channels != 1):
        raise BrokenModel(f"{name} cannot be used: it reads maps of {shown(str(channels))[:60]} channels, and this studio makes maps of 3.")
    return ControlNetCard(
        name=name,
        path=folder,
        kind=_kind(name, folder, config),
        unet=shape,
        bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        architecture=CLASSES[kind],
    )


def is_controlnet(folder: Path) -> bool:
    """Whether a folder's config.json names a class that is read here."""
    try:
        kind = read_config("", folder / "config.json", shown="").get("_class_name")
    except BrokenModel:
        return False
    return isinstance(kind, str) and kind in CLASSES


def watched(folder: Path) -> tuple[Path, ...]:
    """Return what changes when the folder is to be read again."""
    return folder, folder / "config.json", folder / MARK, *folder.glob("*.safetensors")


def _refuse_others(name: str, folder: Path) -> None:
    if _is_ip_adapter(folder):
        raise BrokenModel(f"{name} is an IP-Adapter, which this studio cannot run yet; use a ControlNet or T2I-Adapter folder.")
    if folder.is_file():
        raise BrokenModel(
            f"{name} is a single file; this studio reads ControlNet folders, with a config.json and diffusion_pytorch_model.safetensors."
        )


def _is_ip_adapter(folder: Path) -> bool:
    """Whether a file, or what a folder holds or its sub-folders hold as on the hub, is called as IP-Adapters are."""
    if is_controlnet(folder):
        return False
    paths = (folder,) if folder.is_file() else (*folder.glob("*.*"), *folder.glob("*/*.*"))
    return any(path.suffix in SINGLE_FILES and path.name.lower().replace("_", "-").startswith("ip-adapter") for path in paths)


def _controlnet_shape(config: Mapping[str, Any]) -> UnetShape:
    # Every width after the first halves the map once, on its way to the size of the latents.
    reading = config.get("conditioning_embedding_out_channels") or (16, 32, 96, 256)
    return unet_shape(config, pixels=2 ** (len(reading) - 1))


def _adapter_shape(config: Mapping[str, Any]) -> UnetShape:
    return UnetShape(
        latent_channels=0, widths=tuple(map(int, config["channels"])), context_width=0, pixels=int(config.get("downscale_factor", 8))
    )


def _kind(name: str, folder: Path, config: Mapping[str, Any]) -> str:
    if (folder / MARK).exists():
        kind = read_config(name, folder / MARK, shown=MARK).get("kind")
        if kind in KINDS:
            return str(kind)
        raise BrokenModel(f'{name} cannot be used: {MARK} must say "kind": "sketch", "depth" or "pose".')
    for text in (name, folder.name, str(config.get("_name_or_path", ""))):
        for word in re.split(r"[^a-z0-9]+", text.lower()):
            if word in WORDS:
                return WORDS[word]
    raise BrokenModel(
        f'{name} does not say which maps it reads; put a {MARK} with {{"kind": "sketch"}} into its folder, or "depth" or "pose".'
    )
