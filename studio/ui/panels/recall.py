"""Settings from a picture: where one is dropped or chosen, the report on it, and how downloads are written."""

import gradio as gr

from studio.request import GenerationRequest
from studio.service import Studio
from studio.ui import widgets
from studio.ui.recalls import server_functions

_FORMATS = "".join(
    f'<label class="pick"><input type="radio" name="download-format" value="{kind}"><span>{label}</span></label>'
    for kind, label in (("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "WebP"))
)
_PANEL = f"""
<div class="recall" data-part="recall">
  <button type="button" class="link" data-part="choose" id="recall-choose">Settings from a picture…</button>
  <input type="file" accept="image/png,image/jpeg,image/webp" data-part="file" aria-label="Picture with settings" hidden>
  <p class="told" data-part="told" role="status" hidden>
    <span data-part="told-text"></span><button type="button" class="link" data-part="undo">Undo</button>
    <button type="button" class="quiet-close" data-part="told-close" aria-label="Dismiss">×</button>
  </p>
  <p class="warning" data-part="error" role="alert" hidden></p>
</div>
<div class="drop-here" data-part="here" aria-hidden="true" hidden><b>Drop the picture</b><span>to read its settings</span></div>
<dialog class="sheet" data-part="sheet" aria-labelledby="recall-title">
  <form method="dialog">
    <div class="sheet-head">
      <img data-part="picture" alt="The picture that was given">
      <div>
        <h2 id="recall-title" data-part="title" translate="no"></h2>
        <p class="help" data-part="from"></p>
        <p data-part="summary"></p>
      </div>
    </div>
    <div class="report" data-part="report" tabindex="0" role="region" aria-label="How faithful each setting is"></div>
    <details class="help" data-part="made" hidden><summary>Made by</summary><ul data-part="made-list"></ul></details>
    <div class="outcome" data-part="outcome" role="status" hidden>
      <img data-part="again" alt="The picture made again" hidden>
      <p data-part="outcome-text"></p>
    </div>
    <div class="sheet-foot">
      <button type="button" class="tool" data-part="verify">Verify</button>
      <span class="grow"></span>
      <button type="submit" class="tool" data-part="close">Close</button>
      <button type="button" class="tool primary" data-part="restore">Restore settings</button>
    </div>
  </form>
</dialog>
<div id="download-how" class="menu how" data-part="how" popover role="group" aria-label="How downloads are written">
  <div class="picks" role="radiogroup" aria-label="Format">{_FORMATS}</div>
  <label class="switch"><input type="checkbox" role="switch" data-part="bare"><span>Leave the settings out</span></label>
  <p class="help" data-part="how-note"></p>
</div>
"""


def recall_panel(studio: Studio) -> gr.HTML:
    """Place the panel; it sets the form's fields by itself."""
    return widgets.html(
        _PANEL,
        script="settingsFrom",
        server_functions=server_functions(studio),
        elem_id="recall",
        fields=list(GenerationRequest.model_fields),
    )
