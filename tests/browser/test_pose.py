"""The pose editor in a real browser: what is dragged is what the model follows; keys, touch, library, files, undo, reload."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, ready
from tests.browser.test_generate import generate_anew, pixels
from tests.served import Served

pytestmark = pytest.mark.browser

MAP = "[data-part=map-picture]"


@pytest.fixture
def page(slow_page: Served, visit: Open) -> Page:
    page = visit(slow_page.address).page
    page.click("#tab-pose")
    return page


def start(page: Page, name: str = "Waving") -> str:
    """Choose a pose of the library; return the hash of its map."""
    page.get_by_role("button", name=f"Pose: {name}", exact=True).click()
    page.wait_for_function("studio.draft.controls?.length === 1")
    return settled(page)


def settled(page: Page) -> str:
    """Wait until the server has drawn what is shown; return the map's hash."""
    page.evaluate("studio.settled()")
    page.wait_for_timeout(50)
    page.evaluate("studio.settled()")
    return str(page.evaluate("studio.draft.controls[0].image"))


def joint(page: Page, name: str) -> Locator:
    return page.locator(f'.pose svg [role=button][aria-label^="{name}"]')


def place(page: Page, name: str) -> tuple[float, float]:
    box = joint(page, name).bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, name: str, *, by: tuple[float, float]) -> None:
    joint(page, name).scroll_into_view_if_needed()
    x, y = place(page, name)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2)
    page.mouse.move(x + by[0], y + by[1], steps=4)
    page.mouse.up()


def shown_map(page: Page) -> Image.Image:
    """The map beside the editor, once it is the newest."""
    settled(page)
    page.wait_for_function(f"(() => {{ const map = document.querySelector('{MAP}'); return !map.hidden && map.naturalWidth > 0; }})()")
    page.wait_for_function("document.querySelector('[data-part=map-text]').textContent.includes('×')")
    bytes_of = "async (query) => [...new Uint8Array(await (await fetch(document.querySelector(query).src)).arrayBuffer())]"
    return Image.open(io.BytesIO(bytes(page.evaluate(bytes_of, MAP)))).convert("RGB")


def picture(page: Page) -> bytes:
    generate_anew(page)
    return pixels(page)


def test_dragging_a_wrist_changes_map_and_result_and_undo_restores_both(page: Page) -> None:
    page.fill("#seed", "5")
    page.fill("#steps", "2")
    first = start(page)
    map_before, result_before = shown_map(page), picture(page)
    drag(page, "Right wrist", by=(-40, -90))
    second = settled(page)
    map_after = shown_map(page)
    assert second != first
    changed = ImageChops.difference(map_before, map_after).convert("L").point(lambda value: 255 * (value > 60)).getbbox()
    # Only the right arm moved, on the left half of a picture of 256 pixels.
    assert changed and changed[2] < 140 and changed[3] - changed[1] > 30
    result_after = picture(page)
    assert result_after != result_before
    page.get_by_role("button", name="Undo", exact=True).click()
    assert settled(page) == first
    assert picture(page) == result_before
    page.get_by_role("button", name="Redo", exact=True).click()
    assert settled(page) == second


def test_keys_are_enough(page: Page) -> None:
    first = start(page, "Standing")
    wrist = joint(page, "Left wrist")
    wrist.focus()
    before = position(page, "Left wrist")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert position(page, "Left wrist") == (before[0] + 1, before[1] - 10)
    expect(wrist).to_be_focused()
    moved = settled(page)
    assert moved != first
    page.keyboard.press("Delete")
    expect(wrist).to_have_attribute("aria-label", f"Left wrist of person 1, {before[0] + 1} across, {before[1] - 10} down, hidden")
    hidden = settled(page)
    assert hidden not in (first, moved)
    page.keyboard.press("Delete")
    assert settled(page) == moved
    for _ in range(4):
        page.keyboard.press("Control+z")
    assert settled(page) == first
    for _ in range(4):
        page.keyboard.press("Control+y")
    assert settled(page) == moved
    reached = []
    joint(page, "Nose").focus()
    for _ in range(18):
        reached.append(str(page.evaluate("document.activeElement.getAttribute('aria-label')")).split(" of ")[0])
        page.keyboard.press("Tab")
    assert len(set(reached)) == 18 and reached[:3] == ["Nose", "Neck", "Right shoulder"]


