"""Names of presets: what one may be, when two are the same, and the file name that is safe for any of them."""

import hashlib
import re
import unicodedata
from collections.abc import Collection

from studio.errors import BadPreset

MAX_NAME = 100


def checked(name: str) -> str:
    """Return a name as it is kept: one line, composed (NFC), without spaces around it.

    Raises:
        BadPreset: nothing is left of it, it is too long, or it holds characters that cannot be shown.
    """
    tidy = unicodedata.normalize("NFC", name).strip()
    # A name of marks alone, such as one that turns the writing direction, could not be seen.
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in tidy):
        raise BadPreset("A preset needs a name; type one.")
    if len(tidy) > MAX_NAME:
        raise BadPreset(f"The name has {len(tidy)} characters; a preset's name has at most {MAX_NAME}.")
    # Control characters, halves of characters, and marks that turn the writing direction; joiners inside emoji are fine.
    if any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for letter in tidy
    ):
        raise BadPreset("The name holds a character that cannot be shown, such as a line break; leave it out.")
    return tidy


def key(name: str) -> str:
    """Return what is equal for two names that people take for one: case and the ways to compose a letter do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold()).strip()


def stem(name: str) -> str:
    """Return a file name without its suffix: letters, digits and dashes, good on every system, another one for every `key`.

    `CON`, `../../x` and an emoji become `con-...`, `x-...` and `preset-...` with ten digits of the key's SHA-256.
    """
    readable = re.sub(r"[^a-z0-9]+", "-", key(name))[:40].strip("-") or "preset"
    return f"{readable}-{hashlib.sha256(key(name).encode()).hexdigest()[:10]}"


def free(name: str, taken: Collection[str]) -> str:
    """Return the name, or the first of "name 2", "name 3", ... whose key is not among `taken`."""
    candidate, number = name, 2
    while key(candidate) in taken:
        ending = f" {number}"
        candidate, number = name[: MAX_NAME - len(ending)].rstrip() + ending, number + 1
    return candidate
