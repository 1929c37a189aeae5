"""What a row of the preprocessor table holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

KindName = Literal["sketch", "depth", "pose"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A number of a preprocessor.

    Attributes:
        name: as in `ControlUse.settings`.
        title: as a person reads it.
        default, least, most, step: its values; a switch goes from 0 to 1 in a step of 1.
        help: what it does.
        kinds: the kinds of control it counts for.
    """

    name: str
    title: str
    default: float
    least: float
    most: float
    step: float = 1.0
    help: str = ""
    kinds: tuple[KindName, ...] = ("sketch", "depth", "pose")


@dataclass(frozen=True)
class Source:
    """Files of one repository on the hub, with their sizes in bytes (about: those of the architecture's parameters)."""

    repo: str
    files: Mapping[str, int]
    licence: str

    @property
    def bytes(self) -> int:
        """Bytes of all files together."""
        return sum(self.files.values())


@dataclass(frozen=True, kw_only=True)
class Row:
    """One preprocessor.

    Attributes:
        name: as in `ControlUse.preprocessor`.
        kinds: the kinds of control its maps are for.
        label: as in the picker.
        description: one line for a person.
        settings: its numbers.
        sources: weights it needs; none for most of the first rows.
    """

    name: str
    kinds: tuple[KindName, ...]
    label: str
    description: str
    settings: tuple[Setting, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes to fetch before it can be used the first time, about."""
        return sum(source.bytes for source in self.sources)

    @property
    def licence(self) -> str:
        """Licence of its weights; empty without weights."""
        return ", ".join(dict.fromkeys(source.licence for source in self.sources))

    def offered(self, kind: str) -> tuple[Setting, ...]:
        """Return the settings that count for a kind of control."""
        return tuple(setting for setting in self.settings if kind in setting.kinds)

    def filled(self, kind: str, given: Mapping[str, float]) -> dict[str, float]:
        """Return every setting's value, the default where none is given."""
        return {setting.name: given.get(setting.name, setting.default) for setting in self.offered(kind)}
