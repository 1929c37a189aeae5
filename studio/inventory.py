"""What is on this machine, as a value: the models, ControlNets and LoRAs a request may name. Reading the disk is `storage`'s work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from studio.families import TABLE
from studio.loras.header import Header
from studio.loras.verdict import Host, Modules, Verdict, judge

SHORTEST_HASH = 8


@dataclass(frozen=True)
class UnetShape:
    """What a ControlNet must share with a U-Net to fit it.

    Attributes:
        latent_channels: channels of the latents.
        widths: channels of each level.
        context_width: width of the text states.
        layers: residual blocks of each level.
        pixels: pixels of the picture to one latent, a side.
    """

    latent_channels: int
    widths: tuple[int, ...]
    context_width: int
    layers: tuple[int, ...] = ()
    pixels: int = 8

    def facts(self) -> dict[str, str]:
        """Return the shape in words, the most telling fact first."""
        return {
            "text width": str(self.context_width),
            "latent channels": str(self.latent_channels),
            "level widths": ", ".join(map(str, self.widths)),
            "layers a level": ", ".join(map(str, self.layers)),
            "pixels a latent": str(self.pixels),
        }


def is_short_for(digest: str, known: str) -> bool:
    """Whether a hash of eight digits or more is a known one or its beginning, as programs shorten them; never for an unknown one."""
    return len(digest) >= SHORTEST_HASH and known.startswith(digest.lower())


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model folder, as its config files describe it.

    Attributes:
        name: what requests and the picker call it.
        path: its folder, in the layout of `StableDiffusionPipeline.save_pretrained`.
        family: name of a row in `families.TABLE`.
        prediction_type: `epsilon` or `v_prediction`, from the scheduler's config.
        native_size: side in pixels that the model was trained for.
        multiple_of: width and height must be multiples of this many pixels (the VAE's scale).
        bytes: size of its weight files on disk.
        unet: the U-Net's shape.
        modules: what LoRAs can change of it; None where its weights cannot be looked at.
        hash: 64 hexadecimal digits over all weights (`storage.hashes.folder_hash`); empty until it is known.
    """

    name: str
    path: Path
    family: str
    prediction_type: str
    native_size: int
    multiple_of: int
    bytes: int
    unet: UnetShape
    modules: Modules | None = field(default=None, compare=False, repr=False)
    hash: str = field(default="", compare=False)

    def is_called(self, wanted: str) -> bool:
        """Whether a person means this model by a name or a folder."""
        return wanted == self.name or Path(wanted) == self.path

    def answers_to(self, digest: str) -> bool:
        """Whether a whole or shortened hash is this model's."""
        return is_short_for(digest, self.hash)


@dataclass(frozen=True)
class BrokenCard:
    """A folder that cannot be offered, and the sentence that says why; `part` is what it would have been."""

    name: str
    path: Path
    problem: str
    part: Literal["model", "controlnet"] = "model"

    def is_called(self, wanted: str) -> bool:
        """Whether a person means this folder by a name or a path."""
        return wanted == self.name or Path(wanted) == self.path


@dataclass(frozen=True, kw_only=True)
class ControlNetCard:
    """One ControlNet or T2I-Adapter folder, as its config file describes it.

    Attributes:
        name: what requests call it.
        path: its folder, in the layout of `ControlNetModel.save_pretrained` or `T2IAdapter.save_pretrained`.
        kind: `sketch`, `depth` or `pose`.
        unet: shape of the U-Nets it fits; of an adapter only `widths` and `pixels` count, as it sees neither latents nor text.
        bytes: size of its weight files on disk.
        architecture: the class of its weights.
        hash: 64 hexadecimal digits over all weights (`storage.hashes.folder_hash`); empty until it is known.
    """

    name: str
    path: Path
    kind: str
    unet: UnetShape
    bytes: int
    architecture: Literal["controlnet", "t2i_adapter"] = "controlnet"
    hash: str = field(default="", compare=False)

    def answers_to(self, digest: str) -> bool:
        """Whether a whole or shortened hash is this one's."""
        return is_short_for(digest, self.hash)

    def misfit(self, unet: UnetShape) -> tuple[str, str] | None:
        """Say where this one and a U-Net first differ, such as ("text width 768", "text width 128"); None when it fits."""
        counting = self.unet.facts() if self.architecture == "controlnet" else ("level widths", "pixels a latent")
        mine, theirs = self.unet.facts(), unet.facts()
        return next(((f"{fact} {mine[fact]}", f"{fact} {theirs[fact]}") for fact in counting if mine[fact] != theirs[fact]), None)


@dataclass(frozen=True, kw_only=True)
class LoraCard:
    """One LoRA file, as its header describes it.

    Attributes:
        name: what requests call it: the file's name without its suffix, with its folder below the LoRA folder.
        path: the safetensors file.
        bytes: its size on disk.
        changed: when it was written, in nanoseconds; another file under the same name is another LoRA.
        settings: when peft's settings beside it were written, in nanoseconds; 0 without any.
        header: what it says about itself; None where nobody looked.
        picture: a preview that lies beside it.
        hash: SHA-256 of the file, 64 hexadecimal digits; empty until it is known. Its first ten digits are AutoV2.
        tensor_hash: SHA-256 of what follows the file's header, which a rewritten header leaves as it was; empty until it is known.
    """

    name: str
    path: Path
    bytes: int
    changed: int = 0
    settings: int = 0
    header: Header | None = field(default=None, compare=False, repr=False)
    picture: Path | None = None
    hash: str = field(default="", compare=False)
    tensor_hash: str = field(default="", compare=False)

    @property
    def addnet_hash(self) -> str:
        """The twelve digits by which A1111 calls it: of the hash that its maker wrote into it, else of its tensors; empty if not known."""
        return ((self.header.own_hash if self.header else "") or self.tensor_hash)[:12]

    def answers_to(self, digest: str) -> bool:
        """Whether a whole or shortened hash, of any of the kinds in use, is this LoRA's."""
        own = self.header.own_hash if self.header else ""
        return any(is_short_for(digest, known) for known in (self.hash, self.tensor_hash, own))

    def verdict(self, model: ModelCard) -> Verdict:
        """Say whether it fits a model."""
        host = Host(model.name, TABLE[model.family].label, model.unet.context_width, model.modules)
        return judge(self.name, self.header, host)


@dataclass(frozen=True)
class Inventory:
    """Everything a request may name now. The first model is the default one; `broken_loras` are files that cannot be used."""

    models: tuple[ModelCard, ...] = ()
    broken: tuple[BrokenCard, ...] = ()
    controlnets: tuple[ControlNetCard, ...] = ()
    loras: tuple[LoraCard, ...] = ()
    broken_loras: tuple[BrokenCard, ...] = ()
