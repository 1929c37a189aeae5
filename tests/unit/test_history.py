"""The history on disk: kept, found, changed, removed; power cuts, damage, locks, a full disk, a read-only folder."""

import io
import os
import random
import re
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from studio.errors import InvalidRequest, StudioError
from studio.kept import MAX_TAGS, Entry, Query
from studio.metadata import read_metadata
from studio.people import OWNER, Person
from studio.storage import history_base
from studio.storage.history import DiskHistory
from studio.storage.history_rows import MIGRATIONS, SCHEMA, Rows
from studio.storage.history_salvage import salvage
from tests.writers import GUEST, colour, finished, keep_for_ever, server

ROOT = Path(__file__).resolve().parents[2]
KILLS = 150
Open = Callable[..., DiskHistory]


@pytest.fixture
def open_history(tmp_path: Path) -> Iterator[Open]:
    opened: list[DiskHistory] = []

    def make(*, folder: Path = tmp_path, limit: int | None = None) -> DiskHistory:
        opened.append(DiskHistory(folder, limit=limit))
        opened[-1].open()
        return opened[-1]

    yield make
    for history in opened:
        history.close()


def fill(history: DiskHistory, *seeds: int, person: Person = OWNER, **fields: object) -> list[str]:
    keys = [key for seed in seeds for key in history.keep(finished(seed, **fields), person)]  # type: ignore[arg-type]
    assert history.settle(30)
    return keys


def seeds(history: DiskHistory, person: Person = OWNER, **query: object) -> list[int]:
    leaf = history.page(person, Query(**query))  # type: ignore[arg-type]
    return [entry.request.seed for entry in leaf.entries if entry.request]


def mended(history: DiskHistory) -> DiskHistory:
    """Wait until the history's own thread has put everything in order."""
    fill(history, 999_999)
    (newest,) = history.page(OWNER, Query(), count=1).entries
    history.change(OWNER, [newest.id], "delete")
    history.empty(OWNER)
    return history


