"""Ray intersection with the solids of the world, vectorised. Rays are float32 arrays of shape (3, N); distances (N,), inf for a miss.

Formulas: quadric roots; capsule after Inigo Quilez's published intersector; the torus is sphere-traced inside its bounding sphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
INF = np.float32(np.inf)
TORUS_STEPS = 26
TORUS_TUBE = 0.32


class Solid(Protocol):
    """What the renderer needs from a solid."""

    @property
    def centre(self) -> Array: ...
    @property
    def bound(self) -> float: ...
    def hit(self, origin: Array, ray: Array) -> Array: ...
    def normal(self, point: Array) -> Array: ...


def vector(*values: float) -> Array:
    """A (3, 1) column, ready to broadcast against (3, N)."""
    return np.asarray(values, np.float32).reshape(3, 1)


def dot(left: Array, right: Array) -> Array:
    """Row-wise scalar product of (3, N) arrays."""
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]


def unit(rows: Array) -> Array:
    """Columns scaled to length one."""
    return rows / np.sqrt(np.maximum(dot(rows, rows), 1e-12))


def turn(rows: Array, yaw: float) -> Array:
    """Rotate (3, N) columns about the vertical axis by `yaw` radians."""
    cos, sin = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    return np.stack([cos * rows[0] + sin * rows[2], np.broadcast_to(rows[1], rows[0].shape), cos * rows[2] - sin * rows[0]])


def near_root(a: Array, b: Array, c: Array) -> Array:
    """Smaller root of a t^2 + 2 b t + c = 0, inf where there is none or it lies behind the ray's start."""
    h = b * b - a * c
    t = np.where(h > 0, (-b - np.sqrt(np.maximum(h, 0))) / np.where(np.abs(a) < 1e-9, 1e-9, a), INF)
    return np.where(t > 1e-3, t, INF).astype(np.float32)


@dataclass(frozen=True)
class Sphere:
    """A ball."""

    centre: Array
    radius: float

    @property
    def bound(self) -> float:
        return self.radius

    def hit(self, origin: Array, ray: Array) -> Array:
        away = origin - self.centre
        return near_root(np.ones_like(ray[0]), dot(ray, away), dot(away, away) - self.radius**2)

    def normal(self, point: Array) -> Array:
        return unit(point - self.centre)


@dataclass(frozen=True)
class Box:
    """A box turned about the vertical axis; `half` are its half edges (3, 1)."""

    centre: Array
    half: Array
    yaw: float

    @property
    def bound(self) -> float:
        return float(np.linalg.norm(self.half))

    def hit(self, origin: Array, ray: Array) -> Array:
        start, way = turn(origin - self.centre, -self.yaw), turn(ray, -self.yaw)
        inverse = 1.0 / np.where(np.abs(way) < 1e-7, 1e-7, way)
        mid, span = -start * inverse, np.abs(inverse) * self.half
        enter, leave = (mid - span).max(0), (mid + span).min(0)
        return np.where((enter < leave) & (enter > 1e-3), enter, INF).astype(np.float32)

    def normal(self, point: Array) -> Array:
        local = turn(point - self.centre, -self.yaw) / self.half
        face = np.abs(local).argmax(0)
        rows = np.zeros_like(local)
        index = np.arange(local.shape[1])
        rows[face, index] = np.sign(local[face, index])
        return turn(rows, self.yaw)


@dataclass(frozen=True)
class Standing:
    """What stands upright on the ground; `foot` is the middle of its base."""

    foot: Array
    radius: float
    height: float

    @property
    def centre(self) -> Array:
        return self.foot + vector(0, self.height / 2, 0)

    @property
    def bound(self) -> float:
        return float(np.hypot(self.radius, self.height / 2))


class Cylinder(Standing):
    """A cylinder with a top."""

    def hit(self, origin: Array, ray: Array) -> Array:
        start = origin - self.foot
        a = ray[0] ** 2 + ray[2] ** 2
        b = start[0] * ray[0] + start[2] * ray[2]
        side = near_root(a, b, start[0] ** 2 + start[2] ** 2 - self.radius**2)
        y = start[1] + np.where(np.isfinite(side), side, 0) * ray[1]
        side = np.where((y >= 0) & (y <= self.height), side, INF)
        top = (self.height - start[1]) / np.where(np.abs(ray[1]) < 1e-7, 1e-7, ray[1])
        inside = (start[0] + top * ray[0]) ** 2 + (start[2] + top * ray[2]) ** 2 <= self.radius**2
        return np.minimum(side, np.where(inside & (top > 1e-3), top, INF)).astype(np.float32)

    def normal(self, point: Array) -> Array:
        local = point - self.foot
        on_top = local[1] > self.height - 2e-3
        flat = np.where(on_top, 0, 1)
        return unit(np.stack([local[0] * flat, on_top.astype(np.float32), local[2] * flat]))


