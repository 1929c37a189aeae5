"""Generate and Stop. What they say besides their names follows what the stage knows of this visitor's jobs."""

import gradio as gr

from studio.ui import widgets

_ACTIONS = """
<div class="actions">
  <button type="button" id="generate" aria-keyshortcuts="Control+Enter">Generate <kbd data-part="hint">Ctrl ⏎</kbd></button>
  <button type="button" id="stop" aria-keyshortcuts="Escape" disabled>Stop <kbd>Esc</kbd></button>
</div>
"""


def actions() -> gr.HTML:
    """Place the two buttons; the widget's click event is Generate, Stop is passed on to the stage."""
    return widgets.html(_ACTIONS, script="actions", elem_id="actions")
