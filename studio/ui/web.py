"""The page's own style sheet and scripts, read from the `web` folder when the page is built."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "web"
_SCRIPTS = (
    *(
        "words.js",
        "core.js",
        "draft.js",
        "timeline.js",
        "fields.js",
        "header.js",
        "proof.js",
        "recall.js",
        "addresses.js",
        "following.js",
        "stage.js",
        "history_tiles.js",
        "history.js",
        "compare.js",
    ),
    *("control.js", "control_drawings.js", "control_settings.js", "control_map.js", "control_picture.js"),
    *("canvas.js", "pose_value.js", "pose_import.js", "pose.js", "loras.js"),
    *("presets.js", "preset_sheets.js"),
    "guests.js",
)
_STYLES = ("page.css", "presets.css", "recall.css", "history.css", "guests.css")
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%235b7cfa'/%3E%3Ccircle cx='8' cy='8' r='4' fill='white'/%3E%3C/svg%3E"
)


def style_sheet() -> str:
    """Return the page's style sheet."""
    return "\n".join(text(name) for name in _STYLES)


def head() -> str:
    """Return what goes into the page's `<head>`: the scripts, before any widget runs, and an icon that needs no request."""
    scripts = "\n".join(text(name) for name in _SCRIPTS)
    return f'<link rel="icon" href="{ICON}"><script>{scripts}</script>'


def text(name: str) -> str:
    """Return one of the files."""
    return (_FOLDER / name).read_text(encoding="utf-8")
