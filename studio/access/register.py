"""The register: lets people in, knows them again, bounds what they ask for, and shows them out."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

from studio.access import keys
from studio.access.book import Book
from studio.access.records import Entry, Guest, Invitation, Session, Token
from studio.access.rules import HOUR, MOST_USES, OWNER_STAYS, Quota, check_quota, clean_name, cost, good_hours
from studio.errors import NotAllowed, NotSignedIn, QueueFull, StudioError
from studio.people import OWNER, Person, Role
from studio.plan import Plan

# How often "last seen" is written; it is for eyes only, so that a full disk shuts nobody out.
NOTICE_AFTER = 60.0
Left = Callable[[str | None], None]
"""Hears who was shown out, by id; None means every guest and token."""


class Access:
    """Who may come in.

    `owner_secret` opens the studio to its owner until it ends; nothing else knows it. `sharing` lets guests look at the owner's pictures
    of this sitting, and is off at every start. `address` is where people come in, empty while nobody can.
    """

    def __init__(self, book: Book, *, clock: Callable[[], float] = time.time) -> None:
        self._book, self._now = book, clock
        self._left: list[Left] = []
        self.owner_secret = keys.new_secret("own")
        self.sharing = False
        self.address = ""

    def enter(self, secret: str, *, name: str = "", address: str = "", present: Person | None = None) -> Entry:
        """Exchange an owner's or an invitation's secret for a session.

        Args:
            secret: as it stood in the link.
            name: what a guest wants to be called.
            address: where they come from, for the log.
            present: who is in already; an invitation for the same role adds to their stay, and what is theirs stays theirs.

        Raises:
            NotSignedIn: it opens nothing (any more).
        """
        if keys.same(secret, self.owner_secret):
            return self._sign_in(OWNER, self._now() + OWNER_STAYS, address=address)
        with self._book.change():
            invitation = self._book.find(Invitation, keys.digest(secret))
            if invitation is None or not invitation.is_good(self._now()):
                raise NotSignedIn("This link is not, or no longer, an invitation; ask for a new one.")
            before = self._book.get(Guest, present.id) if present and present.role == invitation.role else None
            guest = (
                before.renewed(invitation)
                if before
                else Guest(
                    id=keys.new_id("guest"),
                    role=invitation.role,
                    name=clean_name(name) or invitation.name or "Guest",
                    until=invitation.until,
                    joined=self._now(),
                    seen=self._now(),
                    quota=invitation.quota,
                )
            )
            self._book.put(replace(invitation, uses=invitation.uses - 1))
            self._book.put(guest)
        return self._sign_in(Person(guest.id, guest.role, guest.name), guest.until, address=address)

    def gives_more(self, secret: str, person: Person) -> bool:
        """Whether somebody who is in already should `enter` by this secret: it gives more, or is unknown and to be refused."""
        if keys.same(secret, self.owner_secret):
            return person.role != "owner"
        invitation, guest = self._book.find(Invitation, keys.digest(secret)), self._book.get(Guest, person.id)
        if invitation is None or guest is None or invitation.role != person.role:
            return invitation is None or (invitation.is_good(self._now()) and (invitation.role, person.role) == ("maker", "viewer"))
        return invitation.is_good(self._now()) and guest.renewed(invitation) != guest

    def now(self) -> float:
        """Return the time by which stays are measured, in seconds since 1970."""
        return self._now()

    def refused(self, address: str, why: str) -> None:
        """Note a wrong secret in the log."""
        self._note("refused", None, address=address, why=why)

    def by_cookie(self, cookie: str) -> Person | None:
        """Return whose session a cookie is, or None when it is none (any more)."""
        secret = self._seal().open(cookie)
        session = self._book.find(Session, keys.digest(secret)) if secret else None
        if session is None or session.until <= self._now():
            return None
        return OWNER if session.person == OWNER.id else self._guest(session.person)

    def by_token(self, token: str) -> Person | None:
        """Return whose token this is, or None."""
        found = self._book.find(Token, keys.digest(token)) if len(token) <= keys.LONGEST else None
        if found is None or not found.is_good(self._now()):
            return None
        self._notice(found)
        return replace(OWNER, via=found.id) if found.role == "owner" else Person(found.id, found.role, found.name)

    def leave(self, cookie: str) -> None:
        """Sign a browser out."""
        secret = self._seal().open(cookie)
        if secret and (session := self._book.find(Session, keys.digest(secret))):
            self._book.drop(Session, session.id)
            self._note("signed out", self._known(session.person))

    def invite(
        self, role: Role, *, name: str = "", hours: float = 24.0, uses: int = 1, quota: Quota | None = None
    ) -> tuple[Invitation, str]:
        """Make an invitation; return it and its secret, which is told only now.

        Args:
            role: viewer or maker.
            name: whom it is for.
            hours: for how long the link, and what comes of it, is good; up to a year.
            uses: how many may come in by it, 1 .. 100.
            quota: what each of them may ask for.

        Raises:
            NotAllowed: something is out of bounds.
        """
        if role not in ("viewer", "maker"):
            raise NotAllowed("An invitation is for a viewer or a maker.")
        if type(uses) is not int or not 1 <= uses <= MOST_USES:
            raise NotAllowed(f"An invitation must be for 1 to {MOST_USES} people.")
        secret = keys.new_secret("join")
        invitation = Invitation(
            id=keys.new_id("invitation"),
            digest=keys.digest(secret),
            role=role,
            name=clean_name(name),
            until=self._now() + good_hours(hours) * HOUR,
            uses=uses,
            quota=quota or Quota(),
        )
        self._book.put(invitation)
        self._note("invited", OWNER, whom=invitation.name, role=role, uses=uses, invitation=invitation.id)
        return invitation, secret

    def make_token(self, role: Role, *, name: str, hours: float | None = None, quota: Quota | None = None) -> tuple[Token, str]:
        """Make a token for programs; return it and its secret, which is told only now. `hours` None is for ever.

        Raises:
            NotAllowed: something is out of bounds.
        """
        if role not in get_args(Role):
            raise NotAllowed(f"A token's role must be one of {', '.join(get_args(Role))}.")
        if not clean_name(name):
            raise NotAllowed("A token needs a name, so that you know it again.")
        secret, now = keys.new_secret("tok"), self._now()
        until = None if hours is None else now + good_hours(hours) * HOUR
        token = Token(
            id=keys.new_id("token"),
            digest=keys.digest(secret),
            role=role,
            name=clean_name(name),
            made=now,
            until=until,
            quota=quota or Quota(),
        )
        self._book.put(token)
        self._note("token made", OWNER, whom=token.name, role=role, token=token.id)
        return token, secret

    def withdraw(self, identity: str) -> bool:
        """End an invitation, a guest's stay or a token, by its id; False when there is none. What they run ends at once."""
        guest = self._book.get(Guest, identity)
        if guest is not None:
            self._book.put(replace(guest, cut=True))
        elif not (self._book.drop(Token, identity) or self._book.drop(Invitation, identity)):
            return False
        # First of all, because the log may have no room.
        self._tell(identity)
        self._note("cut off", OWNER, whom=guest.name if guest else "", subject=identity)
        return True

    def drop_everyone(self, *, keep: str = "") -> bool:
        """End all invitations, stays, tokens and sessions but the owner's own one that `keep` is the cookie of."""
        secret = self._seal().open(keep)
        with self._book.change():
            kept = self._book.find(Session, keys.digest(secret)) if secret else None
            for guest in self._book.all(Guest):
                self._book.put(replace(guest, cut=True))
            for kind in (Session, Token, Invitation):
                for record in self._book.all(kind):
                    self._book.drop(kind, record.id)
            if kept and kept.person == OWNER.id:
                self._book.put(kept)
        self._tell(None)
        self._note("everyone dropped", OWNER)
        return True

    def admit(self, person: Person, plan: Plan, *, waiting: int) -> None:
        """Let a plan into the queue and charge it, or raise.

        Args:
            person: who asks; the owner has no bounds.
            plan: what is asked for.
            waiting: how many of their jobs wait.

        Raises:
            NotAllowed, QueueFull, QuotaSpent: not now, or not at all.
        """
        self._charge(person, cost(plan), waiting=waiting)

    def admit_map(self, person: Person, width: int, height: int) -> None:
        """Let a map be made, at the price of one step of its size, or raise as `admit` does."""
        self._charge(person, width * height / 1e6, waiting=0)

    def shares_with(self, person: Person) -> bool:
        """Whether a guest may look at the owner's pictures now: viewers, who have none of their own, and only while the owner shares."""
        return self.sharing and person.role == "viewer"

    def spent(self, person_id: str) -> float:
        """Return the megapixel-steps that a person used within the last hour."""
        return sum(amount for _, amount in self._book.spent(person_id, since=self._now() - HOUR))

    def quota(self, person: Person) -> Quota | None:
        """Return a person's quota; the owner has none."""
        return found.quota if (found := self._book.get(Token, person.id) or self._book.get(Guest, person.id)) else None

    def invitations(self) -> list[Invitation]:
        """Return the invitations that still let somebody in."""
        return [each for each in self._book.all(Invitation) if each.is_good(self._now())]

    def guests(self) -> list[Guest]:
        """Return who is in, in the order in which they came."""
        return [each for each in self._book.all(Guest) if not each.cut and each.until > self._now()]

    def is_in(self, identity: str) -> bool:
        """Whether a person of this id may still be here."""
        token = None if identity == OWNER.id else self._book.get(Token, identity)
        return identity == OWNER.id or (token.is_good(self._now()) if token else self._guest(identity) is not None)

    def tokens(self) -> list[Token]:
        """Return the tokens, oldest first."""
        return self._book.all(Token)

    def log(self, count: int) -> list[Mapping[str, Any]]:
        """Return the newest entries of the log: `at` (seconds since 1970), `what`, `who` and more."""
        return self._book.notes(count)

    def listen(self, left: Left) -> None:
        """Have a function told of everybody who is shown out; it is called on the thread that does so."""
        self._left.append(left)

    def _sign_in(self, person: Person, until: float, *, address: str) -> Entry:
        secret = keys.new_secret("ses")
        self._book.put(Session(id=keys.new_id("session"), digest=keys.digest(secret), person=person.id, until=until))
        self._note("came in", person, address=address)
        return Entry(self._seal().close(secret), until, person)

    def _guest(self, identity: str) -> Person | None:
        guest = self._book.get(Guest, identity)
        if guest is None or guest.cut or guest.until <= self._now():
            return None
        self._notice(guest)
        return Person(guest.id, guest.role, guest.name)

    def _notice(self, record: Guest | Token) -> None:
        if record.seen is None or self._now() - record.seen > NOTICE_AFTER:
            with suppress(StudioError):
                self._book.put(replace(record, seen=self._now()))

    def _known(self, identity: str) -> Person | None:
        guest = self._book.get(Guest, identity)
        return OWNER if identity == OWNER.id else Person(guest.id, guest.role, guest.name) if guest else None

    def _charge(self, person: Person, amount: float, *, waiting: int) -> None:
        if person.role == "owner":
            return
        if person.role == "viewer":
            raise NotAllowed("You may look on here, but not make pictures; ask the owner for an invitation as a maker.")
        # Whoever was let in a moment ago may have been shown out since.
        quota = self.quota(person) if self.is_in(person.id) else None
        if quota is None:
            raise NotSignedIn("Your invitation has ended; ask for a new one.")
        if waiting >= quota.waiting:
            raise QueueFull(f"You have {waiting} pictures waiting, which is all you may; wait for one of them or stop it.")
        with self._book.change():
            check_quota(quota, self._book.spent(person.id, since=self._now() - HOUR), amount, now=self._now())
            self._book.spend(person.id, amount, at=self._now())

    def _seal(self) -> keys.Seal:
        return keys.Seal(self._book.key())

    def _tell(self, identity: str | None) -> None:
        for left in self._left:
            left(identity)

    def _note(self, what: str, person: Person | None, **more: Any) -> None:
        who = {"who": person.name or person.id, "id": person.id} if person else {"who": "somebody"}
        self._book.note({"at": self._now(), "what": what, **who, **more})
