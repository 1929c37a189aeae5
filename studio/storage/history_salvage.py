"""What a damaged database of the history still says of its pictures."""

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

from studio.kept import Entry
from studio.storage.history_entries import as_text, entry_of
from studio.storage.history_rows import COLUMNS

log = logging.getLogger("studio")
# Microseconds since 1970: 2020, before which there was no studio, and what no row's key is beyond.
_FIRST, _LAST = 1_577_836_800_000_000, 2**62
# So often a stretch that cannot be read from either end is cut in half: the halves of a year are some hours then.
_CUTS = 12


def salvage(place: Path) -> Mapping[str, Entry]:
    """Return the rows of a database that can be read, by path, without changing it; none where it cannot be opened."""
    # A read-only folder takes no file for sharing, without which SQLite refuses to read unless it is told that nobody writes.
    for how in ("mode=ro", "immutable=1"):
        try:
            with closing(sqlite3.connect(f"{place.absolute().as_uri()}?{how}", uri=True, timeout=0)) as base:
                base.text_factory = as_text
                if found := {entry.path: entry for entry in _between(base, 0, _LAST, cuts=_CUTS)}:
                    return found
        except (sqlite3.Error, OSError) as error:
            log.info("%s cannot be opened as %s: %s", place.name, how, error)
    return {}


def _between(base: sqlite3.Connection, first: int, last: int, *, cuts: int) -> Iterator[Entry]:
    """Yield the rows whose keys lie in a range: from both ends up to a page that is damaged, then what lies between two such pages."""
    for order in ("ASC", "DESC"):
        # One row at a time: `sqlite3` steps on to the next before it hands one over, and would lose it with a damaged next one.
        one = f"SELECT {COLUMNS} FROM pictures p WHERE made BETWEEN ? AND ? ORDER BY made {order} LIMIT 1"
        try:
            while row := base.execute(one, (first, last)).fetchone():
                first, last = (row[0] + 1, last) if order == "ASC" else (first, row[0] - 1)
                with suppress(ValueError):  # what stands in the row is none; its file has the settings, too
                    yield entry_of(row)
        except sqlite3.Error:
            continue
        return
    first, last = max(first, _FIRST), min(last, time.time_ns() // 1000)
    if cuts and first < last:
        middle = (first + last) // 2
        yield from _between(base, first, middle, cuts=cuts - 1)
        yield from _between(base, middle + 1, last, cuts=cuts - 1)
