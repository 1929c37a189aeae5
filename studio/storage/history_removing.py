"""Pictures of the history taken off the disk for good: files and row in one go, while nobody takes one out of the trash or stars it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from studio.errors import StudioError
from studio.kept import Entry
from studio.storage.history_base import Base
from studio.storage.history_rows import Rows

# So many at once, as everybody else waits meanwhile.
_BATCH = 200


class Remover:
    """Removes files, then rows: a power cut between leaves a row in the trash, never a picture that comes back."""

    def __init__(self, base: Base, places: Callable[[Entry], tuple[Path, ...]]) -> None:
        """`places` names a picture's files."""
        self._base, self._places = base, places

    def empty(self, person: str | None, *, until: int) -> int:
        """Remove what somebody, or anybody, put into the trash before a time; return how many pictures that were.

        Raises:
            StudioError: some cannot be removed; all others are gone.
        """
        count, after, problems = 0, -1, list[str]()
        while True:
            find = partial(Rows.trash, person=person, until=until, after=after, count=_BATCH)
            found, gone = self._clear(find, problems)
            count += len(gone)
            if not found:
                break
            after = found[-1].made
        if problems:
            raise StudioError(problems[0])
        return count

    def shrink(self, most: int) -> None:
        """Remove the oldest pictures without a star until all files have at most so many bytes.

        Raises:
            StudioError: one cannot be removed.
        """
        size, problems = self._base.use(lambda rows: rows.size()), list[str]()
        while size > most:
            _, gone = self._clear(lambda rows: rows.oldest(1), problems)
            if problems:
                raise StudioError(problems[0])
            if not gone:
                return
            size -= sum(entry.bytes for entry in gone)

    def _clear(self, find: Callable[[Rows], list[Entry]], problems: list[str]) -> tuple[list[Entry], list[Entry]]:
        """Return what was found and what of it is gone; a sentence about each of the others goes to `problems`."""

        def drop(entry: Entry) -> bool:
            try:
                for place in self._places(entry):
                    place.unlink(missing_ok=True)
            except OSError as error:
                problems.append(f"A picture cannot be removed: {error.strerror or error}.")
                return False
            return True

        return self._base.use(lambda rows: rows.remove(find, drop))
