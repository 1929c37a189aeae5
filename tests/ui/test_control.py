"""The Control section's server functions over plain HTTP: pictures, maps, kinds, and one sentence for every bad input."""

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps

from studio.engine.fake import CARD, CONTROLNETS, SHAPE
from studio.inventory import BrokenCard, Inventory
from studio.ports import Offer
from studio.ui.maps import control_kinds
from studio.ui.pictures import suggested
from studio.weights import TABLE, Row, Source
from tests.served import Served
from tests.ui.browserless import VISITOR_A, Page


@pytest.fixture
def visitor(http: httpx.Client) -> Page:
    return Page(http, VISITOR_A)


def encoded(picture: Image.Image, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format)
    return buffer.getvalue()


def address(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def decoded(shown: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2])))


SPLIT = Image.new("RGB", (64, 32), "black")
SPLIT.paste((255, 255, 255), (32, 0, 64, 32))


def keep(visitor: Page, picture: Image.Image = SPLIT, kind: str = "sketch") -> str:
    answer = visitor.call("control", "keep", [address(encoded(picture)), kind])
    assert answer["error"] == ""
    key: str = answer["image"]
    return key


def use(image: str, **changes: Any) -> dict[str, Any]:
    return {"kind": "sketch", "image": image, **changes}


def test_a_kept_picture_becomes_a_map_of_the_wanted_size(visitor: Page) -> None:
    answer = visitor.call("control", "annotate", [use(keep(visitor), fit="stretch"), [128, 96], "ticket"])
    made = decoded(answer["map"]).convert("L")
    assert (answer["error"], made.size) == ("", (128, 96))
    assert made.getpixel((10, 48)) < 30 and made.getpixel((118, 48)) > 225  # type: ignore[operator]
    assert visitor.call("control", "progress", "ticket") is None


def test_a_map_is_kept_to_be_painted_over_pixel_by_pixel(visitor: Page, page: Served) -> None:
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))
    unit = {"kind": "depth", "image": keep(visitor, ramp, "depth"), "fit": "stretch"}
    answer = visitor.call("control", "keep_map", [unit, [256, 64]])
    assert answer["error"] == ""
    shown = decoded(visitor.call("control", "whole", answer["image"])["picture"])
    assert np.array_equal(np.asarray(shown)[..., 0], np.asarray(ramp)), "a lossy copy would change what was not painted over"
    coloured = {"kind": "depth", "image": keep(visitor, photo(), "depth"), "preprocessor": "shuffle"}
    assert visitor.call("control", "keep_map", [coloured, [64, 64]])["error"].startswith(
        "This map is in colours, and the brush paints greys"
    )
    for asked in (None, [unit], [unit, [7, 64]], [{"image": "f" * 64}, [64, 64]]):
        assert visitor.call("control", "keep_map", asked)["error"].endswith(".")
    assert visitor.call("control", "whole", "f" * 64) == {"error": "The picture is no longer here; give it again."}


def test_a_kept_picture_is_shown_again_by_its_hash(visitor: Page) -> None:
    assert decoded(visitor.call("control", "thumbnail", keep(visitor))["picture"]).size == SPLIT.size


