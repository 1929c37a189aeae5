"""A file is the old one or the new one, whatever happens to its writer."""

import errno
import os
import resource
import stat
import time
from pathlib import Path

import pytest

from studio import atomic
from studio.errors import StudioError


def drafts(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".studio-*"))


def test_a_file_is_made_and_replaced_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert atomic.write(path, b"one") == path
    atomic.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the draft, rename, fsync of the folder: any other order can lose a file when the power goes."""
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def note_replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    atomic.write(tmp_path / "a", b"content")
    assert done == ["file", "rename", "folder"]


def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = atomic.write(tmp_path / "a", b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudioError, match=r"^The data folder cannot be written: No space left on device; free some space"):
        atomic.write(path, b"new", called="The data folder")
    assert path.read_bytes() == b"old"
    assert not drafts(tmp_path)


def test_a_disk_that_takes_no_more_halfway_is_one_sentence_and_the_old_file_stays(tmp_path: Path) -> None:
    """The kernel's own limit on file sizes stands for the disk: a real write stops in the middle."""
    path = atomic.write(tmp_path / "a", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StudioError, match="cannot be written: File too large"):
            atomic.write(path, b"new" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert not drafts(tmp_path)


def test_a_place_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    blocker = atomic.write(tmp_path / "file", b"")
    for path in (tmp_path / "missing" / "a", blocker / "a", tmp_path / ("x" * 300)):
        with pytest.raises(StudioError, match=r"cannot be written: .*; free some space or choose another folder\.$"):
            atomic.write(path, b"")
    with pytest.raises(StudioError, match="cannot be written"):
        atomic.make_folder(blocker / "a" / "b")
    assert list(tmp_path.iterdir()) == [blocker]


def test_folders_are_made_with_those_above_them(tmp_path: Path) -> None:
    assert atomic.make_folder(tmp_path / "a" / "b" / "c").is_dir()
    assert atomic.make_folder(tmp_path / "a" / "b" / "c").is_dir()


def test_drafts_of_the_dead_are_swept_and_nothing_else(tmp_path: Path) -> None:
    old = time.time() - 2 * atomic.DEAD_AFTER
    (tmp_path / "deep").mkdir()
    dead = [tmp_path / ".studio-0123456789abcdef.part", tmp_path / "deep" / ".studio-fedcba9876543210.part"]
    kept = [tmp_path / name for name in (".studio-mine.part", "a.json", ".studio-0123456789abcdef.json")]
    for path in dead + kept:
        path.write_bytes(b"half")
        os.utime(path, (old, old))
    live = tmp_path / ".studio-00000000000000ff.part"
    live.write_bytes(b"half")
    assert atomic.sweep(tmp_path) == len(dead)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*kept, live])
    assert atomic.sweep(tmp_path / "missing") == 0
