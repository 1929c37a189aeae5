"""Halves of characters (lone surrogates): JSON and names of files may hold them, and no encoding takes them."""

import re

_HALVES = re.compile("[\ud800-\udfff]")


def has_half(text: str) -> bool:
    """Whether there are halves of characters in a text."""
    # Most texts are plain, and those of megabytes are base64: that is known without a look at their letters.
    return not text.isascii() and _HALVES.search(text) is not None


def whole(text: str) -> str:
    """Return a text with the sign for what cannot be read in the place of each half of a character."""
    return text if text.isascii() else _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)
