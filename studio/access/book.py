"""Where the access layer's records are kept, as a protocol; the disk's own is in `studio/storage/access.py`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from studio.access.records import Record

R = TypeVar("R", bound=Record)


class Book(Protocol):
    """Records by kind, what people spent, and a log of what happened. Called from several threads; other processes may write too.

    Every method raises `StudioError` where the disk cannot be read or written.
    """

    def change(self) -> AbstractContextManager[None]:
        """Everything within happens at once or not at all, and nobody else writes meanwhile."""
        ...

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of its kind and id."""
        ...

    def get(self, kind: type[R], identity: str) -> R | None:
        """Return the record of a kind and id."""
        ...

    def find(self, kind: type[R], digest: str) -> R | None:
        """Return the record of a kind to which a secret's digest leads."""
        ...

    def all(self, kind: type[R]) -> list[R]:
        """Return all records of a kind, in the order in which they were added."""
        ...

    def drop(self, kind: type[Record], identity: str) -> bool:
        """Remove a record; False when it is not there."""
        ...

    def spend(self, person: str, amount: float, *, at: float) -> None:
        """Note what a person asked for; what is older than an hour may be forgotten."""
        ...

    def spent(self, person: str, *, since: float) -> list[tuple[float, float]]:
        """Return (time, amount) of what a person asked for after `since`, oldest first."""
        ...

    def key(self) -> bytes:
        """Return the secret key that cookies are signed with; made when first asked for, kept for this machine's user only."""
        ...

    def note(self, entry: Mapping[str, Any]) -> None:
        """Append to the log."""
        ...

    def notes(self, count: int) -> list[Mapping[str, Any]]:
        """Return the newest `count` entries of the log, newest first."""
        ...
