"""What is on this machine, as a value: the models a request may name. Reading the disk is `storage`'s work."""

from dataclasses import dataclass
from pathlib import Path


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
    """

    name: str
    path: Path
    family: str
    prediction_type: str
    native_size: int
    multiple_of: int
    bytes: int

    def is_called(self, wanted: str) -> bool:
        """Whether a person means this model by a name or a folder."""
        return wanted == self.name or Path(wanted) == self.path


@dataclass(frozen=True)
class BrokenCard:
    """A model folder that cannot be offered, and the sentence that says why."""

    name: str
    path: Path
    problem: str

    def is_called(self, wanted: str) -> bool:
        """Whether a person means this folder by a name or a path."""
        return wanted == self.name or Path(wanted) == self.path


@dataclass(frozen=True)
class Inventory:
    """Everything a request may name now. The first model is the default one."""

    models: tuple[ModelCard, ...] = ()
    broken: tuple[BrokenCard, ...] = ()
