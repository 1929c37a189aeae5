"""Scheduler, guidance, steps, seed, size, batch, under a heading that tells its state when closed."""

from itertools import groupby

import gradio as gr

from studio import schedulers
from studio.ui import widgets
from studio.ui.form import Form

SHAPES = (("Square", 1, 1), ("Portrait", 3, 4), ("Landscape", 4, 3), ("Wide", 16, 9))
"""(label, across, down) of the sizes offered, each with about as many pixels as the model's own size."""


def sampling_panel(form: Form) -> None:
    """Place what steers the denoising."""
    widgets.heading("Sampling", controls="sampling", summary=[("scheduler", 0), ("steps", 0), ("guidance_scale", 1)])
    with gr.Column(elem_id="sampling"):
        form.bind("scheduler", widgets.choice("scheduler", scheduler_groups()))
        with gr.Row():
            form.add("guidance_scale")
            form.add("steps")
        with gr.Row(elem_id="seed-row"):
            form.bind("seed", widgets.seed("seed"))
            form.add("batch_size")
        with gr.Row(elem_id="size-row"):
            _sizes()
            form.add("width")
            form.add("height")


def scheduler_groups() -> list[tuple[str, list[dict[str, str]]]]:
    """Return the scheduler table as the picker shows it: (group, rows), with the reason where a row cannot be used."""
    rows = sorted(schedulers.TABLE.values(), key=lambda row: _group_place(row.group))
    return [
        (group, [{"name": row.name, "description": row.description, "reason": row.unavailable()} for row in members])
        for group, members in groupby(rows, key=lambda row: row.group)
    ]


def _group_place(group: str) -> int:
    return list(dict.fromkeys(row.group for row in schedulers.TABLE.values())).index(group)


def _sizes() -> gr.HTML:
    body = '<div class="label"><label for="size">Size</label></div><select id="size"></select>'
    return widgets.html(body, script="sizes", elem_classes=["field", "sizes"], shapes=SHAPES)
