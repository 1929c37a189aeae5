"""JSON from outside that can be handed on safely: bounded, no NaN, no endless nesting, writable again as UTF-8."""

import json
import math
from typing import Any, NoReturn

from studio.errors import BadPreset

MAX_BYTES = 1_000_000
MAX_DEPTH = 32


def loads(data: bytes, name: str, *, most: int = MAX_BYTES) -> Any:
    """Decode JSON; UTF-8, with or without a byte order mark.

    Args:
        data: the whole file.
        name: what the sentence calls it.
        most: how many bytes it may have.

    Raises:
        BadPreset: it is too large, no JSON, nested more than 32 deep, or holds what JSON cannot (NaN, infinity, half a character).
    """
    if len(data) > most:
        raise BadPreset(f"{name} has {len(data) / 1e6:.1f} MB; a file of presets has at most {most // 10**6} MB.")
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise BadPreset(f"{name} holds broken characters; save it again as UTF-8.") from error
    except (json.JSONDecodeError, EOFError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadPreset(f"{name} is no JSON, or is cut short{where}; export it again.") from error
    except RecursionError as error:
        raise BadPreset(f"{name} is nested too deeply; a preset needs no more than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise BadPreset(f"{name} holds a number that is none ({str(error)[:40]}); write a finite one.") from error
    if _deeper(value, MAX_DEPTH):
        raise BadPreset(f"{name} is nested too deeply; a preset needs no more than {MAX_DEPTH} levels.")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _deeper(value: Any, most: int) -> bool:
    """Whether a value is nested more than `most` deep; level by level, so that its depth costs no stack."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner for outer in level if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
