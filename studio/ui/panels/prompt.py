"""Prompt, example chips and negative prompt, each text with its token count."""

from html import escape
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.service import Studio
from studio.ui import widgets
from studio.ui.examples import EXAMPLES, FIRST_PROMPT, fill
from studio.ui.form import Form
from studio.ui.who import open_to


def prompt_panel(form: Form, studio: Studio) -> None:
    """Place the two texts and the chips that fill them."""

    @open_to("viewer")
    def count(asked: Any) -> dict[str, str]:
        return token_note(studio, asked)

    form.bind("prompt", widgets.text("prompt", lines=3, count=count, start=FIRST_PROMPT))
    _examples()
    form.bind("negative_prompt", widgets.text("negative_prompt", lines=1, count=count))


def token_note(studio: Studio, asked: Any) -> dict[str, str]:
    """Say how much of the prompt window a text takes; `asked` is [text, model] as the browser sent it."""
    match asked:
        case [str(text), (str() | None) as model]:
            pass
        case _:
            return {"note": "", "warning": ""}
    try:
        used, window = studio.count_tokens(text, model=model)
    except StudioError:
        # The same sentence comes with Generate; while typing, a missing count is enough.
        return {"note": "", "warning": ""}
    over = used - window
    warning = f"The last {over} tokens are past the model's window of {window} and are not read." if over > 0 else ""
    return {"note": f"{used} / {window} tokens", "warning": warning}


def _examples() -> gr.HTML:
    chips = "".join(f'<button type="button" title="{escape(fields["prompt"])}">{escape(label)}</button>' for label, fields in EXAMPLES)
    return widgets.html(
        f'<div class="chips" role="toolbar" aria-label="Example prompts">{chips}</div>',
        script="examples",
        examples=[fill(fields) for _, fields in EXAMPLES],
    )
