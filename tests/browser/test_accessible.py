"""Names, contrast, sizes, the keyboard's way and motion, measured on the running page in both themes."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.served import Served

pytestmark = pytest.mark.browser

AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
NAMED = {
    *("button", "textbox", "searchbox", "slider", "spinbutton", "combobox", "checkbox", "radio", "switch", "tab", "link", "dialog"),
    *("image", "menuitem", "DisclosureTriangle", "progressbar", "radiogroup", "toolbar", "tablist", "tabpanel", "region", "application"),
    *("Date", "group"),
}
"""Roles that say nothing without a name."""
# Everything that Tab reaches from here, each with its place and whether it shows that it has the keyboard.
STEP = """() => {
  const node = document.activeElement;
  const near = [node, node.parentElement, ...node.parentElement.querySelectorAll("i")];
  const looks = () => near.flatMap((each) => ["", "::after"].map((part) => {
    const { outlineStyle, outlineWidth, boxShadow, borderTopWidth, borderTopColor } = getComputedStyle(each, part || null);
    return [outlineStyle, outlineWidth, boxShadow, borderTopWidth, borderTopColor].join();
  })).join("; ");
  const focused = looks();
  node.blur();
  const ringed = looks() !== focused;
  node.focus();
  const { left, right, top, bottom } = node.getBoundingClientRect();
  const column = node.closest("#form, #stage-column, #history-column, #field-model");
  const scrolled = (column?.scrollTop ?? 0) + scrollY;
  return {
    name: node.dataset.part || node.id || node.getAttribute("aria-label") || node.tagName, tag: node.tagName,
    column: column?.id ?? "", left, right, top: top + scrolled, bottom: bottom + scrolled, ringed,
  };
}"""


def nameless(page: Page) -> list[str]:
    """What Chromium's accessibility tree has without a name."""
    session = page.context.new_cdp_session(page)
    session.send("Accessibility.enable")
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        if node.get("ignored") or node["role"]["value"] not in NAMED or node.get("name", {}).get("value", "").strip():
            continue
        described = session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
        if node["role"]["value"] != "group" or "role" in described.get("attributes", []):
            found.append(f"{node['role']['value']}: {described['nodeName']} {described.get('attributes')}")
    session.detach()
    return found


def still(page: Page) -> None:
    """Wait until what moves or fades has done so."""
    page.evaluate(
        """async () => {
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          await Promise.allSettled(document.getAnimations().map((each) => each.finished));
        }"""
    )


def states(page: Page) -> Iterator[str]:
    """Go through what the page can show, and stop at each."""
    yield "start"
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    page.wait_for_selector(".tile")
    yield "a picture"
    page.fill("#steps", "999")
    page.click("#generate")
    page.wait_for_selector("#stage [data-part=error]:not([hidden])")
    page.click("#tab-pose")
    page.click("[data-tool=add]")
    yield "an error, a pose"
    page.click("#tab-depth")
    yield "depth"
    page.click("#control [data-part=by-picture]")
    page.click("[data-part=search-open]")
    page.locator(".tile .open").first.click()
    yield "a picture for control, a picture of the history"
    page.click("#presets [data-part=pick]")
    page.wait_for_selector(".preset-open")
    yield "presets"
    page.locator(".preset-open").first.click()
    page.wait_for_selector("dialog[open]")
    yield "what a preset changes"
    page.click("[data-part=sheet-cancel]")
    page.click("#presets [data-part=more]")
    page.locator("[data-act=save-as]").click()
    yield "save as a preset"
    page.click("[data-part=details-cancel]")
    page.locator("header [data-part=open]").click()
    page.wait_for_selector(".guests dialog[open]")
    yield "guests"
    page.keyboard.press("Escape")


@pytest.mark.parametrize(("theme", "language"), [("dark", "en-US"), ("light", "de-DE")])
def test_names_contrast_and_sizes(kept_page: Served, visit: Open, theme: str, language: str) -> None:
    page = visit(kept_page.address, theme=theme, language=language, height=2400).page
    for state in states(page):
        page.mouse.move(1, 1)
        still(page)
        assert (state, page.evaluate(AUDIT)) == (state, [])
        assert (state, nameless(page)) == (state, [])


def test_tab_goes_as_one_reads_and_shows_where_it_is(kept_page: Served, visit: Open) -> None:
    page = visit(kept_page.address).page
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    page.wait_for_selector('.tile .open[aria-pressed="true"]')
    page.evaluate("document.activeElement.blur(); document.querySelector('h1').tabIndex = -1; document.querySelector('h1').focus()")
    steps: list[dict[str, Any]] = []
    while len(steps) < 150:
        page.keyboard.press("Tab")
        steps.append(page.evaluate(STEP))
        if steps[-1]["tag"] == "BODY":
            break
    steps.pop()
    assert len(steps) > 35
    assert [step["name"] for step in steps if not step["ringed"]] == []
    columns = [step["column"] for step in steps]
    assert sorted(columns, key=["field-model", "form", "stage-column", "history-column", ""].index) == columns
    # Within a column nothing comes before what stands wholly above it, unless that is the next one to the right.
    backwards = [
        (one["name"], other["name"])
        for one, other in pairwise(steps)
        if one["column"] == other["column"] and other["bottom"] < one["top"] and other["left"] < one["right"]
    ]
    assert backwards == []


@pytest.mark.parametrize("opener", ["header [data-part=open]", "#presets [data-part=pick]", "#presets [data-part=more]", "#recall-choose"])
def test_what_opens_takes_the_keyboard_and_gives_it_back(kept_page: Served, visit: Open, opener: str) -> None:
    page = visit(kept_page.address).page
    page.focus(opener)
    if opener == "#recall-choose":
        page.set_input_files("#recall [data-part=file]", {"name": "x.png", "mimeType": "image/png", "buffer": made(page)})
        page.wait_for_selector("dialog.sheet[open]")
    else:
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open], [popover]:popover-open")
    if opener != "#presets [data-part=more]":
        page.wait_for_function("document.activeElement.closest('dialog[open], :popover-open')")
    page.keyboard.press("Escape")
    expect(page.locator(opener)).to_be_focused()


def made(page: Page) -> bytes:
    """The newest picture of the history, or a new one."""
    if not page.locator(".tile").count():
        page.fill("#steps", "2")
        page.click("#generate")
        page.wait_for_selector(".tile")
        page.focus("#recall-choose")
    return page.request.get(f"{page.url}kept/{page.locator('.tile').first.get_attribute('data-id')}.png").body()


def test_nothing_moves_for_whoever_asked_for_less_motion(kept_page: Served, visit: Open) -> None:
    page = visit(kept_page.address).page
    page.emulate_media(reduced_motion="reduce")
    moving = page.evaluate("""() => [...document.querySelectorAll("*")].flatMap((node) => ["", "::before", "::after"].filter((part) => {
      const style = getComputedStyle(node, part || null);
      return [style.transitionDuration, style.animationDuration].some((all) => all.split(",").some((each) => parseFloat(each) > 0));
    }).map((part) => `${node.tagName} ${node.className} ${part}`))""")
    assert moving == []
