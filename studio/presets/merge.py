"""A preset meets a form: what it would set, and what of that is new. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.presets.parts import PARTS
from studio.request import RANDOM_SEED, GenerationRequest

HOLE = "{prompt}"
"""In a preset's text, where the present text of the same field goes."""
TEXTS = ("prompt", "negative_prompt")
MAX_SHOWN = 400


@dataclass(frozen=True)
class Change:
    """One field that would get another value; `old` and `new` are for people."""

    part: str
    field: str
    title: str
    old: str
    new: str


def apply(fields: Mapping[str, Any], present: Mapping[str, Any], parts: Collection[str]) -> dict[str, Any]:
    """Return what some parts of a preset would set, by request field.

    Args:
        fields: the preset's good fields.
        present: the form's values, only looked at for texts that are wrapped; they may be anything a person typed.
        parts: names of the parts to take.
    """
    taken = {field: fields[field] for part in PARTS if part.name in parts for field in part.fields if field in fields}
    for field in TEXTS:
        if HOLE in taken.get(field, ""):
            text = present.get(field)
            taken[field] = filled(taken[field], text if isinstance(text, str) else "")
    return taken


def changes(values: Mapping[str, Any], present: Mapping[str, Any]) -> list[Change]:
    """Return the fields of `values` that differ from the form's, in the table's order."""
    return list(_changes(values, present))


def _changes(values: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[Change]:
    for part in PARTS:
        for field in part.fields:
            if field in values and not _same(values[field], present.get(field)):
                title = GenerationRequest.model_fields[field].title or field
                yield Change(part.name, field, title, shown(field, present.get(field)), shown(field, values[field]))


def filled(template: str, text: str) -> str:
    """Put a text into a template's hole; with nothing in it no comma stays behind.

    A text that was wrapped by the same template before is not wrapped again.
    """
    text = unwrapped(template, text).strip()
    return template.replace(HOLE, text) if text else _emptied(template)


def unwrapped(template: str, text: str) -> str:
    """Return what stands in the template's only hole when the template made the text; else the text."""
    before, hole, after = template.partition(HOLE)
    if not hole or HOLE in after or not (before or after):
        return text
    if text == _emptied(template):
        return ""
    fits = len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)
    return text[len(before) : len(text) - len(after)] if fits else text


def _emptied(template: str) -> str:
    for around in (f"{HOLE}, ", f", {HOLE}", f"{HOLE} ", HOLE):
        template = template.replace(around, "")
    return template.strip()


def keep_template(template: Any, text: Any) -> Any:
    """Return the template where it made the text, so that saving a preset again does not freeze what stood in its hole."""
    made = isinstance(template, str) and isinstance(text, str) and HOLE in template and filled(template, text) == text
    return template if made else text


def shown(field: str, value: Any) -> str:
    """Say a field's value as a person reads it."""
    match value:
        case None:
            return {"model": "the default model", "width": "the model's own", "height": "the model's own"}.get(field, "nothing")
        case int() if field == "seed" and value == RANDOM_SEED:
            return "random"
        case str():
            return _short(value) or "empty"
        case list() | tuple():
            return _short(" · ".join(map(_entry, value))) or "none"
        case _:
            return _short(f"{value:g}" if isinstance(value, float) else str(value))


def _entry(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)[:40]
    made_by = entry.get("preprocessor", "none")
    weight = entry.get("weight", 1)
    words = [
        str(entry.get("kind", entry.get("name", "?"))),
        f"{weight:g}" if isinstance(weight, int | float) else str(weight)[:10],
        f"by {made_by}" if made_by != "none" else "",
        f"on {entry['model']}" if entry.get("model") else "",
    ]
    return " ".join(filter(None, words))


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same setting; 1 and 1.0 are, true and 1 are not."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(isinstance(one, bool) == isinstance(other, bool) and one == other)
