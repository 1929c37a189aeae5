"""Rows of the ControlNets: how well pictures obey a map, beside the same prompts and seeds without one and the judge on renderings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ..export import CONTROLNETS
from ..judge.depth import WEIGHTS, load_depth_reader, read_depth
from ..judge.verdict import load_judge, object_masks
from ..world.maps import canny, draw_pose, joints, nearness, survey
from ..world.render import FIRST_ID, Rendering, render
from ..world.scene import FIGURE, Scene, sample_posed
from .prompts import FIRST, Ask, asks, describe
from .rows import Row, missing
from .sampling import Settings, draw, load_control_pipeline

REACH = 2
AROUND = 9
Pictures = NDArray[np.uint8]
WANTED = {
    "sketch": "sketch: edge F1 within 2 px",
    "soft": "the same, against the edges of the rendering as the autoencoder gives it back",
    "depth": "depth: object-mask IoU",
    "order": "depth: rank correlation of depth without the sky",
    "near": "the same, in and around the things only",
    "pose": "pose: figure-mask IoU, poses that have a word",
    "free": "pose: figure-mask IoU, limbs anywhere",
}
BOUNDS = {
    "sketch": ">= 0.80 against <= 0.35",
    "soft": "-",
    "depth": ">= 0.85",
    "order": ">= 0.9",
    "near": "-",
    "pose": ">= 0.70",
    "free": "-",
}


@dataclass(frozen=True)
class Steered:
    """Pictures of the same prompts and seeds with and without the map, and the renderings that the maps come from."""

    made: Pictures
    free: Pictures
    drawn: list[Rendering]

    @property
    def rendered(self) -> Pictures:
        """The renderings' pictures, uint8 (N, 256, 256, 3)."""
        return np.stack([rendering.picture for rendering in self.drawn])

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Where the renderings' things are, bool (N, 64, 64)."""
        return np.stack([rendering.ids[2::4, 2::4] >= FIRST_ID for rendering in self.drawn])


