"""The page's texts in other languages: tables beside this file, by English text, which travel to the page as gradio's `I18n`.

A table is `{"English": {"de": ..., "zh-CN": ..., "ja": ...}}`. Braces hold what changes: `{n}` (one letter) a number, `{name}` any
text, `{=kind}` a text that has an entry of its own. `web/words.js` exchanges the texts; one without an entry stays English.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import gradio as gr

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "zh-CN": "中文", "ja": "日本語"}
"""Language tag to the language's own name, in the order of the picker."""
Tables = Mapping[str, Mapping[str, str]]
_FOLDER = Path(__file__).parent


def tables(*names: str) -> Tables:
    """Return language to (English text to text), of the files named, or of all of them."""
    files = [_FOLDER / f"{name}.json" for name in names] or sorted(_FOLDER.glob("*.json"))
    rows: dict[str, dict[str, str]] = {}
    for file in files:
        rows |= json.loads(file.read_text(encoding="utf-8"))
    english = {text: text for text in rows}
    others = {tag: {text: row[tag] for text, row in rows.items() if tag in row} for tag in LANGUAGES if tag != "en"}
    return {"en": english, **others}


def translations() -> gr.I18n:
    """Return all texts as gradio carries them to the page."""
    return gr.I18n(**{language: dict(texts) for language, texts in tables().items()})
