"""Rows of the style LoRAs: the style shows at weight 1 and not at weight 0, and what the prompt asks for stays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..export import LORAS
from ..judge.style import WEIGHTS, StyleJudge, load_style_judge, styles_of
from ..judge.verdict import look
from ..world.render import render
from ..world.styles import STYLES, Style
from .measures import colour_right, shape_right, share
from .prompts import Ask, asks
from .rows import Row, missing, percent
from .sampling import Settings, draw, load_pipeline

BOUND = ">= 95 % / <= 3 %, right >= 85 %"


def _right(judge: StyleJudge, wanted: list[Ask], pictures: NDArray[np.uint8]) -> float:
    verdicts = look(judge.facts, pictures)
    return share([colour_right(ask.scene, seen) and shape_right(ask.scene, seen) for ask, seen in zip(wanted, verdicts, strict=True)])


def style_row(style: Style, judge: StyleJudge, count: int, settings: Settings) -> Row:
    """One LoRA, loaded by the stock pipeline, at weights 1 and 0."""
    wanted = asks("single", count)
    pipeline: Any = load_pipeline(settings.dtype)
    pipeline.load_lora_weights(LORAS, weight_name=f"{style.name}.safetensors", adapter_name=style.name)
    prompts, seeds = [f"{style.trigger}, {ask.prompt}" for ask in wanted], [ask.seed for ask in wanted]
    made: list[NDArray[np.uint8]] = []
    for weight in (1.0, 0.0):
        pipeline.set_adapters([style.name], [weight])
        made.append(draw(pipeline, prompts, seeds, settings))
    drawn = [render(ask.scene) for ask in wanted]
    restyled = np.stack([style.restyle(rendering.picture, rendering.ids) for rendering in drawn])
    on, off, ceiling = (share([name == style.name for name in styles_of(judge, side)]) for side in (*made, restyled))
    found = f"{percent(on)} / {percent(off)}, right {percent(_right(judge, wanted, made[0]))}"
    return Row(_measure(style), BOUND, found, f"{percent(ceiling)}, right {percent(_right(judge, wanted, restyled))}")


def _measure(style: Style) -> str:
    return f"LoRA {style.name}: style seen at weight 1 / 0, colour and shape right at 1"


def lora_rows(count: int, settings: Settings) -> list[Row]:
    """Every LoRA that is there; the others, or all without a style judge, as not trained yet."""
    judge = load_style_judge() if WEIGHTS.exists() else None
    return [
        style_row(style, judge, count, settings)
        if judge is not None and (LORAS / f"{style.name}.safetensors").exists()
        else missing(_measure(style), BOUND)
        for style in STYLES.values()
    ]
