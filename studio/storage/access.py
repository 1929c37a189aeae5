"""The access layer's book on the disk: one SQLite file, the key for cookies, and a log that is only added to; for this user alone."""

import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from studio import atomic
from studio.access.records import Guest, Invitation, Record, Session, Token
from studio.access.rules import HOUR
from studio.errors import NotAllowed, StudioError

log = logging.getLogger("studio")
R = TypeVar("R", bound=Record)
WAIT_SECONDS = 10.0
TAIL_BYTES = 64_000
KEY_BYTES = 64
KINDS: tuple[type[Record], ...] = (Invitation, Guest, Token, Session)
_TABLES = """
CREATE TABLE IF NOT EXISTS records (kind TEXT, id TEXT, digest TEXT, body TEXT, PRIMARY KEY (kind, id));
CREATE INDEX IF NOT EXISTS digests ON records (kind, digest);
CREATE TABLE IF NOT EXISTS spendings (person TEXT, at REAL, amount REAL);
CREATE INDEX IF NOT EXISTS spenders ON spendings (person, at);
"""
_NO_SPENDING = "SELECT 1 FROM spendings WHERE typeof(person) != 'text' OR typeof(at) != 'real' OR typeof(amount) != 'real' LIMIT 1"
# Errors that stay: no database, a damaged one, one that cannot be opened, one with other tables.
_DAMAGES = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_ERROR)
_PUT = "INSERT INTO records VALUES (?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET digest = excluded.digest, body = excluded.body"


class DiskBook:
    """Implements `access.Book` in a folder, which is made when something is first asked of it.

    A damaged file is set aside and begun anew: then nobody is known any more, and only the owner's link opens anything.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Only one thread at a time is in here; other processes are kept out by SQLite itself.
        self._lock = threading.RLock()
        self._opened: sqlite3.Connection | None = None
        self._key = b""

    @contextmanager
    def change(self) -> Iterator[None]:
        """Everything within happens at once or not at all."""
        with self._working() as database:
            if database.in_transaction:
                yield
                return
            database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of its kind and id."""
        body = json.dumps(asdict(record))
        row = (type(record).__name__, record.id, record.digest, body)
        with self._working() as database:
            # Not REPLACE, which would give the row a new place in the order.
            database.execute(_PUT, row)

    def get(self, kind: type[R], identity: str) -> R | None:
        """Return the record of a kind and id."""
        return next(iter(self._read(kind, "AND id = ?", identity)), None)

    def find(self, kind: type[R], digest: str) -> R | None:
        """Return the record of a kind to which a digest leads."""
        return next(iter(self._read(kind, "AND digest = ?", digest)), None)

    def all(self, kind: type[R]) -> list[R]:
        """Return all records of a kind, oldest first."""
        return self._read(kind, "ORDER BY rowid")

    def drop(self, kind: type[Record], identity: str) -> bool:
        """Remove a record; False when it is not there."""
        with self._working() as database:
            return database.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind.__name__, identity)).rowcount > 0

    def spend(self, person: str, amount: float, *, at: float) -> None:
        """Note what a person asked for, and forget what is older than an hour."""
        with self._working() as database:
            database.execute("DELETE FROM spendings WHERE at < ?", (at - HOUR,))
            database.execute("INSERT INTO spendings VALUES (?, ?, ?)", (person, at, amount))

    def spent(self, person: str, *, since: float) -> list[tuple[float, float]]:
        """Return (time, amount) of what a person asked for after `since`, oldest first."""
        with self._working() as database:
            return database.execute("SELECT at, amount FROM spendings WHERE person = ? AND at > ? ORDER BY at", (person, since)).fetchall()

    def key(self) -> bytes:
        """Return the key that cookies are signed with."""
        with self._lock:
            if not self._key:
                self._key = self._read_key()
            return self._key

    def note(self, entry: Mapping[str, Any]) -> None:
        """Append a line to the log."""
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        with self._explained(), self._lock:
            self._make_folder()
            # One write to a file opened for appending is never torn by another process's.
            file = os.open(self._folder / "log.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)

    def notes(self, count: int) -> list[Mapping[str, Any]]:
        """Return the newest entries of the log, newest first; a line that is damaged is passed over."""
        path = self._folder / "log.jsonl"
        with self._explained():
            if not path.exists():
                return []
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        entries: list[Mapping[str, Any]] = [entry for line in reversed(lines) if (entry := _parsed(line))]
        return entries[:count]

    def _read(self, kind: type[R], where: str, *values: str) -> list[R]:
        with self._working() as database:
            rows = database.execute(f"SELECT body FROM records WHERE kind = ? {where}", (kind.__name__, *values)).fetchall()
            return [_record(kind, body) for (body,) in rows]

    def _read_key(self) -> bytes:
        path = self._folder / "key"
        with self._explained():
            self._make_folder()
            if path.exists() and not _is_key(path):
                # Then every cookie is void, and whoever is a guest follows their link again.
                self._set_aside(
                    path, "The key that cookies are signed with was damaged and is made anew, so everybody has to sign in again"
                )
            if not path.exists():
                draft = path.with_name(f"key.{secrets.token_hex(4)}")
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
                    os.fsync(file.fileno())
                try:
                    # Of two studios that start at once the first one's key holds, and both read it below.
                    with suppress(FileExistsError):
                        _place_once(draft, path)
                finally:
                    draft.unlink(missing_ok=True)
            return path.read_bytes()

    @contextmanager
    def _working(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), self._lock:
            if self._opened is None:
                self._opened = self._open()
            yield self._opened

    def _open(self) -> sqlite3.Connection:
        self._make_folder()
        path = self._folder / "book.sqlite"
        try:
            return _connected(path)
        except (sqlite3.Error, ValueError, NotAllowed) as error:
            if not _is_damage(error, path):
                raise
            log.info("%s: %s", path, error)
            self._set_aside(path, "The list of guests and tokens was damaged and is begun anew, so invite them again")
            return _connected(path)

    def _set_aside(self, path: Path, sentence: str) -> None:
        aside = path.with_name(f"{path.stem}.damaged-{int(time.time())}-{secrets.token_hex(2)}{path.suffix}")
        path.rename(aside)
        log.warning("%s; the old one is %s.", sentence, aside.name)

    def _make_folder(self) -> None:
        # Guests are told this too, and must not read paths.
        atomic.make_folder(self._folder, called="The folder of the list of guests")
        self._folder.chmod(0o700)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError) as error:
            why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            log.warning("%s: %s", self._folder, why)
            raise StudioError(
                f"The list of guests cannot be read or written ({why}); make room in the data folder and try again."
            ) from error


