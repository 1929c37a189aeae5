"""What the page's functions answer is made fit for the wire, and what gradio and the door know of them stays."""

import inspect
from typing import Any

import gradio as gr

from studio.ui.answers import fit, fitting
from studio.ui.who import open_to, role_needed
from tests.aside import awaited


@open_to("viewer")
async def later(asked: Any, asker: gr.Request) -> Any:
    return asked


@open_to("maker")
def now(asked: Any) -> Any:
    return asked


def test_functions_keep_their_names_marks_and_what_they_ask_for() -> None:
    for function in (later, now):
        made = fitting(function)
        assert (made.__name__, role_needed(made)) == (function.__name__, role_needed(function))
        assert inspect.signature(made) == inspect.signature(function)
        assert inspect.iscoroutinefunction(made) == inspect.iscoroutinefunction(function)
    assert awaited(fitting(later)(["\ud800"], None)) == fitting(now)(["\ud800"]) == ["\ufffd"]


def test_all_texts_and_numbers_can_be_sent_and_large_plain_ones_are_not_copied() -> None:
    picture = "data:image/png;base64," + "A" * 5_000_000
    answer = fit({"picture": picture, "\ud800": ("é\udfff", [None, True, 1.5, 2**64, -(10**400)])})
    assert answer["picture"] is picture
    assert answer["\ufffd"] == ["é\ufffd", [None, True, 1.5, 2.0**64, None]]
