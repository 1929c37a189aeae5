"""Jobs that are not over, a small file each, so that a restart of the studio finds them again.

`<folder>/<when>-<id>.<starts>.json`; the number of starts is in the name, because renaming takes no time.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from studio import atomic
from studio.errors import InvalidRequest, StudioError
from studio.kept import Asked
from studio.people import Person
from studio.request import GenerationRequest

log = logging.getLogger("studio")
SCHEMA = 1
_NAME = re.compile(r"(\d{19})-([A-Za-z0-9_-]{1,64})\.(\d)\.json", re.ASCII)


class DiskBacklog:
    """A folder of jobs. Of several studios on one data folder only the first keeps its jobs, so that none is run by two."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: IO[bytes] | None = None

    def take_over(self) -> list[Asked]:
        """Take the folder and return what the last studio left in it: what was running, then the others, oldest first.

        Nothing when another studio has it.

        Until this is called nothing is noted: a studio that nobody looks at has no queue worth a restart.
        """
        try:
            atomic.make_folder(self._folder)
            self._held = _locked(self._folder / "lock")
        except (OSError, StudioError):
            log.warning("the queue cannot be kept over a restart", exc_info=True)
        if self._held is None:
            return []
        atomic.sweep(self._folder)
        left = [asked for path in sorted(self._folder.glob("*.json")) if (asked := _read(path))]
        return sorted(left, key=lambda asked: -asked.starts)

    def note(self, asked: Asked) -> None:
        """Note a job.

        Raises:
            StudioError: the disk is full or the folder read-only.
        """
        if self._held:
            person = {"id": asked.person.id, "role": asked.person.role, "name": asked.person.name}
            content = {"schema": SCHEMA, "visitor": asked.visitor, "person": person, "request": asked.request.model_dump()}
            atomic.write(
                self._folder / f"{asked.made:019}-{asked.id}.{asked.starts}.json", json.dumps(content).encode(), called="The queue"
            )

    def count(self, key: str, starts: int) -> None:
        """Add to how often a job was started; one that was not noted is none of ours."""

        def rename(path: Path) -> None:
            found = _NAME.fullmatch(path.name)
            assert found is not None
            now = max(0, min(9, int(found[3]) + starts))
            # What was running when the studio ended comes first when it begins again, as what it was killed with does.
            when = found[1] if starts > 0 else "0" * len(found[1])
            path.rename(path.with_name(f"{when}-{key}.{now}.json"))

        self._quietly(key, rename)

    def drop(self, key: str) -> None:
        """Forget a job."""
        self._quietly(key, lambda path: path.unlink(missing_ok=True))

    def close(self) -> None:
        """Leave the folder to the next studio."""
        if self._held:
            self._held.close()
            self._held = None

    def _files(self, key: str) -> list[Path]:
        if self._held is None or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", key):
            return []
        return [path for path in self._folder.glob(f"*-{key}.?.json") if (found := _NAME.fullmatch(path.name)) and found[2] == key]

    def _quietly(self, key: str, work: Callable[[Path], None]) -> None:
        # At worst a job is run once more after a restart, which is better than one that is not run.
        try:
            for path in self._files(key):
                work(path)
        except OSError:
            log.warning("the noted queue could not be changed", exc_info=True)


def _read(path: Path) -> Asked | None:
    """Return a noted job, or None when the file is none; it stays, so that nothing is lost."""
    if (found := _NAME.fullmatch(path.name)) is None:
        return None
    try:
        data = json.loads(path.read_bytes())
        person = Person(str(data["person"]["id"]), data["person"]["role"], str(data["person"]["name"]))
        request = GenerationRequest.parse(data["request"])
        # What was running has no time in its name; its file was written when it was asked for.
        made = int(found[1]) or path.stat().st_mtime_ns
        return Asked(id=found[2], made=made, visitor=str(data["visitor"]), person=person, request=request, starts=int(found[3]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, InvalidRequest):
        log.warning("%s is no noted job and is left alone", path.name, exc_info=True)
        return None


def _locked(path: Path) -> IO[bytes] | None:
    """Open a file so that no other process can, or return None when one has it. The lock goes with the process, however that ends."""
    file = path.open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (there only)

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415  (not on Windows)

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
