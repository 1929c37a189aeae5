"""Nothing set up or asked for is lost: undo and redo, other tabs, a studio started anew elsewhere, a dropped network, a closed tab."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, noted, ready
from tests.browser.held import hold
from tests.served import PatientEngine, Served, served_fake

pytestmark = pytest.mark.browser
FINAL = "[data-part=final]:not([hidden]) img"


@pytest.fixture
def page(slow_page: Served, visit: Open) -> Page:
    page = visit(slow_page.address).page
    noted(page)
    return page


def change(page: Page, selector: str, value: str) -> None:
    page.fill(selector, value)
    noted(page)


def outside(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")


def test_settings_are_undone_and_redone_by_key_and_button(page: Page) -> None:
    undo, redo = page.get_by_role("button", name="Undo a setting"), page.get_by_role("button", name="Redo a setting")
    expect(undo).to_be_disabled()
    change(page, "#steps", "33")
    change(page, "#prompt", "a white torus")
    page.select_option("#scheduler", "Euler a")
    noted(page)
    outside(page)
    page.keyboard.press("Control+z")
    expect(page.locator("#scheduler")).not_to_have_value("Euler a")
    undo.click()
    expect(page.locator("#prompt")).to_have_value("a large red sphere on grass during the day")
    expect(page.locator("#steps")).to_have_value("33")
    undo.click()
    expect(page.locator("#steps")).to_have_value("20")
    expect(undo).to_be_disabled()
    for _ in range(3):
        redo.click()
    expect(page.locator("#scheduler")).to_have_value("Euler a")
    expect(page.locator("#prompt")).to_have_value("a white torus")
    expect(redo).to_be_disabled()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#scheduler")).to_have_value("Euler a")
    page.keyboard.press("Control+z")
    change(page, "#steps", "7")
    expect(redo).to_be_disabled()  # what was undone gave way to something new


def test_a_text_box_keeps_its_own_undo(page: Page) -> None:
    change(page, "#steps", "33")
    page.focus("#negative_prompt")
    page.keyboard.type("shadow")
    page.keyboard.press("Control+z")
    expect(page.locator("#negative_prompt")).not_to_have_value("shadow")
    expect(page.locator("#steps")).to_have_value("33")


def test_several_settings_at_once_are_one_step(page: Page) -> None:
    change(page, "#negative_prompt", "shadow")
    page.get_by_role("button", name="not red").click()
    noted(page)
    page.get_by_role("button", name="Undo a setting").click()
    expect(page.locator("#negative_prompt")).to_have_value("shadow")
    expect(page.locator("#prompt")).to_have_value("a large red sphere on grass during the day")


def test_loras_and_drawings_are_undone_too(page: Page) -> None:
    undo, redo = page.get_by_role("button", name="Undo a setting"), page.get_by_role("button", name="Redo a setting")
    page.locator("#loras .offer").first.click()
    expect(page.locator(".lora")).to_have_count(1)
    noted(page)
    canvas = page.locator('[data-editor="sketch"] canvas').first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 120, steps=5)
    page.mouse.up()
    expect(page.locator("#tab-sketch")).to_have_attribute("data-on", "")
    noted(page)
    drawn = "JSON.parse(localStorage['studio-control']).units.filter((unit) => unit.on).map((unit) => unit.drawn).join()"
    page.evaluate("studio.settled()")
    key = page.evaluate(drawn)
    assert re.fullmatch("[0-9a-f]{64}", key)
    outside(page)
    page.evaluate("scrollTo(0, 0)")
    while page.locator("#tab-sketch[data-on]").count():
        undo.click()
    expect(page.locator(".lora")).to_have_count(1)
    assert page.evaluate(drawn) == ""
    invited = page.locator('[data-editor="sketch"] [data-draw=empty]')
    expect(invited).to_be_visible()  # the canvas is as empty as the request
    undo.click()
    expect(page.locator(".lora")).to_have_count(0)
    while redo.is_enabled():
        redo.click()
    expect(page.locator("#tab-sketch")).to_have_attribute("data-on", "")
    expect(page.locator(".lora")).to_have_count(1)
    page.wait_for_function(f"(key) => {drawn} === key", arg=key)
    expect(invited).to_be_hidden()


def test_steps_outlast_a_reload(page: Page) -> None:
    change(page, "#steps", "33")
    change(page, "#steps", "44")
    page.reload()
    ready(page)
    expect(page.locator("#steps")).to_have_value("44")
    page.get_by_role("button", name="Undo a setting").click()
    expect(page.locator("#steps")).to_have_value("33")


def test_the_last_tab_wins_whole_and_says_so(slow_page: Served, visit: Open) -> None:
    visited = visit(slow_page.address)
    one, two = visited.page, visited.context.new_page()
    two.goto(slow_page.address)
    ready(two)
    change(one, "#prompt", "from the first tab")
    change(one, "#steps", "11")
    expect(two.locator("#draft")).to_contain_text("Another tab changed the settings. What you set here replaces that.")
    assert two.evaluate("document.documentElement.scrollHeight <= innerHeight")
    change(two, "#negative_prompt", "from the second tab")
    expect(one.locator("#draft")).to_contain_text("Another tab changed the settings.")
    one.wait_for_function("JSON.parse(localStorage['studio-draft']).negative_prompt === 'from the second tab'")
    draft = one.evaluate("JSON.parse(localStorage['studio-draft'])")
    assert draft.get("prompt") is None and draft.get("steps") is None
    one.get_by_role("button", name="Show what it set").click()
    ready(one)
    expect(one.locator("#negative_prompt")).to_have_value("from the second tab")
    expect(one.locator("#prompt")).to_have_value("a large red sphere on grass during the day")


def test_a_newer_draft_on_the_server_can_be_shown(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    change(page, "#negative_prompt", "kept there")
    page.wait_for_function("JSON.parse(localStorage['studio-synced'] ?? '{}').dirty === false")
    # As in a tab that was closed before it had saved what was changed in it.
    page.evaluate(
        """() => {
          localStorage['studio-draft'] = JSON.stringify({ negative_prompt: 'never saved' });
          localStorage['studio-synced'] = JSON.stringify({ version: 0, dirty: true });
        }"""
    )
    page.reload()
    ready(page)
    expect(page.locator("#draft")).to_contain_text("Another tab changed the settings.")
    expect(page.locator("#negative_prompt")).to_have_value("never saved")
    page.get_by_role("button", name="Show what it set").click()
    expect(page.locator("#negative_prompt")).to_have_value("kept there")
    expect(page.locator("#draft [data-part=note]")).to_be_hidden()


def test_what_is_typed_while_the_draft_is_on_its_way_stays(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    change(page, "#negative_prompt", "kept there")
    page.wait_for_function("JSON.parse(localStorage['studio-synced'] ?? '{}').dirty === false")
    held = hold(page, "draft_load")
    # As at another port, where the browser holds nothing.
    page.add_init_script(
        "Object.keys(localStorage).filter((key) => key !== 'studio-visitor').forEach((key) => localStorage.removeItem(key));"
    )
    page.reload()
    held.wait_for(1)
    page.fill("#prompt", "typed meanwhile")
    held.let_go(0)
    expect(page.locator("#draft")).to_contain_text("There are settings of the last time. What you set here replaces them.")
    expect(page.locator("#prompt")).to_have_value("typed meanwhile")
    noted(page)
    page.get_by_role("button", name="Show what it set").click()
    expect(page.locator("#negative_prompt")).to_have_value("kept there")
    noted(page)
    page.get_by_role("button", name="Undo a setting").click()
    expect(page.locator("#negative_prompt")).to_have_value("")
    expect(page.locator("#prompt")).to_have_value("typed meanwhile")


@contextmanager
def taken(address: str) -> Iterator[None]:
    """Keep an address's port from being used."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", urlsplit(address).port or 0))
        holder.listen()
        yield