class Cone(Standing):
    """A cone, open below."""

    def hit(self, origin: Array, ray: Array) -> Array:
        start = origin - self.foot
        k = (self.radius / self.height) ** 2
        down = self.height - start[1]
        a = ray[0] ** 2 + ray[2] ** 2 - k * ray[1] ** 2
        b = start[0] * ray[0] + start[2] * ray[2] + k * down * ray[1]
        c = start[0] ** 2 + start[2] ** 2 - k * down**2
        h = b * b - a * c
        root = np.sqrt(np.maximum(h, 0))
        a = np.where(np.abs(a) < 1e-9, 1e-9, a)
        best = np.full_like(a, INF)
        for t in ((-b - root) / a, (-b + root) / a):
            y = start[1] + t * ray[1]
            good = (h > 0) & (t > 1e-3) & (y >= 0) & (y <= self.height)
            best = np.minimum(best, np.where(good, t, INF))
        return best.astype(np.float32)

    def normal(self, point: Array) -> Array:
        local = point - self.foot
        across = np.sqrt(local[0] ** 2 + local[2] ** 2) + 1e-6
        return unit(np.stack([local[0] / across, np.full_like(across, self.radius / self.height), local[2] / across]))


@dataclass(frozen=True)
class Torus:
    """A ring standing on the ground, its axis turned by `yaw` from the viewing direction; `radius` is its outer radius."""

    centre: Array
    radius: float
    yaw: float

    @property
    def bound(self) -> float:
        return self.radius

    def _distance(self, local: Array) -> Array:
        tube = self.radius * TORUS_TUBE
        ring = np.sqrt(local[0] ** 2 + local[1] ** 2) - (self.radius - tube)
        return np.sqrt(ring**2 + local[2] ** 2) - tube

    def hit(self, origin: Array, ray: Array) -> Array:
        start, way = turn(origin - self.centre, -self.yaw), turn(ray, -self.yaw)
        b = dot(start, way)
        half = np.sqrt(np.maximum(b * b - dot(start, start) + (self.radius * 1.01) ** 2, 0))
        t, end = np.maximum(-b - half, 2e-3), -b + half
        for _ in range(TORUS_STEPS):
            t = t + np.maximum(self._distance(start + way * t), 0)
        good = (self._distance(start + way * t) < 4e-3) & (t < end) & (t > 3e-3)
        return np.where(good, t, INF).astype(np.float32)

    def normal(self, point: Array) -> Array:
        local = turn(point - self.centre, -self.yaw)
        across = np.sqrt(local[0] ** 2 + local[1] ** 2) + 1e-6
        scale = (self.radius - self.radius * TORUS_TUBE) / across
        core = np.stack([local[0] * scale, local[1] * scale, np.zeros_like(scale)])
        return unit(turn(local - core, self.yaw))


@dataclass(frozen=True)
class Capsule:
    """A limb: every point within `radius` of the segment from `a` to `b`."""

    a: Array
    b: Array
    radius: float

    @property
    def centre(self) -> Array:
        return (self.a + self.b) / 2

    @property
    def bound(self) -> float:
        return float(np.linalg.norm(self.b - self.a)) / 2 + self.radius

    def hit(self, origin: Array, ray: Array) -> Array:
        axis, start = self.b - self.a, origin - self.a
        length = float(dot(axis, axis)[0]) + 1e-9
        along_ray, along = dot(ray, axis), dot(start, axis)
        forward = dot(ray, start)
        a = length - along_ray**2
        b = length * forward - along * along_ray
        c = length * dot(start, start) - along**2 - self.radius**2 * length
        h = b * b - a * c
        t = (-b - np.sqrt(np.maximum(h, 0))) / np.maximum(a, 1e-7)
        y = along + t * along_ray
        body = (h >= 0) & (y > 0) & (y < length)
        cap = np.where(y <= 0, start, origin - self.b)
        b2 = dot(ray, cap)
        h2 = b2 * b2 - dot(cap, cap) + self.radius**2
        t = np.where(body, t, np.where(h2 > 0, -b2 - np.sqrt(np.maximum(h2, 0)), INF))
        return np.where(t > 1e-3, t, INF).astype(np.float32)

    def normal(self, point: Array) -> Array:
        axis, local = self.b - self.a, point - self.a
        share = np.clip(dot(local, axis) / (float(dot(axis, axis)[0]) + 1e-9), 0, 1)
        return unit(local - axis * share)


def solid_of(shape: str, foot: Array, radius: float, yaw: float) -> Solid:
    """The solid for a shape's name, standing on `foot`; every one is about two radii tall."""
    match shape:
        case "sphere":
            return Sphere(foot + vector(0, radius, 0), radius)
        case "cube":
            edge = radius * 0.84
            return Box(foot + vector(0, edge, 0), vector(edge, edge, edge), yaw + 0.6)
        case "cone":
            return Cone(foot, radius * 0.98, radius * 2.1)
        case "cylinder":
            return Cylinder(foot, radius * 0.74, radius * 1.9)
        case "torus":
            return Torus(foot + vector(0, radius, 0), radius, yaw * 0.9)
        case _:
            raise ValueError(f"no solid for {shape!r}")
