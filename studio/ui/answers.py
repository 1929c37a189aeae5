"""What the page's functions answer, made fit for the wire: gradio fails without a word on half a character or a number of 65 bits."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from studio.characters import whole


def fit(value: Any) -> Any:
    """Return a value of lists and objects with whole characters only, in its keys as well, and long numbers as scripts hold them."""
    match value:
        case str():
            return whole(value)
        case dict():
            return {fit(key): fit(inner) for key, inner in value.items()}
        case list() | tuple():
            return [fit(inner) for inner in value]
        case int() if not -(2**63) <= value < 2**64:
            return float(value) if abs(value) < 2**1000 else None
        case _:
            return value


def fitting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a server function whose answers are `fit`. Gradio still finds its name and whom it asks for, and `who` its mark."""
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def later(*given: Any, **named: Any) -> Any:
            return fit(await function(*given, **named))

        return later

    @wraps(function)
    def now(*given: Any, **named: Any) -> Any:
        return fit(function(*given, **named))

    return now
