"""The `parameters` text of A1111 and its kin: prompt, negative prompt, and one line of "Key: value" pairs.

Source: `infotext_utils.parse_generation_parameters` and `quote` of stable-diffusion-webui 1.10. The last line holds the pairs when it
has three of them at least; a line that begins with "Negative prompt:" begins the negative prompt; every line is stripped; a value with
a comma, a colon or a line break stands in double quotes as a JSON text.

Beyond it: sd-dynamic-prompts adds the templates of both prompts in lines after the pairs, SD.Next in lines before them; Civitai and
some others add JSON values without quotes, at which A1111's own parser stumbles.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

NEGATIVE = "Negative prompt:"
LEAST_PAIRS = 3
# Lengths are bounded so that no text takes longer than its length asks for.
_PAIR = re.compile(r'(\w[\w \-/]{1,79}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_TEMPLATE = re.compile(r"(Template|Negative [Tt]emplate):")
_JSON = re.compile(r"(?:^|,)\s*(Hashes|Civitai resources|Civitai metadata):\s*(?=[\[{])")
MAX_LINE = 200_000
MAX_JSON = 9


@dataclass(frozen=True)
class Infotext:
    """What the text says, its pairs in order; `pairs` is empty where the last line holds none.

    Attributes:
        prompt, negative_prompt: as they were used.
        pairs: settings by their names there.
        templates: what the prompts were drawn from, by "Template" and "Negative template"; empty for most.
    """

    prompt: str
    negative_prompt: str
    pairs: Mapping[str, str]
    templates: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Infotext:
    """Read a text as A1111 does, but for templates and JSON values."""
    lines, templates = _before_templates(text.strip().split("\n"))
    pairs = _pairs(lines[-1])
    if pairs:
        lines.pop()
    if pairs.get("App") == "SD.Next" and (first := next((i for i, line in enumerate(lines) if _TEMPLATE.match(line)), None)) is not None:
        lines, templates = lines[:first], _templates(lines[first:])
    prompts: tuple[list[str], list[str]] = [], []
    negative = False
    for line in map(str.strip, lines):
        if line.startswith(NEGATIVE):
            negative, line = True, line.removeprefix(NEGATIVE).strip()
        if prompts[negative] or line:
            prompts[negative].append(line)
    return Infotext("\n".join(prompts[0]), "\n".join(prompts[1]), pairs, templates)


def _before_templates(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the lines up to the pairs after which templates follow, and those; all lines where none do."""
    if lines[-1].startswith("Steps:"):
        return lines, {}
    for i in range(1, len(lines)):
        if _TEMPLATE.match(lines[i]) and lines[i - 1].startswith("Steps:") and _pairs(lines[i - 1]):
            return lines[:i], _templates(lines[i:])
    return lines, {}


def _templates(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines:
        if head := _TEMPLATE.match(line):
            key, line = head[1].capitalize(), line[head.end() :]
        found.setdefault(key, []).append(line.strip())
    return {key: "\n".join(each) for key, each in found.items()}


def _pairs(line: str) -> dict[str, str]:
    """Return the pairs of a line; none where it holds too few of them to be one of pairs."""
    line = line.strip()[:MAX_LINE]
    if len(_PAIR.findall(line)) < LEAST_PAIRS:
        return {}
    plain, at, whole = "", 0, {}
    for head in islice(_JSON.finditer(line), MAX_JSON):
        if head.start() >= at and (end := _json_end(line, head.end())):
            plain, at = plain + line[at : head.start()], end
            whole[head[1]] = line[head.end() : end]
    return {key: unquote(value.strip()) for key, value in _PAIR.findall(plain + line[at:])} | whole


def _json_end(line: str, start: int) -> int:
    """Return where a JSON value ends; 0 where there is none."""
    try:
        return json.JSONDecoder().raw_decode(line, start)[1]
    except (ValueError, RecursionError):
        return 0


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