def test_a_restart_finds_draft_queue_and_running_job_again(tmp_path: Path, visit: Open) -> None:
    with served_fake(tmp_path, step_seconds=0.15, engine=partial(PatientEngine, hurry=Event())) as first:
        page = visit(first.address).page
        page.fill("#steps", "150")
        page.fill("#seed", "5")
        page.fill("#prompt", "was running")
        page.click("#generate")
        page.wait_for_selector("[data-part=preview]:not([hidden])")
        page.fill("#steps", "2")
        page.fill("#prompt", "was waiting")
        page.click("#generate")
        expect(page.locator("[data-part=right]")).to_contain_text("1 more of yours waiting")
        page.fill("#prompt", "not yet asked for")
        page.wait_for_function("JSON.parse(localStorage['studio-synced']).dirty === false")
    # Another port, so nothing of the browser's own storage is there.
    with taken(first.address), served_fake(tmp_path, step_seconds=0.01) as second:
        assert first.address != second.address
        assert [job.plan.request.prompt for job in second.studio.jobs_of(page.evaluate("studio.visitor"))] == ["was running", "was waiting"]
        page.goto(second.address)
        ready(page)
        expect(page.locator("#prompt")).to_have_value("not yet asked for")
        expect(page.locator("#steps")).to_have_value("2")
        expect(page.locator(FINAL)).to_have_attribute("alt", "was waiting, seed 5")
        expect(page.locator(".tile")).to_have_count(2)
        expect(page.locator(".tile .open").nth(1)).to_have_attribute("aria-label", "Show: was running, seed 5")


