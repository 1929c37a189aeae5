"""The preprocessor table, its validation, and the preprocessors without weights."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.control import plain
from studio.control.annotator import ControlAnnotator, KeptMaps
from studio.control.detectors import bounded
from studio.errors import InvalidRequest
from studio.request import ControlUse, GenerationRequest
from studio.weights import TABLE, rows_for
from tests.drawn import scene

SIZE = (96, 64)


def map_of(picture: Image.Image, size: tuple[int, int] = SIZE, **use: Any) -> np.ndarray:
    made = ControlAnnotator(Path("nowhere")).annotate(picture, ControlUse(image="x", **use), size, lambda *_: None)
    assert made.mode == "RGB" and made.size == size
    return np.asarray(made)


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_rows_are_whole(row: Any) -> None:
    assert row.kinds and row.label and row.description and TABLE[row.name] is row
    for setting in row.settings:
        assert setting.least <= setting.default <= setting.most and setting.title and setting.help
    assert bool(row.sources) == bool(row.licence) == (row.bytes > 0)


@pytest.mark.parametrize("name", plain.MAKERS)
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_every_weightless_one_makes_a_map(name: str, fit: str) -> None:
    made = map_of(scene(), kind=TABLE[name].kinds[0], preprocessor=name, fit=fit, size=(96, 96))
    assert made.std() > 0
    if fit == "pad":
        assert made[:15].max() == 0 and made[-15:].max() == 0 and made[16:-16].max() > 0


BAD = [
    ({"preprocessor": "cany"}, "controls[0]: 'cany' is no preprocessor; use one such as canny"),
    ({"preprocessor": "../../etc"}, "controls[0]: '../../etc' is no preprocessor; use one such as"),
    ({"kind": "pose", "preprocessor": "canny"}, "controls[0]: preprocessor canny makes no pose map; use one such as none"),
    (
        {"preprocessor": "canny", "settings": {"lo": 1}},
        "controls[0]: 'lo' is no setting of preprocessor canny for sketch; there is one of low, high.",
    ),
    ({"settings": {"near": 1}}, "controls[0]: 'near' is no setting of preprocessor none for sketch; there is none, so leave it out."),
    ({"preprocessor": "canny", "settings": {"low": -1}}, "controls[0]: settings.low must be a number from 0 to 255, not -1."),
    (
        {"preprocessor": "canny", "settings": {"low": 200}},
        "controls[0]: settings.low is 200 and must be below settings.high, which is 200.",
    ),
    (
        {"kind": "depth", "settings": {"far": 0.5, "near": 0.2}},
        "controls[0]: settings.far is 0.5 and must be below settings.near, which is 0.2.",
    ),
]


@pytest.mark.parametrize(("unit", "sentence"), BAD, ids=lambda value: str(value)[:40])
def test_bad_units_are_one_sentence(unit: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        GenerationRequest.parse({"controls": [{"kind": "sketch", "image": "x"} | unit]})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("paper", [0, 255])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_a_sketch_is_white_on_black_whichever_way_it_was_drawn(paper: int, mode: str) -> None:
    drawing = Image.new("L", (96, 64), paper)
    ImageDraw.Draw(drawing).line((10, 10, 80, 50), fill=255 - paper, width=3)
    if mode == "I;16":
        drawing = Image.fromarray(np.asarray(drawing).astype(np.uint16) * 257)
    else:
        drawing = drawing.convert(mode)
    made = map_of(drawing, kind="sketch")
    assert made[0, 0].tolist() == [0, 0, 0] and made[10, 10].tolist() == [255, 255, 255] and made.mean() < 60


def test_a_sketch_that_fills_its_margin_is_told_by_its_mean() -> None:
    drawing = np.full((64, 96), 255, np.uint8)
    drawing[:2], drawing[:, :4], drawing[30:32] = 0, 0, 0
    assert map_of(Image.fromarray(drawing), kind="sketch").mean() < 60


def test_a_frame_drawn_along_the_border_does_not_turn_the_sketch_inside_out() -> None:
    drawing = np.zeros((256, 256), np.uint8)
    drawing[:5] = drawing[-5:] = drawing[:, :5] = drawing[:, -5:] = 255
    made = map_of(Image.fromarray(drawing), kind="sketch")
    assert made[0, 0].tolist() == [255, 255, 255] and made.mean() < 60


def test_a_long_narrow_picture_is_looked_at_within_reason() -> None:
    tall, square = np.zeros((2048, 64, 3), np.uint8), np.zeros((512, 512, 3), np.uint8)
    assert bounded({"resolution": 2048, "score": 1}, tall) == {"resolution": 128, "score": 1}
    assert bounded({"resolution": 2048}, square) == {"resolution": 2048}
    assert bounded({"value": 3}, tall) == {"value": 3}


def test_depth_of_sixteen_bit_flip_and_range() -> None:
    ramp = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (64, 1))
    sixteen, eight = Image.fromarray(ramp), Image.fromarray((ramp // 257).astype(np.uint8))
    assert np.abs(map_of(sixteen, kind="depth").astype(int) - map_of(eight, kind="depth")).max() <= 1
    assert np.abs(255 - map_of(sixteen, kind="depth", settings={"flip": 1.0}).astype(int) - map_of(sixteen, kind="depth")).max() <= 1
    narrow = map_of(sixteen, kind="depth", settings={"far": 0.5, "near": 0.6})[0, :, 0]
    assert narrow[40] == 0 and narrow[70] == 255
    # A narrow range of 16 bits keeps its steps; of 8 bits only 26 are left.
    few = Image.fromarray(np.tile(np.linspace(32768, 39321, 96).astype(np.uint16), (64, 1)))
    assert len(np.unique(map_of(few, kind="depth", settings={"far": 0.5, "near": 0.6}))) > 90


def test_settings_change_the_map() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    # Stronger from left to right, so that there are edges of every strength.
    rising = (noise * np.linspace(0, 1, 30)[:, None]).astype(np.uint8)
    noisy = Image.fromarray(rising).resize((192, 128), Image.Resampling.BICUBIC)
    for name in plain.MAKERS:
        kind = TABLE[name].kinds[0]
        for setting in TABLE[name].offered(kind):
            # "low" stays below "high", and "high" above "low".
            ends = {"low": (0.0, 199.0), "high": (101.0, 255.0)}.get(setting.name, (setting.least, setting.most))
            usual = map_of(noisy, kind=kind, preprocessor=name)
            changed = [map_of(noisy, kind=kind, preprocessor=name, settings={setting.name: float(end)}) for end in ends]
            assert any(not np.array_equal(usual, each) for each in changed), (name, setting.name)


def test_maps_are_kept_by_all_they_depend_on() -> None:
    annotator = ControlAnnotator(Path("nowhere"))

    def made(picture: Image.Image, size: tuple[int, int] = SIZE, **use: Any) -> Image.Image:
        return annotator.annotate(
            picture, ControlUse(image="x", **{"kind": "sketch", "preprocessor": "canny"} | use), size, lambda *_: None
        )

    made(scene())
    (first,) = annotator._kept._maps
    made(scene()), made(scene(), settings={"low": 100.0}), made(scene(), weight=0.3)
    assert list(annotator._kept._maps) == [first]
    other = scene().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    made(other), made(scene(), (64, 64)), made(scene(), settings={"low": 50.0}), made(scene(), fit="pad")
    assert len(annotator._kept._maps) == 5


def test_what_is_drawn_on_a_map_is_not_kept() -> None:
    annotator = ControlAnnotator(Path("nowhere"))
    use = ControlUse(image="x", kind="sketch", preprocessor="canny")
    for _ in range(3):
        made = annotator.annotate(scene(), use, SIZE, lambda *_: None)
        assert made.size == SIZE
        made.thumbnail((8, 8))


def test_kept_maps_have_a_bound() -> None:
    kept = KeptMaps(10 * 64 * 64 * 3)
    for number in range(50):
        kept.put(number, Image.new("RGB", (64, 64)))
    assert [number for number in range(50) if kept.get(number)] == list(range(40, 50))


def test_several_threads_make_the_same_maps() -> None:
    annotator, wanted = ControlAnnotator(Path("nowhere")), map_of(scene(), kind="sketch", preprocessor="canny")
    found: list[bool] = []

    def work() -> None:
        use = ControlUse(kind="sketch", image="x", preprocessor="canny")
        found.extend(np.array_equal(np.asarray(annotator.annotate(scene(), use, SIZE, lambda *_: None)), wanted) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 40


def test_every_kind_has_one_that_works_offline() -> None:
    for kind in ("sketch", "depth", "pose"):
        ready = [offer for offer in ControlAnnotator(Path("nowhere")).offers(kind) if offer.state == "ready"]
        assert ready[0].row.name == "none"
        assert [offer.row for offer in ControlAnnotator(Path("nowhere")).offers(kind)] == rows_for(kind)
