"""The history's files: how they are named, found again, read, and how a database is set aside. A name holds what a lost row cannot tell."""

import io
import re
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from PIL import Image

from studio import metadata
from studio.errors import BadPicture
from studio.intake import FORMATS
from studio.kept import Entry
from studio.people import OWNER
from studio.request import GenerationRequest

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# time - seed - id, and whose it is unless it is the owner's
_NAME = re.compile(r"(\d{6})-\d{1,10}-([0-9a-f]{16})(?:\+([\w.~%-]{1,200}))?\.png", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_ASIDE_PARTS = ("-wal", "-shm", "")


def is_id(key: str) -> bool:
    """Whether a text can be a picture's id."""
    return _ID.fullmatch(key) is not None


def new_id() -> str:
    """Draw a picture's id."""
    return secrets.token_hex(8)


def path_of(key: str, made: int, person: str, *, seed: int) -> Path:
    """Return where a picture's file goes, below the pictures' folder: `2026-11-21/143205-184467-<id>.png`, by this machine's clock."""
    when = datetime.fromtimestamp(made // 1_000_000)
    whose = "" if person == OWNER.id else f"+{quote(person, safe='')}"
    return Path(f"{when:%Y-%m-%d}") / f"{when:%H%M%S}-{seed}-{key}{whose}.png"


def listed(folder: Path) -> Iterator[str]:
    """Yield the paths of all pictures below a folder, oldest day first; files of other names are not the history's."""
    if not folder.is_dir():
        return
    for day in sorted(folder.iterdir()):
        if _DAY.fullmatch(day.name) and day.is_dir():
            yield from (f"{day.name}/{file.name}" for file in sorted(day.iterdir()) if _NAME.fullmatch(file.name))


def belongs(entry: Entry) -> bool:
    """Whether a row is that of the file it names; of a damaged database anything may have been read."""
    found = _NAME.fullmatch(entry.path.rpartition("/")[2])
    return found is not None and (found[2], unquote(found[3]) if found[3] else OWNER.id) == (entry.id, entry.person)


def entry_of(folder: Path, path: str) -> Entry | None:
    """Return the row of a picture as far as its file tells it, or None when the file is gone or its name tells no time."""
    day, name = PurePosixPath(path).parts
    found = _NAME.fullmatch(name)
    assert found is not None
    clock, key, whose = found.groups()
    try:
        made = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H%M%S").timestamp()
        size = (folder / path).stat().st_size
    except (ValueError, OverflowError, OSError):
        return None
    request = _request(folder / path)
    person = unquote(whose) if whose else OWNER.id
    return Entry(id=key, made=int(made * 1_000_000), person=person, run=key, path=path, bytes=size, request=request)


def content(path: Path) -> bytes | None:
    """Return a file's bytes, or None when it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def opened(data: bytes) -> Image.Image:
    """Open a picture of the history.

    Raises:
        BadPicture: the file was damaged.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            picture.load()
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadPicture("The picture's file is damaged.") from error


def set_aside(place: Path) -> Path:
    """Give a database another name, with what belongs to it, and return the name it has now.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = place.with_name(f"history-set-aside-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}.db")
    for part in _ASIDE_PARTS:
        # The log first: a new database must never find the old one's.
        old = place.with_name(place.name + part)
        if old.exists():
            old.rename(aside.with_name(aside.name + part))
    return aside


def _request(path: Path) -> GenerationRequest | None:
    try:
        return metadata.read_metadata(path)
    except BadPicture:
        return None
