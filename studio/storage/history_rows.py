"""The history's rows in SQLite: its schema with its migrations, and every statement. Files are `history`'s work.

One connection in write-ahead mode; whoever calls holds a lock. SQL never contains what a person typed.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from studio import kept
from studio.kept import Change, Entry, Leaf, Query, Shelves
from studio.storage.history_entries import as_text, entry_of

Result = TypeVar("Result")
MIGRATIONS = (
    # `made` is the key: pages go on from it, the words carry it, and a table in the order of time needs no sorting.
    """
    CREATE TABLE pictures (
      made INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL, run TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
      bytes INTEGER NOT NULL, starred INTEGER NOT NULL DEFAULT 0, deleted INTEGER, model TEXT NOT NULL, loras TEXT NOT NULL,
      tags TEXT NOT NULL DEFAULT '[]', request TEXT NOT NULL
    );
    CREATE INDEX of_person ON pictures (person, made, bytes) WHERE deleted IS NULL;
    CREATE INDEX of_model ON pictures (person, model, made) WHERE deleted IS NULL;
    CREATE INDEX of_loras ON pictures (person, loras, made) WHERE deleted IS NULL;
    CREATE INDEX of_stars ON pictures (person, made) WHERE deleted IS NULL AND starred = 1;
    CREATE INDEX in_trash ON pictures (person, made, deleted) WHERE deleted IS NOT NULL;
    """,
    # Three letters in a row are what is looked up, so parts of words are found, in scripts without spaces too.
    """
    CREATE VIRTUAL TABLE words USING fts5 (prompt, model, loras, tags, tokenize = "trigram");
    INSERT INTO words (rowid, prompt, model, loras, tags)
      SELECT made, coalesce(json_extract(request, '$.prompt'), '') || char(10) || coalesce(json_extract(request, '$.negative_prompt'), ''),
             model, loras, tags FROM pictures;
    """,
)
SCHEMA = len(MIGRATIONS)
BUSY_SECONDS = 5.0
SHORTEST = 3
"""Letters that a searched word needs for the index; shorter ones are looked for in each row found."""

COLUMNS = "p.made, p.id, p.person, p.run, p.path, p.bytes, p.starred, p.deleted, p.tags, p.request"
_CHANGES = {
    "star": "starred = 1",
    "unstar": "starred = 0",
    "delete": "deleted = coalesce(deleted, :now)",
    "restore": "deleted = NULL",
}


class NewerSchema(sqlite3.DatabaseError):
    """A later studio made this database."""


class Rows:
    """An open database. Everything raises `sqlite3.Error` when the file is damaged, locked or out of room."""

    def __init__(self, place: Path | None) -> None:
        """Open the database of a file, making or migrating it; None keeps it in memory."""
        self._base = sqlite3.connect(place or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._base.text_factory = as_text
        try:
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.Error:
            self._base.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def check(self) -> None:
        """Read all of the database and raise `sqlite3.DatabaseError` when a part of it is damaged or a table is not there."""
        (said,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)
        self._base.execute(f"SELECT {COLUMNS} FROM pictures p JOIN words w ON w.rowid = p.made LIMIT 1").fetchall()

    def add(self, entries: Iterable[Entry]) -> list[Entry]:
        """Add pictures, all or none, and return them as they are kept: one whose time is taken gets the next free one."""
        return self._at_once(lambda: [self._insert(entry) for entry in entries])

    def page(self, person: str, query: Query, *, before: int | None, count: int) -> Leaf:
        """Return at most `count` of a person's pictures that a query finds, newest first, from below the key `before` on."""
        statement, values = select(person, query, before=before)
        found = list(self._base.execute(f"{statement} LIMIT ?", [*values, count + 1]))
        entries = tuple(map(entry_of, found[:count]))
        return Leaf(entries, entries[-1].made if len(found) > count else None)

    def plan(self, person: str, query: Query, *, before: int | None) -> str:
        """Return how SQLite will find a page, in its own words."""
        statement, values = select(person, query, before=before)
        return "\n".join(row[3] for row in self._base.execute(f"EXPLAIN QUERY PLAN {statement} LIMIT 60", values))

    def entry(self, person: str, key: str) -> Entry | None:
        """Return one of a person's pictures by its id."""
        row = self._base.execute(f"SELECT {COLUMNS} FROM pictures p WHERE id = ? AND person = ?", (key, person)).fetchone()
        return entry_of(row) if row else None

    def change(self, person: str, keys: Sequence[str], change: Change, *, now: int) -> int:
        """Star, unstar, delete or restore a person's pictures; return how many there were."""
        marks = ", ".join(f":key{i}" for i in range(len(keys)))
        values: dict[str, object] = {f"key{i}": key for i, key in enumerate(keys)}
        statement = f"UPDATE pictures SET {_CHANGES[change]} WHERE person = :person AND id IN ({marks})"
        return self._at_once(lambda: self._base.execute(statement, values | {"person": person, "now": now}).rowcount)

    def tag(self, person: str, key: str, tags: Sequence[str], before: Sequence[str]) -> tuple[str, ...] | None:
        """Give one of a person's pictures tags in place of those `before`; return all that it has now, None where it is not here."""

        def change() -> tuple[str, ...] | None:
            row = self._base.execute("SELECT made, tags FROM pictures WHERE id = ? AND person = ?", (key, person)).fetchone()
            if row is None:
                return None
            found = kept.tags([*tags, *(tag for tag in json.loads(row[1]) if tag not in before)])
            text = json.dumps(found, ensure_ascii=False)
            self._base.execute("UPDATE pictures SET tags = ? WHERE made = ?", (text, row[0]))
            self._base.execute("UPDATE words SET tags = ? WHERE rowid = ?", (text.casefold(), row[0]))
            return found

        return self._at_once(change)

    def remove(self, find: Callable[["Rows"], list[Entry]], drop: Callable[[Entry], bool]) -> tuple[list[Entry], list[Entry]]:
        """Remove pictures for good, in one go: nobody takes one out of the trash or stars it between finding and removing.

        Args:
            find: returns which.
            drop: removes a picture's files and says whether that could be done.

        Returns:
            Those found, and those of them that are gone.
        """

        def clear() -> tuple[list[Entry], list[Entry]]:
            found = find(self)
            gone = [entry for entry in found if drop(entry)]
            for entry in gone:
                self._base.execute("DELETE FROM pictures WHERE made = ?", (entry.made,))
                self._base.execute("DELETE FROM words WHERE rowid = ?", (entry.made,))
            return found, gone

        return self._at_once(clear)

    def trash(self, person: str | None, *, until: int, after: int, count: int) -> list[Entry]:
        """Return at most `count` pictures with keys above `after` that were put into the trash before a time, of a person or of all."""
        rows = self._base.execute(
            f"SELECT {COLUMNS} FROM pictures p WHERE deleted IS NOT NULL AND deleted < ? AND (? IS NULL OR person = ?) AND made > ?"
            " ORDER BY made LIMIT ?",
            (until, person, person, after, count),
        )
        return [entry_of(row) for row in rows]

    def oldest(self, count: int) -> list[Entry]:
        """Return the oldest pictures that nobody starred."""
        return [
            entry_of(row)
            for row in self._base.execute(f"SELECT {COLUMNS} FROM pictures p WHERE starred = 0 ORDER BY made LIMIT ?", (count,))
        ]

    def size(self) -> int:
        """Return the bytes of all files, those in the trash too."""
        return int(self._base.execute("SELECT coalesce(sum(bytes), 0) FROM pictures").fetchone()[0])

    def shelves(self, person: str) -> Shelves:
        """Return how much a person has and what can be chosen among."""
        here = "FROM pictures WHERE deleted IS NULL AND person = ?"
        count, size = self._base.execute(f"SELECT count(*), coalesce(sum(bytes), 0) {here}", (person,)).fetchone()
        deleted = self._base.execute("SELECT count(*) FROM pictures WHERE deleted IS NOT NULL AND person = ?", (person,)).fetchone()[0]
        models = [row[0] for row in self._base.execute(f"SELECT DISTINCT model {here} ORDER BY model", (person,))]
        sets = [json.loads(row[0]) for row in self._base.execute(f"SELECT DISTINCT loras {here}", (person,))]
        loras = sorted({name for names in sets for name in names})
        return Shelves(count=count, bytes=size, deleted=deleted, models=tuple(filter(None, models)), loras=tuple(loras))

    def paths(self) -> dict[str, bool]:
        """Return the paths of all pictures, and of each whether it is in the trash."""
        return {path: bool(deleted) for path, deleted in self._base.execute("SELECT path, deleted IS NOT NULL FROM pictures")}

    def _insert(self, entry: Entry) -> Entry:
        while self._base.execute("SELECT 1 FROM pictures WHERE made = ?", (entry.made,)).fetchone():
            entry = _later(entry)
        request = entry.request
        names = [use.name for use in request.loras] if request else []
        model = (request.model if request else None) or ""
        lists = [json.dumps(each, ensure_ascii=False) for each in (names, list(entry.tags))]
        fields = (entry.made, entry.id, entry.person, entry.run, entry.path, entry.bytes, entry.starred, entry.deleted, model, *lists)
        # A file may have its row already: from another studio on this folder, or under another name.
        added = self._base.execute(
            "INSERT OR IGNORE INTO pictures (made, id, person, run, path, bytes, starred, deleted, model, loras, tags, request)"
            f" VALUES ({', '.join('?' * 12)})",
            (*fields, request.model_dump_json() if request else "null"),
        )
        if not added.rowcount:
            return entry
        prompt = f"{request.prompt}\n{request.negative_prompt}" if request else ""
        self._base.execute(
            "INSERT INTO words (rowid, prompt, model, loras, tags) VALUES (?, ?, ?, ?, ?)",
            (entry.made, *(text.casefold() for text in (prompt, model, *lists))),
        )
        return entry

    def _at_once(self, work: Callable[[], Result]) -> Result:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise
        return result

    def _migrate(self) -> None:
        def steps() -> None:
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA:
                raise NewerSchema(f"schema {version}, and this studio knows up to {SCHEMA}")
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                for statement in filter(str.strip, script.split(";")):
                    self._base.execute(statement)
                self._base.execute(f"PRAGMA user_version = {number}")

        # Takes the lock for writing, so a database that another program holds is noticed here and not at the first picture.
        self._at_once(steps)


