"""The main job in a real browser: prompt, live previews, picture, Stop, reload, visitors apart."""

import io
import re
from pathlib import Path
from threading import Event

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from studio import app, read_metadata
from studio.settings import ROOT, Settings
from tests.browser.conftest import Open, Visit, eventually, ready
from tests.served import Served, served, served_fake

pytestmark = pytest.mark.browser

# Notes every preview and every moment in which the stage shows no picture although it had one.
WATCH = """() => {
  window.seenPreviews = new Set(); window.gaps = 0; window.boxes = new Set();
  const preview = document.querySelector('[data-part=preview]'), final = document.querySelector('[data-part=final]');
  let had = false;
  const look = () => {
    if (!preview.hidden && preview.src) window.seenPreviews.add(preview.src);
    const shows = (!preview.hidden && preview.complete && preview.naturalWidth > 0) || (!final.hidden && final.childElementCount > 0);
    if (had && !shows) window.gaps += 1;
    had = had || shows;
    const box = document.querySelector('#stage [data-part=picture]').getBoundingClientRect();
    if (had) window.boxes.add(`${box.width} ${box.height}`);
    requestAnimationFrame(look);
  };
  look();
}"""
# Notes every moment in which an address that is shown cannot be fetched, or a picture stands there undecoded, and what is shown when a
# run is done. An address is good until it is revoked, so that nothing is left to chance.
GUARD = """() => {
  window.broken = []; window.revoked = new Set(); window.doneWith = [];
  const stage = document.querySelector('[data-part=stage]');
  const shown = () => [...document.querySelectorAll('[data-part=final]:not([hidden]) img')];
  const revoke = URL.revokeObjectURL.bind(URL);
  URL.revokeObjectURL = (url) => {
    if (shown().some((image) => image.src === url)) window.broken.push('revoked in view');
    window.revoked.add(url);
    revoke(url);
  };
  const look = () => shown().forEach((image) => {
    if (window.revoked.has(image.src)) window.broken.push('shown after it was revoked');
    if (!image.complete || !image.naturalWidth) window.broken.push('shown before it could be seen');
  });
  new MutationObserver((records) => {
    look();
    const told = records.some((record) => record.attributeName === 'data-phase');
    if (told && stage.dataset.phase === 'done') window.doneWith.push(shown()[0]?.alt);
  }).observe(stage, { subtree: true, childList: true, attributes: true, attributeFilter: ['hidden', 'src', 'data-phase'] });
}"""
FINAL = "[data-part=final]:not([hidden]) img"


def generate(page: Page, prompt: str) -> None:
    page.fill("#prompt", prompt)
    page.click("#generate")


def finished(page: Page) -> None:
    page.wait_for_selector('[data-phase="done"]')
    page.wait_for_selector(FINAL)


def generate_anew(page: Page) -> None:
    """Press Generate and wait for its picture, also when one is shown already."""
    # The stage says anew how it stands with every answer about a job.
    page.eval_on_selector("[data-part=stage]", "(stage) => { stage.dataset.phase = 'asked'; }")
    page.click("#generate")
    finished(page)


def pixels(page: Page) -> bytes:
    """The shown picture's own pixels."""
    data = page.evaluate(f"async () => [...new Uint8Array(await (await fetch(document.querySelector('{FINAL}').src)).arrayBuffer())]")
    return Image.open(io.BytesIO(bytes(data))).tobytes()


def clean(visited: Visit) -> None:
    assert (visited.outside, visited.failed, visited.errors) == ([], [], [])


def watch_a_picture_form(visited: Visit, prompt: str, *, steps: int, hurry: Event | None = None) -> None:
    """Let a picture form in so many steps that a slow page can miss most of their previews."""
    page = visited.page
    page.evaluate(WATCH)
    page.fill("#steps", str(steps))
    generate(page, prompt)
    page.wait_for_function("window.seenPreviews.size >= 10")
    if hurry:
        hurry.set()
    finished(page)
    assert page.evaluate("window.gaps") == 0
    assert page.evaluate("window.boxes.size") == 1
    expect(page.locator("[data-part=left]")).to_contain_text("done in")
    clean(visited)


