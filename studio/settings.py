"""What a studio is started with. Made once from the command line, passed down, never kept in a module."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

EngineName = Literal["diffusers", "fake"]
DeviceName = Literal["auto", "cuda", "mps", "xpu", "cpu"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]
PreviewName = Literal["linear", "decoder", "none"]
CHOICES: Mapping[str, tuple[str, ...]] = {
    "engine": get_args(EngineName),
    "device": get_args(DeviceName),
    "precision": get_args(PrecisionName),
    "preview": get_args(PreviewName),
}
"""The settings that are one of some names, and the names."""

VERSION = "0.1.0"
"""The studio's own version, as pictures name it."""
ROOT = Path(__file__).resolve().parent.parent
EMBEDDED_MODELS = (("Mini", ROOT / "assets" / "mini" / "base"),)
EMBEDDED_LORAS = (ROOT / "assets" / "mini" / "loras",)
LORAS_FOLDER = "loras"
EMBEDDED_CONTROLNETS = tuple((f"Mini {kind}", ROOT / "assets" / "mini" / "controlnets" / kind) for kind in ("sketch", "depth", "pose"))
EMBEDDED_PRESETS = ROOT / "presets"


def default_data_dir() -> Path:
    """Where models, drafts and pictures of this user live unless `--data-dir` says otherwise."""
    return Path.home() / ".studio"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Start-up settings.

    Attributes:
        data_dir: folder for everything the studio writes; `data_dir/models` is searched for model folders, `data_dir/controlnets` for
            ControlNet and T2I-Adapter folders.
        model: name, folder or hub id of the model loaded at start; empty means the first embedded one.
        engine: `diffusers` is the real one, `fake` needs no weights.
        device: where the model runs; `auto` takes the fastest present.
        precision: number format of the weights; `auto` takes half precision where it is safe and faster.
        preview: how a step is turned into a picture.
        threads: how many CPU threads share one calculation; None leaves it to torch, which takes every core.
        mcp: whether programs may ask for pictures by the Model Context Protocol, too.
        embedded_models: (name, folder) of models that ship with the studio.
        embedded_loras: folders of LoRAs that ship with the studio.
        lora_dirs: further folders with LoRAs, such as those of another program; only read.
        history_limit: bytes that the pictures of the history may take, above which the oldest without a star are removed; None keeps all.
        embedded_controlnets: (name, folder) of ControlNets that ship with it; those that are not there are passed over.
        embedded_presets: folder of the presets that ship with it.
    """

    data_dir: Path = field(default_factory=default_data_dir)
    model: str = ""
    engine: EngineName = "diffusers"
    device: DeviceName = "auto"
    precision: PrecisionName = "auto"
    preview: PreviewName = "linear"
    threads: int | None = None
    mcp: bool = False
    embedded_models: tuple[tuple[str, Path], ...] = EMBEDDED_MODELS
    embedded_loras: tuple[Path, ...] = EMBEDDED_LORAS
    lora_dirs: tuple[Path, ...] = ()
    history_limit: int | None = None
    embedded_controlnets: tuple[tuple[str, Path], ...] = EMBEDDED_CONTROLNETS
    embedded_presets: Path = EMBEDDED_PRESETS

    @property
    def inputs_dir(self) -> Path:
        """Where pictures that requests name are kept."""
        return self.data_dir / "inputs"

    @property
    def models_dir(self) -> Path:
        """The folder whose sub-folders are offered as models."""
        return self.data_dir / "models"

    @property
    def loras_dir(self) -> Path:
        """The folder whose files are offered as LoRAs."""
        return self.models_dir / LORAS_FOLDER

    @property
    def controlnets_dir(self) -> Path:
        """The folder whose sub-folders are offered as ControlNets."""
        return self.data_dir / "controlnets"

    @property
    def presets_dir(self) -> Path:
        """The folder of this user's presets."""
        return self.data_dir / "presets"

    @property
    def weights_dir(self) -> Path:
        """Where weights of preprocessors are kept."""
        return self.data_dir / "preprocessors"
