"""What the ControlNets are shown: edges, depth and pose of a scene, drawn as the usual annotators draw them, and as people would by hand.

Maps are uint8 at the picture's size: edges white on black (H, W), depth near = bright (H, W), pose in OpenPose's colours (H, W, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .figure import KEYPOINTS, skeleton
from .render import FIRST_ID, SIZE, cast, stage_of
from .scene import FIGURE, Scene
from .shapes import INF, Array, dot

Map = NDArray[np.uint8]
LOW, HIGH = 100, 200
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
HALF_WIDTH = 4
DIMMED = 0.6


def canny(picture: Map, low: int = LOW, high: int = HIGH) -> Map:
    """Canny's edges of a picture (H, W, 3), with the thresholds that annotators start from."""
    return cv2.Canny(np.ascontiguousarray(picture), low, high).astype(np.uint8)


def outlines(ids: Map, rng: np.random.Generator) -> Map:
    """The closed outline of every thing as a hand draws it: 1 to 5 pixels wide, a little off, sometimes with a gap or the horizon."""
    drawn = np.zeros(ids.shape, np.uint8)
    width = int(rng.integers(1, 6))
    for number in np.unique(ids[ids >= FIRST_ID]):
        found, _ = cv2.findContours((ids == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for contour in found:
            if len(contour) >= 12:
                _stroke(drawn, contour[:, 0].astype(np.float32), width, rng)
    if rng.random() < 0.3:
        horizon = (ids == 0).sum(0).astype(np.float32)
        _stroke(drawn, np.stack([np.arange(ids.shape[1], dtype=np.float32), horizon], 1)[(ids == 0).any(0)], width, rng, closed=False)
    return drawn


def _stroke(drawn: Map, points: Array, width: int, rng: np.random.Generator, closed: bool = True) -> None:
    """Draw a line through points (N, 2), swaying slowly; one in three has a part missing."""
    if len(points) < 2:
        return
    along = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
    sway = float(rng.uniform(0, 1.2))
    for axis in (0, 1):
        for wave in (1, 2, 4):
            points[:, axis] += sway * np.sin(wave * along + float(rng.uniform(0, 6.3))) / wave
    if rng.random() < 0.33:
        missing = int(len(points) * float(rng.uniform(0.03, 0.25)))
        points, closed = np.roll(points, int(rng.integers(len(points))) if closed else 0, 0)[missing:], False
    cv2.polylines(drawn, [points.round().astype(np.int32)], closed, 255, width, cv2.LINE_AA if rng.random() < 0.5 else cv2.LINE_8)


def sketch(edges: Map, picture: Map, ids: Map, rng: np.random.Generator) -> Map:
    """One of the maps that a sketch may be: exact edges, edges at other thresholds, thick or partly wiped edges, or outlines by hand."""
    kind = rng.random()
    if kind < 0.40:
        return edges
    if kind < 0.50:
        low = int(rng.integers(40, 150))
        return canny(picture, low, 2 * low)
    if kind < 0.62:
        side = int(rng.integers(2, 5))
        return cv2.dilate(edges, np.ones((side, side), np.uint8)).astype(np.uint8)
    if kind < 0.70:
        return _wiped(edges, rng)
    return outlines(ids, rng)


def _wiped(edges: Map, rng: np.random.Generator) -> Map:
    """Edges with up to four discs rubbed out."""
    left = edges.copy()
    for _ in range(int(rng.integers(1, 5))):
        middle = rng.integers(0, edges.shape[0], 2)
        cv2.circle(left, (int(middle[0]), int(middle[1])), int(rng.integers(8, 40)), 0, -1)
    return left


def survey(scene: Scene, size: int = SIZE) -> Array:
    """Depth along the view axis without drawing the scene, float32 (size, size), inf for sky."""
    stage = stage_of(scene)
    line = np.arange(size, dtype=np.float32) + np.float32(0.5)
    down, across = np.meshgrid(line, line, indexing="ij")
    ray = stage.camera.rays(across.ravel(), down.ravel(), size)
    distance = cast(stage, stage.camera.eye, ray)[0]
    floor = np.where(ray[1] < -1e-5, -stage.camera.eye[1] / np.minimum(ray[1], -1e-5), INF)
    depth = np.minimum(distance, floor) * dot(ray, stage.camera.forward)
    return depth.reshape(size, size).astype(np.float32)


def nearness(depth: Array) -> Map:
    """Depth as MiDaS gives it: one over the distance, stretched to 0..255 for each picture; sky is the darkest."""
    near = np.where(np.isfinite(depth), 1 / np.maximum(depth, 1e-3), 0)
    low, high = float(near.min()), float(near.max())
    return ((near - low) / max(high - low, 1e-9) * 255).clip(0, 255).astype(np.uint8)


def vary_depth(near: Map, ids: Map, rng: np.random.Generator) -> Map:
    """A depth map as another estimator or a person might give it: softer, with other contrast, or things alone on black."""
    if rng.random() < 0.3:
        return near
    share = near.astype(np.float32) / 255
    if rng.random() < 0.12:
        share = np.where(ids >= FIRST_ID, share, 0)
    share = share ** np.float32(rng.uniform(0.6, 1.6)) * np.float32(rng.uniform(0.75, 1.0))
    if rng.random() < 0.4:
        share = cv2.GaussianBlur(share, (0, 0), float(rng.uniform(0.5, 2.5)))
    return (share * 255).clip(0, 255).astype(np.uint8)


def joints(scene: Scene, size: int = SIZE) -> Array:
    """The figure's 18 joints in pixels (x, y), float32 (18, 2)."""
    figure = next(thing for thing in scene.things if thing.shape == FIGURE)
    return stage_of(scene).camera.project(skeleton(figure, scene.seed), size)


def hide(points: Array, rng: np.random.Generator) -> Array:
    """Joints as a detector or a person leaves them: now and then a few are missing (NaN), or the whole face but the nose."""
    kept = points.copy()
    if rng.random() < 0.15:
        kept[14:] = np.nan
    if rng.random() < 0.25:
        kept[rng.choice(KEYPOINTS, int(rng.integers(1, 4)), replace=False)] = np.nan
    return kept


def hue(index: int) -> tuple[int, int, int]:
    """OpenPose's colour of a joint or limb: steps of 20 degrees round the colour circle, from red (RGB)."""
    sector, rest = divmod(index % 18, 3)
    rise, fall = rest * 85, 255 - rest * 85
    return ((255, rise, 0), (fall, 255, 0), (0, 255, rise), (0, fall, 255), (rise, 0, 255), (255, 0, fall))[sector]


def draw_pose(people: Sequence[Array], size: int = SIZE) -> Map:
    """Skeletons as controlnet-aux draws them, (size, size, 3): limbs as dimmed ellipses, joints as discs; a NaN joint is left out.

    A joint is (x, y) in pixels. Like there, all of a person's limbs lie below its joints.
    """
    drawn = np.zeros((size, size, 3), np.uint8)
    for points in people:
        seen = [bool(np.isfinite(point).all()) for point in points]
        for index, (start, end) in enumerate(LIMBS):
            if seen[start] and seen[end]:
                colour = [int(part * DIMMED) for part in hue(index)]
                cv2.fillConvexPoly(drawn, _ellipse(points[start].astype(np.float64), points[end].astype(np.float64)), colour)
        for index, point in enumerate(points):
            if seen[index]:
                cv2.circle(drawn, (int(point[0]), int(point[1])), HALF_WIDTH, hue(index), -1)
    return drawn


def _ellipse(start: Array, end: Array) -> NDArray[np.int32]:
    """Corner points of a limb from joint to joint."""
    middle, way = (start + end) / 2, start - end
    axes = (int(np.hypot(way[0], way[1]) / 2), HALF_WIDTH)
    turned = int(np.degrees(np.arctan2(way[1], way[0])))
    return np.asarray(cv2.ellipse2Poly((int(middle[0]), int(middle[1])), axes, turned, 0, 360, 1), np.int32)
