"""The form in a real browser: examples, errors, seed, sizes, keyboard, phone width, dark and light."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, ready
from tests.served import Served

pytestmark = pytest.mark.browser


@pytest.fixture
def page(slow_page: Served, visit: Open) -> Page:
    return visit(slow_page.address).page


def test_a_first_visit_can_generate_at_once(page: Page) -> None:
    expect(page.locator("#prompt")).to_have_value("a large red sphere on grass during the day")
    expect(page.locator("#field-prompt .note")).to_have_text("9 / 75 tokens")
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()


def test_examples_fill_the_form(page: Page) -> None:
    page.fill("#negative_prompt", "shadow")
    page.get_by_role("button", name="cube on snow").click()
    expect(page.locator("#prompt")).to_have_value("a blue cube on snow at sunset")
    expect(page.locator("#negative_prompt")).to_have_value("")
    page.get_by_role("button", name="not red").click()
    expect(page.locator("#negative_prompt")).to_have_value("red")


def test_text_past_the_window_is_warned_about(page: Page) -> None:
    page.fill("#prompt", "word " * 80)
    expect(page.locator("#field-prompt .warning")).to_have_text("The last 5 tokens are past the model's window of 75 and are not read.")


ERRORS = [
    ("#steps", "999", "Steps must be a whole number from 1 to 150, not 999."),
    ("#steps", "", "Steps is empty; it must be a whole number from 1 to 150."),
    ("#guidance_scale", "0.5", "Guidance must be a number from 1 to 30, not 0.5."),
    ("#width", "7", "Width must be a multiple of 8 from 64 to 2048, not 7."),
    ("#seed", "99999999999999999999", "Seed must be a whole number from -1 to 4294967295, not"),
]


def test_an_error_is_one_sentence_and_the_form_stays(page: Page) -> None:
    page.fill("#prompt", "kept")
    for field, typed, sentence in ERRORS:
        before = page.input_value(field)
        page.fill(field, typed)
        page.click("#generate")
        expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
        expect(page.locator("#prompt")).to_have_value("kept")
        expect(page.locator(field)).to_have_value(typed)
        page.get_by_role("button", name="Dismiss").click()
        expect(page.locator("#stage [data-part=error]")).to_be_hidden()
        page.fill(field, before)


def test_what_is_no_number_is_refused_and_not_left_out(page: Page) -> None:
    page.locator("#width").press_sequentially("320-")
    page.click("#generate")
    refused = page.get_by_role("alert").filter(has_text="Width must be a multiple of 8 from 64 to 2048, not '?'.")
    expect(refused).to_be_visible()


def test_what_lies_between_a_sliders_steps_is_no_mistake(page: Page) -> None:
    page.fill("#guidance_scale", "7.25")
    page.fill("#steps", "7.5")
    assert page.locator("#sampling input:invalid").evaluate_all("nodes => nodes.map((node) => node.id)") == ["steps"]


def test_the_focus_stays_where_the_next_step_is(page: Page) -> None:
    page.fill("#steps", "999")
    page.click("#generate")
    page.get_by_role("button", name="Dismiss").press("Enter")
    expect(page.locator("#generate")).to_be_focused()
    page.fill("#steps", "150")
    page.click("#generate")
    page.locator("#stop:enabled").press("Enter")
    expect(page.locator("#stop")).to_be_disabled()
    expect(page.locator("#generate")).to_be_focused()


def test_escape_in_a_search_field_empties_it_before_it_stops_anything(page: Page) -> None:
    page.fill("#steps", "150")
    page.click("#generate")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    search = page.locator("input[type=search]:visible").first
    search.fill("red")
    search.press("Escape")
    expect(search).to_have_value("")
    expect(page.locator("#stop")).to_be_enabled()
    search.press("Escape")
    expect(page.locator("#stop")).to_be_disabled()


def test_markup_in_a_prompt_stays_text(page: Page) -> None:
    prompt = "<img src=x onerror='window.broken=1'> ${window.broken=1} {{value}} <script>window.broken=1</script>"
    page.fill("#prompt", prompt)
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    assert prompt in (page.locator("[data-part=final] img").get_attribute("alt") or "")
    assert page.evaluate("window.broken") is None


def test_dice_and_lock(page: Page) -> None:
    lock, dice = page.get_by_role("button", name="Keep the last seed"), page.get_by_role("button", name="New seed each time")
    expect(dice).to_have_attribute("aria-pressed", "true")
    expect(lock).to_be_disabled()
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    last = (page.locator("#field-seed .note").text_content() or "").removeprefix("last ")
    lock.click()
    expect(page.locator("#seed")).to_have_value(last)
    expect(lock).to_have_attribute("aria-pressed", "true")
    dice.click()
    expect(page.locator("#seed")).to_have_value("")


def test_sizes_come_from_the_model(page: Page) -> None:
    page.select_option("#size", label="Landscape")
    expect(page.locator("#width")).to_have_value("296")
    expect(page.locator("#height")).to_have_value("224")
    page.select_option("#size", label="Square")
    expect(page.locator("#width")).to_have_value("")
    page.fill("#width", "320")
    expect(page.locator("#size option:checked")).to_have_text("Own size")


def test_the_scheduler_picker_explains_itself(page: Page) -> None:
    assert page.locator("#scheduler optgroup").count() >= 2
    page.select_option("#scheduler", "Euler a")
    expect(page.locator("#scheduler-note")).not_to_be_empty()
    page.get_by_role("button", name="Sampling").click()
    expect(page.locator("#sampling")).to_be_hidden()
    expect(page.get_by_role("button", name="Sampling")).to_contain_text("Euler a · 20 · 3.0")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    reached = set()
    for _ in range(60):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.part || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    wanted = {"theme", "prompt", "negative_prompt", "generate", "dice"}
    wanted |= {"scheduler", "guidance_scale", "steps", "seed", "batch_size", "size", "width", "height"}
    assert wanted <= reached
    page.focus("#prompt")
    page.keyboard.press("Control+a")
    page.keyboard.type("a white cone")
    page.focus("#steps")
    page.keyboard.press("Control+a")
    page.keyboard.type("150")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("[data-part=preview]:not([hidden])")
    expect(page.locator("[data-part=preview]")).to_have_attribute("alt", "Preview of: a white cone")
    page.keyboard.press("Escape")
    page.wait_for_selector('[data-phase="stopped"]')


def test_chips_are_one_stop_and_arrows_move_inside(page: Page) -> None:
    page.locator(".chips button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt")).to_have_value("a blue cube on snow at sunset")


def test_every_control_has_a_name_and_focus_is_seen(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea')].filter((part) => part.offsetParent && !(
            part.textContent.trim() || part.getAttribute('aria-label') || part.labels?.length)).map((part) => part.outerHTML)"""
    )
    assert nameless == []
    page.focus("#generate")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_shows_picture_and_generate_without_overflow(slow_page: Served, visit: Open, theme: str) -> None:
    page = visit(slow_page.address, width=390, height=844, theme=theme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for part in ("#stage [data-part=picture]", "#generate"):
        box = page.locator(part).bounding_box()
        assert box and box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
    page.fill("#steps", "2")
    page.locator("#height").scroll_into_view_if_needed()
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("#stage [data-part=picture]")).to_be_in_viewport(ratio=0.95)


def test_dark_and_light_are_kept(page: Page) -> None:
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Switch to light").click()
    page.reload()
    ready(page)
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.get_by_role("button", name="Switch to dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_has_enough_contrast(slow_page: Served, visit: Open, theme: str) -> None:
    page = visit(slow_page.address, theme=theme).page
    assert page.evaluate(CONTRAST) == []


def test_nothing_is_asked_while_nothing_runs(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(20):
        # The page is still starting while a stretch of two seconds has requests.
        asked.clear()
        page.wait_for_timeout(2000)
        if not asked:
            break
    assert asked == []


# WCAG 2 contrast of every visible text with the nearest opaque background; 4.5 is level AA.
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const back = (part) => {
    const colour = rgb(getComputedStyle(part).backgroundColor);
    return colour.length < 4 || colour[3] === 1 ? colour : back(part.parentElement);
  };
  const bad = [];
  for (const part of document.querySelectorAll('body *')) {
    const own = [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !part.offsetParent || part.disabled || part.tagName === 'OPTION' || part.closest('[inert], .spoken')) continue;
    const [a, b] = [light(rgb(getComputedStyle(part).color)), light(back(part))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.push(`${part.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return bad;
}"""
