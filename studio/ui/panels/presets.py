"""The Preset row: picker, Save, a menu, and the sheet that says what would change before anything does."""

from html import escape

import gradio as gr

from studio.presets import PARTS
from studio.presets.document import MAX_DESCRIPTION
from studio.presets.names import MAX_NAME
from studio.service import Studio
from studio.ui import widgets
from studio.ui.preset_calls import server_functions


def presets_panel(studio: Studio) -> gr.HTML:
    """Place the row; it sets the form's fields by itself."""
    return widgets.html(
        markup(),
        script="presets",
        server_functions=server_functions(studio),
        elem_id="presets",
        parts=[{"name": part.name, "title": part.title, "fields": part.fields} for part in PARTS],
    )


def markup() -> str:
    """Return the row's static HTML, with its menu, its list and its three sheets."""
    items = "".join(
        f'<button type="button" data-act="{act}"{" data-own" if own else ""}>{escape(label)}</button>' for act, label, own in _MENU
    )
    ticks = "".join(
        f'<label class="tick"><input type="checkbox" value="{part.name}" checked><span>{escape(part.title)}</span></label>'
        for part in PARTS
    )
    return _ROW.format(items=items, ticks=ticks, name=MAX_NAME, description=MAX_DESCRIPTION)


_MENU = (
    ("save-as", "Save as…", False),
    ("edit", "Name, description, picture…", True),
    ("duplicate", "Duplicate", False),
    ("delete", "Delete", True),
    ("import", "Import…", False),
    ("export", "Export as JSON", False),
    ("export-zip", "Export with pictures", False),
    ("export-all", "Export all of mine", False),
)
"""(what it does, its label, whether the chosen preset must be one's own)."""
_ROW = """
<div class="presets">
  <div class="preset-row">
    <button type="button" class="preset-pick" data-part="pick" popovertarget="preset-list" aria-label="Presets">
      <span class="preset-star" data-part="star" hidden>★</span><span class="preset-name" data-part="name">Presets</span>
      <span class="caret" aria-hidden="true"></span><span class="preset-changed" data-part="changed" hidden>changed</span>
    </button>
    <button type="button" class="preset-button" data-part="save">Save</button>
    <button type="button" class="preset-button" data-part="more" popovertarget="preset-menu" aria-label="More about presets">⋯</button>
  </div>
  <p class="preset-told" data-part="told" role="status" hidden>
    <span data-part="told-text"></span><button type="button" class="link" data-part="told-undo">Undo</button>
    <button type="button" class="preset-close" data-part="told-close" aria-label="Dismiss">×</button>
  </p>
  <div id="preset-menu" class="menu" data-part="menu" popover>{items}</div>
  <div id="preset-list" class="preset-card" data-part="list" popover>
    <input type="search" data-part="search" aria-label="Search presets" placeholder="Search presets" autocomplete="off" spellcheck="false">
    <div class="preset-rows" data-part="rows" role="group" aria-label="Presets"></div>
    <p class="help" data-part="list-note" hidden></p>
    <details class="help" data-part="problems" hidden><summary></summary></details>
    <details class="help" data-part="deleted" hidden><summary>Deleted</summary></details>
  </div>
  <dialog class="preset-sheet" data-part="sheet" aria-labelledby="preset-sheet-title">
    <form method="dialog">
      <h2 id="preset-sheet-title" data-part="sheet-title"></h2>
      <p class="help" data-part="sheet-description" hidden></p>
      <div class="preset-parts" data-part="sheet-parts"></div>
      <div class="preset-findings" data-part="findings"></div>
      <p class="warning" data-part="sheet-error" role="alert" hidden></p>
      <div class="preset-ends">
        <button type="button" class="tool" data-part="sheet-cancel">Cancel</button>
        <button type="submit" class="tool go" data-part="sheet-apply">Apply</button>
      </div>
    </form>
  </dialog>
  <dialog class="preset-sheet" data-part="details" aria-labelledby="preset-details-title">
    <form method="dialog">
      <h2 id="preset-details-title" data-part="details-title"></h2>
      <div class="field"><div class="label"><label for="preset-name">Name</label></div>
        <input type="text" id="preset-name" data-part="details-name" maxlength="{name}" autocomplete="off"></div>
      <div class="field"><div class="label"><label for="preset-description">Description</label></div>
        <textarea id="preset-description" data-part="details-description" rows="2" maxlength="{description}"></textarea></div>
      <fieldset data-part="details-parts"><legend>What is saved</legend>{ticks}</fieldset>
      <div class="preset-cover">
        <img data-part="cover" alt="The preset's picture" hidden>
        <div><button type="button" class="small-button" data-part="cover-shown">Use the picture on the stage</button>
          <button type="button" class="small-button" data-part="cover-file">Choose a file</button>
          <button type="button" class="link" data-part="cover-none">No picture</button></div>
      </div>
      <p class="warning" data-part="details-error" role="alert" hidden></p>
      <div class="preset-ends">
        <button type="button" class="tool" data-part="details-cancel">Cancel</button>
        <button type="button" class="tool" data-part="details-over" hidden>Save over it</button>
        <button type="submit" class="tool go" data-part="details-save">Save</button>
      </div>
    </form>
  </dialog>
  <dialog class="preset-sheet" data-part="report" aria-labelledby="preset-report-title">
    <form method="dialog">
      <h2 id="preset-report-title" data-part="report-title"></h2>
      <div class="preset-notes" data-part="report-notes"></div>
      <div class="preset-ends"><button type="submit" class="tool go">Done</button></div>
    </form>
  </dialog>
  <input type="file" data-part="file" accept=".json,.zip,.csv" aria-label="Preset file" hidden>
  <input type="file" data-part="cover-input" accept="image/*" aria-label="Picture file" hidden>
</div>
"""
