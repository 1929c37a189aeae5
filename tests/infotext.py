"""Readers of A1111's `parameters` text, written from the format's description for the tests alone.

`as_a1111` follows the description of the parser of stable-diffusion-webui 1.10, `as_civitai` that of Civitai's reader of uploads. Both
walk over the characters one by one and share nothing with the code under test.
"""

import json
from dataclasses import dataclass, field
from typing import Any

WORD_SIGNS = " -/"


@dataclass
class Told:
    """What a reader takes a text for."""

    prompt: str
    negative: str
    pairs: dict[str, str] = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)


def as_a1111(text: str) -> Told:
    """Last line: pairs when there are three or more; a line that starts "Negative prompt:" begins the negative one; lines are stripped."""
    lines = text.strip().split("\n")
    pairs = pairs_of(lines[-1])
    if len(pairs) >= 3:
        lines = lines[:-1]
    else:
        pairs = []
    prompts: list[list[str]] = [[], []]
    which = 0
    for line in lines:
        line = line.strip()
        if line[: len("Negative prompt:")] == "Negative prompt:":
            which = 1
            line = line[len("Negative prompt:") :].strip()
        if prompts[which] or line != "":
            prompts[which].append(line)
    return Told("\n".join(prompts[0]), "\n".join(prompts[1]), {key: unquoted(value) for key, value in pairs})


def pairs_of(line: str) -> list[tuple[str, str]]:
    """Keys of two or more word characters, blanks, dashes and slashes, a colon, then a quoted text or all up to the next comma."""
    found = []
    at = 0
    while at < len(line):
        end = at
        if not is_word(line[at]):
            at += 1
            continue
        while end < len(line) and (is_word(line[end]) or line[end] in WORD_SIGNS):
            end += 1
        if end >= len(line) or line[end] != ":" or end - at < 2:
            at = end if end > at else at + 1
            continue
        value = end + 1
        while value < len(line) and line[value].isspace():
            value += 1
        stop = quoted_end(line, value)
        if stop is None:
            stop = line.find(",", value)
            stop = len(line) if stop < 0 else stop
        found.append((line[at:end], line[value:stop]))
        at = stop + 1
    return found


def quoted_end(line: str, start: int) -> int | None:
    """Where a quoted text that begins here ends, if it is followed by a comma or nothing."""
    if start >= len(line) or line[start] != '"':
        return None
    at = start + 1
    while at < len(line):
        if line[at] == "\\":
            at += 2
        elif line[at] == '"':
            closed = at > start + 1 and (at + 1 == len(line) or line[at + 1] == ",")
            return at + 1 if closed else None
        else:
            at += 1
    return None


def unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return str(json.loads(value))
    return value


def is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def as_civitai(text: str) -> Told:
    """First line that begins with "Steps: " holds the details; what is left is cut at every "Negative prompt:"; tags name resources."""
    lines = [line for line in text.split("\n") if line.strip() != ""]
    for key in ("Template: ", "Negative Template: "):
        assert not any(line.startswith(key) for line in lines)
    details = next((line for line in lines if line.startswith("Steps: ")), "")
    lines.remove(details)
    prompt, *negative = ("\n".join(lines)).split("Negative prompt:")
    pairs = civitai_details(details)
    resources = [{"type": "lora", "name": name, "weight": weight} for name, weight in civitai_tags(prompt)]
    for name, digest in (pairs.get("Lora hashes") or {}).items():
        match = next((resource for resource in resources if resource["name"] == name), None)
        if match:
            match["hash"] = digest
        else:
            resources.append({"type": "lora", "name": name, "hash": digest})
    if pairs.get("Model") and pairs.get("Model hash"):
        resources.append({"type": "model", "name": pairs["Model"], "hash": pairs["Model hash"]})
    return Told(prompt.strip(), " ".join(part.strip() for part in negative).strip(), pairs, resources)


def civitai_details(line: str) -> dict[str, Any]:
    """Letter by letter: a quote opens or closes a nested list of pairs, a colon ends a key, a comma ends a value."""
    found: dict[str, Any] = {}
    key = value = ""
    inside = False
    for letter in line:
        if letter == '"':
            if inside:
                found[key] = civitai_details(value.strip())
                key = ""
            inside = not inside
        elif letter == ":" and not inside:
            key, value = value.strip(), ""
        elif letter == "," and not inside:
            if key:
                found[key] = value.strip()
            key = value = ""
        else:
            value += letter
    if key:
        found[key] = value.strip()
    return found


def civitai_tags(prompt: str) -> list[tuple[str, float]]:
    """`<lora:name:weight>` where the name is ASCII letters, digits, dots, dashes and underscores, the weight digits and dots."""
    found = []
    for part in prompt.split("<lora:")[1:]:
        inside, closed, _ = part.partition(">")
        name, colon, weight = inside.partition(":")
        plain = name.replace("_", "a").replace(".", "a").replace("-", "a")
        if closed and colon and plain.isascii() and plain.isalnum() and weight and set(weight) <= set("0123456789."):
            found.append((name, float(weight)))
    return found
