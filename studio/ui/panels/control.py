"""The Control section: ControlNet units by kind, each with a picture drawn here or given, and the map it becomes."""

from html import escape
from typing import get_args

import gradio as gr

from studio.request import MAX_CONTROLS, ControlUse, info, limits
from studio.service import Studio
from studio.ui import maps, widgets
from studio.ui.form import Form
from studio.ui.panels.drawing import depth_editor, sketch_editor
from studio.ui.panels.editor import Editor
from studio.ui.panels.pose import pose_editor

KINDS = get_args(info("controls.kind").annotation)


def editors(studio: Studio) -> tuple[Editor, ...]:
    """Return the tools that make a unit's picture on the page, at most one a kind."""
    return (sketch_editor(), depth_editor(), pose_editor(studio))


def control_panel(form: Form, studio: Studio) -> None:
    """Place the section."""
    widgets.heading("Control", controls="control-section", summary=[("controls", 1)])
    made = editors(studio)
    with gr.Column(elem_id="control-section"):
        widgets.html(
            markup(made),
            script="control",
            server_functions=[*maps.server_functions(studio), *(call for editor in made for call in editor.server_functions)],
            elem_id="control",
            kinds=list(KINDS),
            most=MAX_CONTROLS,
            blank=ControlUse(kind=KINDS[0], image="-").model_dump(exclude={"kind", "image"}),
        )
        form.add("controls")


def markup(made: tuple[Editor, ...]) -> str:
    """Return the section's static HTML: tabs, the shown unit's switch, its picture, its map and its settings."""
    verbs = {editor.kind: editor.verb for editor in made}
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{kind}" data-kind="{kind}" aria-controls="unit">{kind.capitalize()}</button>'
        for kind in KINDS
    )
    tools = "".join(
        f'<div data-editor="{editor.kind}" data-verb="{escape(verbs[editor.kind])}" hidden>{editor.markup}</div>' for editor in made
    )
    return _UNIT.format(tabs=tabs, tools=tools, drop=_DROP, map=_MAP, settings=_settings())


def _settings() -> str:
    pair = f'<div class="pair">{_weight()}{_span()}</div>'
    return f'{pair}<div class="pair">{_choice("mode")}{_choice("fit")}{_choice("model")}</div>'


def _weight() -> str:
    least, most = limits("controls.weight")
    bounds = f'min="{least:g}" max="{most:g}"'
    return (
        f'<div class="field slider"><div class="label"><label for="control-weight">{info("controls.weight").title}</label>'
        f'<input type="number" inputmode="decimal" id="control-weight" data-part="weight" {bounds} step="any"></div>'
        f'<input type="range" data-part="weight-range" aria-label="Weight slider" {bounds} step="0.05"></div>'
    )


def _span() -> str:
    rule = 'type="range" min="0" max="1" step="0.05"'
    return (
        '<div class="field slider span"><div class="label"><label>From, to</label><output data-part="span-text"></output></div>'
        f'<div class="two"><input {rule} data-part="start" aria-label="{info("controls.start").title}: share of the steps">'
        f'<input {rule} data-part="end" aria-label="{info("controls.end").title}: share of the steps"></div></div>'
    )


def _choice(name: str) -> str:
    declared = info(f"controls.{name}")
    options = "".join(f'<option value="{value}">{value}</option>' for value in get_args(declared.annotation) if isinstance(value, str))
    label = f'<div class="label"><label for="control-{name}">{declared.title}</label></div>'
    select = f'<select id="control-{name}" data-part="{name}" title="{escape(declared.description or "")}">{options}</select>'
    return f'<div class="field" data-part="{name}-field">{label}{select}</div>'


_DROP = """
<div class="drop" data-part="drop">
  <img data-part="source" alt="" hidden>
  <p data-part="drop-text">Drop a picture, paste it, or <button type="button" class="link" data-part="choose">choose a file</button></p>
  <p class="help" data-part="source-note" hidden></p>
  <input type="file" accept="image/*" data-part="file" aria-label="Picture file" hidden>
</div>
<div class="field" data-part="preprocessor-field">
  <div class="label"><label for="control-preprocessor">Preprocessor</label><span class="note" data-part="preprocessor-size"></span></div>
  <select id="control-preprocessor" data-part="preprocessor" aria-describedby="control-preprocessor-note"></select>
  <p class="help" id="control-preprocessor-note" data-part="preprocessor-note"></p>
</div>
<div class="settings" data-part="preprocessor-settings"></div>
"""
_MAP = """
<div class="map" data-part="map" hidden>
  <img data-part="map-picture" alt="The map that the model follows">
  <div>
    <b>Map</b><span data-part="map-text" role="status"></span><span data-part="map-follows" role="status" hidden></span>
    <div class="track" data-part="map-track" hidden><span data-part="map-bar"></span></div>
    <button type="button" class="link" data-part="map-cancel" hidden>Cancel</button>
    <button type="button" class="small-button" data-part="map-agree" hidden>Fetch and make the map</button>
    <button type="button" class="small-button" data-part="map-edit" hidden>Edit this map</button>
  </div>
</div>
<p class="warning" data-part="map-error" role="alert" hidden></p>
"""
_UNIT = """
<div class="control">
  <div class="tabs" role="tablist" aria-label="Kind of control">{tabs}</div>
  <div id="unit" role="tabpanel">
    <p class="warning" data-part="reason" role="status" hidden></p>
    <div class="unit" data-part="unit">
      <div class="bar">
        <label class="switch"><input type="checkbox" role="switch" data-part="on"><span>Use</span></label>
        <div class="chips" data-part="units" role="group" aria-label="Units of this kind"></div>
        <button type="button" class="link" data-part="add">Add</button>
        <button type="button" class="link" data-part="remove">Remove</button>
      </div>
      <div class="tabs small" data-part="sources" role="group" aria-label="Where the picture comes from">
        <button type="button" data-part="by-editor">Draw</button><button type="button" data-part="by-picture">Picture</button>
      </div>
      <div data-part="tools">{tools}</div>
      <div data-part="given">{drop}</div>
      {map}
      {settings}
    </div>
    <details class="help" data-part="problems" hidden><summary></summary></details>
  </div>
</div>
"""
