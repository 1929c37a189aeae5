"""The Control section in a real browser: drawing and what survives, pictures and maps, kinds that do not fit, proof on the result."""

import base64
import io
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, Route, expect

from studio import app
from studio.control import agreement
from studio.control.annotator import ControlAnnotator
from studio.control.plain import canny
from studio.engine.fake import CARD, CONTROLNETS, SHAPE, FakeEngine, fake_parts
from studio.errors import MissingWeights, Stopped
from studio.events import Finished
from studio.inventory import Inventory
from studio.ports import Offer, Progress
from studio.request import ControlUse
from studio.service import Studio
from studio.settings import ROOT, Settings
from studio.weights import TABLE
from tests.browser.conftest import Open, eventually, ready
from tests.served import Served, served

pytestmark = pytest.mark.browser
BARE = replace(CARD, name="Bare", unet=replace(SHAPE, context_width=768))


@dataclass(frozen=True)
class TwoModels:
    """Two models; all ControlNets fit the first only, and none is for poses."""

    def read(self) -> Inventory:
        return Inventory((CARD, BARE), controlnets=CONTROLNETS[:2])


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    studio = Studio(lambda: FakeEngine(step_seconds=0.01), replace(fake_parts(), inventory=TwoModels()))
    with served(studio, Settings(data_dir=tmp_path_factory.mktemp("two"), engine="fake")) as page:
        yield page


@contextmanager
def photo_given(annotator: ControlAnnotator, folder: Path, visit: Open) -> Iterator[Page]:
    """A page whose maps an annotator makes, and onto which a photo was dropped."""
    studio = Studio(FakeEngine, replace(fake_parts(), annotator=annotator))
    Image.effect_noise((256, 256), 90).convert("RGB").save(folder / "photo.png")
    with served(studio, Settings(data_dir=folder, engine="fake")) as opened:
        page = visit(opened.address).page
        drop(page, folder / "photo.png")
        yield page