def _connected(path: Path) -> sqlite3.Connection:
    """Open a book, and read all of it once, so that one that is damaged anywhere is found here."""
    path.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.executescript(_TABLES)
        if (found := database.execute("PRAGMA quick_check").fetchone()) != ("ok",):
            raise ValueError(f"quick_check: {found}")
        for kind in KINDS:
            for (body,) in database.execute("SELECT body FROM records WHERE kind = ?", (kind.__name__,)):
                _record(kind, body)
        if database.execute(_NO_SPENDING).fetchone():
            raise ValueError("what somebody spent is no number")
    except BaseException:
        database.close()
        raise
    return database


def _is_damage(error: Exception, path: Path) -> bool:
    """Whether a book that cannot be opened never can; a full disk, too many open files, or another program that holds it, pass."""
    if not isinstance(error, sqlite3.Error):
        return True
    # Of a text that is none `sqlite3` itself complains, without a number of SQLite's.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    passes = code == sqlite3.SQLITE_CANTOPEN and path.is_file() and os.access(path, os.R_OK | os.W_OK)
    return code in _DAMAGES and not passes


def _place_once(draft: Path, path: Path) -> None:
    """Give a written file its name.

    Raises:
        FileExistsError: another file has it.
        OSError: it cannot be had.
    """
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # FAT, exFAT and some network drives know no links. There two studios would have to start within the same instant.
        if path.exists():
            raise FileExistsError(path) from None
        draft.replace(path)


def _is_key(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK) and path.stat().st_size == KEY_BYTES


@cache
def _readers() -> Mapping[type[Record], TypeAdapter[Any]]:
    return {kind: TypeAdapter(kind) for kind in KINDS}


def _record(kind: type[R], body: str) -> R:
    """Return a record as it was put.

    Raises:
        ValueError, NotAllowed: it is none.
    """
    record: R = _readers()[kind].validate_json(body, strict=True)
    return record


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
