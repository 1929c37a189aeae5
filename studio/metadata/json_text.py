"""JSON texts that nobody vouches for: bounded, and anything but an object is nothing."""

import json
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 4_000_000


def objects(text: str) -> dict[str, Any]:
    """Return a JSON object, or an empty one where the text is none; NaN and infinities are read as nothing."""
    if len(text) > MAX_TEXT or not text.lstrip().startswith("{"):
        return {}
    try:
        data = json.loads(text, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def part(data: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Return an object inside an object, or an empty one where something else stands there."""
    found: Any = data
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def rows(data: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list inside an object, at most a hundred entries of it."""
    found = data.get(key)
    return found[:100] if isinstance(found, list) else []