class Fetching(ControlAnnotator):
    """Has one preprocessor, whose weights come when `arrive` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.here, self.given_up = False, 0
        self.arrive = Event()

    def offers(self, kind: str) -> list[Offer]:
        canny = Offer(TABLE["canny"], "ready", "") if self.here else Offer(TABLE["canny"], "download", "downloads 99 MB, MIT")
        return [Offer(TABLE["none"], "ready", ""), canny]

    def annotate(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Image.Image:
        while use.preprocessor == "canny" and not self.here and not self.arrive.wait(0.05):
            try:
                progress(0.5, "20 of 40 MB")
            except Stopped:
                self.given_up += 1
                raise
        self.here = self.here or use.preprocessor == "canny"
        return super().annotate(picture, use, size, progress)


def test_weights_are_fetched_when_agreed_to_and_can_be_cancelled(tmp_path: Path, visit: Open) -> None:
    annotator = Fetching(tmp_path / "preprocessors")
    with photo_given(annotator, tmp_path, visit) as page:
        said = page.locator("[data-part=map-text]")
        expect(said).to_have_text("Needs weights first: downloads 99 MB, MIT.")
        page.get_by_role("button", name="Fetch and make the map").click()
        expect(said).to_contain_text("of 40 MB")
        page.get_by_role("button", name="Cancel").click()
        expect(said).to_have_text("Needs weights first: downloads 99 MB, MIT.")
        eventually(page, lambda: annotator.given_up == 1)
        annotator.arrive.set()
        page.get_by_role("button", name="Fetch and make the map").click()
        expect(said).to_contain_text("256 × 256")
        expect(page.locator("[data-part=map-picture]")).to_be_visible()
        assert annotator.given_up == 1


def test_generate_fetches_no_weights_that_nobody_agreed_to(tmp_path: Path, visit: Open) -> None:
    annotator = Fetching(tmp_path / "preprocessors")
    with photo_given(annotator, tmp_path, visit) as page:
        expect(page.locator("[data-part=map-text]")).to_have_text("Needs weights first: downloads 99 MB, MIT.")
        page.click("#tab-depth")
        page.click("#generate")
        expect(page.locator("#stage [data-part=error]")).to_contain_text("Canny edges needs weights first: press “Fetch and make the map”")
        expect(page.get_by_role("button", name="Fetch and make the map")).to_be_visible()
        page.select_option("#control-preprocessor", "none")
        page.click("#generate")
        page.wait_for_selector('[data-phase="done"]')
        expect(page.locator("#stage [data-part=error]")).to_be_hidden()


class Away(ControlAnnotator):
    """Has one preprocessor, whose weights are at a hub that is out of reach until it is `back`."""

    back = here = False

    def offers(self, kind: str) -> list[Offer]:
        state = Offer(TABLE["canny"], "offline", "offline, and 99 MB, MIT would have to be fetched")
        return [Offer(TABLE["none"], "ready", ""), Offer(TABLE["canny"], "ready", "") if self.here else state]

    def annotate(self, picture: Image.Image, use: ControlUse, size: tuple[int, int], progress: Progress) -> Image.Image:
        if use.preprocessor == "canny" and not self.back:
            raise MissingWeights("Canny is not on this machine and the model hub cannot be reached; connect and try again.")
        self.here = self.here or use.preprocessor == "canny"
        return super().annotate(picture, use, size, progress)


def test_weights_that_were_out_of_reach_can_be_had_once_the_hub_is_back(tmp_path: Path, visit: Open) -> None:
    annotator = Away(tmp_path / "preprocessors")
    with photo_given(annotator, tmp_path, visit) as page:
        said, fetch = page.locator("[data-part=map-text]"), page.get_by_role("button", name="Fetch and make the map")
        page.select_option("#control-preprocessor", "canny")
        expect(said).to_have_text("Needs weights first: offline, and 99 MB, MIT would have to be fetched.")
        fetch.click()
        expect(page.locator("[data-part=map-error]")).to_contain_text("the model hub cannot be reached")
        annotator.back = True
        fetch.click()
        expect(said).to_contain_text("256 × 256")
        expect(page.locator("[data-part=map-error]")).to_be_hidden()


@pytest.fixture
def page(slow_page: Served, visit: Open) -> Page:
    return visit(slow_page.address).page


def canvas(page: Page, kind: str = "sketch") -> Locator:
    return page.locator(f"[data-editor={kind}] canvas")


def tool(page: Page, name: str, kind: str = "sketch") -> Locator:
    return page.locator(f"[data-editor={kind}] [data-draw={name}]")


def circle(page: Page, *, radius: float = 0.3, kind: str = "sketch") -> None:
    """Draw a closed circle with the mouse; `radius` as a share of the canvas."""
    canvas(page, kind).scroll_into_view_if_needed()
    box = canvas(page, kind).bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reach = radius * box["width"]
    for i in range(49):
        angle = 2 * math.pi * i / 48
        page.mouse.move(middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle))
        if i == 0:
            page.mouse.down()
    page.mouse.up()


def ink(page: Page, kind: str = "sketch") -> NDArray[np.uint8]:
    """What the canvas shows, grey, 64 x 64."""
    data = canvas(page, kind).evaluate("(canvas) => canvas.toDataURL()")
    return small(data)


def small(address: str) -> NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("L")
    return np.asarray(picture.resize((64, 64), Image.Resampling.BOX))


def map_shown(page: Page) -> NDArray[np.uint8]:
    expect(page.locator("[data-part=map-text]")).to_contain_text("×")
    return small(page.locator("[data-part=map-picture]").get_attribute("src") or "")


def settled(page: Page) -> None:
    """Wait until what was drawn is kept by the server and its map is shown."""
    page.wait_for_function("studio.pending.size === 0")
    page.wait_for_function("!document.querySelector('[data-part=map-text]').textContent.includes('made')")


def controls(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("studio.draft.controls ?? []")
    return found


def same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    return float(np.abs(one.astype(float) - other).mean()) < 2.5


def ring(radius: float = 0.3) -> NDArray[np.bool_]:
    """Where a circle's line runs through 64 x 64 pixels, with two pixels of room."""
    y, x = np.mgrid[:64, :64] - 31.5
    return np.abs(np.hypot(x, y) - 64 * radius) < 3


