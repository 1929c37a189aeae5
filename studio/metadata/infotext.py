"""The `parameters` text of A1111 and its kin: prompt, negative prompt, and one line of "Key: value" pairs.

Source: `infotext_utils.parse_generation_parameters` and `quote` of stable-diffusion-webui 1.10. The last line holds the pairs when it
has three of them at least; a line that begins with "Negative prompt:" begins the negative prompt; every line is stripped; a value with
a comma, a colon or a line break stands in double quotes as a JSON text.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

NEGATIVE = "Negative prompt:"
LEAST_PAIRS = 3
# Lengths are bounded so that no text takes longer than its length asks for.
_PAIR = re.compile(r'(\w[\w \-/]{1,79}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
MAX_LINE = 200_000


@dataclass(frozen=True)
class Infotext:
    """What the text says, its pairs in order; `pairs` is empty where the last line holds none."""

    prompt: str
    negative_prompt: str
    pairs: Mapping[str, str]


def parse(text: str) -> Infotext:
    """Read a text as A1111 does."""
    *lines, last = text.strip().split("\n")
    pairs = _PAIR.findall(last[:MAX_LINE])
    if len(pairs) < LEAST_PAIRS:
        lines, pairs = [*lines, last], []
    prompts: tuple[list[str], list[str]] = [], []
    negative = False
    for line in map(str.strip, lines):
        if line.startswith(NEGATIVE):
            negative, line = True, line.removeprefix(NEGATIVE).strip()
        if prompts[negative] or line:
            prompts[negative].append(line)
    return Infotext("\n".join(prompts[0]), "\n".join(prompts[1]), {key: unquote(value.strip()) for key, value in pairs})


def values(text: str) -> dict[str, str]:
    """Return the pairs of a list inside a value, such as "name: hash, other: hash", or of ControlNet's fields."""
    return {
        key.strip(): value.strip() for part in text.split(",") for key, colon, value in [part.rpartition(": ")] if colon and key.strip()
    }


def quote(value: object) -> str:
    """Write a value so that it is read back; what needs no quotes has none."""
    text = str(value)
    plain = not re.search(r'[,:\n\r]|^\s|\s$|^"', text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def unquote(text: str) -> str:
    """Read a value; what only looks quoted stays as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text
