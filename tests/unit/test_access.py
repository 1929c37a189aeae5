"""Invitations, sessions, tokens, quotas and the book they are kept in; time is the tests' own."""

import gc
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from studio.access import Access, Quota
from studio.access.keys import Seal, digest
from studio.access.rules import HOUR, check_quota
from studio.access.throttle import ADDRESSES, BUSY, FREE, LONGEST, PAUSE, Throttle
from studio.app import lasting
from studio.engine.fake import FakeEngine, FakeInventory, FakeTokens
from studio.errors import NotAllowed, NotSignedIn, QueueFull, QuotaSpent, StudioError
from studio.events import Cancelled, Finished
from studio.people import OWNER, Person, Role
from studio.plan import Plan, resolve
from studio.request import GenerationRequest
from studio.service import Studio
from studio.settings import Settings
from studio.storage import access as disk
from studio.storage.access import DiskBook
from studio.storage.pictures import DiskPictures


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tmp_path: Path, clock: Clock) -> Access:
    return Access(DiskBook(tmp_path / "access"), clock=clock)


def plan(**fields: object) -> Plan:
    return resolve(GenerationRequest.parse({"width": 256, "height": 256, "steps": 10, **fields}), FakeInventory().read(), entropy=1)


def test_an_invitation_lets_as_many_in_as_it_says(access: Access) -> None:
    _, secret = access.invite("maker", name="Ann", uses=2)
    first, second = access.enter(secret), access.enter(secret, name="  Bob\n\u202e ")
    assert (first.person.name, second.person.name, first.person.role) == ("Ann", "Bob", "maker")
    assert first.person.id != second.person.id
    assert access.by_cookie(first.cookie) == first.person
    with pytest.raises(NotSignedIn, match="not, or no longer, an invitation"):
        access.enter(secret)


def test_two_at_once_do_not_share_a_single_use(access: Access) -> None:
    _, secret = access.invite("maker")
    came: list[bool] = []

    def enter() -> None:
        try:
            access.enter(secret)
            came.append(True)
        except NotSignedIn:
            came.append(False)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == [False] * 7 + [True]


def test_link_and_stay_end_when_the_invitation_does(access: Access, clock: Clock) -> None:
    _, secret = access.invite("viewer", hours=2, uses=2)
    cookie = access.enter(secret).cookie
    clock.now += 2 * HOUR - 1
    assert access.by_cookie(cookie)
    clock.now += 1
    assert access.by_cookie(cookie) is None
    with pytest.raises(NotSignedIn):
        access.enter(secret)


def test_the_owners_link_is_good_until_the_studio_ends(access: Access, tmp_path: Path, clock: Clock) -> None:
    cookie = access.enter(access.owner_secret).cookie
    assert access.by_cookie(cookie) == OWNER
    again = Access(DiskBook(tmp_path / "access"), clock=clock)
    assert again.by_cookie(cookie) == OWNER
    with pytest.raises(NotSignedIn):
        again.enter(access.owner_secret)


def test_signing_out_ends_one_session(access: Access) -> None:
    one, other = access.enter(access.owner_secret).cookie, access.enter(access.owner_secret).cookie
    access.leave(one)
    assert access.by_cookie(one) is None and access.by_cookie(other) == OWNER


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "x" * 5000, "InNlc19hIg.aSFVBg.AAAA", "é"])
def test_cookies_that_we_did_not_sign_open_nothing(access: Access, cookie: str) -> None:
    assert access.by_cookie(cookie) is None
    access.leave(cookie)


def test_a_cookie_signed_with_another_key_opens_nothing(access: Access, tmp_path: Path) -> None:
    secret = Seal(DiskBook(tmp_path / "access").key()).open(access.enter(access.owner_secret).cookie)
    assert secret and access.by_cookie(Seal(b"another key").close(secret)) is None


