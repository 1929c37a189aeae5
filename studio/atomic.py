"""Files that appear whole or not at all: written beside their place, forced to the disk and moved there."""

import errno
import os
import re
import secrets
import time
from pathlib import Path

from studio.errors import StudioError

DEAD_AFTER = 60.0
"""Seconds without a change after which a draft's writer is taken for dead; a live one takes well under one."""

_DRAFT = re.compile(r"\.studio-[0-9a-f]{16}\.part")


def write(path: Path, content: bytes, *, called: str = "") -> Path:
    """Make a file have this content and return its path; whoever reads meanwhile sees the old content or the new.

    When this returns, the content outlives a power cut. The way is POSIX's: `fsync` of a draft, `rename`, `fsync` of the folder.

    Args:
        path: a place in a folder that is there.
        content: all that the file shall hold.
        called: how a person is told of the file; its path when empty. A guest must not read paths.

    Raises:
        StudioError: the disk is full, the folder is read-only or missing; the old file, if there was one, is as it was.
    """
    draft = path.with_name(f".studio-{secrets.token_hex(8)}.part")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _drop(draft)
        raise _refusal(called or str(path), error) from error
    return path


def make_folder(folder: Path, *, called: str = "") -> Path:
    """Make a folder and those above it, so that they outlive a power cut, and return its path.

    Raises:
        StudioError: it cannot be made.
    """
    try:
        if not folder.is_dir():
            make_folder(folder.parent, called=called)
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)
    except OSError as error:
        raise _refusal(called or str(folder), error) from error
    return folder


def move(path: Path, target: Path, *, called: str = "") -> Path:
    """Give a file another place on the same disk, in one step that outlives a power cut, and return the place.

    Raises:
        StudioError: it is not there, or one of the folders cannot be written.
    """
    try:
        path.replace(target)
        _sync_folder(target.parent)
        if target.parent != path.parent:
            _sync_folder(path.parent)
    except OSError as error:
        raise _refusal(called or str(path), error) from error
    return target


def sweep(folder: Path) -> int:
    """Remove the drafts of writers that were killed from a folder and those in it, and return how many there were.

    A draft younger than `DEAD_AFTER` may be another studio's at work and stays; so does one that cannot be removed.
    """
    swept = 0
    for place, _, names in os.walk(folder):  # passes over what cannot be read
        for draft in (Path(place, name) for name in names if _DRAFT.fullmatch(name)):
            swept += _age(draft) > DEAD_AFTER and _drop(draft)
    return swept


def _age(draft: Path) -> float:
    try:
        return time.time() - draft.stat().st_mtime
    except OSError:
        return 0.0  # gone meanwhile, so its writer lives


def _drop(draft: Path) -> bool:
    """Remove a draft and say whether that worked; what stays is swept at the next start."""
    try:
        draft.unlink()
    except OSError:
        return False
    return True


def _refusal(name: str, error: OSError) -> StudioError:
    return StudioError(f"{name} cannot be written: {error.strerror or error}; free some space or choose another folder.")


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no such handle and writes a renamed entry through its journal
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot do it and say so
            raise
    finally:
        os.close(handle)