def test_a_picture_is_kept_with_its_request_by_day(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    (key,) = fill(history, 7)
    entry = history.entry(OWNER, key)
    assert entry and entry.request and (entry.request.seed, entry.person, entry.run) == (7, "owner", "run-7")
    path = tmp_path / "pictures" / entry.path
    assert path.parent.name == time.strftime("%Y-%m-%d", time.localtime(entry.made / 1e6))
    assert path.name == f"{time.strftime('%H%M%S', time.localtime(entry.made / 1e6))}-7-{key}.png"
    assert read_metadata(path) == entry.request
    assert history.file(OWNER, key) == path.read_bytes()
    small = history.thumbnail(OWNER, key)
    assert small and Image.open(io.BytesIO(small)).format == "JPEG"
    assert history.notes() == ()


def test_a_picture_is_kept_as_it_was_whatever_its_maker_does_with_it(tmp_path: Path) -> None:
    history, made = DiskHistory(tmp_path), finished(7)
    (key,) = history.keep(made, OWNER)
    size = made.images[0].size
    made.images[0].thumbnail((8, 8))
    history.open()
    try:
        assert history.settle(30)
        content = history.file(OWNER, key)
        assert content and Image.open(io.BytesIO(content)).size == size != (8, 8)
    finally:
        history.close()


def test_pages_go_on_by_key_newest_first(open_history: Open) -> None:
    history = open_history()
    fill(history, *range(25))
    found, before, pages = [], None, 0
    while True:
        leaf = history.page(OWNER, Query(), before=before, count=10)
        found += [entry.request.seed for entry in leaf.entries if entry.request]
        pages += 1
        if (before := leaf.following) is None:
            break
        fill(history, 100 + pages)  # what is new meanwhile neither repeats nor hides anything
    assert found == list(range(24, -1, -1)) and pages == 3


def test_tags_given_in_another_tab_stay(open_history: Open) -> None:
    history = open_history()
    (key,) = fill(history, 1)
    assert history.tag(OWNER, key, ["a", "b"]) == ("a", "b")
    assert history.tag(OWNER, key, ["c"]) == ("c", "a", "b")
    assert history.tag(OWNER, key, ["c", "d"], before=["c", "b"]) == ("c", "d", "a")
    with pytest.raises(InvalidRequest, match="at most"):
        history.tag(OWNER, key, [f"tag {i}" for i in range(MAX_TAGS)], before=["c", "d"])
    entry = history.entry(OWNER, key)
    assert entry and entry.tags == ("c", "d", "a")


def test_search_by_text_model_lora_date_star(open_history: Open) -> None:
    history = open_history()
    fill(history, 1, prompt="A Red Sphere on grass", negative_prompt="shadow")
    fill(history, 2, prompt="a blue cube on snow 雪の上の青い立方体", model="Mini")
    (third,) = fill(history, 3, prompt='100% "wool" a_b', loras=[{"name": "sunset/Glow", "weight": 0.5}])
    history.tag(OWNER, third, ["for Anna", "best"])
    middle = history.page(OWNER, Query()).entries[1].made
    assert seeds(history, text="sPHERE red") == [1]
    assert seeds(history, text="shadow") == [1]
    assert seeds(history, text="立方体") == [2]
    assert seeds(history, text="青い") == [2]  # shorter than the index's three letters
    assert seeds(history, text="mini") == [2]
    assert seeds(history, text="glow") == seeds(history, text="anna best") == seeds(history, text='"wool"') == [3]
    assert seeds(history, text="0%") == seeds(history, text="a_b") == seeds(history, text="_b") == [3]
    assert seeds(history, text="a' OR 1=1 --") == seeds(history, text='NEAR("') == seeds(history, text="%%") == []
    assert seeds(history, text="on") == [2, 1]
    assert seeds(history, model="Mini") == [2] and seeds(history, model="mini") == []
    assert seeds(history, lora="sunset/Glow") == [3] and seeds(history, lora="Glow") == []
    assert seeds(history, since=middle) == [3, 2] and seeds(history, until=middle) == [1]
    history.change(OWNER, [third], "star")
    assert seeds(history, shelf="starred") == [3]
    shelves = history.shelves(OWNER)
    assert (shelves.count, shelves.models, shelves.loras) == (3, ("Fake", "Mini"), ("sunset/Glow",))


def test_each_person_reaches_their_own_only(open_history: Open) -> None:
    history = open_history()
    (ours,), (theirs,) = fill(history, 1), fill(history, 2, person=GUEST)
    assert seeds(history) == [1] and seeds(history, GUEST) == [2]
    for person, key in ((OWNER, theirs), (GUEST, ours)):
        assert [history.entry(person, key), history.file(person, key), history.thumbnail(person, key)] == [None] * 3
        assert history.change(person, [key], "delete") == 0 and not history.tag(person, key, ["x"])
    assert history.shelves(GUEST).count == 1
    assert history.empty(GUEST) == 0 and seeds(history) == [1]


def test_deleting_can_be_undone_until_the_trash_is_emptied(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    keys = fill(history, 1, 2, 3)
    assert history.change(OWNER, keys[:2], "delete") == 2
    assert seeds(history) == [3] and seeds(history, shelf="deleted") == [2, 1] and history.shelves(OWNER).deleted == 2
    assert history.change(OWNER, keys[:1], "restore") == 1
    assert seeds(history) == [3, 1]
    assert history.empty(OWNER) == 1
    assert seeds(history, shelf="deleted") == [] and history.file(OWNER, keys[1]) is None
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == len(list((tmp_path / "thumbnails").rglob("*.jpg"))) == 2


def test_above_the_limit_the_oldest_without_a_star_go(open_history: Open) -> None:
    history = open_history(limit=10**9)
    (first,) = fill(history, 1)
    history.change(OWNER, [first], "star")
    size = history.shelves(OWNER).bytes
    assert history.promise.startswith("Above 1 GB the oldest pictures without a star are removed.")
    history.close()
    history = open_history(limit=size * 4)
    fill(history, *range(2, 12))
    kept = seeds(history)
    assert kept[-1] == 1 and kept[:-1] == list(range(11, 11 - len(kept) + 1, -1)) and 2 <= len(kept) <= 4
    assert open_history().promise.startswith("All pictures are kept.")


def test_a_lost_thumbnail_is_made_again(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    (key,) = fill(history, 5)
    (small,) = (tmp_path / "thumbnails").rglob("*.jpg")
    before = small.read_bytes()
    small.unlink()
    assert history.thumbnail(OWNER, key) == before == small.read_bytes()


def test_files_without_a_row_get_one_at_the_next_start(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    fill(history, 1)
    (theirs,) = fill(history, 2, person=GUEST)
    history.close()
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "pictures" / "2026-01-01").mkdir()
    (tmp_path / "pictures" / "2026-01-01" / "holiday.png").write_bytes(b"not of the history")
    again = mended(open_history())
    assert again.notes() == () and seeds(again) == [1] and seeds(again, GUEST) == [2]
    assert again.file(GUEST, theirs)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda data: b"\x00garbage" * 999,
    "cut short": lambda data: data[: len(data) // 2],
    "middle overwritten": lambda data: data[: len(data) // 3] + random.Random(3).randbytes(len(data) // 3) + data[2 * len(data) // 3 :],
    "newer schema": lambda data: data[:60] + (SCHEMA + 1).to_bytes(4, "big") + data[64:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_set_aside_and_made_anew(open_history: Open, tmp_path: Path, damage: str) -> None:
    history = open_history()
    keys = fill(history, *range(40))
    history.change(OWNER, keys[:1], "star")
    history.close()
    place = tmp_path / "history.db"
    place.write_bytes(DAMAGES[damage](place.read_bytes()))
    again = mended(open_history())
    (note,) = again.notes()
    (aside,) = tmp_path.glob("history-set-aside-*.db")
    assert note.startswith("The history's database was ") and aside.name in note and note.count(". ") == 0
    assert sorted(seeds(again)) == list(range(40))
    assert all(again.file(OWNER, key) for key in keys)
    if damage == "newer schema":
        assert seeds(again, shelf="starred") == [0]  # what could be read of the old rows stays
    again.close()
    assert mended(open_history()).notes() == ()


def as_a_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def of_something_else(place: Path) -> None:
    place.unlink()
    with closing(sqlite3.connect(place)) as base:
        base.execute("CREATE TABLE pictures (a)")


def without_tables(place: Path) -> None:
    with closing(sqlite3.connect(place)) as base:
        base.execute("DROP TABLE pictures")


def newer_with_strange_rows(place: Path) -> None:
    with closing(sqlite3.connect(place)) as base:
        base.execute("UPDATE pictures SET tags = '5', request = ?", ("[" * 99_999,))
        base.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        base.commit()


@pytest.mark.parametrize("spoil", [as_a_folder, of_something_else, without_tables, newer_with_strange_rows])
def test_a_database_that_cannot_be_used_costs_no_picture(open_history: Open, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    history = open_history()
    fill(history, 1, 2)
    history.close()
    spoil(tmp_path / "history.db")
    again = open_history()
    fill(again, 3)
    (note,) = again.notes()
    assert note.startswith("The history's database ") and note.endswith(".") and note.count(". ") == 0
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 3
    assert sorted(entry.path[-20:] for entry in again.page(OWNER, Query()).entries) == sorted(
        path.name[-20:] for path in (tmp_path / "pictures").rglob("*.png")
    )


def test_the_history_goes_on_whatever_its_work_meets(open_history: Open) -> None:
    def fail() -> None:
        raise RuntimeError

    history = open_history()
    history.keep(finished(1), OWNER, then=fail)
    fill(history, 2)
    assert seeds(history) == [2, 1]


def test_without_the_stars_nothing_is_removed_above_the_limit(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    history.change(OWNER, fill(history, 1), "star")
    history.close()
    as_a_folder(tmp_path / "history.db")
    again = open_history(limit=1)
    fill(again, 2)
    assert sorted(seeds(again)) == [1, 2]


def test_only_rows_on_damaged_pages_are_lost(tmp_path: Path) -> None:
    place, count = tmp_path / "history.db", 800
    rows = Rows(place)
    made = range(1_780_000_000_000_000, 1_780_000_000_000_000 + count * 10**9, 10**9)
    rows.add(
        Entry(id=f"{i:016x}", made=made[i], person="owner", run=f"<{i}>", path=f"{i}.png", bytes=1, starred=True, request=None)
        for i in range(count)
    )
    rows.close()
    pages = [bytearray(place.read_bytes()[start : start + 4096]) for start in range(0, place.stat().st_size, 4096)]
    lost: set[str] = set()
    for where in (b"<240>", b"<560>"):
        (page,) = (page for page in pages if where in page)
        lost |= {f"{int(number)}.png" for number in re.findall(rb"<(\d+)>", page)}
        page[:] = b"\x55" * 4096
    place.write_bytes(b"".join(pages))
    assert 2 <= len(lost) < 200
    assert salvage(place).keys() == {f"{i}.png" for i in range(count)} - lost


def test_a_damaged_letter_costs_neither_its_row_nor_the_others(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    first, second = fill(history, 1, 2, prompt="a cat")
    history.change(OWNER, [second], "star")
    history.close()
    with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as base:
        # SQLite's own check does not notice it.
        torn = "CAST(replace(CAST(request AS BLOB), CAST('cat' AS BLOB), X'FF6174') AS TEXT)"
        base.execute(f"UPDATE pictures SET request = {torn} WHERE id = ?", (first,))
    after = mended(open_history())
    assert seeds(after) == [2, 1] and seeds(after, shelf="starred") == [2] and after.notes() == ()


def test_what_is_restored_while_the_trash_is_emptied_stays(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    keys = fill(history, *range(120))
    history.change(OWNER, keys, "delete")
    places = {entry.id: tmp_path / "pictures" / entry.path for entry in history.page(OWNER, Query(shelf="deleted"), count=200).entries}
    emptying = threading.Thread(target=history.empty, args=(OWNER,))
    emptying.start()
    while all(place.exists() for place in places.values()):
        pass
    restored = [key for key in keys if history.change(OWNER, [key], "restore")]
    emptying.join()
    assert {entry.id for entry in history.page(OWNER, Query(), count=200).entries} == set(restored)
    assert {key for key, place in places.items() if place.exists()} == set(restored)


def test_what_cannot_be_removed_keeps_nothing_else_in_the_trash(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    keys = fill(history, 1, 2, 3)
    history.change(OWNER, keys, "delete")
    entry = history.entry(OWNER, keys[0])
    assert entry
    stuck = tmp_path / "pictures" / entry.path
    stuck.unlink()
    stuck.mkdir()
    with pytest.raises(StudioError, match=r"A picture cannot be removed: Is a directory\."):
        history.empty(OWNER)
    assert seeds(history, shelf="deleted") == [1]


def test_missing_files_are_told_until_they_are_back_or_deleted(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    keys = fill(history, 1, 2)
    history.close()
    paths = sorted((tmp_path / "pictures").rglob("*-[12]-*.png"))
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    again = open_history()
    fill(again, 3)
    fill(again, 4)
    (note,) = again.notes()
    assert again.notes(GUEST) == ()  # neither theirs nor for them to mend
    assert note.startswith("The files of 2 pictures of the history are not in the pictures folder any more; put back")
    for path, content in zip(paths[:1], contents, strict=False):
        path.write_bytes(content)
    again.change(OWNER, keys[1:], "star")
    assert again.settle(30) and again.notes()[0].startswith("The file of one picture of the history is not in the pictures folder")
    again.change(OWNER, keys[1:], "delete")
    assert again.settle(30) and again.notes() == ()


def test_what_could_not_be_mended_is_told_until_it_is(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    (key,) = fill(history, 1)
    history.close()
    with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as base:
        base.executescript(
            "DELETE FROM pictures; DELETE FROM words;"
            f"CREATE TRIGGER refusal BEFORE INSERT ON pictures WHEN new.id = '{key}' BEGIN SELECT RAISE(ABORT, 'not now'); END;"
        )
        again = open_history()
        fill(again, 2)
        fill(again, 3)
        assert again.notes() == ("Some pictures may be missing in the history; the studio's log tells why, and it is tried again.",)
        base.execute("DROP TRIGGER refusal")
    fill(again, 4)
    assert again.notes() == () and sorted(seeds(again)) == [1, 2, 3, 4]


def test_names_that_are_no_text_are_none_of_the_history(open_history: Open, tmp_path: Path) -> None:
    strange = os.fsdecode(b"\xff")
    for name in ("2026-01-01", strange):
        (tmp_path / "pictures" / name).mkdir(parents=True)
    for name in (f"{strange}.png", f"120000-1-0123456789abcdef+{strange}.png"):
        (tmp_path / "pictures" / "2026-01-01" / name).write_bytes(b"")
    history = open_history()
    fill(history, 1)
    assert history.notes() == () and seeds(history) == [1]


def test_what_is_no_id_is_not_there(open_history: Open) -> None:
    history = open_history()
    assert history.entry(OWNER, "\ud800") is None and not history.tag(OWNER, "\ud800", ["x"])
    assert history.change(OWNER, ["\ud800", "\0"], "star") == 0


def test_a_database_damaged_while_in_use_is_replaced(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    fill(history, *range(30))
    with (tmp_path / "history.db").open("r+b") as file, (tmp_path / "history.db-wal").open("r+b") as wal:
        wal.truncate(0)
        file.truncate(0)
        file.write(b"\x55" * 8192)
    # As after a while: nothing of the file is in memory any more.
    history._base.use(lambda rows: rows._base.execute("PRAGMA shrink_memory"))
    fill(history, 30)
    assert "made anew from the pictures" in " ".join(history.notes())
    assert sorted(seeds(history)) == list(range(31))


def test_a_locked_database_is_set_aside(open_history: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.storage.history_rows.BUSY_SECONDS", 0.2)
    history = open_history()
    fill(history, 1, 2)
    history.close()
    other = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    again = mended(open_history())
    assert again.notes()[0].startswith("The history's database was locked by another program, so it was set aside as history-set-aside-")
    assert sorted(seeds(again)) == [1, 2]
    other.execute("ROLLBACK")
    other.close()


def test_a_lock_in_the_middle_loses_no_picture(open_history: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.storage.history_rows.BUSY_SECONDS", 0.2)
    history = open_history()
    fill(history, 1)
    other = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    fill(history, 2)
    assert "could not be kept: The history's database cannot be used now (database is locked)" in history.notes()[0]
    assert history.notes(GUEST) == ()  # no picture of theirs
    assert seeds(history) == [1]  # reading goes on
    other.execute("ROLLBACK")
    fill(history, 3)
    assert history.notes() == () and sorted(seeds(history)) == [1, 2, 3]
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 3
    other.close()


def test_an_older_schema_is_migrated(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    fill(history, 4, prompt="an old torus")
    history.close()
    base = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    base.execute("DROP TABLE words")
    base.execute("PRAGMA user_version = 1")
    base.close()
    again = open_history()
    assert seeds(again, text="torus") == [4] and again.notes() == ()
    again.close()
    assert len(MIGRATIONS) == SCHEMA == sqlite3.connect(tmp_path / "history.db").execute("PRAGMA user_version").fetchone()[0]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_picture_is_kept_once_there_is_room(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    fill(history, 1)
    with files_of_at_most(50):
        fill(history, 2)
        fill(history, 3)
        (note,) = history.notes()
    assert history.notes(GUEST) == ()
    assert note.startswith("2 pictures could not be kept: The picture cannot be written: File too large; free some space")
    assert str(tmp_path) not in note
    fill(history, 4)
    assert history.notes() == () and sorted(seeds(history)) == [1, 2, 3, 4]
    assert [path.name for path in (tmp_path / "pictures").rglob(".*")] == []


def test_a_run_is_over_once_all_its_pictures_are_on_the_disk(open_history: Open, tmp_path: Path) -> None:
    history, over = open_history(), list[int]()
    for seed in (1, 2):
        with files_of_at_most(10**6 if seed == 1 else 50):
            history.keep(finished(seed), OWNER, then=partial(over.append, seed))
            assert history.settle(30)
    assert over == [1]
    history.close()
    assert over == [1, 2]
    assert seeds(open_history()) == [2, 1]


def test_a_small_copy_that_was_cut_short_is_made_anew(open_history: Open, tmp_path: Path) -> None:
    history = open_history()
    (key,) = fill(history, 1)
    whole = history.thumbnail(OWNER, key)
    (place,) = (tmp_path / "thumbnails").rglob("*.jpg")
    for content in (b"", whole[:-9] if whole else b""):
        place.write_bytes(content)
        assert history.thumbnail(OWNER, key) == place.read_bytes()
        assert Image.open(io.BytesIO(place.read_bytes())).size == (64, 64)


READ_ONLY = """
import _strptime, os, sys  # what is imported late could not be read any more
from pathlib import Path
from studio.kept import Query
from studio.people import OWNER
from studio.storage.history import DiskHistory
from tests.writers import finished
if os.geteuid() == 0:
    os.seteuid(65534)
history = DiskHistory(Path(sys.argv[1]))
history.open()
history.keep(finished(8), OWNER)
history.settle()
print([(entry.request.seed, entry.starred) for entry in history.page(OWNER, Query()).entries])
print("\\n".join(history.notes()))
"""


def test_a_read_only_folder_is_told_and_old_pictures_are_shown(open_history: Open, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    history = open_history(folder=folder)
    history.change(OWNER, fill(history, 1), "star")
    history.close()
    for part in (folder, *folder.rglob("*")):
        part.chmod(0o555 if part.is_dir() else 0o444)
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.geteuid() and above != folder:
            above.chmod(above.stat().st_mode | 0o055)
    ran = subprocess.run([sys.executable, "-c", READ_ONLY, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True)
    shown, *notes = ran.stdout.splitlines()
    assert shown == "[(1, True)]", ran.stderr
    assert notes[0].startswith("The history's database cannot be written (") and "make the data folder writable" in notes[0]
    assert notes[1].startswith("A picture could not be kept: The picture")
    for part in (folder, *folder.rglob("*")):
        part.chmod(0o755)


def test_a_power_cut_at_any_moment_loses_only_the_write_in_flight(tmp_path: Path) -> None:
    context, chance = server(), random.Random(20261121)
    told: dict[str, int] = {}
    first = 1
    for number in range(KILLS):
        ours, theirs = context.Pipe(duplex=False)
        writer = context.Process(target=keep_for_ever, args=(tmp_path, first, theirs), daemon=True)
        writer.start()
        theirs.close()
        assert ours.poll(30) and ours.recv() == "open"
        if number % 2:
            assert ours.poll(30)  # the others are killed while they put in order what the last one left
        time.sleep(chance.random() * 0.06)
        writer.kill()
        writer.join()
        with suppress(EOFError):
            while ours.poll():
                seed, key = ours.recv()
                told[key] = seed
        first += 1000
    history = DiskHistory(tmp_path)
    history.open()
    mended(history)
    assert history.notes() == ()
    shown = {entry.id: entry for person in (OWNER, GUEST) for entry in history.page(person, Query(), count=10**6).entries}
    assert len(told) >= KILLS // 2 and told.keys() <= shown.keys()
    assert len(shown) - len(told) <= KILLS, "at most the write in flight of each writer"
    for entry in shown.values():
        assert entry.request and entry.person == (GUEST.id if entry.request.seed % 3 == 0 else OWNER.id)
        picture = Image.open(tmp_path / "pictures" / entry.path)
        assert picture.convert("RGB").getpixel((5, 5)) == colour(entry.request.seed)
        assert told.get(entry.id, entry.request.seed) == entry.request.seed
    history.close()
    assert sqlite3.connect(tmp_path / "history.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(), "SEARCH p USING INDEX of_person (person=? AND made<?)"),
        (Query(since=5), "SEARCH p USING INDEX of_person (person=? AND made>? AND made<?)"),
        (Query(model="Mini"), "SEARCH p USING INDEX of_model (person=? AND model=? AND made<?)"),
        (Query(shelf="starred"), "SEARCH p USING INDEX of_stars (person=? AND made<?)"),
        (Query(shelf="deleted"), "SEARCH p USING INDEX in_trash (person=? AND made<?)"),
        (Query(text="red sphere"), "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"),
        (Query(text="red", model="Mini", lora="Glow"), "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"),
    ],
)
def test_every_page_comes_from_an_index_without_sorting(query: Query, index: str) -> None:
    plan = Rows(None).plan("owner", query, before=9)
    assert index in plan and "TEMP B-TREE" not in plan and "SCAN p" not in plan


def test_asking_before_it_is_open_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_base, "OPENING_SECONDS", 0.01)
    with pytest.raises(StudioError, match="still being read; look again in a moment"):
        DiskHistory(tmp_path).page(OWNER, Query())
