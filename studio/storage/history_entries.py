"""Reads rows of the history's database as entries, also those of a damaged one."""

import json
from collections.abc import Sequence

from studio.errors import InvalidRequest
from studio.kept import Entry
from studio.request import GenerationRequest


def as_text(data: bytes) -> str:
    """Read a text of the database; one damaged letter, which SQLite does not notice, is not to hide its row and all others."""
    return data.decode("utf-8", "replace")


def entry_of(row: Sequence[object]) -> Entry:
    """Read a row of `history_rows.COLUMNS`; a request or tags that this studio did not write count as none.

    Raises:
        ValueError: a number is none, which `STRICT` allows in a damaged database only.
    """
    made, key, person, run, path, size, starred, deleted, tags, text = row
    try:
        request = GenerationRequest.parse(json.loads(str(text)))
    except (InvalidRequest, ValueError, RecursionError):
        request = None
    return Entry(
        id=str(key), made=int(str(made)), person=str(person), run=str(run), path=str(path), bytes=int(str(size)), request=request,
        starred=bool(starred), tags=_tags(str(tags)), deleted=None if deleted is None else int(str(deleted)),
    )  # fmt: skip


def _tags(text: str) -> tuple[str, ...]:
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(map(str, tags)) if isinstance(tags, list) else ()
