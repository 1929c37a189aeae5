"""Compares what was asked with what the judge sees. All shares are in 0..1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judge.verdict import Found, Verdict
from ..world.scene import Scene

STRAY = 60


def main_thing(verdict: Verdict) -> Found:
    """The largest thing seen, or nothing at all as an empty name."""
    return verdict.things[0] if verdict.things else Found("", "", 0, 0.5, 0.5)


def share(hits: Sequence[bool]) -> float:
    """Mean of yes and no."""
    return float(np.mean(hits)) if hits else float("nan")


def colour_right(scene: Scene, verdict: Verdict) -> bool:
    """The main thing has the colour asked for."""
    return main_thing(verdict).colour == scene.things[0].colour


def shape_right(scene: Scene, verdict: Verdict) -> bool:
    """The main thing has the shape asked for."""
    return main_thing(verdict).shape == scene.things[0].shape


def both_right(scene: Scene, verdict: Verdict) -> bool:
    """Exactly the two colour-shape pairs asked for, and no third thing of size."""
    wanted = sorted((thing.colour, thing.shape) for thing in scene.things)
    seen = sorted((thing.colour, thing.shape) for thing in verdict.things[:2])
    return wanted == seen and all(thing.area < STRAY for thing in verdict.things[2:])


def placed_right(scene: Scene, verdict: Verdict) -> bool:
    """Both pairs are right and, for left and right, on the sides asked for (other relations count as right)."""
    if not both_right(scene, verdict):
        return False
    if scene.relation not in ("left of", "right of"):
        return True
    first, other = verdict.things[0], verdict.things[1]
    if (first.colour, first.shape) != (scene.things[0].colour, scene.things[0].shape):
        first, other = other, first
    return (first.x < other.x) == (scene.relation == "left of")
