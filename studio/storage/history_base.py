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
from studio.storage.history_rows import NewerSchema, Rows
from studio.storage.history_salvage import salvage

log = logging.getLogger("studio")
Result = TypeVar("Result")

OPENING_SECONDS = 10.0
# SQLite's own numbers: SQLITE_CORRUPT, SQLITE_NOTADB and, for a file cut short, SQLITE_IOERR_SHORT_READ; SQLITE_BUSY, SQLITE_LOCKED.
_DAMAGED, _LOCKED = (11, 26, 522), (5, 6)
# SQLITE_ERROR: a statement that does not suit the tables.
_NO_SUCH_TABLE = 1


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
        """Open the file and read all of it once; until then, others wait. Whatever is wrong with it, there are rows afterwards."""
        try:
            with self._lock:
                self._rows = self._opened()
        except Exception as error:
            log.exception("the history's database cannot be used as it is")
            with self._lock:
                self._replace(error)
        finally:
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
                    raise _refusal(error) from error
                self._replace(error)
            self._replaced()
            try:
                return work(self._rows)
            except sqlite3.Error as error:
                raise _refusal(error) from error

    @property
    def salvaged(self) -> Mapping[str, Entry]:
        """The rows by path that could be read from the database in whose place this one is."""
        return self._salvaged

    def forget(self, salvaged: Mapping[str, Entry]) -> None:
        """Let rows go that were salvaged, once they are in this database."""
        if self._salvaged is salvaged:
            self._salvaged = {}

    def _opened(self) -> Rows:
        self._place.parent.mkdir(parents=True, exist_ok=True)
        try:
            rows = Rows(self._place)
            try:
                rows.check()
            except sqlite3.Error:
                rows.close()
                raise
        except sqlite3.OperationalError as error:
            if _code(error) == _NO_SUCH_TABLE:
                raise sqlite3.DatabaseError(f"not the history's tables: {error}") from error
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
        except Exception as problem:  # whatever it is, pictures are kept and somebody is told
            self._rows, aside = Rows(None), self._place
            self.note = (
                f"The history's database cannot be written ({getattr(problem, 'strerror', None) or problem}); stars and tags last until "
                "the studio ends, so free some space, make the data folder writable, or move history.db away."
            )
            log.exception("%s", self.note)
        else:
            self.note = f"The history's database was {reason}, so it was set aside as {aside.name} and made anew from the pictures."
            log.warning("%s", self.note, exc_info=error)
        self._salvaged = salvage(aside)


def _refusal(error: sqlite3.Error) -> StudioError:
    return StudioError(f"The history's database cannot be used now ({error}); try again in a moment.")


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