def test_a_closed_shape_reaches_the_request_and_the_map(page: Page) -> None:
    circle(page)
    settled(page)
    (unit,) = controls(page)
    assert (unit["kind"], unit["preprocessor"], len(unit["image"])) == ("sketch", "none", 64)
    made = map_shown(page)
    line = np.hypot(*(np.mgrid[:64, :64] - 31.5)) - 64 * 0.3
    assert made[np.abs(line) < 0.7].min() > 60, "the line is closed"
    assert made[~ring()].max() < 40, "and nothing else is drawn"
    assert same(made, ink(page))
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    expect(page.get_by_role("button", name="Compare with sketch 1.0")).to_be_visible()


def test_generate_right_after_a_stroke_takes_the_stroke(page: Page, slow_page: Served) -> None:
    circle(page)
    page.fill("#steps", "2")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('[data-phase="done"]')
    job = slow_page.studio.jobs_of(page.evaluate("studio.visitor"))[-1]
    assert [made.unit for made in job.state().maps] == [0]
    assert np.asarray(job.state().maps[0].map.convert("L").resize((64, 64)))[ring()].max() > 200


def test_strokes_survive_tools_undo_resize_tabs_and_reload(page: Page) -> None:
    circle(page)
    one = ink(page)
    circle(page, radius=0.15)
    both = ink(page)
    assert not same(one, both)
    tool(page, "eraser").click()
    tool(page, "size").fill("0.1")
    tool(page, "brush").click()
    assert same(ink(page), both)
    tool(page, "undo").click()
    assert same(ink(page), one)
    tool(page, "redo").click()
    assert same(ink(page), both)
    for width, height in ((1000, 700), (390, 844), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        assert same(ink(page), both), (width, height)
    page.click("#tab-depth")
    expect(canvas(page)).to_be_hidden()
    page.click("#tab-sketch")
    assert same(ink(page), both)
    settled(page)
    before = controls(page)
    page.reload()
    ready(page)
    expect(canvas(page)).to_be_visible()
    page.wait_for_function("document.querySelector('[data-editor=sketch] [data-draw=empty]').hidden")
    assert same(ink(page), both)
    settled(page)
    assert controls(page) == before
    assert same(map_shown(page), both)
    tool(page, "undo").click()
    assert same(ink(page), one)


def test_clear_can_be_taken_back_and_the_eraser_erases(page: Page) -> None:
    circle(page)
    drawn = ink(page)
    tool(page, "clear").click()
    assert ink(page).max() == 0
    settled(page)
    assert controls(page) == []
    tool(page, "undo").click()
    assert same(ink(page), drawn)
    tool(page, "eraser").click()
    tool(page, "size").fill("0.3")
    circle(page)
    assert ink(page).max() < 30


@pytest.mark.parametrize("pointer", ["touch", "pen"])
def test_touch_and_pen_draw(page: Page, pointer: str) -> None:
    canvas(page).scroll_into_view_if_needed()
    widths = canvas(page).evaluate(POINTER, pointer)
    settled(page)
    assert len(controls(page)) == 1
    left, right = widths
    assert (right > 2 * left) == (pointer == "pen"), "a pen's line is wider where it is pressed harder"


# Draws one line from left to right with rising pressure, and measures its height near both ends.
POINTER = """(canvas, kind) => {
  const box = canvas.getBoundingClientRect();
  canvas.setPointerCapture = () => {};
  const say = (name, part) => canvas.dispatchEvent(new PointerEvent(name, { pointerId: 7, pointerType: kind, isPrimary: true, bubbles: true,
    buttons: 1, pressure: part, clientX: box.left + box.width * (.1 + .8 * part), clientY: box.top + box.height / 2 }));
  say("pointerdown", .02);
  for (let i = 1; i < 50; i += 1) say("pointermove", i / 50);
  say("pointerup", 1);
  const high = (part) => {
    const pixels = canvas.getContext("2d").getImageData(Math.round(canvas.width * part), 0, 1, canvas.height).data;
    return pixels.filter((value, i) => i % 4 === 0 && value > 127).length;
  };
  return [high(.18), high(.85)];
}"""


def test_the_keyboard_draws_and_takes_back(page: Page) -> None:
    canvas(page).focus()
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    drawn = ink(page)
    assert drawn[31:33, 32:40].max() > 60 and drawn[:, :28].max() < 30
    page.keyboard.press("Control+z")
    assert ink(page).max() == 0
    page.keyboard.press("Control+Shift+z")
    assert same(ink(page), drawn)
    page.focus("#tab-sketch")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-depth")).to_be_focused()
    expect(canvas(page, "depth")).to_be_visible()


def test_another_shape_of_picture_distorts_nothing(page: Page) -> None:
    circle(page)
    page.select_option("#size", label="Wide")
    settled(page)
    page.wait_for_function("document.querySelector('[data-part=map-text]').textContent.startsWith('344')")
    shown = Image.open(io.BytesIO(base64.b64decode((page.locator("[data-part=map-picture]").get_attribute("src") or "").partition(",")[2])))
    lit = np.argwhere(np.asarray(shown.convert("L")) > 128)
    across, down = np.ptp(lit[:, 1]), np.ptp(lit[:, 0])
    assert shown.width > shown.height and abs(across - down) <= 3


def test_a_dropped_photo_shows_its_canny_map(page: Page, tmp_path: Path) -> None:
    photo = Image.new("RGB", (256, 256), "navy")
    ImageDraw.Draw(photo).rectangle((64, 64, 192, 192), fill="orange")
    photo.save(tmp_path / "photo.png")
    drop(page, tmp_path / "photo.png")
    expect(page.locator("[data-part=source]")).to_be_visible()
    expect(page.locator("#control-preprocessor")).to_have_value("canny")
    settled(page)
    made = map_shown(page)
    assert made[15:17, 20:44].max(axis=0).min() > 30 and made[20:44, 15:17].max(axis=1).min() > 30, "the square's sides are lines"
    assert made[20:44, 20:44].max() < 20 and made[:14].max() < 20, "and its inside and outside are not"
    before = controls(page)
    assert [unit["preprocessor"] for unit in before] == ["canny"]
    page.reload()
    ready(page)
    expect(page.locator("[data-part=source]")).to_be_visible()
    assert controls(page) == before
    page.locator("#setting-high").fill("101")
    assert controls(page)[0]["settings"] == {"high": 101}
    page.select_option("#control-preprocessor", "invert")
    page.select_option("#control-preprocessor", "canny")
    assert controls(page)[0]["settings"] == {"high": 101}


def test_a_depth_map_of_16_bits_is_flipped_and_ranged(page: Page, tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (256, 1))).save(tmp_path / "depth.png")
    page.click("#tab-depth")
    drop(page, tmp_path / "depth.png")
    expect(page.locator("[data-part=source]")).to_be_visible()
    settled(page)
    made = map_shown(page)
    assert made[:, 0].max() < 12 and made[:, -1].min() > 243
    page.get_by_role("switch", name="Flip").check()
    settled(page)
    assert map_shown(page)[:, 0].min() > 243
    page.locator("#setting-far").fill("0.5")
    settled(page)
    page.wait_for_function("studio.draft.controls[0].settings.far === 0.5")
    settled(page)
    flipped = map_shown(page)
    assert flipped[:, 0].min() > 243 and flipped[:, 33:].max() < 12


