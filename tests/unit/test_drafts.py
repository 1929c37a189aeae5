"""Drafts on disk: apart by person and browser, numbered, whole or not at all, bounded."""

import os
from pathlib import Path

import pytest

from studio.errors import InvalidRequest, StudioError
from studio.people import OWNER
from studio.storage.drafts import KEPT_DRAFTS, MAX_CHARACTERS, DiskDrafts
from tests.writers import GUEST

DEVICE, TAB = "d" * 24, "t" * 16


def test_a_draft_is_found_again_by_person_and_browser(tmp_path: Path) -> None:
    drafts = DiskDrafts(tmp_path)
    assert drafts.read(OWNER, DEVICE) is None
    content = {"draft": {"prompt": "naïve 雪 \ud83d", "steps": 3}}
    assert drafts.write(OWNER, DEVICE, tab=TAB, content=content).version == 1
    assert drafts.write(OWNER, DEVICE, tab=TAB, content=content).version == 2
    again = DiskDrafts(tmp_path).read(OWNER, DEVICE)
    assert again and (again.version, again.tab, again.content) == (2, TAB, content)
    assert drafts.read(GUEST, DEVICE) is None and drafts.read(OWNER, "e" * 24) is None


def test_names_from_outside_make_no_paths(tmp_path: Path) -> None:
    drafts = DiskDrafts(tmp_path / "drafts")
    drafts.write(GUEST, "../../x\0", tab=TAB, content={})
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.parent.parent == tmp_path / "drafts" and path.name.removesuffix(".json").isalnum()


@pytest.mark.parametrize("damage", [b"", b"{", b"[" * 9999, b"5", b'{"version": 1}', b"\xff"])
def test_a_damaged_draft_is_as_none_and_written_anew(tmp_path: Path, damage: bytes) -> None:
    drafts = DiskDrafts(tmp_path)
    drafts.write(OWNER, DEVICE, tab=TAB, content={"draft": 1})
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(damage)
    assert drafts.read(OWNER, DEVICE) is None
    drafts.write(OWNER, DEVICE, tab=TAB, content={"draft": 2})
    again = drafts.read(OWNER, DEVICE)
    assert again and again.content == {"draft": 2}


def test_too_much_is_a_sentence_and_the_one_before_stays(tmp_path: Path) -> None:
    drafts = DiskDrafts(tmp_path)
    drafts.write(OWNER, DEVICE, tab=TAB, content={"draft": 1})
    with pytest.raises(InvalidRequest, match="The form takes 4 MB, so it is kept in this browser only"):
        drafts.write(OWNER, DEVICE, tab=TAB, content={"draft": "x" * MAX_CHARACTERS})
    again = drafts.read(OWNER, DEVICE)
    assert again and again.content == {"draft": 1}


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_bytes(b"")
    with pytest.raises(StudioError, match="The drafts' folder cannot be written"):
        DiskDrafts(tmp_path / "drafts").write(OWNER, DEVICE, tab=TAB, content={})


def test_browsers_that_were_silent_longest_are_forgotten(tmp_path: Path) -> None:
    drafts = DiskDrafts(tmp_path)
    for number in range(KEPT_DRAFTS + 3):
        drafts.write(OWNER, f"{number:024}", tab=TAB, content={})
        path = max(tmp_path.rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(path, (number, number))
    assert [drafts.read(OWNER, f"{number:024}") is not None for number in (0, 1, 2, 3)] == [False, False, False, True]
