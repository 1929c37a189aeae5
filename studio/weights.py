"""The preprocessor table: what turns a picture into a map, one row each. Pure; the code behind a row is in `control/`.

Where a row needs weights it names their files on the hub, how large they are and under which licence they may be used.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

KindName = Literal["sketch", "depth", "pose"]
DEFAULT = "none"


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
        note: what one must know before using its weights.
    """

    name: str
    kinds: tuple[KindName, ...]
    label: str
    description: str
    settings: tuple[Setting, ...] = ()
    sources: tuple[Source, ...] = ()
    note: str = ""

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


def rows_for(kind: str) -> list[Row]:
    """Return the preprocessors for a kind of control, in the picker's order."""
    return [row for row in TABLE.values() if kind in row.kinds]


def problem(name: str, kind: str, settings: Mapping[str, float]) -> str:
    """Say in a sentence without its stop what is wrong with a unit's preprocessor and settings, or nothing."""
    if name not in TABLE:
        near = difflib.get_close_matches(name, TABLE, n=3, cutoff=0.4) or [DEFAULT]
        return f"{_short(name)} is no preprocessor; use one such as {', '.join(near)}"
    row = TABLE[name]
    if kind not in row.kinds:
        fitting = ", ".join(other.name for other in rows_for(kind)[:5])
        return f"preprocessor {name} makes no {kind} map; use one such as {fitting}"
    offered = {setting.name: setting for setting in row.offered(kind)}
    for key, value in settings.items():
        if key not in offered:
            known = f"one of {', '.join(offered)}" if offered else "none, so leave it out"
            return f"{_short(key)} is no setting of preprocessor {name} for {kind}; there is {known}"
        if not offered[key].least <= value <= offered[key].most:
            return f"settings.{key} must be a number from {offered[key].least:g} to {offered[key].most:g}, not {value:g}"
    values = row.filled(kind, settings)
    for low, high in (("low", "high"), ("far", "near")):
        if low in values and high in values and values[low] >= values[high]:
            return f"settings.{low} is {values[low]:g} and must be below settings.{high}, which is {values[high]:g}"
    return ""


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 40 else shown[:37] + "..."


_DEPTH = (
    Setting(name="flip", title="Flip", default=0, least=0, most=1, help="dark is near in the given picture", kinds=("depth",)),
    Setting(name="near", title="Near", default=1, least=0, most=1, step=0.01, help="brightness that counts as nearest", kinds=("depth",)),
    Setting(name="far", title="Far", default=0, least=0, most=1, step=0.01, help="brightness that counts as farthest", kinds=("depth",)),
)


def _given_or_lines() -> Iterator[Row]:
    yield Row(
        name="none",
        kinds=("sketch", "depth", "pose"),
        label="None: it is a map",
        description="takes the picture for a map; drawings in dark on light are turned into light on dark",
        settings=_DEPTH,
    )
    yield Row(
        name="canny",
        kinds=("sketch",),
        label="Canny edges",
        description="thin lines wherever brightness changes fast",
        settings=(
            Setting(name="low", title="Low", default=100, least=0, most=255, help="weaker edges are kept if they touch a strong one"),
            Setting(name="high", title="High", default=200, least=1, most=255, help="edges above are always kept"),
        ),
    )
    yield Row(
        name="lineart_standard",
        kinds=("sketch",),
        label="Line art, standard",
        description="soft lines where the picture is darker than its surroundings",
        settings=(
            Setting(name="sigma", title="Blur", default=6, least=0.5, most=30, step=0.5, help="pixels; the width of the surroundings"),
            Setting(name="threshold", title="Threshold", default=8, least=0, most=64, help="darker by less does not count"),
        ),
    )


def _tones() -> Iterator[Row]:
    yield Row(
        name="threshold",
        kinds=("sketch",),
        label="Threshold",
        description="white where the picture is brighter than a value, black elsewhere",
        settings=(Setting(name="value", title="Value", default=127, least=0, most=254, help="brightness from which it is white"),),
    )
    yield Row(
        name="invert",
        kinds=("sketch", "depth"),
        label="Invert",
        description="light for dark and dark for light: for line drawings on white paper",
        settings=_DEPTH[1:],
    )
    yield Row(
        name="shuffle",
        kinds=("sketch", "depth"),
        label="Content shuffle",
        description="the picture's colours in a random flow, for ControlNets trained on shuffled pictures",
        settings=(
            Setting(name="seed", title="Seed", default=0, least=0, most=2**31, help="another one flows otherwise"),
            Setting(
                name="scale", title="Scale", default=256, least=16, most=1024, step=16, help="pixels; how far apart the flow's knots are"
            ),
        ),
    )


def _rows() -> Iterator[Row]:
    yield from _given_or_lines()
    yield from _tones()


TABLE: Mapping[str, Row] = {row.name: row for row in _rows()}
"""Every preprocessor by name, in the picker's order."""
