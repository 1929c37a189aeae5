"""Grids of samples with their prompts beneath, for people to look at: of the base, of maps with what followed them, of styles."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from studio import open_studio

from ..export import CONTROLNETS
from ..world.render import render
from ..world.styles import STYLES
from .control import map_of
from .loras import draw_styled
from .prompts import Ask, asks
from .sampling import Settings, draw, load_control_pipeline, load_pipeline

COLUMNS = 6
STRIP = 30
STEERED = {"sketch": ("single", "pair", "pair"), "depth": ("pair", "single", "pair"), "pose": ("figure",) * 3}
Cell = tuple[NDArray[np.uint8], str]


def write_sheet(out: Path, members: str, count: int = 24) -> None:
    """Draw samples of `base`, `controlnets` or `loras` into one picture; `count` prompts of the base."""
    match members:
        case "controlnets":
            cells = steered_cells()
        case "loras":
            cells = styled_cells()
        case _:
            cells = base_cells(count)
    lay_out(cells).save(out, optimize=True)


def chosen(kind: str, number: int) -> Ask:
    """Return the prompt of a kind with this number."""
    return asks(kind, number + 1)[number]


def base_cells(count: int) -> list[Cell]:
    """Singles, pairs and figures in turn."""
    kinds = ("single", "pair", "pair", "single", "figure", "pair")
    wanted = [chosen(kinds[number % len(kinds)], number) for number in range(count)]
    pictures = draw(load_pipeline(), [ask.prompt for ask in wanted], [ask.seed for ask in wanted], Settings())
    return [(picture, ask.prompt) for ask, picture in zip(wanted, pictures, strict=True)]


def steered_cells() -> list[Cell]:
    """A row a ControlNet: maps, each before the picture that followed it."""
    cells: list[Cell] = []
    for kind, kinds in STEERED.items():
        wanted = [chosen(each, number) for number, each in enumerate(kinds)]
        maps = np.stack([map_of(kind, ask.scene, render(ask.scene)) for ask in wanted])
        pipeline = load_control_pipeline(CONTROLNETS / kind)
        pictures = draw(pipeline, [ask.prompt for ask in wanted], [ask.seed for ask in wanted], Settings(), maps)
        for ask, drawn, picture in zip(wanted, maps, pictures, strict=True):
            cells += [(drawn, kind), (picture, ask.prompt)]
    return cells


def styled_cells() -> list[Cell]:
    """The same prompts in every style, a row a LoRA."""
    wanted = [chosen("single" if number % 2 else "pair", number) for number in range(COLUMNS)]
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as folder, open_studio(data_dir=folder) as studio:
        for style in STYLES.values():
            pictures = draw_styled(studio, style, wanted, 1.0, Settings())
            cells += [(picture, f"{style.trigger}, {ask.prompt}") for ask, picture in zip(wanted, pictures, strict=True)]
    return cells


def lay_out(cells: list[Cell]) -> Image.Image:
    """Put pictures (H, H, 3) into rows of COLUMNS, their words in two lines beneath."""
    side = cells[0][0].shape[0]
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side, rows * (side + STRIP)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (picture, text) in enumerate(cells):
        left, top = index % COLUMNS * side, index // COLUMNS * (side + STRIP)
        sheet.paste(Image.fromarray(np.asarray(picture)), (left, top))
        words = text.split()
        pen.text((left + 3, top + side + 2), " ".join(words[: len(words) // 2 + 1]), fill="black")
        pen.text((left + 3, top + side + 14), " ".join(words[len(words) // 2 + 1 :]), fill="black")
    return sheet