def test_one_kind_of_secret_is_no_other(access: Access) -> None:
    _, invitation = access.invite("maker")
    _, token = access.make_token("maker", name="program")
    assert access.by_token(invitation) is None
    assert access.by_token(access.owner_secret) is None
    with pytest.raises(NotSignedIn):
        access.enter(token)


def test_cut_off_ends_sessions_and_tells_who(access: Access) -> None:
    told: list[str | None] = []
    access.listen(told.append)
    _, secret = access.invite("maker", uses=2)
    one, other = access.enter(secret), access.enter(secret)
    assert access.withdraw(one.person.id)
    assert (access.by_cookie(one.cookie), access.by_cookie(other.cookie)) == (None, other.person)
    assert told == [one.person.id] and [guest.id for guest in access.guests()] == [other.person.id]
    assert not access.withdraw("nobody")


def test_who_is_shown_out_hears_it_even_where_the_log_has_no_room(access: Access, tmp_path: Path) -> None:
    told: list[str | None] = []
    access.listen(told.append)
    person = access.enter(access.invite("maker")[1]).person
    log = tmp_path / "access" / "log.jsonl"
    log.unlink()
    log.mkdir()
    with pytest.raises(StudioError, match="cannot be read or written"):
        access.withdraw(person.id)
    with pytest.raises(StudioError, match="cannot be read or written"):
        access.drop_everyone()
    assert told == [person.id, None]


def test_dropping_everyone_leaves_the_owner_who_did_it(access: Access) -> None:
    _, secret = access.invite("maker", uses=5)
    _, token = access.make_token("owner", name="program")
    guest, other = access.enter(secret).cookie, access.enter(access.owner_secret).cookie
    mine = access.enter(access.owner_secret).cookie
    told: list[str | None] = []
    access.listen(told.append)
    access.drop_everyone(keep=mine)
    assert [access.by_cookie(each) for each in (guest, other, mine)] == [None, None, OWNER]
    assert access.by_token(token) is None and told == [None]
    assert not (access.guests() or access.invitations() or access.tokens())
    with pytest.raises(NotSignedIn):
        access.enter(secret)


def test_a_guest_cannot_keep_their_own_session_through_it(access: Access) -> None:
    guest = access.enter(access.invite("maker")[1]).cookie
    access.drop_everyone(keep=guest)
    assert access.by_cookie(guest) is None


def test_a_full_disk_shuts_nobody_out(access: Access, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    guest, (_, token) = access.enter(access.invite("maker")[1]), access.make_token("maker", name="program")

    def full(*_: object) -> None:
        raise StudioError("The list of guests cannot be read or written.")

    monkeypatch.setattr(DiskBook, "put", full)
    clock.now += 0.5 * HOUR
    assert access.by_cookie(guest.cookie) == guest.person
    assert access.by_token(token) and access.is_in(guest.person.id)


def test_tokens(access: Access, clock: Clock) -> None:
    token, secret = access.make_token("maker", name="program", hours=1)
    assert access.by_token(secret) == Person(token.id, "maker", "program")
    assert access.tokens()[0].seen == clock.now
    clock.now += HOUR
    assert access.by_token(secret) is None
    assert access.by_token("x" * 10_000) is None
    assert access.by_token(access.make_token("owner", name="mine")[1]) == OWNER


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"role": "owner"}, "viewer or a maker"),
        ({"role": "maker", "uses": 0}, "1 to 100 people"),
        ({"role": "maker", "uses": 2.5}, "1 to 100 people"),
        ({"role": "maker", "hours": float("nan")}, "number of hours"),
        ({"role": "maker", "hours": -1}, "number of hours"),
        ({"role": "maker", "hours": 1e9}, "number of hours"),
        ({"role": "maker", "hours": True}, "number of hours"),
    ],
)
def test_invitations_out_of_bounds_are_one_sentence(access: Access, asked: dict[str, object], sentence: str) -> None:
    with pytest.raises(NotAllowed, match=sentence):
        access.invite(**asked)  # type: ignore[arg-type]
    assert access.invitations() == []


