"""The form's widgets, one factory per kind. Labels, bounds, defaults and steps come from the request's fields.

They are `gr.HTML` widgets rather than gradio's own inputs: what a person typed then reaches the one validation
of the request as it is, choices can be grouped and disabled with a reason, and all of them share one look.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from studio.request import GenerationRequest, bounds, control, limits
from studio.ui.answers import fitting

ServerFunctions = Sequence[Callable[..., Any]]
DICE = '<rect x="2" y="2" width="12" height="12" rx="3"/><path d="M5.5 5.5h.01M10.5 10.5h.01M8 8h.01M10.5 5.5h.01M5.5 10.5h.01"/>'
LOCK = '<rect x="3" y="7" width="10" height="7" rx="2"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>'


def icon(paths: str) -> str:
    """Return a 16 x 16 line drawing in the text's colour."""
    return f'<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">{paths}</svg>'


def title(field: str) -> str:
    """Return a request field's label."""
    return GenerationRequest.model_fields[field].title or field


def html(template: str, *, script: str, server_functions: ServerFunctions = (), **options: Any) -> gr.HTML:
    """Return a widget of ours: static markup, and one function of the page's scripts that brings it to life."""
    return gr.HTML(
        html_template=template,
        js_on_load=f"studio.{script}({{ element, props, server, trigger, watch }})",
        apply_default_css=False,
        server_functions=[fitting(function) for function in server_functions],
        **options,
    )


def text(field: str, *, lines: int, count: Callable[..., Any], start: str = "") -> gr.HTML:
    """Return a text box that grows with its text and shows how many tokens it takes; `start` stands in it at first."""
    body = (
        f'<textarea data-part="input" id="{field}" rows="{lines}" spellcheck="false"></textarea>'
        '<p class="warning" data-part="warning" role="status" hidden></p>'
    )
    return _field(field, "text", _label(field, '<span class="note" data-part="note"></span>') + body, value=start, server_functions=[count])


def slider(field: str) -> gr.HTML:
    """Return a slider with its value, which can also be typed, beside the label."""
    least, most = limits(field)
    step = control(field).step
    # What is typed may lie between the slider's steps, unless it is a whole number.
    ends, finest = f'min="{least:g}" max="{most:g}"', f"{step:g}" if step >= 1 else "any"
    typed = (
        f'<input data-part="input" id="{field}" type="number" inputmode="decimal" {ends} step="{finest}" title="{escape(bounds(field))}">'
    )
    body = f'<input data-part="range" type="range" {ends} step="{step:g}" aria-label="{escape(title(field))} slider">'
    return _field(field, "slider", _label(field, typed) + body, least=least, most=most, digits=0 if step >= 1 else 1)


def size(field: str) -> gr.HTML:
    """Return a box for a side in pixels; empty means the model's own."""
    return _field(field, "size", _label(field, "") + _number_input(field))


def seed(field: str) -> gr.HTML:
    """Return the seed's box with its two buttons: a new seed each time, or keep the last one."""
    body = (
        f'<div class="joined">{_number_input(field, placeholder="random")}'
        f'<button type="button" data-part="dice" aria-label="New seed each time" title="New seed each time">{icon(DICE)}</button>'
        f'<button type="button" data-part="lock" aria-label="Keep the last seed" title="Keep the last seed">{icon(LOCK)}</button></div>'
    )
    return _field(field, "seed", _label(field, '<span class="note" data-part="note"></span>') + body)


def choice(field: str, groups: Sequence[tuple[str, Sequence[dict[str, str]]]]) -> gr.HTML:
    """Return a picker of rows with `name`, `description` and `reason` (why it cannot be used), under headings."""
    options = "".join(f'<optgroup label="{escape(heading)}">{"".join(map(_option, rows))}</optgroup>' for heading, rows in groups)
    body = f'<select data-part="input" id="{field}" aria-describedby="{field}-note">{options}</select>'
    note = f'<p class="help" data-part="note" id="{field}-note"></p>'
    return _field(field, "choice", _label(field, "") + body + note, groups=groups)


def heading(label: str, *, controls: str, summary: Sequence[tuple[str, int]]) -> gr.HTML:
    """Return a heading that opens and closes column `controls`; `summary` names fields it shows, with their digits."""
    body = f'<button type="button" class="heading" aria-expanded="true" aria-controls="{controls}"><b>{label}</b> <span></span></button>'
    return html(body, script="section", controls=controls, summary=summary)


def listed(field: str) -> gr.HTML:
    """Return a list field's invisible widget: it holds the entries, and panels of their own show and change them."""
    return html("", script="listed", value=[], field=field, elem_id=f"field-{field}", elem_classes=["listed"])


KINDS: dict[str, Callable[[str], gr.HTML]] = {"slider": slider, "size": size, "list": listed}


def _field(field: str, kind: str, body: str, **options: Any) -> gr.HTML:
    options.setdefault("value", GenerationRequest.model_fields[field].default)
    options |= {"field": field, "kind": kind, "elem_id": f"field-{field}", "elem_classes": ["field", kind]}
    return html(body, script="field", **options)


def _label(field: str, aside: str) -> str:
    return f'<div class="label"><label for="{field}">{escape(title(field))}</label>{aside}</div>'


def _number_input(field: str, *, placeholder: str = "") -> str:
    least, most = limits(field)
    attributes = f'min="{least:g}" max="{most:.0f}" step="{control(field).step:g}"'
    return (
        f'<input data-part="input" id="{field}" type="number" inputmode="numeric" {attributes} '
        f'title="{escape(bounds(field))}" placeholder="{escape(placeholder)}">'
    )


def _option(row: dict[str, str]) -> str:
    name, reason = escape(row["name"]), escape(row["reason"])
    shown = f"{name}: {reason}" if reason else name
    return f'<option value="{name}" title="{escape(row["description"])}"{" disabled" if reason else ""}>{shown}</option>'
