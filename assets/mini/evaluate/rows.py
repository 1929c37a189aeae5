"""Lines of the table of measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line, ready to print."""

    measure: str
    wanted: str
    found: str
    ceiling: str


def percent(value: float) -> str:
    """A share in 0..1 as '93.1 %'."""
    return f"{100 * value:.1f} %"


def missing(measure: str, wanted: str) -> Row:
    """The line of a member that is not there."""
    return Row(measure, wanted, "not trained yet", "-")


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| measure | wanted | found | ceiling (judge on renderings) |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.measure} | {row.wanted} | {row.found} | {row.ceiling} |" for row in rows)])
