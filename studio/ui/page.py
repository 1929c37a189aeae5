"""The page: which panels stand where, and what Generate does."""

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from studio.service import Studio
from studio.ui import api, stage
from studio.ui.form import Form
from studio.ui.panels.actions import actions
from studio.ui.panels.control import control_panel
from studio.ui.panels.draft import draft_panel
from studio.ui.panels.guests import guests_panel
from studio.ui.panels.header import header
from studio.ui.panels.history import history_panel
from studio.ui.panels.loras import loras_panel
from studio.ui.panels.presets import presets_panel
from studio.ui.panels.prompt import prompt_panel
from studio.ui.panels.recall import recall_panel
from studio.ui.panels.sampling import sampling_panel
from studio.ui.who import open_to, person_of


def build(studio: Studio, *, files: Path) -> gr.Blocks:
    """Build the page over a studio. Nothing is served yet; see `serve`.

    Args:
        studio: what the page drives.
        files: folder for pictures on their way to a caller of the endpoint.
    """
    form = Form()
    with gr.Blocks(title="Studio", analytics_enabled=False, fill_width=True) as page:
        header(form, studio)
        guests_panel(studio)
        if studio.drafts:
            draft_panel(studio.drafts)
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="form"):
                prompt_panel(form, studio)
                generate = actions()
                presets_panel(studio)
                recall_panel(studio)
                sampling_panel(form)
                control_panel(form, studio)
                loras_panel(form, studio)
            with gr.Column(elem_id="stage-column"):
                shown = stage.stage(studio)
            if studio.gallery:
                with gr.Column(elem_id="history-column"):
                    history_panel(studio, studio.gallery)

        @open_to("viewer")
        def on_generate(values: dict[Any, Any], asker: gr.Request) -> dict[str, Any]:
            return stage.submit(studio, form, values, visitor=(values[shown] or {}).get("visitor"), person=person_of(asker))

        inputs = {*form.fields.values(), shown}
        # Pressed again before the first press is answered, the button queues a second picture.
        press = partial(generate.click, trigger_mode="multiple", queue=False, show_progress="hidden", api_visibility="private")
        press(on_generate, inputs=inputs, outputs=shown)
        api.add(studio, files)
    return page