def test_a_given_depth_map_is_painted_over(page: Page, tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.linspace(0, 50000, 256).astype(np.uint16), (256, 1))).save(tmp_path / "depth.png")
    page.click("#tab-depth")
    drop(page, tmp_path / "depth.png")
    settled(page)
    before = map_shown(page).astype(int)
    page.get_by_role("button", name="Edit this map").click()
    expect(canvas(page, "depth")).to_be_visible()
    settled(page)
    expect(page.get_by_role("button", name="Edit this map")).to_be_hidden()
    assert np.abs(map_shown(page) - before).max() < 4, "the map is there before anything is painted"
    tool(page, "grey", "depth").fill("255")
    tool(page, "size", "depth").fill("0.1")
    circle(page, kind="depth")
    settled(page)
    painted, line = map_shown(page).astype(int), ring()
    assert painted[line].mean() > 200 and np.abs(painted - before)[~wide(line)].max() < 8
    page.reload()
    ready(page)
    page.wait_for_function("studio.draft.controls?.length === 1")
    page.click("#tab-depth")
    settled(page)
    assert np.abs(map_shown(page) - painted).max() < 6
    # The editor fetches the map below for itself.
    eventually(page, lambda: bool(np.abs(ink(page, "depth") - painted).mean() < 4))
    tool(page, "undo", "depth").click()
    settled(page)
    assert np.abs(map_shown(page) - before).max() < 4
    tool(page, "undo", "depth").click()
    page.wait_for_function("studio.draft.controls.length === 0")