def edge_f1(found: Pictures, wanted: Pictures, reach: float = REACH) -> float:
    """F1 of edges (H, W) 0/255: an edge pixel is right when the other map has one within `reach` pixels."""
    if not found.any() or not wanted.any():
        return 0.0
    to_found, to_wanted = (cv2.distanceTransform((edges == 0).astype(np.uint8), cv2.DIST_L2, 5) for edges in (found, wanted))
    precision, recall = float((to_wanted[found > 0] <= reach).mean()), float((to_found[wanted > 0] <= reach).mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def overlap(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """Mean intersection over union of masks (N, H, W)."""
    both, either = (found & wanted).sum((1, 2)), (found | wanted).sum((1, 2))
    return float(np.mean(both / np.maximum(either, 1)))


def agreement(found: NDArray[np.float32], wanted: NDArray[Any], where: NDArray[np.bool_]) -> float:
    """Mean rank correlation of depth maps (N, H, W) over the pixels of `where`."""
    return float(np.mean([spearmanr(a[m], b[m]).statistic for a, b, m in zip(found, wanted, where, strict=True)]))


def steer(pipeline: Any, kind: str, wanted: list[Ask], settings: Settings) -> Steered:
    """Draw prompts with and without maps of one kind."""
    drawn = [render(ask.scene) for ask in wanted]
    maps = np.stack([map_of(kind, ask.scene, rendering) for ask, rendering in zip(wanted, drawn, strict=True)])
    prompts, seeds = [ask.prompt for ask in wanted], [ask.seed for ask in wanted]
    control = load_control_pipeline(CONTROLNETS / kind, settings.dtype)
    return Steered(draw(control, prompts, seeds, settings, maps), draw(pipeline, prompts, seeds, settings), drawn)


def map_of(kind: str, scene: Scene, rendering: Rendering) -> Pictures:
    """The exact map of a scene as three channels, uint8 (256, 256, 3)."""
    if kind == "pose":
        return draw_pose([joints(scene)])
    flat = canny(rendering.picture) if kind == "sketch" else nearness(rendering.depth)
    return np.repeat(flat[..., None], 3, 2)


def _row(name: str, scores: tuple[float, float], ceiling: float) -> Row:
    return Row(WANTED[name], BOUNDS[name], f"{scores[0]:.3f} (without control {scores[1]:.3f})", f"{ceiling:.3f}")


def round_trip(pipeline: Any, pictures: Pictures) -> Pictures:
    """Pictures as the autoencoder gives them back: the best that any latents could show."""
    rows: list[Pictures] = []
    for start in range(0, len(pictures), 8):
        raw = torch.from_numpy(pictures[start : start + 8]).permute(0, 3, 1, 2).to(pipeline.vae.dtype) / 127.5 - 1
        with torch.no_grad():
            back = pipeline.vae.decode(pipeline.vae.encode(raw).latent_dist.mean).sample.float().clamp(-1, 1)
        rows.append(((back + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(rows)


def sketch_rows(pipeline: Any, count: int, settings: Settings) -> list[Row]:
    """Canny edges of single things and pairs, against Canny edges of the result.

    The second row takes the autoencoder's softness out of the measure: it leaves some edges of any picture below Canny's thresholds.
    """
    seen = steer(pipeline, "sketch", [*asks("single", count // 2), *asks("pair", count - count // 2)], settings)
    soft, rows = round_trip(pipeline, seen.rendered), []

    def score(pictures: Pictures, goal: Pictures) -> float:
        return float(np.mean([edge_f1(canny(found), canny(wanted)) for found, wanted in zip(pictures, goal, strict=True)]))

    for name, goal in (("sketch", seen.rendered), ("soft", soft)):
        rows.append(_row(name, (score(seen.made, goal), score(seen.free, goal)), score(soft, goal)))
    return rows


def depth_rows(pipeline: Any, count: int, settings: Settings) -> list[Row]:
    """Masks by the judge; depth by a reader trained on renderings."""
    wanted = [*asks("single", count // 2), *asks("pair", count - count // 2)]
    seen, judge = steer(pipeline, "depth", wanted, settings), load_judge()
    sides = (seen.made, seen.free, seen.rendered)
    made, free, ceiling = (overlap(object_masks(judge, side), seen.masks) for side in sides)
    rows = [_row("depth", (made, free), ceiling)]
    if not WEIGHTS.exists():
        return [*rows, missing(WANTED["order"], BOUNDS["order"])]
    exact = np.stack([nearness(survey(ask.scene, seen.masks.shape[1])) for ask in wanted])
    reader, brush = load_depth_reader(), np.ones((AROUND, AROUND), np.uint8)
    near = np.stack([cv2.dilate(mask.astype(np.uint8), brush) > 0 for mask in seen.masks])
    for name, where in (("order", exact > 0), ("near", near)):
        made, free, ceiling = (agreement(read_depth(reader, side), exact, where) for side in sides)
        rows.append(_row(name, (made, free), ceiling))
    return rows


def _silent(scene: Scene, seed: int) -> Ask:
    """A prompt that does not say the pose, so that only the skeleton can."""
    still = replace(scene, things=(replace(scene.things[0], pose=""),))
    return Ask(describe(still), scene, seed)


def pose_rows(pipeline: Any, count: int, settings: Settings) -> list[Row]:
    """Figures in poses that have a word, and in any."""
    judge, rows = load_judge(), []
    free = [_silent(sample_posed(FIRST + 300_000 + index), FIRST + 300_000 + index) for index in range(count)]
    for name, wanted in (("pose", [_silent(ask.scene, ask.seed) for ask in asks("figure", count)]), ("free", free)):
        seen = steer(pipeline, "pose", wanted, settings)
        made, alone, ceiling = (overlap(object_masks(judge, side, FIGURE), seen.masks) for side in (seen.made, seen.free, seen.rendered))
        rows.append(_row(name, (made, alone), ceiling))
    return rows


MEASURES: dict[str, Callable[[Any, int, Settings], list[Row]]] = {"sketch": sketch_rows, "depth": depth_rows, "pose": pose_rows}


def control_rows(pipeline: Any, count: int, settings: Settings) -> list[Row]:
    """Every ControlNet that is there; the others as not trained yet."""
    rows: list[Row] = []
    for kind, measure in MEASURES.items():
        there = (CONTROLNETS / kind / "config.json").exists()
        rows += measure(pipeline, count, settings) if there else [missing(WANTED[kind], BOUNDS[kind])]
    return rows