@pytest.mark.parametrize(
    "bounds", [{"per_hour": -1.0}, {"per_hour": float("inf")}, {"per_hour": float("nan")}, {"waiting": 0}, {"waiting": 9}]
)
def test_quotas_out_of_bounds_are_one_sentence(bounds: dict[str, float]) -> None:
    with pytest.raises(NotAllowed, match=r"must be a (whole )?number from"):
        Quota(**bounds)  # type: ignore[arg-type]


def test_a_quota_is_per_rolling_hour(access: Access, clock: Clock) -> None:
    # 256 x 256 x 10 steps are 0.655 megapixel-steps.
    person = access.enter(access.invite("maker", quota=Quota(per_hour=1.5))[1]).person
    access.admit(person, plan(), waiting=0)
    clock.now += 60
    access.admit(person, plan(), waiting=0)
    with pytest.raises(QuotaSpent, match=r"room again in 59 min"):
        access.admit(person, plan(), waiting=0)
    assert access.spent(person.id) == pytest.approx(1.31072)
    clock.now += HOUR - 60 + 1
    access.admit(person, plan(), waiting=0)
    with pytest.raises(QuotaSpent, match="ask for a smaller picture"):
        access.admit(person, plan(steps=100), waiting=0)


def test_what_is_never_affordable_says_so_and_the_owner_has_no_bounds(access: Access) -> None:
    with pytest.raises(QuotaSpent):
        check_quota(Quota(per_hour=0), [], 0.1, now=0)
    for _ in range(3):
        access.admit(OWNER, plan(width=2048, height=2048, steps=150), waiting=99)


def test_the_queue_and_the_role_bound_a_guest(access: Access) -> None:
    maker = access.enter(access.invite("maker", quota=Quota(waiting=2))[1]).person
    with pytest.raises(QueueFull, match="You have 2 pictures waiting"):
        access.admit(maker, plan(), waiting=2)
    viewer = access.enter(access.invite("viewer")[1]).person
    with pytest.raises(NotAllowed, match="not make pictures"):
        access.admit(viewer, plan(), waiting=0)
    with pytest.raises(NotAllowed, match="not make pictures"):
        access.admit_map(viewer, 64, 64)
    with pytest.raises(NotSignedIn):
        access.admit(Person("guest-unknown", "maker"), plan(), waiting=0)


def test_who_was_shown_out_meanwhile_is_charged_nothing_and_refused(access: Access, clock: Clock) -> None:
    person = access.enter(access.invite("maker")[1]).person
    access.withdraw(person.id)
    program, _ = access.make_token("maker", name="program", hours=1)
    clock.now += HOUR
    for gone in (person, Person(program.id, "maker")):
        assert not access.is_in(gone.id)
        with pytest.raises(NotSignedIn, match="has ended"):
            access.admit(gone, plan(), waiting=0)
        assert access.spent(gone.id) == 0


def test_no_secret_is_kept_and_files_are_for_this_user_only(access: Access, tmp_path: Path) -> None:
    _, invitation = access.invite("maker", name="Ann")
    _, token = access.make_token("maker", name="program")
    cookie = access.enter(invitation).cookie
    access.enter(access.owner_secret)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "access").iterdir())
    for secret in (invitation, token, access.owner_secret, cookie):
        assert secret.encode() not in kept
    assert digest(token).encode() in kept
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "access").iterdir()}
    assert modes == {"book.sqlite": 0o600, "key": 0o600, "log.jsonl": 0o600}
    assert stat.S_IMODE((tmp_path / "access").stat().st_mode) == 0o700


def test_the_log_says_what_happened_newest_first(access: Access, tmp_path: Path) -> None:
    _, secret = access.invite("maker", name="Ann")
    person = access.enter(secret, address="10.0.0.9").person
    access.refused("10.0.0.7", "wrong secret")
    access.withdraw(person.id)
    assert [(entry["what"], entry["who"]) for entry in access.log(10)] == [
        ("cut off", "owner"),
        ("refused", "somebody"),
        ("came in", "Ann"),
        ("invited", "owner"),
    ]
    with (tmp_path / "access" / "log.jsonl").open("ab") as file:
        file.write(b"\xff{torn\n[1]\n")
    assert len(access.log(10)) == 4 and len(access.log(2)) == 2