PNG = encoded(SPLIT)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
BAD_PICTURES = [
    None, [], "x", ["x"], [1, 2], {"path": "/etc/hostname"}, [None, "sketch"], ["", "sketch"], ["data:,", "sketch"],
    ["data:image/png;base64,%%%", "sketch"], *([address(content), "sketch"] for content in
    (b"", b"GIF89a", SVG, PNG[: len(PNG) // 2], PNG[:40], b"PK\x03\x04" + bytes(400))),
]  # fmt: skip


@pytest.mark.parametrize("asked", BAD_PICTURES, ids=lambda asked: str(asked)[:40])
def test_what_is_no_picture_is_one_sentence(visitor: Page, asked: object) -> None:
    answer = visitor.call("control", "keep", asked)
    assert list(answer) == ["error"] and answer["error"].endswith(".") and len(answer["error"]) < 200
    assert "Traceback" not in answer["error"]


def test_a_picture_is_kept_with_what_was_changed_about_it(visitor: Page) -> None:
    turning = io.BytesIO()
    SPLIT.save(turning, "GIF", save_all=True, append_images=[SPLIT.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    answer = visitor.call("control", "keep", [address(turning.getvalue()), "sketch"])
    assert (answer["error"], answer["notes"]) == ("", "the first of 2 frames is used")


def photo() -> Image.Image:
    y, x = np.mgrid[:96, :96]
    return Image.fromarray(np.stack([x * 2, y * 2, 190 - x - y + 20], axis=2).clip(0, 255).astype(np.uint8))


DRAWING = ImageOps.invert(SPLIT)
DEEP = Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1)))


@pytest.mark.parametrize(
    ("picture", "kind", "preprocessor"),
    [
        (SPLIT, "sketch", "none"),
        (DRAWING, "sketch", "none"),
        (photo(), "sketch", "canny"),
        (DEEP, "depth", "none"),
        (SPLIT, "pose", "vitpose"),
    ],
)
def test_a_picture_gets_the_preprocessor_that_suits_it(visitor: Page, picture: Image.Image, kind: str, preprocessor: str) -> None:
    assert visitor.call("control", "keep", [address(encoded(picture)), kind])["preprocessor"] == preprocessor


def test_a_photograph_for_depth_gets_one_that_estimates_depth() -> None:
    source = Source("someone/depth", {"model.safetensors": 10}, "MIT")
    trained = Row(name="trained", kinds=("depth",), label="Trained", description="depth", sources=(source,))
    offers = [Offer(TABLE["none"], "ready", ""), Offer(TABLE["invert"], "ready", ""), Offer(trained, "download", "downloads 10 B, MIT")]
    assert suggested(photo(), "depth", offers) == "trained"
    assert suggested(photo().convert("L"), "depth", offers) == "none"


def test_the_picker_lists_each_kinds_preprocessors(visitor: Page) -> None:
    rows = {row["name"]: row for row in visitor.call("control", "preprocessors", "depth")}
    assert [setting["name"] for setting in rows["none"]["settings"]] == ["flip", "near", "far"]
    assert "canny" not in rows
    canny = {row["name"]: row for row in visitor.call("control", "preprocessors", "sketch")}["canny"]
    assert (canny["state"], canny["settings"][0]["default"]) == ("ready", 100)
    for nonsense in (None, 5, "smell", ["sketch"]):
        assert visitor.call("control", "preprocessors", nonsense) == []


def test_a_dark_on_light_drawing_becomes_light_on_dark(visitor: Page) -> None:
    paper = Image.new("L", (64, 64), "white")
    paper.paste(0, (20, 20, 40, 40))
    key = visitor.call("control", "keep", [address(encoded(paper)), "sketch"])["image"]
    made = decoded(visitor.call("control", "annotate", [use(key), [64, 64], "t"])["map"]).convert("L")
    assert made.getpixel((5, 5)) < 30 and made.getpixel((30, 30)) > 225  # type: ignore[operator]


def test_a_bomb_is_refused_by_its_size(visitor: Page) -> None:
    bomb = encoded(Image.new("1", (30_000, 30_000)))
    assert "too many pixels" in visitor.call("control", "keep", [address(bomb), "sketch"])["error"]
    assert "1 x 1" in visitor.call("control", "keep", [address(encoded(Image.new("L", (1, 1)))), "sketch"])["error"]


BAD_UNITS = [
    ({"weight": 3}, "weight must be a number from 0 to 2, not 3"),
    ({"weight": None}, "weight must be a number from 0 to 2, not None"),
    ({"start": 0.8, "end": 0.2}, "start is 0.8 and must be below end, which is 0.2."),
    ({"kind": "smell"}, "kind must be one of sketch, depth, pose"),
    ({"kinds": 1}, "'kinds' is no field there; did you mean kind?"),
    ({"image": "f" * 64}, "The picture is no longer here; give it again."),
    ({"image": "../../etc/passwd"}, "The picture is no longer here; give it again."),
    ({"preprocessor": "cany"}, "'cany' is no preprocessor; use one such as canny"),
    ({"preprocessor": "canny", "settings": {"low": 200, "high": 100}}, "settings.low is 200 and must be below settings.high"),
    ({"fit": "squeeze"}, "fit must be one of crop, pad, stretch"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_UNITS)
def test_a_bad_unit_is_one_sentence(visitor: Page, change: dict[str, Any], sentence: str) -> None:
    answer = visitor.call("control", "annotate", [use(keep(visitor)) | change, [64, 64], "t"])
    assert answer == {"error": answer["error"]} and answer["error"].startswith(sentence)


@pytest.mark.parametrize("size", [[7, 64], [64, 99_999], [64, "64"], [64.5, 64], [True, 64]])
def test_a_bad_size_is_one_sentence(visitor: Page, size: list[Any]) -> None:
    answer = visitor.call("control", "annotate", [use(keep(visitor)), size, "t"])
    assert "must be a multiple of 8 from 64 to 2048" in answer["error"]


@pytest.mark.parametrize(
    "asked", [None, [], "x", [{}, [64, 64], "t" * 65], [[], [64, 64], "t"], [{}, [64], "t"], {"path": "/etc/hostname"}]
)
def test_nonsense_for_a_map_is_one_sentence(visitor: Page, asked: object) -> None:
    assert visitor.call("control", "annotate", asked) == {"error": "This page did not ask properly; reload it."}


@pytest.mark.parametrize("function", ["progress", "cancel"])
@pytest.mark.parametrize("name", [None, [], "nothing", {"a": 1}])
def test_tickets_that_are_none(visitor: Page, function: str, name: object) -> None:
    assert visitor.call("control", function, name) is None


@pytest.mark.parametrize("asked", [None, [], ["nothing", 0, "sketch"], [["a"], 0, "sketch"], ["nothing", "0", 5]])
def test_only_a_finished_picture_is_used_again(visitor: Page, asked: object) -> None:
    assert visitor.call("control", "reuse", asked) == {"error": "The picture is no longer kept; make it again with its seed."}


def test_a_finished_picture_becomes_a_units_picture(visitor: Page) -> None:
    job = visitor.finish(visitor.generate(steps=1, batch_size=2)["job"])["job"]
    one, other = (visitor.call("control", "reuse", [job, index, "depth"]) for index in (0, 1))
    assert one["image"] != other["image"]
    assert visitor.call("control", "reuse", [job, 2, "depth"])["error"]
    made = visitor.generate(steps=1, controls=[use(one["image"], kind="depth")])
    assert (made["error"], visitor.finish(made["job"])["units"][0]["kind"]) == ("", "depth")


def test_the_result_is_shown_with_the_maps_that_were_followed(visitor: Page) -> None:
    job = visitor.generate(steps=1, controls=[use(keep(visitor), weight=0.5)])["job"]
    (unit,) = visitor.finish(job)["units"]
    assert (unit["weight"], unit["use"]["image"], unit["use"]["end"]) == (0.5, keep(visitor), 1)
    assert decoded(visitor.call("stage", "unit_map", [job, 0])["map"]).size == (256, 256)
    for asked in ([job, 1], [job, -1], ["nothing", 0], None, {"a": 1}):
        assert visitor.call("stage", "unit_map", asked) is None


def test_kinds_without_a_fitting_controlnet_say_what_to_do() -> None:
    other = replace(CARD, name="Other", unet=replace(SHAPE, context_width=768))
    inventory = Inventory((CARD, other), controlnets=CONTROLNETS[:2])
    fake, bare = control_kinds(inventory, "Fake"), control_kinds(inventory, "Other")
    assert [(kind["nets"], kind["reason"]) for kind in (fake["sketch"], fake["depth"])] == [(["fake-sketch"], ""), (["fake-depth"], "")]
    assert fake["pose"]["reason"] == "Fake has no pose ControlNet here; put one into controlnets/ of the data folder."
    assert bare["sketch"]["reason"] == (
        f"{CONTROLNETS[0].name} was made for another family (text width {SHAPE.context_width}) than Other (text width 768); "
        "put a sketch ControlNet that fits into controlnets/ of the data folder."
    )
    assert bare["pose"]["reason"] == "Other has no pose ControlNet here; put one into controlnets/ of the data folder."
    assert control_kinds(inventory, None) == fake
    adapter = BrokenCard("ip-adapter", Path("ip-adapter"), "ip-adapter is an IP-Adapter, which this studio cannot run yet.", "controlnet")
    model = BrokenCard("old", Path("old"), "old cannot be used.", "model")
    told = control_kinds(replace(inventory, broken=(adapter, model)), "Fake")
    assert {tuple(kind["problems"]) for kind in told.values()} == {(adapter.problem,)}
    assert control_kinds(replace(inventory, broken=(adapter,)), "Fake", whole=False) == fake


@pytest.mark.parametrize("model", ["nothing", 5, {"a": 1}])
def test_an_unknown_model_has_no_controlnets(visitor: Page, model: object) -> None:
    assert all(kind["reason"] for kind in visitor.call("control", "kinds", model).values())