def position(page: Page, name: str) -> tuple[int, int]:
    label = joint(page, name).get_attribute("aria-label") or ""
    across, down = (int(part.split()[0]) for part in label.split(", ")[1:3])
    return across, down


def test_the_whole_person_is_moved_turned_resized_and_mirrored(page: Page) -> None:
    start(page)
    wrist, other = position(page, "Left wrist"), position(page, "Right wrist")
    assert wrist[1] < other[1]
    page.get_by_role("button", name="Mirror the person").click()
    expect(joint(page, "Right wrist")).to_have_attribute("aria-label", re.compile(rf", {wrist[1]} down"))
    settled(page)
    hip = position(page, "Left hip")
    joint(page, "Left hip").scroll_into_view_if_needed()
    x, y = place(page, "Left hip")
    neck_x, neck_y = place(page, "Neck")
    page.mouse.move((x + neck_x) / 2, (y + neck_y) / 2)
    page.mouse.down()
    page.mouse.move((x + neck_x) / 2 + 40, (y + neck_y) / 2 + 10, steps=4)
    page.mouse.up()
    moved = position(page, "Left hip")
    assert moved[0] - hip[0] > 20 and moved[1] - hip[1] > 3
    height = position(page, "Left ankle")[1] - position(page, "Nose")[1]
    page.get_by_role("button", name="Size of person 1").focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert position(page, "Left ankle")[1] - position(page, "Nose")[1] == pytest.approx(0.9 * height, abs=4)
    page.get_by_role("button", name="Turn person 1").focus()
    for _ in range(9):
        page.keyboard.press("Shift+ArrowRight")
    nose, ankle = position(page, "Nose"), position(page, "Left ankle")
    assert nose[0] - ankle[0] > abs(nose[1] - ankle[1]), "after a quarter turn the person lies, head to the right"


def test_people_come_and_go(page: Page) -> None:
    start(page, "Standing")
    page.get_by_role("button", name="Add a person").click()
    expect(page.locator(".pose svg .person")).to_have_count(2)
    expect(joint(page, "Nose")).to_have_attribute("aria-label", re.compile("^Nose of person 2,"))
    two = settled(page)
    page.get_by_role("button", name="Remove the person").click()
    expect(page.locator(".pose svg .person")).to_have_count(1)
    assert settled(page) != two
    page.get_by_role("button", name="Remove the person").click()
    page.wait_for_function("studio.draft.controls.length === 0")
    expect(page.get_by_text("Nobody is here yet")).to_be_visible()
    page.get_by_role("button", name="Undo", exact=True).click()
    page.wait_for_function("studio.draft.controls.length === 1")


def test_a_pose_goes_out_and_comes_back(page: Page, tmp_path: Path) -> None:
    first = start(page, "Two people talking")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save JSON").click()
    path = tmp_path / "pose.json"
    download.value.save_as(path)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    download.value.save_as(tmp_path / "pose.png")
    with Image.open(tmp_path / "pose.png") as saved:
        assert saved.size == (256, 256)
    assert start(page, "Running") != first
    page.get_by_role("button", name="Import").click()
    page.set_input_files(".pose input[type=file]", path)
    expect(page.locator(".pose svg .person")).to_have_count(2)
    assert settled(page) == first


