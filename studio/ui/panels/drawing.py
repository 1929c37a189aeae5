"""The tools with which sketches and depth are drawn on the page: one canvas, which keeps its strokes as lines and sends a small PNG."""

from studio.ui.panels.editor import Editor
from studio.ui.widgets import icon

_BRUSH = '<path d="M13.5 2.5 7 9"/><path d="M6.5 8.5c-2-.3-3.5 1-3.5 3 0 1-.5 1.5-1 2 2.5.5 5.5-.5 5.5-3.5"/>'
_ERASER = '<path d="M9.5 3 13 6.5 7.5 12H5L2.5 9.5z"/><path d="M6 6.5 9.5 10M5 13.5h8"/>'
_UNDO = '<path d="M3 6h6.5a3.5 3.5 0 0 1 0 7H6"/><path d="M5.5 3.5 3 6l2.5 2.5"/>'
_REDO = '<path d="M13 6H6.5a3.5 3.5 0 0 0 0 7H10"/><path d="M10.5 3.5 13 6l-2.5 2.5"/>'
_CLEAR = '<path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5 5 13h6l.5-8.5"/>'
_KEYS = "arrow keys move the pen, Space puts it down and lifts it, B and E choose brush and eraser, [ and ] its size, Ctrl+Z undoes"


def sketch_editor() -> Editor:
    """Return the tool for sketches: white lines on black."""
    return Editor(kind="sketch", verb="Draw", markup=_markup("sketch", ""))


def depth_editor() -> Editor:
    """Return the tool for depth: a brush whose brightness is the distance, white nearest, over a black that is far away."""
    near = (
        '<div class="field slider"><div class="label"><label for="draw-depth-grey">Distance of the brush</label>'
        '<output data-draw="grey-text"></output></div>'
        '<input type="range" id="draw-depth-grey" data-draw="grey" min="0" max="255" step="1" value="200"></div>'
        '<button type="button" class="small-button" data-draw="fill" title="Everything at the distance of the brush">Fill all</button>'
    )
    return Editor(kind="depth", verb="Paint", markup=_markup("depth", f'<div class="pair middle">{near}</div>'))


def _markup(kind: str, more: str) -> str:
    tools = _button("brush", "Brush (B)", _BRUSH, pressed="true") + _button("eraser", "Eraser (E)", _ERASER, pressed="false")
    steps = _button("undo", "Undo (Ctrl+Z)", _UNDO) + _button("redo", "Redo (Ctrl+Shift+Z)", _REDO) + _button("clear", "Clear", _CLEAR)
    size = (
        f'<label for="draw-{kind}-size">Size</label>'
        f'<input type="range" id="draw-{kind}-size" data-draw="size" min="0.005" max="0.3" step="0.005" value="0.02">'
    )
    label = f"Drawing of the {kind}; {_KEYS}"
    return (
        f'<div class="paper"><canvas data-draw="canvas" tabindex="0" role="application" aria-label="{label}"></canvas>'
        f'<i data-draw="ring" hidden></i><p data-draw="empty">{_INVITES[kind]}</p></div>'
        f'<div class="brushes slider" role="toolbar" aria-label="Drawing tools">{tools}{size}{steps}</div>{more}'
    )


_INVITES = {"sketch": "Draw here, or drop a picture", "depth": "Paint what is near here, or drop a picture"}


def _button(name: str, label: str, paths: str, *, pressed: str = "") -> str:
    state = f' aria-pressed="{pressed}"' if pressed else ""
    return f'<button type="button" data-draw="{name}" aria-label="{label}" title="{label}"{state}>{icon(paths)}</button>'
