"""What is answered about presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.errors import BadPreset
from studio.presets import Change, Preset
from studio.presets.missing import Finding


class NameTaken(BadPreset):
    """A preset of that name is here already."""


@dataclass(frozen=True)
class Saved:
    """A preset as it was kept, and what `undo` needs to have back what it replaced; empty when it replaced nothing."""

    preset: Preset
    undo: str = ""


@dataclass(frozen=True)
class Look:
    """What would happen if a preset were applied.

    Attributes:
        values: by request field, what would be set.
        changes: those that differ from what there is.
        findings: what the preset names and is not here as it was.
        problems: a sentence for each value that cannot be taken.
    """

    values: Mapping[str, Any]
    changes: Sequence[Change]
    findings: Sequence[Finding]
    problems: Sequence[str]


@dataclass(frozen=True)
class TakenIn:
    """What came of a file: names of the presets that are new, and a sentence for all that was not taken."""

    names: tuple[str, ...]
    notes: tuple[str, ...]
