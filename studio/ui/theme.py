"""Gradio's theme, kept to what our style sheet does not replace: system fonts, no request for any other."""

import gradio as gr

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Return the theme; colours live in `web/page.css`."""
    return gr.themes.Base(font=list(FONTS), font_mono=list(MONO))
