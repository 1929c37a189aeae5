"""The History column in a real browser: search, stars, tags, trash with undo, full, zip, comparing, taking things up again."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.request import GenerationRequest
from tests.browser.conftest import Open, Visit, ready
from tests.browser.held import fail
from tests.browser.test_form import CONTRAST
from tests.served import Served, served_fake

pytestmark = pytest.mark.browser
FINAL = "[data-part=final]:not([hidden]) img"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page over a studio that made 70 pictures before."""
    with served_fake(tmp_path_factory.mktemp("kept"), step_seconds=0.0) as page:
        for seed in range(70):
            prompt = "a blue cube on snow" if seed % 10 == 3 else f"a red sphere number {seed}"
            request = GenerationRequest(prompt=prompt, seed=seed, steps=2 + seed % 3, width=64, height=64)
            page.studio.submit(request).wait(120)
        yield page


@pytest.fixture
def visited(kept: Served, visit: Open) -> Visit:
    visited = visit(kept.address)
    visited.page.wait_for_selector(".tile")
    return visited


@pytest.fixture
def page(visited: Visit) -> Page:
    return visited.page


def tiles(page: Page) -> list[str]:
    labels = page.locator(".tile .open").evaluate_all("nodes => nodes.map((node) => node.getAttribute('aria-label'))")
    return [label.removeprefix("Show: ") for label in labels]


def test_a_finished_picture_appears_first_and_opens(visited: Visit) -> None:
    page = visited.page
    page.fill("#prompt", "brand new")
    page.fill("#seed", "4242")
    page.fill("#steps", "2")
    page.click("#generate")
    expect(page.locator(".tile .open").first).to_have_attribute("aria-label", "Show: brand new, seed 4242")
    expect(page.locator(".tile .open").first).to_have_attribute("aria-pressed", "true")
    page.locator(".tile .open").nth(4).click()
    expect(page.locator(FINAL)).not_to_have_attribute("alt", re.compile("brand new"))
    page.reload()
    ready(page)
    expect(page.locator(".tile .open").first).to_have_attribute("aria-label", "Show: brand new, seed 4242")
    assert (visited.outside, visited.errors) == ([], [])


def test_more_come_as_one_scrolls_and_small_ones_load_late(page: Page) -> None:
    first = page.locator(".tile").count()
    assert first == 60
    page.locator("#history [data-part=more]").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelectorAll('.tile').length >= 70")
    listed = tiles(page)
    assert len(listed) == len(set(listed))
    assert page.locator('.tile img[loading="lazy"]').count() == page.locator(".tile").count()


def test_search_finds_by_words_and_shelf(page: Page) -> None:
    page.click("[data-part=search-open]")
    page.fill("#history [data-part=text]", "BLUE snow")
    page.wait_for_function("document.querySelectorAll('.tile').length === 7")
    assert all(label.startswith("a blue cube on snow") for label in tiles(page))
    page.fill("#history [data-part=text]", "nothing of that kind")
    expect(page.locator("#history [data-part=empty]")).to_have_text("No picture has all of that.")
    page.fill("#history [data-part=text]", "")
    # A year as it stands there after three digits.
    page.fill("#history [data-part=since]", "0202-05-12")
    expect(page.locator("#history [data-part=empty]")).to_be_hidden()
    expect(page.locator("#history [data-part=toast]")).to_be_hidden()
    page.fill("#history [data-part=since]", "")
    page.fill("#history [data-part=text]", "nothing of that kind")
    expect(page.locator("#history [data-part=empty]")).to_have_text("No picture has all of that.")
    page.fill("#history [data-part=text]", "")
    page.select_option("#history [data-part=model]", "Fake")
    page.wait_for_function("document.querySelectorAll('.tile').length >= 60")
    page.fill("[data-part=until]", "2001-01-01")
    expect(page.locator("#history [data-part=empty]")).to_be_visible()


def test_a_search_that_is_closed_hides_nothing(page: Page) -> None:
    page.click("[data-part=search-open]")
    page.fill("#history [data-part=text]", "nothing of that kind")
    page.get_by_role("button", name="Trash", exact=True).click()
    expect(page.locator("#history [data-part=empty]")).to_be_visible()
    page.click("[data-part=search-open]")
    page.wait_for_function("document.querySelectorAll('.tile').length >= 60")
    page.click("[data-part=search-open]")
    expect(page.locator("#history [data-part=text]")).to_have_value("")
    expect(page.locator("#history [data-shelf=all]")).to_have_attribute("aria-pressed", "true")