def test_another_process_revokes_a_token(access: Access, tmp_path: Path) -> None:
    token, secret = access.make_token("maker", name="program")
    assert access.by_token(secret)
    book = f"DiskBook(pathlib.Path({str(tmp_path / 'access')!r}))"
    imports = "import pathlib; from studio.access import Access; from studio.storage.access import DiskBook"
    code = f"{imports}; print(Access({book}).withdraw({token.id!r}))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert ran.stdout.strip() == "True"
    assert access.by_token(secret) is None


@pytest.mark.parametrize("role", ["maker", "owner"])
def test_what_a_revoked_tokens_program_runs_and_has_waiting_ends(tmp_path: Path, role: Role) -> None:
    """Revoked by another process, whom nobody here is told by."""
    settings = Settings(data_dir=tmp_path, engine="fake")
    studio = Studio(partial(FakeEngine, step_seconds=0.05), lasting(FakeInventory(), FakeTokens(), settings))
    elsewhere = Access(DiskBook(tmp_path / "access"))
    token, secret = elsewhere.make_token(role, name="program")
    with studio.open():
        assert studio.access
        person = studio.access.by_token(secret)
        assert person and (person == OWNER) == (role == "owner")
        theirs = [studio.submit(GenerationRequest(steps=150, seed=seed), person=person, visitor="program") for seed in (1, 2)]
        mine = studio.submit(GenerationRequest(steps=1), visitor="page")
        while not theirs[0].state().started:
            time.sleep(0.01)
        elsewhere.withdraw(token.id)
        assert all(isinstance(job.wait(60), Cancelled) for job in theirs)
        assert isinstance(mine.wait(60), Finished)


def test_dropping_everyone_ends_what_the_owners_programs_run(tmp_path: Path) -> None:
    studio = Studio(
        partial(FakeEngine, step_seconds=0.05), lasting(FakeInventory(), FakeTokens(), Settings(data_dir=tmp_path, engine="fake"))
    )
    with studio.open():
        assert studio.access
        person = studio.access.by_token(studio.access.make_token("owner", name="program")[1])
        assert person
        mine, theirs = (
            studio.submit(GenerationRequest(steps=20), person=one, visitor=name) for one, name in ((OWNER, "me"), (person, "it"))
        )
        studio.access.drop_everyone()
        assert isinstance(theirs.wait(60), Cancelled) and isinstance(mine.wait(60), Finished)


def test_another_invitation_adds_to_a_guests_stay(access: Access, clock: Clock) -> None:
    small = access.invite("maker", quota=Quota(per_hour=1, waiting=1), hours=1)[1]
    first = access.enter(small, name="Ann")
    assert not access.gives_more(small, first.person)
    large = access.invite("maker", quota=Quota(per_hour=500, waiting=3), hours=24, uses=2)[1]
    assert access.gives_more(large, first.person)
    again = access.enter(large, present=first.person)
    assert again.person == first.person and access.quota(first.person) == Quota(per_hour=500, waiting=3)
    assert not access.gives_more(large, first.person) and not access.gives_more(small, first.person)
    clock.now += 2 * HOUR
    assert access.by_cookie(again.cookie) == first.person and len(access.guests()) == 1
    assert not access.gives_more(access.invite("viewer", hours=100)[1], first.person)


def test_cookies_are_signed_where_the_file_system_knows_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    one, other = (Access(DiskBook(tmp_path / "access")) for _ in range(2))
    assert other.by_cookie(one.enter(one.owner_secret).cookie) == OWNER
    assert [each.name for each in (tmp_path / "access").glob("key*")] == ["key"]


