"""Late answers in a real browser: each belongs to the unit and question it was given for, and nobody takes the form too soon."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, noted, ready
from tests.browser.held import hold
from tests.browser.test_control import canvas, circle, controls, drop, ring, settled, two_models
from tests.browser.test_pose import position, start
from tests.browser.test_pose import settled as pose_settled
from tests.served import Served

pytestmark = pytest.mark.browser
__all__ = ["two_models"]
SOURCE = "#control [data-part=source]"


@pytest.fixture
def page(kept_page: Served, visit: Open) -> Page:
    page = visit(kept_page.address).page
    expect(page.locator("#control [data-part=span-text]")).to_have_text("0 to 100 %")
    return page


def photo(folder: Path, colour: str) -> Path:
    path = folder / f"{colour}.png"
    Image.new("RGB", (64, 64), colour).save(path)
    return path


def test_a_late_picture_does_not_replace_the_one_given_since(page: Page, tmp_path: Path) -> None:
    held = hold(page, "keep")
    drop(page, photo(tmp_path, "red"))
    held.wait_for(1)
    drop(page, photo(tmp_path, "blue"))
    held.wait_for(2)
    held.let_go(1)
    expect(page.locator(SOURCE)).to_be_visible()
    (blue,) = controls(page)
    held.let_go(0)
    assert controls(page) == [blue]


def test_who_went_back_to_drawing_stays_there(page: Page, tmp_path: Path) -> None:
    circle(page)
    settled(page)
    (drawn,) = controls(page)
    held = hold(page, "keep")
    drop(page, photo(tmp_path, "red"))
    held.wait_for(1)
    page.click("[data-part=by-picture]")
    page.click("[data-part=by-editor]")
    held.let_go(0)
    assert controls(page) == [drawn]
    page.click("[data-part=by-picture]")
    expect(page.locator(SOURCE)).to_be_visible()


def test_no_unit_shows_the_picture_of_another(page: Page, tmp_path: Path) -> None:
    drop(page, photo(tmp_path, "red"))
    expect(page.locator(SOURCE)).to_be_visible()
    page.get_by_role("button", name="Add", exact=True).click()
    drop(page, photo(tmp_path, "blue"))
    expect(page.locator(SOURCE)).to_be_visible()
    settled(page)
    held = hold(page, "thumbnail")
    page.reload()
    ready(page)
    held.wait_for(1)
    expect(page.locator(SOURCE)).to_be_hidden()
    page.get_by_role("button", name="sketch unit 1").click()
    held.wait_for(2)
    held.let_go(0)
    expect(page.locator(SOURCE)).to_be_hidden()
    held.let_go(1)
    expect(page.locator(SOURCE)).to_be_visible()
    red = page.locator(SOURCE).get_attribute("src")
    page.get_by_role("button", name="sketch unit 2").click()
    expect(page.locator(SOURCE)).to_be_visible()
    expect(page.locator(SOURCE)).not_to_have_attribute("src", red or "")
    assert len(held.routes) == 2, "each was asked for once"


def test_no_unit_shows_the_map_of_another(page: Page, tmp_path: Path) -> None:
    shown = page.locator("[data-part=map-picture]")
    drop(page, photo(tmp_path, "red"))
    expect(shown).to_be_visible()
    page.get_by_role("button", name="Add", exact=True).click()
    maps = hold(page, "annotate")
    drop(page, photo(tmp_path, "blue"))
    maps.wait_for(1)
    expect(shown).to_be_hidden()
    # What fits this kind is not known yet.
    hold(page, "preprocessors")
    page.click("#tab-depth")
    page.click("[data-part=by-picture]")
    maps.let_go(0)
    expect(page.locator("#control [data-part=map]")).to_be_hidden()


def test_a_late_listing_does_not_lose_the_picture_made_since(page: Page) -> None:
    held = hold(page, "history_page")
    held.answering = True
    page.reload()
    ready(page)
    held.wait_for(1)
    held.holding = False
    page.evaluate("studio.on('kept', () => { document.body.dataset.kept = 'yes' })")
    page.fill("#prompt", "made meanwhile")
    page.fill("#steps", "2")
    page.click("#generate")
    expect(page.locator("[data-part=final]:not([hidden]) img")).to_have_attribute("alt", re.compile("made meanwhile"))
    # Without waiting for the listing the page would have the picture soon, and lose it again.
    page.wait_for_selector("[data-kept]", state="attached")
    page.wait_for_timeout(500)
    held.let_go(0)
    expect(page.locator(".tile .open").first).to_have_attribute("aria-label", re.compile("made meanwhile"))


def test_a_run_that_was_forgotten_while_nobody_looked_is_in_the_history(page: Page, kept_page: Served) -> None:
    held = hold(page, "poll")
    page.fill("#prompt", "made unseen")
    page.fill("#steps", "2")
    page.click("#generate")
    held.wait_for(1)
    job = next(job for job in kept_page.studio._jobs.values() if job.plan.request.prompt == "made unseen")
    job.wait(60)
    assert kept_page.studio.gallery and kept_page.studio.gallery.settle(30)
    # As when so many others have ended since.
    del kept_page.studio._jobs[job.id]
    held.holding = False
    held.let_go(0)
    expect(page.locator("#stage [data-part=error-text]")).to_have_text(
        "This run ended long ago, or the studio was started anew; look in the history, or press Generate to make it again."
    )
    expect(page.locator('.tile .open[aria-label*="made unseen"]')).to_have_count(1)


def test_the_reasons_are_those_of_the_chosen_model(two_models: Served, visit: Open) -> None:
    page = visit(two_models.address).page
    page.wait_for_function("document.querySelector('#tab-pose').hasAttribute('data-off')")
    held = hold(page, "kinds")
    page.select_option("#model", "Bare")
    page.select_option("#model", "Fake")
    held.wait_for(2)
    held.let_go(1)
    held.let_go(0)
    expect(page.locator("[data-part=reason]")).to_be_hidden()


def test_a_preset_takes_the_drawing_that_is_on_its_way(page: Page, kept_page: Served) -> None:
    circle(page)
    settled(page)
    before = controls(page)[0]["image"]
    held = hold(page, "keep")
    circle(page, radius=0.15)
    page.click("#presets [data-part=more]")
    page.get_by_role("button", name="Save as…").click()
    page.fill("#preset-name", "On its way")
    page.click("#presets [data-part=details-save]")
    held.wait_for(1)
    held.let_go(0)
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("On its way is saved.")
    now = controls(page)[0]["image"]
    assert now != before
    assert kept_page.studio.presets.load("On its way").values["controls"][0]["image"] == now
    expect(page.locator("#presets [data-part=changed]")).to_be_hidden()


def test_generate_takes_the_drawing_that_is_on_its_way(page: Page, kept_page: Served) -> None:
    held = hold(page, "keep")
    page.fill("#steps", "1")
    circle(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-part=hint]")).to_have_text("waits for your picture")
    page.keyboard.press("Control+Enter")
    held.wait_for(1)
    held.let_go(0)
    page.wait_for_selector('[data-phase="done"]')
    expect(page.locator("[data-part=hint]")).to_have_text("Ctrl ⏎")
    (job,) = kept_page.studio.jobs_of(page.evaluate("studio.visitor"))
    assert np.asarray(job.state().maps[0].map.convert("L").resize((64, 64)))[ring()].max() > 200


def test_generate_takes_the_stroke_that_is_not_lifted_yet(page: Page, kept_page: Served) -> None:
    page.fill("#steps", "1")
    canvas(page).focus()
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('[data-phase="done"]')
    (job,) = kept_page.studio.jobs_of(page.evaluate("studio.visitor"))
    assert [made.unit for made in job.state().maps] == [0]


def test_a_late_mirroring_does_not_undo_what_was_done_since(page: Page) -> None:
    page.click("#tab-pose")
    start(page)
    held = hold(page, "pose_mirror")
    page.get_by_role("button", name="Mirror the person").click()
    held.wait_for(1)
    page.get_by_role("button", name="Larger").click()
    where = position(page, "Left wrist")
    held.let_go(0)
    assert position(page, "Left wrist") == where


def test_a_new_unit_begins_without_steps_of_another(page: Page) -> None:
    page.click("#tab-pose")
    start(page)
    page.get_by_role("button", name="Remove the person").click()
    page.wait_for_function("studio.draft.controls.length === 0")
    undo = page.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_be_enabled()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("button", name="pose unit 2")).to_have_attribute("aria-pressed", "true")
    expect(undo).to_be_disabled()
    start(page, "Standing")
    page.get_by_role("button", name="pose unit 1").click()
    expect(undo).to_be_enabled()
    undo.click()
    page.wait_for_function("studio.draft.controls.length === 2")
    pose_settled(page)


def test_what_is_undone_shows_as_it_was(page: Page, tmp_path: Path) -> None:
    drop(page, photo(tmp_path, "red"))
    expect(page.locator("#control-preprocessor")).not_to_have_value("")
    page.select_option("#control-preprocessor", "canny")
    noted(page)
    high = page.locator("#setting-high")
    usual = high.input_value()
    high.fill("101")
    noted(page)
    page.get_by_role("button", name="Undo a setting").click()
    expect(high).to_have_value(usual)
    high.fill("102")
    assert controls(page)[0]["settings"] == {"high": 102}
