"""A grid of samples with their prompts beneath, for people to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .prompts import asks
from .sampling import Settings, draw, load_pipeline

COLUMNS = 6
STRIP = 30


def write_sheet(out: Path, count: int = 24, settings: Settings | None = None) -> None:
    """Draw `count` prompts (singles, pairs, figures in turn) into one picture."""
    kinds = ("single", "pair", "pair", "single", "figure", "pair")
    wanted = [asks(kind, index + 1)[index] for index, kind in ((number, kinds[number % len(kinds)]) for number in range(count))]
    chosen = settings or Settings()
    pictures = draw(load_pipeline(chosen.dtype), [ask.prompt for ask in wanted], [ask.seed for ask in wanted], chosen)
    side = pictures.shape[1]
    rows = -(-count // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side, rows * (side + STRIP)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (ask, picture) in enumerate(zip(wanted, pictures, strict=True)):
        left, top = index % COLUMNS * side, index // COLUMNS * (side + STRIP)
        sheet.paste(Image.fromarray(np.asarray(picture)), (left, top))
        words = ask.prompt.split()
        pen.text((left + 3, top + side + 2), " ".join(words[: len(words) // 2 + 1]), fill="black")
        pen.text((left + 3, top + side + 14), " ".join(words[len(words) // 2 + 1 :]), fill="black")
    sheet.save(out)