def select(person: str, query: Query, *, before: int | None) -> tuple[str, list[object]]:
    """Return the statement that finds a person's pictures, newest first, and its values; a LIMIT can be added."""
    conditions, values = ["p.person = ?"], [person]  # type: tuple[list[str], list[object]]
    conditions.append(
        {"all": "p.deleted IS NULL", "starred": "p.deleted IS NULL AND p.starred = 1", "deleted": "p.deleted IS NOT NULL"}[query.shelf]
    )
    words = query.text.casefold().split()
    match = [_quoted(word) for word in words if len(word) >= SHORTEST]
    short = [word for word in words if len(word) < SHORTEST]
    if len(lora := query.lora.casefold()) >= SHORTEST:
        match.append(f"loras : {_quoted(json.dumps(lora, ensure_ascii=False))}")
    elif lora:
        conditions.append("w.loras LIKE ? ESCAPE '\\'")
        values.append(_like(json.dumps(lora, ensure_ascii=False)))
    joined = bool(match or words or lora)
    made = "w.rowid" if match else "p.made"
    for word in short:
        conditions.append("(w.prompt || char(10) || w.model || char(10) || w.loras || char(10) || w.tags) LIKE ? ESCAPE '\\'")
        values.append(_like(word))
    for condition, value in (
        ("p.model = ?", query.model),
        (f"{made} >= ?", query.since),
        (f"{made} < ?", query.until),
        (f"{made} < ?", before),
    ):
        if value not in ("", None):
            conditions.append(condition)
            values.append(value)
    if match:
        conditions.append("words MATCH ?")
        values.append(" AND ".join(match))
    table = "words w CROSS JOIN pictures p ON p.made = w.rowid" if match else "pictures p"
    if joined and not match:
        table += " CROSS JOIN words w ON w.rowid = p.made"
    return f"SELECT {COLUMNS} FROM {table} WHERE {' AND '.join(conditions)} ORDER BY {made} DESC", values


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _like(word: str) -> str:
    return "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _later(entry: Entry) -> Entry:
    return replace(entry, made=entry.made + 1)