def wide(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same places and all within seven pixels of them."""
    import cv2

    return np.asarray(cv2.dilate(where.astype(np.uint8), np.ones((15, 15), np.uint8)), bool)


def drop(page: Page, path: Path, name: str = "photo.png", kind: str = "image/png") -> None:
    """Drop a file onto the section as a person does."""
    data = base64.b64encode(path.read_bytes()).decode()
    held = page.evaluate_handle(
        """([data, name, type]) => { const held = new DataTransfer();
        held.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], name, { type })); return held; }""",
        [data, name, kind],
    )
    page.locator(".control").dispatch_event("drop", {"dataTransfer": held})


def test_what_is_no_picture_is_one_sentence_and_nothing_is_lost(page: Page, tmp_path: Path) -> None:
    circle(page)
    settled(page)
    before, drawn = controls(page), ink(page)
    (tmp_path / "x.png").write_bytes(b"no picture at all")
    drop(page, tmp_path / "x.png")
    expect(page.locator("[data-part=map-error]")).to_contain_text("picture")
    assert controls(page) == before
    assert same(ink(page), drawn)


@pytest.mark.parametrize("kind", ["", "application/octet-stream"])
def test_a_picture_whose_type_the_browser_does_not_know_is_taken(page: Page, tmp_path: Path, kind: str) -> None:
    Image.effect_noise((256, 256), 90).save(tmp_path / "photo", "PNG")
    drop(page, tmp_path / "photo", "photo", kind)
    settled(page)
    assert len(controls(page)) == 1


def test_what_is_drawn_or_asked_for_counts_after_it_was_switched_off(page: Page) -> None:
    circle(page)
    settled(page)
    # As settings without control are taken up again.
    page.evaluate("studio.say('set', { field: 'controls', value: [] })")
    expect(page.get_by_role("switch", name="Use")).not_to_be_checked()
    circle(page, radius=0.15)
    settled(page)
    assert len(controls(page)) == 1
    page.get_by_role("switch", name="Use").uncheck()
    circle(page, radius=0.2)
    settled(page)
    assert controls(page) == []


def test_a_weight_that_is_no_number_is_refused(page: Page) -> None:
    circle(page)
    settled(page)
    page.fill("#control-weight", "0.33")
    assert not page.locator("#control-weight").evaluate("node => node.matches(':invalid')")
    page.fill("#control-weight", "")
    page.click("#generate")
    expect(page.locator("[data-part=error-text]")).to_have_text("Control sketch: Weight must be a number from 0 to 2, not '?'.")
    expect(page.locator("#control-weight")).to_have_value("")


def test_weight_span_mode_and_fit_reach_the_request(page: Page) -> None:
    circle(page)
    settled(page)
    page.fill("#control-weight", "0.7")
    page.locator("[data-part=start]").fill("0.2")
    page.locator("[data-part=end]").fill("0.1")
    page.select_option("#control-mode", "prompt")
    page.select_option("#control-fit", "pad")
    (unit,) = controls(page)
    assert (unit["weight"], unit["start"], unit["end"], unit["mode"], unit["fit"]) == (0.7, 0.2, 0.25, "prompt", "pad")
    heading = page.get_by_role("button", name="Control sketch", exact=False)
    heading.click()
    expect(page.locator("#control-section")).to_be_hidden()
    expect(heading).to_contain_text("sketch 0.7")


def test_units_are_added_switched_and_removed(page: Page) -> None:
    circle(page)
    settled(page)
    page.get_by_role("button", name="Add").click()
    assert ink(page).max() == 0
    circle(page, radius=0.15)
    settled(page)
    assert len({unit["image"] for unit in controls(page)}) == 2
    page.get_by_role("button", name="sketch unit 1").click()
    page.get_by_role("switch", name="Use").uncheck()
    assert len(controls(page)) == 1
    page.get_by_role("button", name="Remove").click()
    assert ink(page)[ring(0.15)].max() > 100
    assert len(controls(page)) == 1


def test_depth_is_painted_with_brightness(page: Page) -> None:
    page.click("#tab-depth")
    tool(page, "grey", "depth").fill("100")
    tool(page, "size", "depth").fill("0.2")
    circle(page, kind="depth")
    settled(page)
    assert [unit["kind"] for unit in controls(page)] == ["depth"]
    assert abs(int(map_shown(page).max()) - 100) < 6
    page.get_by_role("button", name="Fill all").click()
    settled(page)
    assert abs(int(map_shown(page).min()) - 100) < 6


def test_kinds_without_a_controlnet_say_so_and_nothing_is_lost(two_models: Served, visit: Open) -> None:
    page = visit(two_models.address).page
    circle(page)
    settled(page)
    before, drawn = controls(page), ink(page)
    page.click("#tab-pose")
    expect(page.locator("[data-part=reason]")).to_have_text(
        "Fake has no pose ControlNet here; put one into controlnets/ of the data folder."
    )
    page.click("#tab-sketch")
    page.select_option("#model", "Bare")
    expect(page.locator("[data-part=reason]")).to_contain_text("fake-sketch was made for another family")
    assert controls(page) == []
    page.fill("#steps", "1")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    page.select_option("#model", "Fake")
    expect(page.locator("[data-part=reason]")).to_be_hidden()
    assert controls(page) == before
    assert same(ink(page), drawn)


def test_a_result_is_compared_with_its_map_and_used_again(page: Page) -> None:
    circle(page)
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    expect(page.get_by_role("button", name="Compare with sketch")).to_contain_text("follows")
    heading = page.locator('[aria-controls="control-section"]')
    expect(heading).to_have_text(re.compile(r"Control sketch 1\.0 · (follows closely|follows loosely|hardly follows)$"))
    expect(page.locator("[data-part=map-follows]")).to_have_text(re.compile(r"(follows|hardly) .+, F1 \d\.\d\d"))
    # It was measured with the unit as it was.
    page.locator("#control-weight").fill("0.5")
    expect(heading).to_have_text("Control sketch 0.5")
    expect(page.locator("[data-part=map-follows]")).to_be_hidden()
    page.locator("#control-weight").fill("1")
    expect(heading).to_contain_text("follows")
    page.get_by_role("button", name="Compare with sketch").click()
    expect(page.locator("[data-part=proof]")).to_be_visible()
    slider = page.get_by_role("slider", name="Between map and picture")
    expect(slider).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("51")
    box = page.locator("[data-part=proof]").bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 20)
    assert abs(int(slider.input_value()) - 25) <= 2
    page.get_by_role("button", name="Compare with sketch").click()
    expect(page.locator("[data-part=proof]")).to_be_hidden()
    page.get_by_role("button", name="Use as control").click()
    page.locator("#use-as").get_by_role("button", name="Depth").click()
    expect(page.locator("#tab-depth")).to_have_attribute("aria-selected", "true")
    expect(page.locator("[data-part=source]")).to_be_visible()
    settled(page)
    assert [unit["kind"] for unit in controls(page)] == ["sketch", "depth"]


SKETCH_NET = ROOT / "assets/mini/controlnets/sketch"


@pytest.mark.slow
@pytest.mark.skipif(not list(SKETCH_NET.glob("*.safetensors")), reason="the embedded model has no sketch ControlNet here")
def test_the_embedded_model_follows_a_drawn_shape(tmp_path: Path, visit: Open) -> None:
    settings = Settings(data_dir=tmp_path)
    with served(app.build(settings), settings) as mini:
        page = visit(mini.address).page
        page.wait_for_selector('header[data-model="ready"]')
        circle(page)
        settled(page)
        page.fill("#seed", "7")
        followed = made(page, mini)
        page.get_by_role("switch", name="Use").uncheck()
        plain = made(page, mini)
        drawing = np.asarray(mini.studio.jobs_of(page.evaluate("studio.visitor"))[-2].state().maps[0].map)
        edges = canny(np.asarray(plain.images[0]), {"low": 100, "high": 200})
        without = agreement.edges(edges, drawing).value or 0.0
        score = followed.agreements[0][0]
    print(f"F1 of the result's edges with the drawn circle: {score.value:.3f} ({score.word}), without control {without:.3f}")
    assert score.value is not None and score.value >= 0.4 and score.value > without + 0.2


def made(page: Page, served_page: Served) -> Finished:
    """Press Generate and return how the job ended."""
    before = len(served_page.studio.jobs_of(page.evaluate("studio.visitor")))
    page.click("#generate")
    while len(served_page.studio.jobs_of(page.evaluate("studio.visitor"))) == before:
        page.wait_for_timeout(50)
    ended = served_page.studio.jobs_of(page.evaluate("studio.visitor"))[-1].wait(600)
    assert isinstance(ended, Finished), ended
    return ended


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_has_room_for_it(slow_page: Served, visit: Open, theme: str) -> None:
    page = visit(slow_page.address, width=390, height=844, theme=theme).page
    circle(page)
    settled(page)
    for kind in ("sketch", "depth", "pose"):
        page.click(f"#tab-{kind}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("#control").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_the_ring_is_where_the_brush_is_in_a_low_window(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.set_viewport_size({"width": 1280, "height": 640})
    page.select_option("#size", label="Portrait")
    page.click("#tab-sketch")
    canvas(page).scroll_into_view_if_needed()
    paper, box = page.locator("[data-editor=sketch] .paper").bounding_box(), canvas(page).bounding_box()
    assert paper and box and paper["width"] - box["width"] > 20
    page.mouse.move(box["x"] + 40, box["y"] + 50)
    found = page.locator("[data-editor=sketch] .paper i").bounding_box()
    assert found
    assert found["x"] + found["width"] / 2 == pytest.approx(box["x"] + 40, abs=2)
    assert found["y"] + found["height"] / 2 == pytest.approx(box["y"] + 50, abs=2)


def test_a_drawing_that_did_not_arrive_is_sent_again_before_a_run(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    reached = False

    def answer(route: Route) -> None:
        keeps = json.loads(route.request.post_data or "{}").get("fn_name") == "keep"
        route.abort() if keeps and not reached else route.fallback()

    page.route(re.compile("/component_server"), answer)
    page.fill("#steps", "1")
    page.click("#tab-sketch")
    circle(page)
    expect(page.locator(".control [data-part=map-error]")).to_contain_text("The studio does not answer; draw on to try again.")
    page.click("#generate")
    expect(page.locator("#stage [data-part=error]")).to_contain_text("A drawing could not be sent to the studio")
    assert controls(page) == []
    reached = True
    page.click("#generate")
    page.wait_for_selector("[data-part=final]:not([hidden]) img")
    assert len(controls(page)) == 1
    expect(page.locator("#stage [data-part=error]")).to_be_hidden()


def test_clear_empties_a_grey_depth_map(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.click("#tab-depth")
    tool(page, "fill", "depth").click()
    expect(tool(page, "clear", "depth")).to_be_enabled()
    tool(page, "clear", "depth").click()
    expect(tool(page, "clear", "depth")).to_be_disabled()
