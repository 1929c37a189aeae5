"""Draws a scene by casting rays: picture, exact depth, what each pixel shows, edges and keypoints. One thread, numpy only.

Deliberately simple light (one sun with a soft edge, a sky fill, contact shadows), a nearly fixed camera: easy to learn, pleasant to see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .figure import figure_solids, skeleton
from .ground import soil
from .palette import PAINT, SKY, Light, linear, toward_light
from .scene import FIGURE, Scene
from .shapes import INF, Array, Box, Cylinder, Solid, dot, solid_of, unit, vector
from .sky import sky

SIZE = 256
FOCAL = 1.0 / np.tan(np.radians(18.0))
SKY_ID, GROUND_ID, FIRST_ID = 0, 1, 2
SUN_POINTS = ((0.0, 0.0), (0.9, 0.3), (-0.3, 0.9), (-0.9, -0.3), (0.3, -0.9), (0.55, -0.55), (-0.55, 0.55))
FINE = ((-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375))
EDGE_STEP = 10.0
JUMP = 0.12


@dataclass(frozen=True)
class Rendering:
    """`picture` uint8 (H, W, 3); `depth` float32 (H, W) along the view axis, inf for sky; `ids` uint8 (H, W): 0 sky, 1 ground, 2+i thing i;
    `edges` uint8 (H, W) 0/255, one pixel wide; `keypoints` float32 (18, 2) in pixels (x, y), or None without a figure."""

    picture: NDArray[np.uint8]
    depth: Array
    ids: NDArray[np.uint8]
    edges: NDArray[np.uint8]
    keypoints: Array | None


@dataclass(frozen=True)
class Camera:
    """A pin-hole camera: `eye` (3, 1) and the orthonormal `right`, `up`, `forward`, each (3, 1)."""

    eye: Array
    right: Array
    up: Array
    forward: Array

    def rays(self, across: Array, down: Array, size: int) -> Array:
        """Unit rays through pixel positions (in pixels of a picture of `size`), shape (3, N)."""
        u = (2 * across / size - 1) / np.float32(FOCAL)
        v = (1 - 2 * down / size) / np.float32(FOCAL)
        return unit(self.forward + self.right * u + self.up * v).astype(np.float32)

    def project(self, points: Array, size: int) -> Array:
        """Pixel positions (N, 2) of world points (3, N)."""
        local = points - self.eye
        depth = dot(local, self.forward)
        u, v = dot(local, self.right) / depth * FOCAL, dot(local, self.up) / depth * FOCAL
        return np.stack([(u + 1) * size / 2, (1 - v) * size / 2], 1).astype(np.float32)


@dataclass(frozen=True)
class Stage:
    """A scene made ready for rays: per thing its solids and a bounding ball, and the light."""

    scene: Scene
    groups: tuple[tuple[Solid, ...], ...]
    balls: tuple[tuple[Array, float], ...]
    light: Light
    toward: Array
    camera: Camera


def camera_of(scene: Scene) -> Camera:
    """The camera, shaken a little by the scene's seed."""
    rng = np.random.default_rng(scene.seed + 13)
    eye = vector(float(rng.uniform(-0.12, 0.12)), 1.36 + float(rng.uniform(-0.05, 0.05)), -5.4)
    forward = unit(vector(0, 0.84, 0) - eye)
    right = unit(vector(float(forward[2, 0]), 0, -float(forward[0, 0])))
    up = np.cross(forward[:, 0], right[:, 0]).reshape(3, 1).astype(np.float32)
    return Camera(eye, right, up, forward)


def stage_of(scene: Scene) -> Stage:
    """Solids, light and camera of a scene."""
    groups: list[tuple[Solid, ...]] = []
    for thing in scene.things:
        if thing.shape == FIGURE:
            groups.append(tuple(figure_solids(thing, scene.seed)))
        else:
            groups.append((solid_of(thing.shape, vector(thing.x, 0, thing.z), thing.radius, thing.yaw),))
    light = SKY[scene.light]
    shake = float(np.random.default_rng(scene.seed + 29).uniform(-0.12, 0.12))
    return Stage(scene, tuple(groups), tuple(_ball(group) for group in groups), light, toward_light(light, shake), camera_of(scene))


def _ball(group: tuple[Solid, ...]) -> tuple[Array, float]:
    """A ball around several solids."""
    low = np.min([solid.centre - solid.bound for solid in group], 0)
    high = np.max([solid.centre + solid.bound for solid in group], 0)
    centre = ((low + high) / 2).astype(np.float32)
    return centre, max(float(np.linalg.norm(solid.centre - centre)) + solid.bound for solid in group)


def _near(centre: Array, radius: float, origin: Array, ray: Array) -> NDArray[np.bool_]:
    """Which rays come within `radius` of `centre`."""
    away = centre - origin
    along = dot(away, ray)
    return (dot(away, away) - along * along < radius * radius) & (along > -radius)


