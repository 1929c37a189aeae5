"""Mini's world: the same seed gives the same scene, picture and captions, and the exact maps fit the picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from assets.mini.evaluate.prompts import asks, describe
from assets.mini.world.captions import SLOTS, Writer
from assets.mini.world.render import Rendering, render
from assets.mini.world.scene import COLOURS, GROUNDS, INVERSE, LIGHTS, POSES, RELATIONS, SHAPES, Scene, sample_scene

SIDE = 64


def draw(seed: int, kind: str) -> tuple[Scene, Rendering]:
    scene = sample_scene(seed, kind)
    return scene, render(scene, SIDE)


@pytest.mark.parametrize("kind", ["single", "pair", "figure"])
def test_same_seed_same_picture(kind: str) -> None:
    first, second = draw(3, kind), draw(3, kind)
    assert first[0] == second[0]
    assert np.array_equal(first[1].picture, second[1].picture)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_seen_with_depth_and_edges(shape: str) -> None:
    scene = sample_scene(1, "single")
    scene = dataclasses.replace(scene, things=(dataclasses.replace(scene.things[0], shape=shape),))
    drawn = render(scene, SIDE)
    mask = drawn.ids == 2
    assert mask.sum() > 30
    assert np.isfinite(drawn.depth[mask]).all()
    assert np.isinf(drawn.depth[drawn.ids == 0]).all()
    assert set(np.unique(drawn.edges)) == {0, 255}
    assert drawn.keypoints is None


def test_both_things_of_every_relation_are_seen() -> None:
    for seed in range(60):
        scene, drawn = draw(seed, "pair")
        assert (drawn.ids == 2).sum() > 12, scene
        assert (drawn.ids == 3).sum() > 12, scene


def test_left_is_left_and_behind_is_farther() -> None:
    for seed in range(40):
        scene = sample_scene(seed, "pair")
        first, second = scene.things
        match scene.relation:
            case "left of":
                assert first.x < second.x
            case "right of":
                assert first.x > second.x
            case "behind":
                assert first.z > second.z
            case "in front of":
                assert first.z < second.z
            case _:
                assert abs(first.z - second.z) < 0.3


@pytest.mark.parametrize("pose", POSES)
def test_keypoints_lie_on_the_figure(pose: str) -> None:
    scene = sample_scene(2, "figure")
    scene = dataclasses.replace(scene, things=(dataclasses.replace(scene.things[0], pose=pose, radius=0.9),))
    drawn = render(scene, SIDE)
    assert drawn.keypoints is not None
    assert drawn.keypoints.shape == (18, 2)
    for x, y in drawn.keypoints:
        column, row = int(x), int(y)
        assert (drawn.ids[row - 2 : row + 3, column - 2 : column + 3] == 2).any()


def test_lights_differ_in_brightness() -> None:
    scene = sample_scene(4, "single")
    means = [render(dataclasses.replace(scene, light=light), SIDE).picture.mean() for light in LIGHTS]
    assert means[0] > means[1] > means[2]


def test_captions_state_only_what_the_scene_holds() -> None:
    writer = Writer(np.random.default_rng(0))
    for seed in range(300):
        scene = sample_scene(seed)
        caption = writer.caption(scene)
        assert set(caption.slots) == set(SLOTS)
        assert all(value in SLOTS[slot] for slot, value in caption.slots.items())
        assert caption.slots["ground"] in ("", scene.ground)
        assert caption.slots["light"] in ("", scene.light)
        assert caption.slots["colour1"] in ("", *(thing.colour for thing in scene.things))
        assert caption.text.strip() == caption.text


def test_inverse_relations_come_back() -> None:
    assert all(INVERSE[INVERSE[relation]] == relation for relation in RELATIONS)


def test_measured_prompts_are_plain_and_fixed() -> None:
    assert asks("pair", 5) == asks("pair", 5)
    scene = asks("single", 1)[0].scene
    text = describe(scene)
    assert scene.ground in text
    assert any(colour in text for colour in COLOURS)
    assert len({ask.scene.ground for ask in asks("single", 40)}) == len(GROUNDS)
