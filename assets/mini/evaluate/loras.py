"""Rows of the style LoRAs: the style shows at weight 1 and not at weight 0, and what the prompt asks for stays.

Drawn by the studio itself: diffusers 0.42 with transformers 5 passes over the text encoder's attention layers of kohya's keys.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio import GenerationRequest, LoraUse, open_studio
from studio.service import Studio

from ..export import LORAS
from ..judge.network import Judge
from ..judge.style import WEIGHTS, StyleReader, load_style_reader, styles_of
from ..judge.verdict import load_judge, look
from ..world.render import render
from ..world.styles import STYLES, Style
from .measures import colour_right, shape_right, share
from .prompts import Ask, asks
from .rows import Row, missing, percent
from .sampling import Settings

SCHEDULER = "DPM++ 2M"
BOUND = ">= 95 % / <= 3 %, right >= 85 %"


def _right(judge: Judge, wanted: list[Ask], pictures: NDArray[np.uint8]) -> float:
    verdicts = look(judge, pictures)
    return share([colour_right(ask.scene, seen) and shape_right(ask.scene, seen) for ask, seen in zip(wanted, verdicts, strict=True)])


def draw_styled(studio: Studio, style: Style, wanted: list[Ask], weight: float, settings: Settings) -> NDArray[np.uint8]:
    """Pictures of the prompts with the trigger words before them, uint8 (N, 256, 256, 3)."""
    requests = [
        GenerationRequest(
            prompt=f"{style.trigger}, {ask.prompt}",
            seed=ask.seed,
            steps=settings.steps,
            guidance_scale=settings.guidance,
            scheduler=SCHEDULER,
            loras=(LoraUse(name=style.name, weight=weight),),
        )
        for ask in wanted
    ]
    return np.stack([np.asarray(studio.submit(request).result().images[0]) for request in requests])


@dataclass(frozen=True)
class Readers:
    """What looks at the pictures: the judge for things, the other for styles."""

    judge: Judge
    styles: StyleReader


def style_row(studio: Studio, style: Style, readers: Readers, count: int, settings: Settings) -> Row:
    """One LoRA at weights 1 and 0."""
    wanted, judge, reader = asks("single", count), readers.judge, readers.styles
    made = [draw_styled(studio, style, wanted, weight, settings) for weight in (1.0, 0.0)]
    drawn = [render(ask.scene) for ask in wanted]
    restyled = np.stack([style.restyle(rendering.picture, rendering.ids) for rendering in drawn])
    on, off, ceiling = (share([name == style.name for name in styles_of(reader, side)]) for side in (*made, restyled))
    found = f"{percent(on)} / {percent(off)}, right {percent(_right(judge, wanted, made[0]))}"
    return Row(_measure(style), BOUND, found, f"{percent(ceiling)}, right {percent(_right(judge, wanted, restyled))}")


def _measure(style: Style) -> str:
    return f"LoRA {style.name}: style seen at weight 1 / 0, colour and shape right at 1"


def lora_rows(count: int, settings: Settings) -> list[Row]:
    """Every LoRA that is there; the others, or all without a reader of styles, as not trained yet."""
    there = [style.name for style in STYLES.values() if WEIGHTS.exists() and (LORAS / f"{style.name}.safetensors").exists()]
    rows = {style.name: missing(_measure(style), BOUND) for style in STYLES.values()}
    if there:
        # Before the studio begins to read its model: modules that are made meanwhile come out without weights.
        readers = Readers(load_judge(), load_style_reader())
        precision = str(settings.dtype).removeprefix("torch.")
        with tempfile.TemporaryDirectory() as folder, open_studio(data_dir=folder, precision=precision) as studio:
            rows |= {name: style_row(studio, STYLES[name], readers, count, settings) for name in there}
    return list(rows.values())