def test_a_dropped_network_finds_the_running_job_again(slow_page: Served, visit: Open, hurry: Event) -> None:
    visited = visit(slow_page.address)
    page = visited.page
    page.fill("#steps", "150")
    page.fill("#prompt", "over a bad line")
    page.click("#generate")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    visited.context.set_offline(True)
    expect(page.locator("#stage [data-part=error]")).to_contain_text("The studio does not answer; trying again.")
    visited.context.set_offline(False)
    hurry.set()
    expect(page.locator(FINAL)).to_have_attribute("alt", re.compile("over a bad line"))
    expect(page.locator("#stage [data-part=error]")).to_be_hidden()


def test_generate_works_again_after_a_press_without_a_network(slow_page: Served, visit: Open, hurry: Event) -> None:
    """Gradio's client asks for the page's id until the server is back, and then loads the page anew."""
    hurry.set()
    visited = visit(slow_page.address)
    page = visited.page
    page.fill("#prompt", "pressed in a tunnel")
    noted(page)
    visited.context.set_offline(True)
    page.click("#generate")
    expect(page.get_by_text("Attempting reconnection")).to_be_visible()
    said = page.locator("#stage [data-part=error]")
    expect(said).to_contain_text("Generate did not reach the studio; press it again.")
    with page.expect_event("domcontentloaded"):
        visited.context.set_offline(False)
    ready(page)
    expect(said).to_contain_text("Generate did not reach the studio; press it again.")
    page.click("#generate")
    expect(said).to_be_hidden()
    expect(page.locator(FINAL)).to_have_attribute("alt", re.compile("pressed in a tunnel"))


def test_a_run_whose_tab_is_gone_ends_in_the_history(slow_page: Served, visit: Open, hurry: Event) -> None:
    visited = visit(slow_page.address)
    page = visited.page
    page.fill("#steps", "150")
    page.fill("#prompt", "nobody looks")
    page.click("#generate")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    page.close()
    job = next(job for job in slow_page.studio.jobs_of(visited.context.cookies()[0]["value"]) if job.plan.request.prompt == "nobody looks")
    hurry.set()
    job.wait(300)
    again = visited.context.new_page()
    again.goto(slow_page.address)
    ready(again)
    expect(again.locator('.tile .open[aria-label*="nobody looks"]')).to_have_count(1)
    expect(again.locator(FINAL)).to_have_attribute("alt", re.compile("nobody looks"))