def test_a_picture_forms_live(slow_page: Served, visit: Open, hurry: Event) -> None:
    watch_a_picture_form(visit(slow_page.address), "a large red sphere on grass during the day", steps=150, hurry=hurry)


def test_twenty_steps_show_at_least_ten_pictures(tmp_path: Path, visit: Open) -> None:
    with served_fake(tmp_path, step_seconds=0.4) as page:
        watch_a_picture_form(visit(page.address), "a small green cone", steps=20)


@pytest.mark.slow
@pytest.mark.skipif(not list((ROOT / "assets/mini/base/unet").glob("*.safetensors")), reason="the embedded model has no weights here")
def test_a_picture_forms_live_with_the_embedded_model(tmp_path: Path, visit: Open) -> None:
    settings = Settings(data_dir=tmp_path)
    with served(app.build(settings), settings) as page:
        visited = visit(page.address)
        visited.page.wait_for_selector('header[data-model="ready"]')
        watch_a_picture_form(visited, "a large red sphere on grass during the day", steps=60)


def test_the_download_carries_the_request(slow_page: Served, visit: Open, tmp_path: Path) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "3")
    page.fill("#seed", "77")
    generate(page, "a blue cube on snow")
    finished(page)
    with page.expect_download() as download:
        page.click("[data-part=download]")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    made = read_metadata(path)
    assert (made.prompt, made.seed, made.steps, path.name) == ("a blue cube on snow", 77, 3, "studio-77.png")


def test_stop_ends_the_run_and_keeps_what_was_seen(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "150")
    generate(page, "a red cone")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    page.click("#stop")
    page.wait_for_selector('[data-phase="stopped"]')
    expect(page.locator("[data-part=left]")).to_contain_text("stopped after step")
    expect(page.locator("[data-part=badge]")).to_contain_text("stopped · step")
    expect(page.locator("[data-part=preview]")).to_be_visible()
    expect(page.locator("#stop")).to_be_disabled()


def test_a_batch_is_shown_whole_and_one_by_one(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "2")
    page.fill("#batch_size", "4")
    page.fill("#seed", "5")
    generate(page, "a green torus")
    finished(page)
    expect(page.locator(FINAL)).to_have_count(4)
    tiles = page.locator("[data-part=strip] button")
    expect(tiles).to_have_count(5)
    tiles.nth(3).click()
    expect(page.locator(FINAL)).to_have_count(1)
    expect(page.locator("[data-part=reuse]")).to_have_text("Reuse seed 7")
    page.click("[data-part=reuse]")
    expect(page.locator("#seed")).to_have_value("7")


