"""What changes of files when somebody writes them anew, so that what was read of them is read again."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

Stamp = tuple[tuple[str, int, int], ...]
"""(path, time of the last change in nanoseconds, size in bytes) of each"""


def stamp(paths: Iterable[Path]) -> Stamp:
    """Return the stamp of those of these files and folders that are there; a link that leads nowhere is not."""
    found = []
    for path in paths:
        with suppress(OSError):
            stat = path.stat()
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
