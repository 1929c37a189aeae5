"""What a scene consists of, and how random scenes are drawn. Knows no pixels and no words beyond attribute names.

Units: one world unit is about one metre; x points right, y up, z away from the camera; the ground is y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHAPES = ("sphere", "cube", "cone", "cylinder", "torus")
FIGURE = "figure"
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black")
SIZES = ("small", "medium", "large")
GROUNDS = ("grass", "sand", "snow", "stone")
LIGHTS = ("day", "sunset", "night")
RELATIONS = ("next to", "behind", "in front of", "left of", "right of")
POSES = ("standing", "waving", "jumping", "sitting")
FREE = "free"  # a pose without a name, for the skeletons that people drag
INVERSE = {
    "next to": "next to",
    "behind": "in front of",
    "in front of": "behind",
    "left of": "right of",
    "right of": "left of",
}

SINGLE_RADIUS = {"small": 0.45, "medium": 0.70, "large": 1.0}
PAIR_RADIUS = {"small": 0.36, "medium": 0.54, "large": 0.74}
FIGURE_SCALE = {"small": 0.74, "medium": 0.98, "large": 1.22}
SIZE_ODDS = (0.2, 0.6, 0.2)
KIND_ODDS = {"single": 0.50, "pair": 0.38, "figure": 0.12}


@dataclass(frozen=True)
class Thing:
    """One object. `radius` is half its height (for a figure: its scale), `yaw` is in radians, `pose` is '' unless a figure."""

    shape: str
    colour: str
    size: str
    x: float
    z: float
    radius: float
    yaw: float
    pose: str = ""


@dataclass(frozen=True)
class Scene:
    """Everything that decides a picture. `relation` says where things[0] is, seen from things[1]; '' for one thing."""

    things: tuple[Thing, ...]
    relation: str
    ground: str
    light: str
    seed: int


def sample_scene(seed: int, kind: str = "") -> Scene:
    """A random scene, the same for the same seed; `kind` ('single', 'pair', 'figure') may be forced."""
    rng = np.random.default_rng(seed)
    drawn = str(rng.choice(list(KIND_ODDS), p=list(KIND_ODDS.values())))
    ground, light = str(rng.choice(GROUNDS)), str(rng.choice(LIGHTS))
    things: tuple[Thing, ...]
    relation = ""
    match kind or drawn:
        case "pair":
            things, relation = _pair(rng)
        case "figure":
            things = (_figure(rng),)
        case _:
            things = (_single(rng),)
    return Scene(things=things, relation=relation, ground=ground, light=light, seed=seed)


def sample_posed(seed: int) -> Scene:
    """A figure whose limbs are anywhere; captions have no word for it."""
    scene = sample_scene(seed, "figure")
    return replace(scene, things=(replace(scene.things[0], pose=FREE),))


def sample_large(seed: int) -> Scene:
    """One large thing. Spheres and cubes, four of ten each, are those that one sees bent first."""
    scene = sample_scene(seed, "single")
    rng = np.random.default_rng((seed, 1))
    lot = rng.random()
    thing = replace(
        scene.things[0],
        shape="sphere" if lot < 0.3 else "cube" if lot < 0.6 else scene.things[0].shape,
        size="large",
        radius=SINGLE_RADIUS["large"] * float(rng.uniform(0.94, 1.06)),
    )
    return replace(scene, things=(thing,))


def _single(rng: np.random.Generator) -> Thing:
    size = str(rng.choice(SIZES, p=SIZE_ODDS))
    return Thing(
        shape=str(rng.choice(SHAPES)),
        colour=str(rng.choice(COLOURS)),
        size=size,
        x=float(rng.uniform(-0.28, 0.28)),
        z=float(rng.uniform(-0.15, 0.25)),
        radius=SINGLE_RADIUS[size] * float(rng.uniform(0.94, 1.06)),
        yaw=float(rng.uniform(-0.5, 0.5)),
    )


def _figure(rng: np.random.Generator) -> Thing:
    size = str(rng.choice(SIZES, p=SIZE_ODDS))
    return Thing(
        shape=FIGURE,
        colour=str(rng.choice(COLOURS)),
        size=size,
        x=float(rng.uniform(-0.25, 0.25)),
        z=float(rng.uniform(-0.1, 0.2)),
        radius=FIGURE_SCALE[size] * float(rng.uniform(0.96, 1.04)),
        yaw=float(rng.uniform(-0.45, 0.45)),
        pose=str(rng.choice(POSES)),
    )


def _pair(rng: np.random.Generator) -> tuple[tuple[Thing, Thing], str]:
    relation = str(rng.choice(RELATIONS))
    sizes = [str(rng.choice(SIZES, p=SIZE_ODDS)) for _ in range(2)]
    radii = [PAIR_RADIUS[size] * float(rng.uniform(0.95, 1.05)) for size in sizes]
    first, second = _places(relation, radii, rng)
    colours = _two_colours(rng)
    things = [
        Thing(
            shape=str(rng.choice(SHAPES)),
            colour=colours[index],
            size=sizes[index],
            x=place[0],
            z=place[1],
            radius=radii[index],
            yaw=float(rng.uniform(-0.5, 0.5)),
        )
        for index, place in enumerate((first, second))
    ]
    return (things[0], things[1]), relation


def _two_colours(rng: np.random.Generator) -> list[str]:
    """Two colours, different in nine of ten scenes, so that binding has to be learned."""
    first, second = (str(colour) for colour in rng.choice(COLOURS, 2, replace=False))
    return [first, second if rng.random() < 0.9 else first]


def _places(relation: str, radii: list[float], rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float]]:
    """(x, z) of the first and second thing; both stay visible, and the pair stays near the middle."""
    gap = radii[0] + radii[1] + float(rng.uniform(0.12, 0.3))
    middle, depth = float(rng.uniform(-0.1, 0.1)), float(rng.uniform(-0.1, 0.2))
    side = float(rng.choice((-1.0, 1.0)))
    if relation in ("behind", "in front of"):
        away = 1.0 if relation == "behind" else -1.0
        across, apart = gap * float(rng.uniform(0.68, 0.82)), gap * 0.95
        first = (middle + side * across / 2, depth + 0.2 + away * apart / 2)
        return first, (middle - side * across / 2, depth + 0.2 - away * apart / 2)
    if relation != "next to":
        side = -1.0 if relation == "left of" else 1.0
    slope = float(rng.uniform(-0.12, 0.12))
    return (middle + side * gap / 2, depth + slope), (middle - side * gap / 2, depth - slope)