def test_the_picture_in_view_stays_whole_until_the_next_one_stands(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.evaluate(GUARD)
    page.fill("#steps", "2")
    prompts = [f"whole number {number}" for number in range(3)]
    for prompt in prompts:
        page.fill("#prompt", prompt)
        page.fill("#seed", "3")
        generate_anew(page)
        pixels(page)
    expect(page.locator(".tile .open").nth(1)).to_have_attribute("aria-label", "Show: whole number 1, seed 3")
    page.locator(".tile .open").nth(1).click()
    expect(page.locator(FINAL)).to_have_attribute("alt", "whole number 1, seed 3")
    page.fill("#batch_size", "2")
    generate_anew(page)
    page.get_by_role("button", name="Show picture with seed 4").click()
    expect(page.locator(FINAL)).to_have_attribute("alt", "whole number 2, seed 4")
    assert page.evaluate("window.broken") == []
    assert page.evaluate("window.doneWith") == [f"{prompt}, seed 3" for prompt in (*prompts, prompts[-1])]
    assert page.evaluate("window.revoked.size") == 3, "what is shown no more is let go"


def test_the_way_back_to_the_run_is_there_from_its_first_preview_on(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "2")
    generate(page, "looked at before")
    finished(page)
    page.wait_for_selector(".tile")
    page.fill("#steps", "150")
    page.click("#generate")
    # As soon as the run is there, lest a preview comes first.
    page.wait_for_function("!document.querySelector('#stop').disabled && (document.querySelector('.tile .open').click(), true)")
    expect(page.locator("[data-part=preview]")).to_be_hidden()
    page.get_by_role("button", name="Show the running preview").click()
    expect(page.locator("[data-part=preview]")).to_be_visible()
    page.click("#stop")
    page.wait_for_selector('[data-phase="stopped"]')


def test_two_visitors_do_not_see_each_other(slow_page: Served, visit: Open) -> None:
    one, two = visit(slow_page.address), visit(slow_page.address)
    for visited, prompt, seed in ((one, "a red sphere", "1"), (two, "a blue cube", "2")):
        visited.page.fill("#steps", "8")
        visited.page.fill("#seed", seed)
        generate(visited.page, prompt)
    for visited, prompt in ((one, "a red sphere, seed 1"), (two, "a blue cube, seed 2")):
        finished(visited.page)
        expect(visited.page.locator(FINAL)).to_have_attribute("alt", prompt)
        expect(visited.page.locator("[data-part=strip] button")).to_have_count(0)
    assert pixels(one.page) != pixels(two.page)
    third = visit(slow_page.address)
    expect(third.page.locator("#stage [data-part=empty]")).to_be_visible()
    clean(one)
    clean(two)


def test_a_reload_goes_on_with_the_run_and_keeps_the_form(slow_page: Served, visit: Open, hurry: Event) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "150")
    generate(page, "a purple cylinder")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    page.reload()
    ready(page)
    expect(page.locator("#prompt")).to_have_value("a purple cylinder")
    expect(page.locator("#steps")).to_have_value("150")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    hurry.set()
    finished(page)
    page.reload()
    ready(page)
    page.wait_for_selector(FINAL)


def test_generate_while_one_runs_adds_to_the_queue(slow_page: Served, visit: Open, hurry: Event) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "150")
    generate(page, "first")
    page.wait_for_selector('[data-phase="running"]')
    generate(page, "second")
    expect(page.locator("[data-part=right]")).to_contain_text("1 more of yours waiting")
    hurry.set()
    expect(page.locator(FINAL)).to_have_attribute("alt", re.compile("second"))
    expect(page.locator(".tile").nth(1).locator(".open")).to_have_attribute("aria-label", re.compile("first"))


def test_generate_again_before_the_first_is_answered_queues_both(slow_page: Served, visit: Open, hurry: Event) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "2")
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(re.compile("/run/predict"), keep)
    generate(page, "first")
    eventually(page, lambda: len(held) == 1)
    generate(page, "second")
    eventually(page, lambda: len(held) == 2)
    hurry.set()
    for route in held:
        route.continue_()
    expect(page.locator(".tile").nth(1).locator(".open")).to_be_visible()
    made = [page.locator(".tile .open").nth(place).get_attribute("aria-label") or "" for place in (0, 1)]
    assert {text.removeprefix("Show: ").partition(",")[0] for text in made} == {"first", "second"}


def test_a_finished_picture_can_be_looked_at_while_one_runs(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.fill("#steps", "2")
    generate(page, "first")
    finished(page)
    page.fill("#steps", "150")
    generate(page, "second")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    expect(page.locator(".tile .open").first).to_have_attribute("aria-label", re.compile("^Show: first,"))
    page.locator(".tile .open").first.click()
    expect(page.locator(FINAL)).to_have_attribute("alt", re.compile("first"))
    step = page.locator("[data-part=left]").text_content()
    expect(page.locator("[data-part=left]")).not_to_have_text(step or "")
    expect(page.locator("[data-part=preview]")).to_be_hidden()
    page.get_by_role("button", name="Show the running preview").click()
    expect(page.locator("[data-part=preview]")).to_be_visible()
    page.click("#stop")
    page.wait_for_selector('[data-phase="stopped"]')