def _columns(rows: Array, index: NDArray[np.int64]) -> Array:
    return rows if rows.shape[1] == 1 else rows[:, index]


def cast(stage: Stage, origin: Array, ray: Array) -> tuple[Array, NDArray[np.int32], NDArray[np.int32]]:
    """Nearest hit among the things: distance (inf: none), thing index, solid index within the thing."""
    count = ray.shape[1]
    best, which, part = np.full(count, INF), np.full(count, -1, np.int32), np.zeros(count, np.int32)
    for number, (group, ball) in enumerate(zip(stage.groups, stage.balls, strict=True)):
        rows = np.flatnonzero(_near(*ball, origin, ray))
        for index, solid in enumerate(group):
            inner = rows
            if len(group) > 1:
                inner = rows[_near(solid.centre, solid.bound, _columns(origin, rows), ray[:, rows])]
            if inner.size == 0:
                continue
            distance = solid.hit(_columns(origin, inner), ray[:, inner])
            closer = distance < best[inner]
            chosen = inner[closer]
            best[chosen], which[chosen], part[chosen] = distance[closer], number, index
    return best, which, part


def _lit(stage: Stage, points: Array) -> Array:
    """Share of the sun that reaches points (3, N), in 0..1."""
    toward = stage.toward
    side = unit(np.cross(toward[:, 0], [0, 1, 0]).reshape(3, 1).astype(np.float32))
    over = np.cross(toward[:, 0], side[:, 0]).reshape(3, 1).astype(np.float32)
    lit = np.ones(points.shape[1], np.float32)
    wide = [ball[1] * 1.05 + 0.45 for ball in stage.balls]
    near = np.zeros(points.shape[1], bool)
    for (centre, _), radius in zip(stage.balls, wide, strict=True):
        near |= _near(centre, radius, points, toward)
    rows = np.flatnonzero(near)
    if rows.size == 0:
        return lit
    start = points[:, rows]
    blocked = np.zeros(rows.size, np.float32)
    for a, b in SUN_POINTS:
        way = unit(toward + (side * np.float32(a) + over * np.float32(b)) * np.float32(stage.light.softness))
        distance, _, _ = cast(stage, start, np.broadcast_to(way, start.shape))
        blocked += np.isfinite(distance)
    lit[rows] = 1 - blocked / len(SUN_POINTS)
    return lit


def _open_sky(stage: Stage, points: Array, own: NDArray[np.int32]) -> Array:
    """How little the things around darken a point: a cheap contact shadow in 0..1."""
    share = np.ones(points.shape[1], np.float32)
    for number, group in enumerate(stage.groups):
        for solid in group:
            away = points - solid.centre
            shade = 0.62 * np.float32(solid.bound) ** 2 / (dot(away, away) + 0.2 * np.float32(solid.bound) ** 2)
            share *= np.where(own == number, 1, 1 - np.clip(shade - 0.12, 0, 0.42 if len(group) == 1 else 0.2))
    return share


def _shade(stage: Stage, points: Array, ray: Array, which: NDArray[np.int32], part: NDArray[np.int32]) -> Array:
    """Linear colour (3, N) of surface points; `which` is -1 on the ground."""
    scene = stage.scene
    paint = np.empty_like(points)
    normal = np.broadcast_to(vector(0, 1, 0), points.shape).copy()
    shine = np.zeros(points.shape[1], np.float32)
    ground = np.flatnonzero(which < 0)
    paint[:, ground] = soil(scene.ground, points[0, ground], points[2, ground])
    for number, (thing, group) in enumerate(zip(scene.things, stage.groups, strict=True)):
        for index, solid in enumerate(group):
            rows = np.flatnonzero((which == number) & (part == index))
            paint[:, rows] = linear(PAINT[thing.colour])
            normal[:, rows] = solid.normal(points[:, rows])
            shine[rows] = 1
    sun, fill = vector(*stage.light.sun), vector(*stage.light.fill)
    facing = np.maximum(dot(normal, stage.toward), 0)
    lit = np.zeros_like(facing)
    front = np.flatnonzero(facing > 0)
    lit[front] = _lit(stage, points[:, front] + normal[:, front] * np.float32(6e-3))
    above = 0.62 + 0.38 * normal[1]
    bounce = fill * linear((200, 200, 200)) * (0.30 * np.maximum(-normal[1], 0) + 0.05)
    low = np.where(which < 0, 1, 1 - 0.35 * np.exp(-np.maximum(points[1], 0) * 5))
    light = sun * (facing * lit) + (fill * above + bounce) * (_open_sky(stage, points, which) * low)
    half = unit(stage.toward - ray)
    gleam = shine * lit * np.maximum(dot(normal, half), 0) ** 48 * 0.32
    rim = shine * 0.05 * (1 - np.maximum(-dot(normal, ray), 0)) ** 3
    return paint * light * np.float32(1.1) + sun * gleam + fill * rim


