"""The preprocessor table: what turns a picture into a map, one row each. Pure; the code behind a row is in `control/`.

Where a row needs weights it names their files on the hub, how large they are and under which licence they may be used.
"""

import difflib
from collections.abc import Mapping

from studio.weights.row import KindName, Row, Setting, Source
from studio.weights.table import rows

__all__ = ["DEFAULT", "TABLE", "KindName", "Row", "Setting", "Source", "problem", "rows_for"]

DEFAULT = "none"
TABLE: Mapping[str, Row] = {row.name: row for row in rows()}
"""Every preprocessor by name, in the picker's order."""


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
