"""The history on disk: a PNG file a picture, in a folder a day, and a database of rows that can be made anew from the files.

A picture is kept in this order: file (whole or not at all, forced to the disk), row, thumbnail. Whatever moment a power cut takes,
files without a row are given one at the next start.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from studio import atomic, metadata
from studio.errors import StudioError
from studio.events import Finished
from studio.images import jpeg_bytes
from studio.kept import Change, Entry, Leaf, Query, Shelves
from studio.people import OWNER, Person
from studio.provenance import Provenance
from studio.request import GenerationRequest
from studio.storage import history_files as files
from studio.storage.history_base import Base
from studio.storage.history_mending import mend
from studio.storage.history_removing import Remover

log = logging.getLogger("studio")

ARRIVAL_SECONDS = 5.0
THUMBNAIL_SIDE = 256
END_OF_JPEG = b"\xff\xd9"
TRASH_DAYS = 30
_DAY = 86_400_000_000
_PURGE_EVERY = _DAY // 24
# As many pictures that could not be written are held in memory and tried again.
_UNKEPT = 32


@dataclass(frozen=True, kw_only=True)
class _Noted:
    """A picture on its way to the disk."""

    id: str
    made: int
    person: str
    run: str
    picture: Image.Image
    request: GenerationRequest
    provenance: Provenance | None


class DiskHistory:
    """Keeps pictures below a data folder: `pictures/`, `thumbnails/` and `history.db`."""

    def __init__(self, data_dir: Path, *, limit: int | None = None) -> None:
        """`limit` is how many bytes the pictures may take; above it the oldest that nobody starred are removed. None keeps all."""
        self._pictures, self._small = data_dir / "pictures", data_dir / "thumbnails"
        self._limit = limit
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._to_do = 0
        self._on_way: set[str] = set()
        self._unkept: list[_Noted] = []
        # By picture: which ones of its run are not on the disk yet, and what is to be called once all are.
        self._owed: dict[str, tuple[set[str], Callable[[], None]]] = {}
        self._newest = 0
        self._base = Base(data_dir / "history.db", replaced=lambda: self._ask(self._begin))
        self._mending_note = self._writing_note = ""
        self._remover = Remover(self._base, self._places)
        self._purged_at = 0
        self._thread = threading.Thread(target=self._write_all, name="studio-history", daemon=True)

    # ---- noting and writing ----
    def open(self) -> None:
        """Begin; the database is opened, checked and mended on the history's own thread."""
        if not self._thread.ident:
            self._thread.start()

    def close(self) -> None:
        """Write what was noted and end the thread."""
        if self._thread.ident:
            self._ask(self._try_again)
            self._work.put(None)
            self._thread.join()
        self._base.close()

    def keep(self, finished: Finished, person: Person, *, then: Callable[[], None] = lambda: None) -> tuple[str, ...]:
        """Note the pictures of a run as they are now, by copies; `then` is called once all of them are on the disk, if they ever are."""
        noted = []
        with self._changed:
            provenances = finished.provenances or (None,) * len(finished.images)
            for picture, request, provenance in zip(finished.images, finished.requests, provenances, strict=True):
                self._newest = max(self._newest + 1, now())
                one = _Noted(
                    id=files.new_id(),
                    made=self._newest,
                    person=person.id,
                    run=finished.job_id,
                    picture=picture.copy(),
                    request=request,
                    provenance=provenance,
                )
                noted.append(one)
            missing = {one.id for one in noted}
            self._on_way |= missing
            self._owed |= dict.fromkeys(missing, (missing, then))
        for one in noted:
            self._ask(partial(self._attempt, one))
        return tuple(one.id for one in noted)

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until nothing is on its way any more."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._to_do, timeout)

    def notes(self, person: Person = OWNER) -> tuple[str, ...]:
        """Return the sentences about what went wrong: of folder and database to the owner, to a guest of their own pictures alone."""
        if person.role != "owner":
            return (self._writing_note,) if any(one.person == person.id for one in self._unkept) else ()
        return tuple(filter(None, (self._base.note, self._mending_note, self._writing_note)))

    @property
    def promise(self) -> str:
        """Say what is removed and when."""
        trash = f"What is deleted stays in the trash for {TRASH_DAYS} days."
        if self._limit is None:
            return f"All pictures are kept. {trash}"
        return f"Above {self._limit / 1e9:g} GB the oldest pictures without a star are removed. {trash}"

    def _ask(self, work: Callable[[], None]) -> None:
        with self._changed:
            self._to_do += 1
        self._work.put(work)

    def _write_all(self) -> None:
        self._base.open()
        self._begin()
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                # The thread outlives whatever it meets: without it no picture would be kept any more, and who waits would wait for ever.
                log.exception("a piece of the history's work failed")
            with self._changed:
                self._to_do -= 1
                self._changed.notify_all()

    def _attempt(self, one: _Noted) -> None:
        """Write a picture, after those that could not be kept before, since room may have been made."""
        self._try_again()
        self._write_or_say(one)
        if not self._unkept:
            self._writing_note = ""
        with self._changed:
            self._on_way.discard(one.id)
            self._changed.notify_all()
        if self._mending_note:
            self._begin()
        try:
            self._keep_house()
        except StudioError:
            log.warning("what is to be removed from the history stays until the next picture", exc_info=True)

    def _try_again(self) -> None:
        again, self._unkept = self._unkept, []
        for each in again:
            self._write_or_say(each)

    def _write_or_say(self, one: _Noted) -> None:
        try:
            self._write(one)
        except StudioError as error:
            self._unkept = [*self._unkept, one][-_UNKEPT:]
            count = len(self._unkept)
            self._writing_note = f"{'A picture' if count == 1 else f'{count} pictures'} could not be kept: {error} Download what you need."
        except Exception:
            log.exception("a picture could not be kept")
            self._unkept = [*self._unkept, one][-_UNKEPT:]
            self._writing_note = "A picture could not be kept; the studio's log tells why. Download it while it is shown."
        else:
            self._pay(one)

    def _pay(self, one: _Noted) -> None:
        missing, then = self._owed.pop(one.id)
        missing.discard(one.id)
        if not missing:
            then()

    def _write(self, one: _Noted) -> None:
        path = files.path_of(one.id, one.made, one.person, seed=one.request.seed)
        content = metadata.png_bytes(one.picture, one.request, provenance=one.provenance)
        atomic.make_folder((self._pictures / path).parent, called="The pictures' folder")
        atomic.write(self._pictures / path, content, called="The picture")
        row = Entry(id=one.id, made=one.made, person=one.person, run=one.run, path=path.as_posix(), bytes=len(content), request=one.request)
        self._base.use(lambda rows: rows.add([row]))
        self._shrink(one.id, one.picture)

    def _arrived(self, *keys: str) -> None:
        """Wait for pictures that are on their way, as somebody does who uses one the moment it is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._on_way.isdisjoint(keys), ARRIVAL_SECONDS)

    # ---- reading ----
    def page(self, person: Person, query: Query, *, before: int | None = None, count: int = 60) -> Leaf:
        """Return pictures that a query finds, newest first."""
        return self._base.use(lambda rows: rows.page(person.id, query, before=before, count=count))

    def shelves(self, person: Person) -> Shelves:
        """Return how much a person has and what can be chosen among."""
        return self._base.use(lambda rows: rows.shelves(person.id))

    def entry(self, person: Person, key: str) -> Entry | None:
        """Return a picture's row by its id."""
        self._arrived(key)
        return self._base.use(lambda rows: rows.entry(person.id, key)) if files.is_id(key) else None

    def file(self, person: Person, key: str) -> bytes | None:
        """Return a picture's PNG file."""
        entry = self.entry(person, key)
        return files.content(self._pictures / entry.path) if entry else None

    def thumbnail(self, person: Person, key: str) -> bytes | None:
        """Return a small copy of a picture, made anew when it is lost."""
        if self.entry(person, key) is None:
            return None
        small = files.content(self._small_place(key))
        if not (small and small.endswith(END_OF_JPEG)) and (content := self.file(person, key)):
            with files.opened(content) as picture:
                small = self._shrink(key, picture.convert("RGB"))
        return small

    # ---- changing ----
    def change(self, person: Person, keys: Sequence[str], change: Change) -> int:
        """Star, unstar, delete or restore."""
        self._arrived(*keys)
        known = [key for key in keys if files.is_id(key)]
        count = self._base.use(lambda rows: rows.change(person.id, known, change, now=now())) if known else 0
        self._look_again()
        return count

    def tag(self, person: Person, key: str, tags: Sequence[str], *, before: Sequence[str] = ()) -> tuple[str, ...] | None:
        """Give a picture tags in place of those `before`; return all that it has now."""
        self._arrived(key)
        return self._base.use(lambda rows: rows.tag(person.id, key, tags, before)) if files.is_id(key) else None

    def empty(self, person: Person) -> int:
        """Remove what a person has in the trash for good."""
        return self._remover.empty(person.id, until=now() + 1)

    def _keep_house(self) -> None:
        """Remove what lay in the trash for long, and the oldest pictures where there is a limit."""
        if self._base.note:
            return  # which have a star, or were taken out of the trash, may be known to the database that was set aside only
        if now() - self._purged_at > _PURGE_EVERY:
            self._purged_at = now()
            self._remover.empty(None, until=now() - TRASH_DAYS * _DAY)
        if self._limit is not None:
            self._remover.shrink(self._limit)

    def _places(self, entry: Entry) -> tuple[Path, ...]:
        return self._pictures / entry.path, self._small_place(entry.id)

    def _shrink(self, key: str, picture: Image.Image) -> bytes:
        small = picture.copy()
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        content = jpeg_bytes(small, quality=82)
        try:
            place = self._small_place(key)
            atomic.make_folder(place.parent)
            atomic.write(place, content)
        except StudioError:
            log.warning("a thumbnail could not be written; it is made again when it is looked at")
        return content

    def _small_place(self, key: str) -> Path:
        return self._small / key[:2] / f"{key}.jpg"

    def _begin(self) -> None:
        """Put in order what the last studio left; what fails here is told, and pictures are kept all the same."""
        try:
            atomic.sweep(self._pictures)
            atomic.sweep(self._small)
            self._mending_note = mend(self._base, self._pictures)
        except Exception:
            log.exception("the history could not be mended")
            self._mending_note = "Some pictures may be missing in the history; the studio's log tells why, and it is tried again."

    def _look_again(self) -> None:
        """See whether pictures are still missing, where some were."""
        if self._mending_note:
            self._ask(self._begin)


def now() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000
