"""Rows and files of the history brought together: after a power cut, with a database that is new, when somebody moved files."""

from collections.abc import Mapping
from pathlib import Path

from studio.kept import Entry
from studio.storage import history_files as files
from studio.storage.history_base import Base

_BATCH = 200


def mend(base: Base, pictures: Path) -> str:
    """Give every file without a row one, from the row that a database set aside had or from what the file itself says.

    Returns:
        A sentence about the pictures whose files are not there; empty when all are.

    Raises:
        StudioError: the database cannot be used now; what was done so far stays done.
        OSError: the pictures' folder cannot be read.
    """
    salvaged, known, there = base.salvaged, base.use(lambda rows: rows.paths()), list(files.listed(pictures))
    without = [path for path in there if path not in known]
    for start in range(0, len(without), _BATCH):
        found = [_row(pictures, path, salvaged) for path in without[start : start + _BATCH]]
        entries = [entry for entry in found if entry]
        base.use(lambda rows: rows.add(entries))
    base.forget(salvaged)
    return _told(len({path for path, in_trash in known.items() if not in_trash}.difference(there)))


def _row(pictures: Path, path: str, salvaged: Mapping[str, Entry]) -> Entry | None:
    old = salvaged.get(path)
    return old if old and files.belongs(old) else files.entry_of(pictures, path)


def _told(gone: int) -> str:
    if not gone:
        return ""
    which = "The file of one picture of the history is" if gone == 1 else f"The files of {gone:,} pictures of the history are"
    return f"{which} not in the pictures folder any more; put back what you miss, or delete it in the history."
