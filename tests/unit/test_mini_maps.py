"""Mini's maps look as the annotators of ControlNet draw them, and the styles keep what stands where."""

from __future__ import annotations

import colorsys
from itertools import pairwise

import numpy as np
import pytest

from assets.mini.world.captions import Writer
from assets.mini.world.maps import HALF_WIDTH, LIMBS, canny, draw_pose, hide, hue, joints, nearness, outlines, sketch, survey, vary_depth
from assets.mini.world.render import render
from assets.mini.world.scene import sample_posed, sample_scene
from assets.mini.world.styles import STYLES, Style


def test_pose_has_openpose_colours_at_the_joints() -> None:
    points = np.full((18, 2), np.nan, np.float32)
    for index in range(18):
        points[index] = 20 + 40 * (index % 6), 40 + 60 * (index // 6)
    drawn = draw_pose([points])
    for index, (x, y) in enumerate(points.astype(int)):
        assert tuple(drawn[y, x]) == hue(index)
        assert tuple(drawn[y, x + HALF_WIDTH]) == hue(index)
    assert (hue(0), hue(1), hue(4), hue(17)) == ((255, 0, 0), (255, 85, 0), (170, 255, 0), (255, 0, 85))
    hues = [colorsys.rgb_to_hsv(*hue(index))[0] for index in range(18)]
    assert all(first < second for first, second in pairwise(hues))


def test_limbs_are_dimmed_and_missing_joints_leave_none() -> None:
    points = np.full((18, 2), np.nan, np.float32)
    points[1], points[2] = (100, 100), (160, 100)
    drawn = draw_pose([points])
    assert tuple(drawn[100, 130]) == tuple(int(part * 0.6) for part in hue(LIMBS.index((1, 2))))
    points[2] = np.nan
    assert draw_pose([points])[100, 130].sum() == 0
    assert not draw_pose([]).any()


def test_two_people_share_a_map() -> None:
    first = joints(sample_scene(3, "figure"))
    both = draw_pose([first, first + np.float32(40)])
    assert (both > 0).sum() > 1.5 * (draw_pose([first]) > 0).sum()


def test_hidden_joints_are_missing_only() -> None:
    points = joints(sample_posed(4))
    for seed in range(30):
        kept = hide(points, np.random.default_rng(seed))
        seen = np.isfinite(kept).all(1)
        assert seen.sum() >= 10
        assert np.array_equal(kept[seen], points[seen])


@pytest.mark.parametrize("kind", ["single", "pair", "figure"])
def test_survey_is_the_renderings_depth_and_near_is_bright(kind: str) -> None:
    scene = sample_scene(5, kind)
    drawn = render(scene, 64)
    found = survey(scene, 64)
    solid = np.isfinite(drawn.depth)
    assert np.array_equal(solid, np.isfinite(found))
    assert np.allclose(found[solid], drawn.depth[solid], atol=1e-3)
    near = nearness(found)
    assert near.min() == 0
    assert near.max() == 255
    assert (near[~solid] == 0).all()
    order = np.argsort(found[solid])
    assert (np.diff(near[solid][order].astype(int)) <= 0).all()


def test_nearness_of_nothing_but_sky_is_dark() -> None:
    assert not nearness(np.full((4, 4), np.inf, np.float32)).any()


def test_sketches_are_white_on_black_and_differ() -> None:
    drawn = render(sample_scene(6, "pair"), 128)
    edges = canny(drawn.picture)
    assert set(np.unique(edges)) == {0, 255}
    seen = {sketch(edges, drawn.picture, drawn.ids, np.random.default_rng(seed)).tobytes() for seed in range(24)}
    assert len(seen) > 8


def test_outlines_follow_the_things() -> None:
    drawn = render(sample_scene(8, "single"), 128)
    mask = drawn.ids == 2
    rows, columns = np.nonzero(mask)
    for seed in range(12):
        lines = outlines(np.where(mask, np.uint8(2), np.uint8(1)), np.random.default_rng(seed)) > 0
        y, x = np.nonzero(lines)
        assert lines.sum() > 30
        assert rows.min() - 8 <= y.min() <= y.max() <= rows.max() + 8
        assert columns.min() - 8 <= x.min() <= x.max() <= columns.max() + 8


def test_varied_depth_keeps_the_order() -> None:
    drawn = render(sample_scene(9, "single"), 64)
    near = nearness(drawn.depth)
    for seed in range(12):
        varied = vary_depth(near, drawn.ids, np.random.default_rng(seed))
        assert varied.dtype == np.uint8
        assert varied[drawn.ids == 2].mean() > varied[drawn.ids == 0].mean()


def test_captions_have_no_word_for_a_free_pose() -> None:
    scene = sample_posed(7)
    assert "free" not in " ".join(Writer(np.random.default_rng(seed)).caption(scene).text for seed in range(60))
    assert joints(scene).shape == (18, 2)


def test_vague_captions_say_neither_shape_nor_place() -> None:
    texts = " ".join(Writer(np.random.default_rng(seed)).vague(sample_scene(seed, "pair")) for seed in range(80))
    for word in ("sphere", "cube", "cone", "cylinder", "torus", "behind", "left", "next to", "small", "large"):
        assert word not in texts


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_styles_change_the_picture_and_keep_the_thing(style: Style) -> None:
    drawn = render(sample_scene(11, "single"), 256)
    made = style.restyle(drawn.picture, drawn.ids)
    assert made.shape == drawn.picture.shape
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - drawn.picture).mean() > 5
    assert np.array_equal(made, style.restyle(drawn.picture, drawn.ids))
    inside, outside = made[drawn.ids == 2].mean(0), made[drawn.ids == 1].mean(0)
    assert np.abs(inside - outside).max() > 15
