"""The mannequin: 18 OpenPose keypoints in space for a pose, and the capsules around them.

Keypoint order as in OpenPose's COCO model: nose, neck, right shoulder/elbow/wrist, left shoulder/elbow/wrist,
right hip/knee/ankle, left hip/knee/ankle, right eye, left eye, right ear, left ear. The figure faces the camera, so its right is our left.
"""

from __future__ import annotations

import numpy as np

from .scene import Thing
from .shapes import Array, Capsule, Solid, Sphere, turn, vector

KEYPOINTS = 18
UPPER_ARM, LOWER_ARM, THIGH, SHIN = 0.30, 0.29, 0.42, 0.44
HEAD_RADIUS = 0.165
LIMBS = (
    (2, 3, 0.068), (3, 4, 0.060), (5, 6, 0.068), (6, 7, 0.060),
    (8, 9, 0.088), (9, 10, 0.072), (11, 12, 0.088), (12, 13, 0.072),
    (2, 5, 0.085), (8, 11, 0.100),
)  # fmt: skip


def _limb(start: Array, side: float, forward: float, length: float) -> Array:
    """End of a limb that hangs from `start`, swung by `side` (outwards) and `forward` (to the viewer) radians."""
    way = vector(np.sin(side), -np.cos(side) * np.cos(forward), -np.cos(side) * np.sin(forward))
    return start + way * np.float32(length)


def _angles(pose: str, rng: np.random.Generator) -> tuple[list[tuple[float, float]], float]:
    """(side, forward) of upper arm, lower arm, thigh, shin for the figure's right then left; and the lift off the ground."""
    w = rng.uniform(-0.12, 0.12, 8)
    arm, leg = [(0.28 + w[0], 0.0), (0.12 + w[1], 0.1)], [(0.12 + w[2] / 2, 0.0), (0.05, 0.0)]
    arm2, leg2 = [(0.28 + w[3], 0.0), (0.12 + w[4], 0.1)], [(0.12 + w[5] / 2, 0.0), (0.05, 0.0)]
    lift = 0.0
    match pose:
        case "waving":
            arm2 = [(1.75 + w[3], 0.0), (2.85 + 2 * w[4], 0.05)]
        case "jumping":
            arm, arm2 = [(2.2 + w[0], 0.0), (2.55 + w[1], 0.0)], [(2.2 + w[3], 0.0), (2.55 + w[4], 0.0)]
            leg, leg2 = [(0.62 + w[2], 0.15), (0.25, -0.3)], [(0.62 + w[5], 0.15), (0.25, -0.3)]
            lift = 0.30 + float(w[6])
        case "sitting":
            arm, arm2 = [(0.5 + w[0], -0.3), (0.35, 0.0)], [(0.5 + w[3], -0.3), (0.35, 0.0)]
            leg, leg2 = [(0.55, 2.25 + w[2]), (0.2, 0.9)], [(0.55, 2.25 + w[5]), (0.2, 0.9)]
        case "free":
            arm, arm2, leg, leg2 = _free_arm(rng), _free_arm(rng), _free_leg(rng), _free_leg(rng)
            lift = max(0.0, float(rng.uniform(-0.4, 0.4)))
        case _:
            pass
    return [*arm, *leg, *arm2, *leg2], lift


def _free_arm(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Any arm: out, up, or before the body, bent either way."""
    side = float(rng.uniform(-0.15, 2.9))
    return [(side, float(rng.uniform(-0.3, 0.6))), (side + float(rng.uniform(-1.6, 1.6)), float(rng.uniform(-0.2, 0.7)))]


def _free_leg(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Any leg: straight, spread, lifted, or bent at the knee."""
    side, forward = float(rng.uniform(-0.05, 0.9)), float(rng.choice((0.0, rng.uniform(-0.3, 1.5))))
    return [(side, forward), (side * float(rng.uniform(-0.3, 1.0)), forward - float(rng.uniform(0, 1.2)))]


def skeleton(thing: Thing, seed: int) -> Array:
    """The keypoints in world coordinates, shape (3, 18)."""
    angles, lift = _angles(thing.pose, np.random.default_rng(seed + 77))
    points = [vector(0, 0, 0)] * KEYPOINTS
    points[1] = vector(0, 0.56, 0)
    points[0] = vector(0, 0.78, -HEAD_RADIUS)
    for shoulder, hip, eye, sign, part in ((2, 8, 14, -1.0, angles[:4]), (5, 11, 15, 1.0, angles[4:])):
        points[shoulder] = vector(sign * 0.19, 0.52, 0)
        points[hip] = vector(sign * 0.11, 0, 0)
        points[eye] = vector(sign * 0.06, 0.83, -HEAD_RADIUS * 0.9)
        points[eye + 2] = vector(sign * HEAD_RADIUS, 0.80, 0)
        for root, (upper, lower), lengths in (
            (shoulder, part[:2], (UPPER_ARM, LOWER_ARM)),
            (hip, part[2:], (THIGH, SHIN)),
        ):
            points[root + 1] = _limb(points[root], sign * upper[0], upper[1], lengths[0])
            points[root + 2] = _limb(points[root + 1], sign * lower[0], lower[1], lengths[1])
    body = np.concatenate(points, 1)
    lowest = min(float(body[1, [8, 9, 10, 11, 12, 13]].min()), 0.0)
    body = body + vector(0, 0.075 - lowest + lift, 0)
    return turn(body * np.float32(thing.radius), thing.yaw) + vector(thing.x, 0, thing.z)


def figure_solids(thing: Thing, seed: int) -> list[Solid]:
    """Capsules and a head around the keypoints."""
    points, scale = skeleton(thing, seed), thing.radius
    column = [points[:, index : index + 1] for index in range(KEYPOINTS)]
    hips = (column[8] + column[11]) / 2
    head = (column[16] + column[17]) / 2
    solids: list[Solid] = [Capsule(column[a], column[b], r * scale) for a, b, r in LIMBS]
    solids.append(Capsule(column[1] - vector(0, 0.14 * scale, 0), hips + vector(0, 0.08 * scale, 0), 0.135 * scale))
    solids.append(Capsule(column[1] - vector(0, 0.05, 0), head, 0.055 * scale))
    solids.append(Sphere(head, HEAD_RADIUS * scale))
    return solids
