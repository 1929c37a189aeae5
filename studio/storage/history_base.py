"""The history's database as one that is always there: opened, checked, and set aside for a new one when it cannot be used."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from studio.errors import StudioError
from studio.kept import Entry
from studio.storage.history_files import set_aside
from studio.storage.history_rows import NewerSchema, Rows, salvage

log = logging.getLogger("studio")
Result = TypeVar("Result")

OPENING_SECONDS = 10.0
# SQLite's own numbers: SQLITE_CORRUPT, SQLITE_NOTADB and, for a file cut short, SQLITE_IOERR_SHORT_READ; SQLITE_BUSY and SQLITE_LOCKED.
_DAMAGED, _LOCKED = (11, 26, 522), (5, 6)


class Base:
    """Hands the rows to one caller at a time. `note` says in a sentence what became of a database that could not be used."""

    def __init__(self, place: Path, *, replaced: Callable[[], None]) -> None:
        """`replaced` is called when the database was replaced while in use: its rows have to be made anew."""
        self._place, self._replaced = place, replaced
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._rows = Rows(None)
        self._salvaged: Mapping[str, Entry] = {}
        self.note = ""

    def open(self) -> None:
        """Open the file and read all of it once; until then, others wait."""
        with self._lock:
            try:
                self._rows = self._opened()
            except (sqlite3.Error, OSError) as error:
                self._replace(error)
        self._ready.set()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._rows.close()

    def use(self, work: Callable[[Rows], Result]) -> Result:
        """Do something with the rows, alone.

        Raises:
            StudioError: the database is still being read, is locked, or cannot be written.
        """
        if not self._ready.wait(OPENING_SECONDS):
            raise StudioError("The history is still being read; look again in a moment.")
        with self._lock:
            try:
                return work(self._rows)
            except sqlite3.Error as error:
                if _code(error) not in _DAMAGED:
                    raise StudioError(f"The history's database cannot be used now ({error}); try again in a moment.") from error
                self._replace(error)
                self._replaced()
                return work(self._rows)

    def salvaged(self) -> Mapping[str, Entry]:
        """Return, once, the rows by path that could be read from the database that was set aside."""
        rows, self._salvaged = self._salvaged, {}
        return rows

    def _opened(self) -> Rows:
        self._place.parent.mkdir(parents=True, exist_ok=True)
        rows = Rows(self._place)
        try:
            rows.check()
        except sqlite3.Error:
            rows.close()
            raise
        return rows

    def _replace(self, error: Exception) -> None:
        """Set the database aside and begin another one, in memory where no file can be written. The lock is held."""
        self._rows.close()
        try:
            if not (reason := _reason(error)):
                raise error
            aside = set_aside(self._place)
            self._rows = Rows(self._place)
        except (sqlite3.Error, OSError) as problem:
            self._rows = Rows(None)
            self.note = (
                f"The history's database cannot be written ({getattr(problem, 'strerror', None) or problem}); stars and tags last until "
                "the studio ends, so free some space or make the data folder writable."
            )
        else:
            self._salvaged = {entry.path: entry for entry in salvage(aside)}
            self.note = f"The history's database was {reason}, so it was set aside as {aside.name} and made anew from the pictures."
        log.warning("%s", self.note, exc_info=error)


def _code(error: Exception) -> int:
    """Return SQLite's number of an error, the primary one except of a short read; 0 where it has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code if code in _DAMAGED else code & 0xFF


def _reason(error: Exception) -> str:
    """Say why a database is set aside; empty when that would not help."""
    if isinstance(error, NewerSchema):
        return "made by a newer studio"
    if _code(error) in _LOCKED:
        return "locked by another program"
    damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return "damaged" if damaged or _code(error) in _DAMAGED else ""