def test_hands_and_face_of_an_import_are_kept_and_follow(page: Page) -> None:
    start(page, "Standing")
    body = page.evaluate("JSON.parse(localStorage[Object.keys(localStorage).find((key) => /^studio-control-/.test(key))])")
    person = body["people"][0]
    x, y = person["pose_keypoints_2d"][12:14]
    person["hand_right_keypoints_2d"] = [number for i in range(21) for number in (x - i / 2, y + i, 1)]
    person["face_keypoints_2d"] = [number for i in range(70) for number in (100 + i / 2, 40, 1)]
    page.get_by_role("button", name="Import").click()
    page.fill("#pose-text", json.dumps(body))
    expect(page.locator("[data-part=importing]")).to_be_hidden()
    drag(page, "Right wrist", by=(-30, 0))
    settled(page)
    after = page.evaluate("JSON.parse(localStorage[Object.keys(localStorage).find((key) => /^studio-control-/.test(key))])")["people"][0]
    moved = after["pose_keypoints_2d"][12] - x
    assert moved < -10
    assert after["hand_right_keypoints_2d"][0] == pytest.approx(x + moved, abs=0.2)
    assert after["face_keypoints_2d"] == person["face_keypoints_2d"]


def test_a_bad_file_is_one_sentence_and_the_pose_stays(page: Page) -> None:
    first = start(page, "Standing")
    page.get_by_role("button", name="Import").click()
    problem = page.locator("[data-part=pose] [data-part=problem]")
    for text, sentence in [
        ("{", "This is no JSON (line 1, column 2); give a file that OpenPose or a pose editor wrote."),
        ('{"people": [{"pose_keypoints_2d": [NaN]}]}', "people[0].pose_keypoints_2d has 1 numbers; it must have"),
        (json.dumps({"people": [{}] * 10_000}), "This pose has 10,000 people; keep at most 16 of them."),
        ("x" * 500_000, "This pose has 500000 characters; one of at most 400000 can be read, so leave people or frames out."),
    ]:
        page.fill("#pose-text", text)
        expect(problem).to_contain_text(sentence)
    assert settled(page) == first
    page.fill("#pose-text", "")
    page.get_by_role("button", name="Larger").click()
    assert settled(page) != first


def test_tab_switch_and_reload_keep_the_pose(page: Page) -> None:
    start(page)
    drag(page, "Right wrist", by=(-40, -60))
    image, where = settled(page), position(page, "Right wrist")
    page.click("#tab-sketch")
    page.click("#tab-pose")
    assert position(page, "Right wrist") == where
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_role("button", name="Redo", exact=True).click()
    assert settled(page) == image
    page.reload()
    ready(page)
    expect(page.locator("#tab-pose")).to_have_attribute("aria-selected", "true")
    assert position(page, "Right wrist") == where
    assert settled(page) == image


def test_another_size_keeps_people_whole(page: Page) -> None:
    first = start(page, "Cheering")
    page.select_option("#size", label="Wide")
    page.wait_for_function("(image) => studio.draft.controls[0].image !== image", arg=first)
    width, height = (int(number) for number in (page.locator(".pose svg[data-part=canvas]").get_attribute("viewBox") or "").split()[2:])
    assert width > height
    nose, ankle = position(page, "Nose"), position(page, "Left ankle")
    assert 0 < nose[1] < ankle[1] < height and abs(nose[0] - width / 2) < 20
    page.select_option("#size", label="Square")
    page.wait_for_function("(image) => studio.draft.controls[0].image === image", arg=first)


def test_what_is_pressed_is_what_is_taken_in_a_low_window(page: Page) -> None:
    page.set_viewport_size({"width": 1366, "height": 700})
    page.select_option("#size", label="Portrait")
    start(page, "Standing")
    canvas = page.locator(".pose svg[data-part=canvas]")
    box = canvas.bounding_box()
    width, height = (int(number) for number in (canvas.get_attribute("viewBox") or "").split()[2:])
    assert box and box["width"] / box["height"] == pytest.approx(width / height, rel=0.02)
    before = {name: position(page, name) for name in ("Left wrist", "Right wrist", "Left elbow", "Nose")}
    drag(page, "Left wrist", by=(24, -18))
    after = {name: position(page, name) for name in before}
    wrist = before.pop("Left wrist")
    pixel = width / box["width"]
    assert after.pop("Left wrist") == pytest.approx((wrist[0] + 24 * pixel, wrist[1] - 18 * pixel), abs=2)
    assert after == before


