"""The header: model picker, what cannot be used and why, device, loading, queue place, dark or light."""

from typing import Any

import gradio as gr

from studio.events import Failed, Loading
from studio.inventory import ModelCard
from studio.service import Studio
from studio.ui import widgets
from studio.ui.form import Form
from studio.ui.who import open_to, person_of
from studio.ui.words import LANGUAGES

_HALF = '<circle cx="8" cy="8" r="6"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"/>'
_UNDO = '<path d="M5.5 3L2.5 6l3 3M2.5 6h7a4 4 0 0 1 0 8H7"/>'
_REDO = '<path d="M10.5 3l3 3-3 3M13.5 6h-7a4 4 0 0 0 0 8H9"/>'
_LETTERS = '<path d="M1.5 4h8M5.5 2v2M8 4c-.7 3-3 5.5-6 6.5M3.5 6.5c1 2 2.5 3.3 4.5 4M8.5 14l3-7.5 3 7.5M9.5 11.5h4"/>'
_LANGUAGES = "".join(f'<option value="{tag}" lang="{tag}" translate="no">{name}</option>' for tag, name in LANGUAGES.items())
_HEADER = f"""
<header data-model="loading">
  <h1>Studio</h1>
  <span class="pill"><i class="dot"></i><select data-part="input" id="model" aria-label="Model" translate="no"></select></span>
  <span class="pill quiet" data-part="loading" role="status" hidden>
    <span data-part="loading-text"></span><span class="meter"><span data-part="loading-bar"></span></span>
  </span>
  <span class="pill quiet wide" data-part="device" hidden></span>
  <button type="button" class="pill warn" data-part="problems-button" popovertarget="problems" hidden></button>
  <div id="problems" class="card" data-part="problems" popover></div>
  <span class="grow"></span>
  <span class="pill quiet" data-part="queue" role="status" hidden></span>
  <button type="button" class="pill round" data-part="undo" aria-label="Undo a setting" title="Undo a setting (Ctrl+Z)" disabled>
    {widgets.icon(_UNDO)}</button>
  <button type="button" class="pill round" data-part="redo" aria-label="Redo a setting" title="Redo a setting (Ctrl+Shift+Z)" disabled>
    {widgets.icon(_REDO)}</button>
  <span class="pill round" title="Language">
    {widgets.icon(_LETTERS)}<select data-part="language" aria-label="Language">{_LANGUAGES}</select>
  </span>
  <button type="button" class="pill round" data-part="theme">{widgets.icon(_HALF)}</button>
</header>
<p class="failed" data-part="failed" role="alert" hidden></p>
"""


def header(form: Form, studio: Studio) -> None:
    """Place the header; it carries the request's model."""

    @open_to("viewer")
    def status(_: Any, asker: gr.Request) -> dict[str, Any]:
        # Sentences about broken folders name files of this machine.
        return describe(studio) if person_of(asker).role == "owner" else describe(studio) | {"problems": []}

    form.bind("model", widgets.html(_HEADER, script="header", server_functions=[status], elem_id="field-model"))


def describe(studio: Studio) -> dict[str, Any]:
    """Return what the header shows now."""
    inventory = studio.inventory()
    return {
        "models": [_card(card) for card in inventory.models],
        "problems": [card.problem for card in inventory.broken],
        "device": studio.describe(),
        **loading_state(studio.loading()),
    }


def loading_state(event: Loading | Failed | None) -> dict[str, Any]:
    """Say how the newest loading of a model stands: `state` is loading, ready or failed."""
    match event:
        case None:
            return {"state": "loading", "fraction": 0.0, "loading": "starting"}
        case Loading(fraction=fraction) if fraction >= 1:
            return {"state": "ready", "fraction": 1.0, "loading": ""}
        case Loading():
            return {"state": "loading", "fraction": event.fraction, "loading": f"{event.model}: {event.message}"}
        case Failed():
            return {"state": "failed", "fraction": 0.0, "loading": f"{event.message} {event.hint}".strip()}


def _card(card: ModelCard) -> dict[str, Any]:
    return {"name": card.name, "native": card.native_size, "multiple": card.multiple_of}
