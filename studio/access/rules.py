"""How much a guest may ask for: megapixel-steps an hour, and pictures waiting at once. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from studio.errors import NotAllowed, QuotaSpent
from studio.plan import Plan

HOUR = 3600.0
MOST_PER_HOUR = 1_000_000.0
MOST_WAITING = 8
MOST_HOURS = 24.0 * 366
MOST_USES = 100
OWNER_STAYS = 30 * 24 * HOUR
LONGEST_NAME = 40


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A guest's bounds.

    Attributes:
        per_hour: megapixel-steps within any 3600 seconds, 0 .. 1,000,000; the default is about 90 pictures of 512 x 512 in 20 steps.
        waiting: pictures in the queue at once, 1 .. 8.
    """

    per_hour: float = 500.0
    waiting: int = 3

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_hour) and 0 <= self.per_hour <= MOST_PER_HOUR):
            raise NotAllowed(f"The quota must be a number from 0 to {MOST_PER_HOUR:,.0f} megapixel-steps an hour.")
        if not 1 <= self.waiting <= MOST_WAITING:
            raise NotAllowed(f"The pictures waiting at once must be a whole number from 1 to {MOST_WAITING}.")


def cost(plan: Plan) -> float:
    """Return what a plan takes of a quota: megapixels x model evaluations x pictures, once more for every ControlNet unit."""
    return plan.width * plan.height / 1e6 * plan.evaluations * len(plan.seeds) * (1 + len(plan.controls))


def check_quota(quota: Quota, spent: Iterable[tuple[float, float]], asked: float, *, now: float) -> None:
    """Let a cost pass, or say when there is room for it.

    Args:
        quota: the person's bounds.
        spent: (time, cost) of what the person asked for before, oldest first.
        asked: the cost of what is asked for now.
        now: seconds since 1970.

    Raises:
        QuotaSpent: it does not fit into this hour, or into any.
    """
    recent = [(at, each) for at, each in spent if at > now - HOUR]
    over = sum(each for _, each in recent) + asked - quota.per_hour
    if over <= 0:
        return
    if asked > quota.per_hour:
        raise QuotaSpent(f"This takes {asked:,.0f} megapixel-steps and you have {quota.per_hour:,.0f} an hour; ask for a smaller picture.")
    for at, each in recent:
        over -= each
        if over <= 0:
            minutes = math.ceil((at + HOUR - now) / 60)
            raise QuotaSpent(f"Your {quota.per_hour:,.0f} megapixel-steps of this hour are used up; there is room again in {minutes} min.")


def clean_name(name: object) -> str:
    """Return a name without control characters and of at most 40 characters."""
    text = "".join(letter for letter in name if letter.isprintable()) if isinstance(name, str) else ""
    return " ".join(text.split())[:LONGEST_NAME]


def good_hours(hours: object) -> float:
    """Return a time in hours.

    Raises:
        NotAllowed: it is no number, or more than a year.
    """
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MOST_HOURS:
        raise NotAllowed(f"The time must be a number of hours up to {MOST_HOURS:,.0f}.")
    return float(hours)