def test_who_leafs_on_in_full_view_goes_on_with_that_picture(page: Page) -> None:
    page.locator(".tile .open").nth(2).click()
    page.wait_for_selector(FINAL)
    page.click("[data-part=card] [data-part=full]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    wide, stage = page.locator("[data-part=full-picture]").bounding_box(), page.locator(FINAL).bounding_box()
    assert wide and stage and wide["width"] > stage["width"]
    page.keyboard.press("Escape")
    title = page.locator("[data-part=card-title]").inner_text()
    expect(page.locator(FINAL)).to_have_attribute("alt", re.compile(rf", {title}$"))
    assert tiles(page)[4].endswith(title)


def test_between_phone_and_desktop_the_shelves_stay_in_the_column(kept: Served, visit: Open) -> None:
    page = visit(kept.address, width=1024, height=768).page
    page.wait_for_selector(".tile")
    page.click("[data-part=search-open]")
    page.get_by_role("button", name="Trash", exact=True).click()
    expect(page.locator("#history [data-shelf=deleted]")).to_have_attribute("aria-pressed", "true")
    assert page.locator("#history-column").evaluate("(column) => column.scrollWidth <= column.clientWidth")


def test_star_and_tags(page: Page) -> None:
    page.locator(".tile .open").nth(5).click()
    page.click("[data-part=card] [data-part=star]")
    expect(page.locator(".tile").nth(5)).to_have_attribute("data-starred", "")
    page.fill("[data-part=tags]", "for Anna,  best  one")
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=tags]")).to_have_value("for Anna, best one")
    wanted = tiles(page)[5]
    page.reload()
    ready(page)
    page.click("[data-part=search-open]")
    page.fill("#history [data-part=text]", "anna")
    page.wait_for_function("document.querySelectorAll('.tile').length === 1")
    assert tiles(page) == [wanted]
    page.fill("#history [data-part=text]", "")
    page.get_by_role("button", name="Starred", exact=True).first.click()
    page.wait_for_function("document.querySelectorAll('.tile').length === 1")
    assert tiles(page) == [wanted]


def test_tags_being_typed_stay_with_their_picture(page: Page) -> None:
    page.fill("#steps", "2")
    page.fill("#prompt", "came while tags were typed")
    for place in (6, 5):
        # Another test may have tagged these.
        page.locator(".tile .open").nth(place).click()
        page.fill("[data-part=tags]", "")
        page.keyboard.press("Enter")
    first, second = tiles(page)[5:7]
    page.click("[data-part=tags]")
    page.keyboard.type("for Ber")
    # Another selection before Enter.
    page.locator(".tile .open").nth(6).click()
    expect(page.locator("[data-part=tags]")).to_have_value("")
    page.locator(".tile .open").nth(5).click()
    expect(page.locator("[data-part=tags]")).to_have_value("for Ber")
    # A picture that is asked for and finished meanwhile.
    page.click("[data-part=tags]")
    page.keyboard.press("End")
    page.keyboard.type("t")
    page.evaluate("document.querySelector('#generate').click()")
    page.wait_for_selector('[data-phase="done"]')
    expect(page.locator(".tile .open").first).to_have_attribute("aria-pressed", "true")
    page.keyboard.type("a")
    with page.expect_response(lambda answer: '"history_tag"' in (answer.request.post_data or "")):
        page.keyboard.press("Enter")
    expect(page.locator("[data-part=card-prompt]")).to_have_text("came while tags were typed")
    expect(page.locator("[data-part=tags]")).to_have_value("")
    page.click("[data-part=search-open]")
    page.fill("#history [data-part=text]", "berta")
    page.wait_for_function("document.querySelectorAll('.tile').length === 1")
    assert tiles(page) == [first] != [second]


def test_tags_that_could_not_be_saved_stay_and_enter_sends_them_again(page: Page) -> None:
    tags = page.locator("[data-part=tags]")
    page.locator(".tile .open").nth(8).click()
    lost = fail(page, "history_tag")
    tags.fill("for Carla")
    tags.press("Enter")
    expect(page.locator("[data-part=toast]")).to_contain_text("try again")
    page.locator(".tile .open").nth(9).click()
    expect(tags).to_have_value("")
    page.locator(".tile .open").nth(8).click()
    expect(tags).to_have_value("for Carla")
    lost.holding = False
    tags.focus()
    with page.expect_response(lambda answer: '"history_tag"' in (answer.request.post_data or "")):
        tags.press("Enter")
    tags.fill("红色，雪地、夜")
    tags.press("Enter")
    expect(tags).to_have_value("红色, 雪地, 夜")


