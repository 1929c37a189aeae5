"""Who may come in over a link and what they may do: invitations, sessions, tokens, quotas. Knows neither HTTP nor the disk."""

from studio.access.book import Book
from studio.access.records import Entry
from studio.access.register import Access
from studio.access.rules import Quota, cost

__all__ = ["Access", "Book", "Entry", "Quota", "cost"]