def trace(stage: Stage, ray: Array) -> tuple[Array, Array, NDArray[np.int32], NDArray[np.int32]]:
    """sRGB colour (3, N) in 0..255, depth (N,), ids (N,) and faces (N,) seen along camera rays."""
    eye = stage.camera.eye
    distance, which, part = cast(stage, eye, ray)
    floor = np.where(ray[1] < -1e-5, -eye[1] / np.minimum(ray[1], -1e-5), INF)
    on_floor = floor < distance
    which = np.where(on_floor, -1, which)
    distance = np.minimum(distance, floor).astype(np.float32)
    colour = sky(stage.scene.light, stage.light, ray)
    seen = np.flatnonzero(np.isfinite(distance))
    points = eye + ray[:, seen] * distance[seen]
    solid = _shade(stage, points, ray[:, seen], which[seen], part[seen])
    haze = np.where(which[seen] < 0, 1 - np.exp(-np.maximum(distance[seen] - 7, 0) * 0.045), 0)
    solid = solid * (1 - haze) + linear(stage.light.horizon) * haze * np.float32(0.9)
    colour[:, seen] = solid
    ids = np.where(np.isfinite(distance), which + FIRST_ID, SKY_ID).astype(np.int32)
    depth = distance * dot(ray, stage.camera.forward)
    facet = np.zeros(ids.shape, np.int32)
    facet[seen] = _facets(stage, points, which[seen])
    return np.clip(colour, 0, 1) ** np.float32(1 / 2.2) * 255, depth.astype(np.float32), ids, facet


def _grid(size: int) -> tuple[Array, Array]:
    line = np.arange(size, dtype=np.float32) + np.float32(0.5)
    down, across = np.meshgrid(line, line, indexing="ij")
    return across.ravel(), down.ravel()


def _rough(colour: Array, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels (H, W) that differ from a neighbour enough to need finer rays."""
    rough = np.zeros(ids.shape, bool)
    for axis in (0, 1):
        step = (np.abs(np.diff(colour, axis=axis + 1)).max(0) > EDGE_STEP) | (np.diff(ids, axis=axis) != 0)
        low, high = [slice(None)] * 2, [slice(None)] * 2
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        rough[tuple(low)] |= step
        rough[tuple(high)] |= step
    return rough


def _outline(ids: NDArray[np.int32], facet: NDArray[np.int32], depth: Array, jump: float) -> NDArray[np.uint8]:
    """One-pixel lines where the thing or its face changes, or the depth within a thing by more than `jump` (a limb before the trunk)."""
    flat = np.where(np.isfinite(depth), depth, 60.0)
    line = np.zeros(ids.shape, bool)
    for axis, later in ((0, np.s_[1:, :]), (1, np.s_[:, 1:])):
        changed = (np.diff(ids, axis=axis) != 0) | (np.diff(facet, axis=axis) != 0)
        line[later] |= changed | ((ids[later] >= FIRST_ID) & (np.abs(np.diff(flat, axis=axis)) > jump))
    return (line * np.uint8(255)).astype(np.uint8)


def _facets(stage: Stage, points: Array, which: NDArray[np.int32]) -> NDArray[np.int32]:
    """A number per flat face of cubes and cylinders, 0 elsewhere."""
    code = np.zeros(points.shape[1], np.int32)
    for number, group in enumerate(stage.groups):
        solid = group[0]
        if isinstance(solid, Box | Cylinder):
            rows = np.flatnonzero(which == number)
            normal = solid.normal(points[:, rows])
            top = normal[1] > 0.9
            code[rows] = top if isinstance(solid, Cylinder) else 1 + top + 10 * (~top * (normal[0] > 0))
    return code


def render(scene: Scene, size: int = SIZE) -> Rendering:
    """Draw a scene at `size` x `size` pixels."""
    stage = stage_of(scene)
    across, down = _grid(size)
    colour, depth, ids, facet = trace(stage, stage.camera.rays(across, down, size))
    shape = (size, size)
    rough = np.flatnonzero(_rough(colour.reshape(3, *shape), ids.reshape(shape)))
    fine = np.concatenate([stage.camera.rays(across[rough] + dx, down[rough] + dy, size) for dx, dy in FINE], 1)
    finer = trace(stage, fine)[0]
    colour[:, rough] = finer.reshape(3, len(FINE), -1).mean(1)
    depth, ids = depth.reshape(shape), ids.reshape(shape)
    figures = [thing for thing in scene.things if thing.shape == FIGURE]
    keypoints = stage.camera.project(skeleton(figures[0], scene.seed), size) if figures else None
    picture = np.ascontiguousarray(colour.reshape(3, *shape).transpose(1, 2, 0) + np.float32(0.5)).astype(np.uint8)
    return Rendering(
        picture, depth, ids.astype(np.uint8), _outline(ids, facet.reshape(shape), depth, JUMP if figures else np.inf), keypoints
    )