def test_two_tabs_tag_and_star_one_picture(page: Page) -> None:
    page.locator(".tile .open").nth(10).click()
    with page.context.expect_page() as opening:
        page.evaluate("open(location.href)")
    other = opening.value
    ready(other)
    other.wait_for_selector(".tile")
    other.locator(".tile .open").nth(10).click()
    other.fill("[data-part=tags]", "anna")
    other.press("[data-part=tags]", "Enter")
    other.click("[data-part=card] [data-part=star]")
    expect(other.locator("[data-part=card] [data-part=star]")).to_have_text("Starred")
    # Before this tab has looked again.
    page.fill("[data-part=tags]", "best")
    page.press("[data-part=tags]", "Enter")
    expect(page.locator("[data-part=tags]")).to_have_value("best, anna")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-part=card] [data-part=star]")).to_have_text("Starred")
    page.click("[data-part=card] [data-part=star]")
    page.fill("[data-part=tags]", "")
    page.press("[data-part=tags]", "Enter")
    expect(page.locator("[data-part=tags]")).to_have_value("")


def test_the_keyboard_goes_on_where_a_picture_loses_its_star(page: Page) -> None:
    for place in (20, 21):
        page.locator(".tile .open").nth(place).focus()
        page.keyboard.press("s")
        expect(page.locator(".tile").nth(place)).to_have_attribute("data-starred", "")
    one, other = tiles(page)[20:22]
    page.click("[data-part=search-open]")
    page.get_by_role("button", name="Starred").click()
    page.wait_for_function("document.querySelectorAll('.tile').length < 60")
    page.get_by_role("button", name=f"Show: {one}").focus()
    page.keyboard.press("s")
    expect(page.get_by_role("button", name=f"Show: {one}")).to_have_count(0)
    expect(page.get_by_role("button", name=f"Show: {other}")).to_be_focused()
    expect(page.get_by_role("button", name=f"Show: {other}")).to_have_attribute("tabindex", "0")
    page.keyboard.press("s")
    expect(page.get_by_role("button", name=f"Show: {other}")).to_have_count(0)


def test_delete_undo_and_trash(page: Page) -> None:
    before = tiles(page)
    page.locator(".tile .open").nth(2).click()
    page.click("[data-part=card] [data-part=delete]")
    expect(page.locator("[data-part=toast]")).to_contain_text("The picture is in the trash.")
    assert before[2] not in tiles(page)
    page.click("[data-part=toast-undo]")
    page.wait_for_function(f"document.querySelectorAll('.tile .open')[2].getAttribute('aria-label') === {('Show: ' + before[2])!r}")
    for index in (0, 1):
        page.locator(".tile input").nth(index).check(force=True)
    page.click("[data-part=many-delete]")
    expect(page.locator("[data-part=toast]")).to_contain_text("2 pictures are in the trash.")
    page.click("[data-part=search-open]")
    page.get_by_role("button", name="Trash").click()
    page.wait_for_function("document.querySelectorAll('.tile').length === 2")
    page.locator(".tile .open").nth(0).click()
    page.click("[data-part=card] [data-part=delete]")  # says Restore here
    expect(page.locator("[data-part=toast]")).to_contain_text("The picture is back.")
    page.click("[data-part=empty-trash]")
    expect(page.locator("[data-part=toast]")).to_contain_text("One picture is gone for good.")
    page.get_by_role("button", name="All", exact=True).click()
    page.wait_for_function("document.querySelectorAll('.tile').length === 60")
    assert tiles(page)[:2] == [before[0], before[2]]