def test_every_person_is_reached_by_keys(page: Page) -> None:
    start(page, "Standing")
    page.get_by_role("button", name="Add a person").click()
    first = page.locator('.pose svg [role=button][aria-label="Person 1"]')
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pose svg :focus")).to_have_attribute("aria-label", re.compile("of person 1"))
    before = position(page, "Nose")
    page.keyboard.press("ArrowRight")
    assert position(page, "Nose") == (before[0] + 1, before[1])


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_drags_with_a_finger(slow_page: Served, visit: Open, theme: str) -> None:
    page = visit(slow_page.address, width=390, height=844, theme=theme).page
    session = page.context.new_cdp_session(page)

    def touch(kind: str, fingers: list[tuple[float, float]]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    page.click("#tab-pose")
    first = start(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    joint(page, "Right wrist").scroll_into_view_if_needed()
    x, y = place(page, "Right wrist")
    before = position(page, "Right wrist")
    # A finger that lands 16 pixels beside the joint still takes it.
    touch("touchStart", [(x - 12, y + 10)])
    touch("touchMove", [(x - 22, y - 20)])
    touch("touchMove", [(x - 32, y - 50)])
    touch("touchEnd", [])
    after = position(page, "Right wrist")
    assert before[0] - after[0] > 8 and before[1] - after[1] > 30
    assert settled(page) != first
    width = position(page, "Left shoulder")[0] - position(page, "Right shoulder")[0]
    (left, top), (right, bottom) = place(page, "Right shoulder"), place(page, "Left ankle")
    touch("touchStart", [(left, top)])
    touch("touchStart", [(left, top), (right, bottom)])
    middle = (left + right) / 2, (top + bottom) / 2
    touch("touchMove", [((left + middle[0]) / 2, (top + middle[1]) / 2), ((right + middle[0]) / 2, (bottom + middle[1]) / 2)])
    half = [((left + middle[0]) / 2, (top + middle[1]) / 2), ((right + middle[0]) / 2, (bottom + middle[1]) / 2)]
    # One finger is lifted and put down again, which loses nothing.
    touch("touchMove", half[:1])
    touch("touchMove", half[:1])
    touch("touchStart", half)
    touch("touchEnd", [])
    assert position(page, "Left shoulder")[0] - position(page, "Right shoulder")[0] == pytest.approx(width / 2, abs=2)


def test_a_pose_map_can_be_opened_and_edited(page: Page, tmp_path: Path) -> None:
    start(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    path = tmp_path / "pose.png"
    download.value.save_as(path)
    where = position(page, "Left wrist")
    page.get_by_role("button", name="Remove the person").click()
    page.wait_for_function("studio.draft.controls.length === 0")
    page.get_by_role("button", name="Import").click()
    page.set_input_files(".pose input[type=file]", path)
    expect(page.locator(".pose svg .person")).to_have_count(1)
    assert position(page, "Left wrist") == pytest.approx(where, abs=2)
    page.wait_for_function("studio.draft.controls.length === 1")
    page.get_by_role("button", name="Remove the person").click()
    page.get_by_role("button", name="Picture", exact=True).click()
    page.locator("#control input[aria-label='Picture file']").set_input_files(path)
    page.get_by_role("button", name="Edit this map").click()
    expect(page.locator(".pose svg .person")).to_have_count(1)
    assert position(page, "Left wrist") == pytest.approx(where, abs=2)
    Image.new("RGB", (64, 64), "gray").save(path)
    page.get_by_role("button", name="Import").click()
    page.set_input_files(".pose input[type=file]", path)
    expect(page.locator("[data-part=pose] [data-part=problem]")).to_contain_text(
        "No pose detector is here yet; give the photo under Picture"
    )
    expect(page.locator(".pose svg .person")).to_have_count(1)
