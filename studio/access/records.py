"""What the access layer remembers, as immutable values. Secrets are never among it, only their digests."""

from dataclasses import dataclass, field, replace

from studio.access.rules import Quota
from studio.people import Person, Role


@dataclass(frozen=True, kw_only=True)
class Record:
    """Anything remembered: `id` may be shown, `digest` is how a secret leads to it (empty where none does)."""

    id: str
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Invitation(Record):
    """A link that lets people in until `until` (seconds since 1970); `uses` is how many may still come."""

    role: Role
    name: str
    until: float
    uses: int = 1
    quota: Quota = field(default_factory=Quota)

    def is_good(self, now: float) -> bool:
        """Whether it still lets somebody in."""
        return self.uses > 0 and self.until > now


@dataclass(frozen=True, kw_only=True)
class Guest(Record):
    """Somebody who came in by an invitation, until `until` or until cut off."""

    role: Role
    name: str
    until: float
    joined: float
    seen: float
    cut: bool = False
    quota: Quota = field(default_factory=Quota)

    def renewed(self, by: Invitation) -> "Guest":
        """Return the guest with what another invitation for the same role gives beyond their own: more time, a larger quota."""
        quota = Quota(per_hour=max(self.quota.per_hour, by.quota.per_hour), waiting=max(self.quota.waiting, by.quota.waiting))
        return replace(self, until=max(self.until, by.until), quota=quota)


@dataclass(frozen=True, kw_only=True)
class Token(Record):
    """What a program shows instead of a session; `until` None is for ever."""

    role: Role
    name: str
    made: float
    until: float | None = None
    seen: float | None = None
    quota: Quota = field(default_factory=Quota)

    def is_good(self, now: float) -> bool:
        """Whether it still opens something."""
        return self.until is None or self.until > now


@dataclass(frozen=True, kw_only=True)
class Session(Record):
    """One browser that is signed in as the person `person`."""

    person: str
    until: float


@dataclass(frozen=True)
class Entry:
    """What signing in gives: the cookie's value, when it ends (seconds since 1970), and who came in."""

    cookie: str
    until: float
    person: Person