def test_two_are_compared_with_a_slider_and_what_differs(page: Page) -> None:
    labels = tiles(page)
    page.locator(".tile input").nth(1).check(force=True)
    expect(page.locator("[data-part=many-compare]")).to_be_disabled()
    page.locator(".tile input").nth(3).check(force=True)
    page.click("[data-part=many-compare]")
    dialog = page.get_by_role("dialog", name="Compare two pictures")
    expect(dialog).to_be_visible()
    rows = dialog.locator("tbody tr").all_inner_texts()
    assert any(row.startswith("Seed") for row in rows) and any(row.startswith("Prompt") for row in rows)
    assert labels[3].split(", seed ")[1] in dialog.inner_text() and labels[1].split(", seed ")[1] in dialog.inner_text()
    clip = "getComputedStyle(document.querySelector('[data-part=compare-left]')).clipPath"
    half = page.evaluate(clip)
    page.keyboard.press("Home")
    assert page.evaluate(clip) != half
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.locator(".tile .open").nth(6).click()
    page.click("#stage [data-part=compare]")
    page.locator(".tile .open").nth(7).click()
    expect(dialog).to_be_visible()


def test_full_zip_and_keys(page: Page, tmp_path: Path) -> None:
    page.locator(".tile .open").nth(4).click()
    page.click("[data-part=full]")
    shown = page.locator("[data-part=full-picture]")
    before = shown.get_attribute("src")
    page.keyboard.press("ArrowRight")
    expect(shown).not_to_have_attribute("src", before or "")
    page.keyboard.press("Escape")
    page.locator(".tile .open").nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("[data-part=many-title]")).to_have_text("2 selected")
    with page.expect_download() as download:
        page.click("[data-part=many-zip]")
    download.value.save_as(tmp_path / "some.zip")
    assert download.value.suggested_filename == "studio-2-pictures.zip"
    assert len(zipfile.ZipFile(tmp_path / "some.zip").namelist()) == 2


def test_settings_and_picture_are_taken_up_again(page: Page) -> None:
    page.click("[data-part=search-open]")
    page.fill("#history [data-part=text]", "number 42")
    page.wait_for_function("document.querySelectorAll('.tile').length === 1")
    page.locator(".tile .open").click()
    expect(page.locator("[data-part=reuse]")).to_have_text("Reuse seed 42")
    page.click("#stage [data-part=reuse-all]")
    expect(page.locator("#prompt")).to_have_value("a red sphere number 42")
    values = {name: page.input_value(f"#{name}") for name in ("seed", "steps", "width", "height", "batch_size")}
    assert values == {"seed": "42", "steps": "2", "width": "64", "height": "64", "batch_size": "1"}
    page.click("[data-part=use-as-button]")
    page.locator("#use-as [data-kind=sketch]").click()
    expect(page.locator("#tab-sketch")).to_have_attribute("data-on", "")
    expect(page.locator("#control [data-part=source]")).to_be_visible()
    shown = page.evaluate(f"async () => (await (await fetch(document.querySelector('{FINAL}').src)).arrayBuffer()).byteLength")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    assert shown > 0
    expect(page.locator(".tile .open").first).to_have_attribute("aria-label", "Show: a red sphere number 42, seed 42")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_on_a_phone_it_stands_below_and_nothing_is_cut(kept: Served, visit: Open, theme: str) -> None:
    page = visit(kept.address, width=390, height=844, theme=theme).page
    page.wait_for_selector(".tile")
    page.locator(".tile .open").first.click()
    expect(page.locator("#stage [data-part=picture]")).to_be_in_viewport(ratio=0.95)
    page.locator(".tile .open").first.scroll_into_view_if_needed()
    expect(page.locator("[data-part=card]")).to_be_in_viewport()
    page.click("[data-part=search-open]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box, form = page.locator("#history-column").bounding_box(), page.locator("#form").bounding_box()
    assert box and form and box["y"] > form["y"]
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_of_the_column_has_enough_contrast(kept: Served, visit: Open, theme: str) -> None:
    page = visit(kept.address, theme=theme).page
    page.wait_for_selector(".tile")
    page.click("[data-part=search-open]")
    page.locator(".tile .open").first.click()
    page.wait_for_selector(FINAL)
    assert page.evaluate(CONTRAST) == []


def test_the_card_says_in_full_when_it_was_made(page: Page) -> None:
    page.fill("#seed", "4294967295")
    page.fill("#steps", "1")
    page.click("#generate")
    expect(page.locator("[data-part=card-title]")).to_have_text("seed 4294967295")
    assert page.locator("[data-part=card-when]").evaluate("(when) => when.scrollWidth <= when.clientWidth")
    hint, typed = page.locator("[data-part=tags]").evaluate(
        "(tags) => [getComputedStyle(tags, '::placeholder').color, getComputedStyle(tags).color]"
    )
    assert hint != typed