def test_a_guests_full_folder_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DiskPictures(tmp_path, most_bytes=50_000)
    noise = [Image.effect_noise((128, 128), 50 + i) for i in range(8)]
    keys = [folder.keep(picture) for picture in noise[:2]]
    with pytest.raises(StudioError, match="use one again, or wait a little"):
        [folder.keep(picture) for picture in noise]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1000)
    os.utime(tmp_path / keys[0][:2] / f"{keys[0]}.png", (now + 900, now + 900))
    keys += [folder.keep(picture) for picture in noise[4:5]]
    assert [folder.get(key) is not None for key in keys] == [True, False, True]


def cut(book: Path) -> None:
    book.write_bytes(book.read_bytes()[: book.stat().st_size // 2 + 100])


def overwrite(book: Path) -> None:
    content = bytearray(book.read_bytes())
    content[4096:] = b"x" * (len(content) - 4096)
    book.write_bytes(content)


def replace_by_folder(book: Path) -> None:
    book.unlink()
    book.mkdir()


def forge(sql: str) -> Callable[[Path], None]:
    def change(book: Path) -> None:
        with closing(sqlite3.connect(book, isolation_level=None)) as database:
            database.executescript(sql)

    return change


DAMAGES = {
    "no database": lambda book: book.write_bytes(b"this is no database" * 1000),
    "cut": cut,
    "overwritten": overwrite,
    "a folder": replace_by_folder,
    "other tables": forge("DROP TABLE records; CREATE TABLE records (name TEXT)"),
    "no JSON": forge("UPDATE records SET body = '{torn'"),
    "nothing": forge("UPDATE records SET body = NULL"),
    "no text": forge("UPDATE records SET body = CAST(X'7BFF7D' AS TEXT)"),
    "a list": forge("UPDATE records SET body = '[1]'"),
    "a field is missing": forge("UPDATE records SET body = '{}' WHERE kind = 'Session'"),
    "wrong types": forge("""UPDATE records SET body = json_set(body, '$.until', 'for ever')"""),
    "no role": forge("""UPDATE records SET body = json_set(body, '$.role', 'king') WHERE kind = 'Guest'"""),
    "a quota out of bounds": forge("""UPDATE records SET body = json_set(body, '$.quota.per_hour', -1) WHERE kind = 'Guest'"""),
    "a spending is a word": forge("INSERT INTO spendings VALUES ('guest', 'now', 'much')"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_book_is_set_aside_and_nobody_comes_in_but_the_owner(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "access"
    before = Access(DiskBook(folder))
    _, link = before.invite("maker", uses=9)
    _, token = before.make_token("owner", name="program")
    guest, owner = before.enter(link), before.enter(before.owner_secret)
    damage(folder / "book.sqlite")
    access = Access(DiskBook(folder))
    assert not access.is_in(guest.person.id)
    assert [access.by_cookie(guest.cookie), access.by_cookie(owner.cookie), access.by_token(token)] == [None] * 3
    assert not (access.guests() or access.invitations() or access.tokens())
    with pytest.raises(NotSignedIn):
        access.enter(link)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    (aside,) = folder.glob("*damaged*")
    assert said == f"The list of guests and tokens was damaged and is begun anew, so invite them again; the old one is {aside.name}."
    assert access.by_cookie(access.enter(access.owner_secret).cookie) == OWNER
    assert access.enter(access.invite("maker")[1]).person.role == "maker"
    # The next studio finds nothing wrong with the new one.
    assert len(Access(DiskBook(folder)).guests()) == 1 and len(list(folder.glob("*damaged*"))) == 1


@pytest.mark.parametrize("content", [b"", b"short", None], ids=["empty", "short", "a folder"])
def test_a_damaged_key_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "access"
    cookie = (before := Access(DiskBook(folder))).enter(before.owner_secret).cookie
    (folder / "key").unlink()
    if content is None:
        (folder / "key").mkdir()
    else:
        (folder / "key").write_bytes(content)
    access = Access(DiskBook(folder))
    assert access.by_cookie(cookie) is None
    assert access.by_cookie(access.enter(access.owner_secret).cookie) == OWNER
    assert (folder / "key").stat().st_size == 64


def test_a_book_that_another_program_holds_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "access"
    Access(DiskBook(folder)).invite("maker")
    monkeypatch.setattr(disk, "WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(folder / "book.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudioError, match="database is locked"):
            Access(DiskBook(folder)).invitations()
        other.execute("ROLLBACK")
    assert len(Access(DiskBook(folder)).invitations()) == 1 and not list(folder.glob("*damaged*"))


@contextmanager
def no_more_files() -> Iterator[None]:
    """The system lets this process open no file more, as when too many are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # what other tests left open is not to be closed meanwhile
    os.close(free := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_book_that_cannot_be_opened_while_too_many_files_are_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    before = Access(DiskBook(folder))
    before.invite("maker")
    with no_more_files(), pytest.raises(StudioError, match="cannot be read or written"):
        Access(DiskBook(folder)).invitations()
    assert len(before.invitations()) == len(Access(DiskBook(folder)).invitations()) == 1 and not list(folder.glob("*damaged*"))


@pytest.mark.parametrize("damage", [DAMAGES["no JSON"], DAMAGES["a folder"], None], ids=["no JSON", "a folder", "the folder is a file"])
def test_a_guests_job_that_was_left_does_not_keep_the_studio_from_starting(tmp_path: Path, damage: Callable[[Path], None] | None) -> None:
    def studio() -> Studio:
        settings = Settings(data_dir=tmp_path, engine="fake")
        return Studio(FakeEngine, lasting(FakeInventory(), FakeTokens(), settings))

    first = studio()
    assert first.access
    person = first.access.enter(first.access.invite("maker")[1]).person
    job = first.submit(GenerationRequest(prompt="theirs", steps=2), person=person, lasting=True)
    if damage:
        damage(tmp_path / "access" / "book.sqlite")
    else:
        (tmp_path / "access").rename(tmp_path / "elsewhere")
        (tmp_path / "access").write_text("in the way")
    second = studio()
    second.resume()
    assert second.job(job.id) is None


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudioError, match="cannot be"):
        Access(DiskBook(tmp_path / "file" / "access")).invite("maker")


def test_wrong_secrets_make_an_address_wait_longer_and_longer() -> None:
    clock = Clock(0.0)
    throttle = Throttle(clock)
    waits = []
    for _ in range(FREE + 12):
        waits.append(throttle.wait("10.0.0.1"))
        clock.now += waits[-1]
        throttle.failed("10.0.0.1")
    assert waits[:FREE] == [0.0] * FREE and waits[FREE : FREE + 4] == [1.0, 2.0, 4.0, 8.0] and waits[-1] == LONGEST
    assert throttle.wait("10.0.0.2") == 0.0
    throttle.passed("10.0.0.1")
    assert throttle.wait("10.0.0.1") == 0.0


def test_many_addresses_slow_everybody_but_lock_nobody_out() -> None:
    clock = Clock(0.0)
    throttle = Throttle(clock)
    for number in range(BUSY):
        assert throttle.pause() == 0.0
        throttle.failed(f"10.0.{number}.1")
    assert (throttle.pause(), throttle.wait("10.9.9.9")) == (PAUSE, 0.0)
    clock.now += 61
    assert throttle.pause() == 0.0


def test_a_household_is_one_address_and_the_memory_is_bounded() -> None:
    throttle = Throttle(Clock(0.0))
    for number in range(FREE):
        throttle.failed(f"2001:db8::{number}")
    assert throttle.wait("2001:db8::ffff") > 0 and throttle.wait("2001:db8:0:1::1") == 0
    for number in range(ADDRESSES + 10):
        throttle.failed(f"x{number}")
    assert len(throttle._failures) == ADDRESSES
