"""The page's languages in a real browser: which one is spoken, that all of it is, and that a person's own words are left alone."""

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from studio import __version__, schedulers
from studio.ui.examples import EXAMPLES
from tests.browser.conftest import Open, ready
from tests.closed import closed_fake
from tests.served import Served

pytestmark = pytest.mark.browser

LANGUAGES = ("de", "zh-CN", "ja")
NAMES = {
    *("Studio", "Loading...", "Esc", "LoRA", "LoRAs", "ControlNet", "PNG", "JPEG", "WebP", "Fake"),
    *("OpenPose", "ViTPose", "Depth Anything V2", "Anyline", "fake engine, float64", f"studio {__version__}"),
    *(row.name for row in schedulers.TABLE.values()),
    *(fields["prompt"] for _, fields in EXAMPLES),
}
"""What is said alike in every language: names, and the prompts that the chips fill in."""
# Notes every text that the page ever shows or tells assistive technology, as widgets write it.
LISTEN = """(() => {
  window.heard = new Set();
  const OWN = '[translate="no"], script, style, textarea, input, [contenteditable], code';
  const NAMED = ["title", "aria-label", "placeholder", "alt", "label", "aria-valuetext"];
  const take = (node) => {
    if (node.nodeType === Node.TEXT_NODE && !node.parentElement?.closest(OWN)) heard.add(node.data.trim());
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (!node.closest('[translate="no"]')) NAMED.forEach((name) => heard.add((node.getAttribute(name) ?? "").trim()));
    node.childNodes.forEach(take);
  };
  new MutationObserver((records) => records.forEach(({ type, addedNodes, target }) => {
    if (type === "childList") addedNodes.forEach(take); else take(target);
  })).observe(document, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: NAMED });
})()"""


def listen_to(page: Page) -> None:
    """Hear the page from its first moment."""
    page.add_init_script(LISTEN)
    page.reload()
    ready(page)
    page.wait_for_timeout(500)


def untranslated(page: Page, language: str) -> set[str]:
    """What was heard so far and has no entry in a language, but for names and numbers."""
    missing = page.evaluate("(language) => [...heard].filter((text) => text && studio.words.translate(text, language) === null)", language)
    return {text for text in missing if any(re.search("[A-Za-z]{2}", fact) and fact not in NAMES for fact in text.split(" · "))}


def choose(page: Page, language: str) -> None:
    page.get_by_role("combobox", name=re.compile("Language|Sprache|语言|言語")).select_option(language)
    expect(page.locator("html")).to_have_attribute("lang", language)


def texts(page: Page) -> list[str]:
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll("main *")].flatMap((node) => {
      const own = [...node.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE);
      return [node.title, node.ariaLabel, node.placeholder, node.alt, ...own.map((one) => one.data)];
    })""")
    return [text for text in found if text]


def all_texts(page: Page) -> list[str]:
    """The texts of the page once nothing more comes."""
    expect(page.locator("#field-prompt .note")).not_to_be_empty()
    page.wait_for_selector(".offer")
    page.wait_for_selector("#history [data-part=promise]:not(:empty)", state="attached")
    found, before = texts(page), None
    while found != before:
        page.wait_for_timeout(1000)
        found, before = texts(page), found
    return found


@pytest.mark.parametrize(
    ("browser_says", "spoken", "generate"),
    [
        ("de-AT", "de", "Erzeugen"),
        ("zh-TW", "zh-CN", "生成"),
        ("ja-JP", "ja", "生成"),
        ("en-GB", "en", "Generate"),
        ("fr-FR", "en", "Generate"),
    ],
)
def test_the_browsers_language_is_spoken(slow_page: Served, visit: Open, browser_says: str, spoken: str, generate: str) -> None:
    page = visit(slow_page.address, language=browser_says).page
    expect(page.locator("html")).to_have_attribute("lang", spoken)
    expect(page.locator("#generate")).to_contain_text(generate)


def test_a_choice_is_kept_and_english_comes_back_whole(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    english = all_texts(page)
    choose(page, "ja")
    expect(page.get_by_role("button", name="生成").first).to_be_visible()
    expect(page.locator("label[for=negative_prompt]")).to_have_text("ネガティブプロンプト")
    page.reload()
    ready(page)
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.locator("#generate")).to_contain_text("生成")
    choose(page, "de")
    expect(page.locator("#generate")).to_contain_text("Erzeugen")
    choose(page, "en")
    assert all_texts(page) == english


def test_a_run_is_told_in_german(slow_page: Served, visit: Open) -> None:
    visited = visit(slow_page.address, language="de-DE")
    page = visited.page
    page.fill("#steps", "150")
    page.click("#generate")
    expect(page.locator("[data-part=left]")).to_have_text(re.compile(r"^Schritt \d+ von 150$"))
    pace = re.compile(r" (it/s|s/it) · noch (\d+ min \d+|[\d.]+) s · Vorschau kostet [\d.]+ %$")
    expect(page.locator("[data-part=right]")).to_have_text(pace)
    expect(page.locator("[data-part=badge]")).to_have_text(re.compile(r"^Vorschau · Schritt \d+$"))
    expect(page.locator("[data-part=spoken]")).to_have_text("Wird erzeugt.")
    page.evaluate("""() => {
      window.spokenChanges = 0;
      const spoken = document.querySelector("[data-part=spoken]");
      new MutationObserver(() => { spokenChanges += 1; }).observe(spoken, { childList: true, characterData: true, subtree: true });
    }""")
    step = page.locator("[data-part=left]").text_content() or ""
    expect(page.locator("[data-part=left]")).not_to_have_text(step)
    assert page.evaluate("spokenChanges") == 0, "a screen reader hears the same again at each step"
    page.click("#stop")
    expect(page.locator("[data-part=left]")).to_have_text(re.compile(r"^nach Schritt \d+ gestoppt$"))
    assert visited.errors == []


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "Schritte: erwartet wird eine ganze Zahl von 1 bis 150, nicht 999."),
        ("zh-CN", "步数必须是1 到 150 之间的整数，而不是 999。"),
        ("ja", "ステップ数は1～150 の整数にしてください（入力値: 999）。"),
    ],
)
def test_an_error_is_told_in_the_readers_language(slow_page: Served, visit: Open, language: str, sentence: str) -> None:
    page = visit(slow_page.address).page
    choose(page, language)
    page.fill("#steps", "999")
    page.click("#generate")
    expect(page.locator("[data-part=error-text]")).to_have_text(sentence)
    choose(page, "en")
    expect(page.locator("[data-part=error-text]")).to_have_text("Steps must be a whole number from 1 to 150, not 999.")


def test_what_is_on_its_way_is_told_in_german(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address, language="de-DE").page
    told = {
        "Mini: reading the text encoder": "Mini: liest den Text-Encoder",
        "loading Mini, 40 %: reading the LoRA clay": "lädt Mini, 40 %: liest das LoRA clay",
        "fetching lllyasviel/Annotators, 1,234 of 2,000 MB": "lädt lllyasviel/Annotators, 1,234 von 2,000 MB",
        "Needs weights first: downloads 99 MB, MIT.": "Braucht erst Gewichte: lädt 99 MB herunter, MIT.",
        "waiting for another map": "wartet auf eine andere Karte",
    }
    assert page.evaluate("(texts) => texts.map((text) => studio.words.translate(text))", list(told)) == list(told.values())


def test_a_sentence_is_never_half_translated(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address, language="de-DE").page
    said = page.evaluate(
        """() => ["Save", "Save. This one nobody knows.", "Colour must be a whole number from 1 to 9, not 10.",
          "Save; nobody knows this", "2 pictures, 1 MB. Nobody knows.",
          "DPM++ 2M Karras · 20 · seed 7"].map((text) => studio.words.translate(text))"""
    )
    assert said == ["Sichern", None, None, None, None, "DPM++ 2M Karras · 20 · Seed 7"]


def test_what_a_person_wrote_stays(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address, language="de-DE").page
    page.fill("#prompt", "Save")
    page.fill("#steps", "2")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    expect(page.locator("#prompt")).to_have_value("Save")
    expect(page.locator("[data-part=final] img").first).to_have_attribute("alt", re.compile("^Save, Seed "))
    page.click("#presets [data-part=more]")
    page.locator("[data-act=save-as]").click()
    page.fill("#preset-name", "Delete")
    page.click("[data-part=details-save]")
    expect(page.locator("#presets [data-part=name]")).to_have_text("Delete")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Delete ist gesichert.")
    slow_page.studio.presets.delete("Delete")


def walk(page: Page, folder: Path) -> None:
    """Go where the page has texts that are not there from the start."""
    page.fill("#steps", "3")
    page.fill("#seed", "7")
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]')
    page.click("#presets [data-part=pick]")
    page.locator(".preset-open").first.click()
    page.wait_for_selector("dialog[open]")
    page.click("[data-part=sheet-cancel]")
    page.click("#presets [data-part=more]")
    page.locator("[data-act=save-as]").click()
    page.click("[data-part=details-cancel]")
    for kind in ("pose", "depth", "sketch"):
        page.click(f"#tab-{kind}")
        page.wait_for_timeout(100)
    page.click("#tab-pose")
    page.click("[data-tool=add]")
    page.wait_for_selector("[data-part=library] button", state="attached")
    page.click("#control [data-part=by-picture]")
    page.wait_for_timeout(300)
    with page.expect_download() as download:
        page.click("[data-part=download]")
    download.value.save_as(folder / "made.png")
    page.set_input_files("#recall [data-part=file]", folder / "made.png")
    page.wait_for_selector(".sheet[open]")
    page.click("[data-part=verify]")
    page.wait_for_function("document.querySelector('[data-part=outcome]').dataset.verdict !== ''")
    page.locator(".sheet[open] [data-part=close]").click()
    Image.new("RGB", (80, 80)).save(folder / "plain.png")
    page.set_input_files("#recall [data-part=file]", folder / "plain.png")
    page.wait_for_selector("#recall [data-part=error]:not([hidden])")
    page.fill("#steps", "999")
    page.click("#generate")
    page.wait_for_selector("#stage [data-part=error]:not([hidden])")
    walk_history(page)
    page.locator("header [data-part=open]").click()
    page.wait_for_selector(".guests dialog[open]")
    page.keyboard.press("Escape")


def walk_history(page: Page) -> None:
    """Look at what was kept, compare, throw away and bring back."""
    page.click("[data-part=search-open]")
    page.wait_for_function("document.querySelectorAll('.tile').length > 0")
    tiles = page.locator(".tile")
    tiles.first.locator(".open").click()
    page.click("#history [data-part=full]")
    page.keyboard.press("Escape")
    tiles.first.locator("input").check()
    if tiles.count() > 1:
        tiles.nth(1).locator("input").check()
        page.click("[data-part=many-compare]")
        page.wait_for_selector(".compare[open]")
        page.keyboard.press("Escape")
    page.click("[data-part=many-delete]")
    page.wait_for_selector("[data-part=toast]:not([hidden])")
    page.click("[data-part=toast-undo]")
    page.wait_for_selector(".tile")


def test_every_text_of_the_page_has_an_entry(kept_page: Served, visit: Open, tmp_path: Path) -> None:
    page = visit(kept_page.address).page
    listen_to(page)
    walk(page, tmp_path)
    assert page.evaluate("heard.size") > 400
    for language in LANGUAGES:
        missing = untranslated(page, language)
        assert not missing, "\n".join(sorted(missing))


def test_strangers_are_asked_in_their_language(browser: Browser, tmp_path: Path) -> None:
    with closed_fake(tmp_path) as closed:
        context = browser.new_context(locale="de-DE")
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(closed.address)
        expect(page.locator("h1").first).to_have_text("Eine Einladung ist nötig")
        expect(page.locator("[data-part=text]")).to_contain_text("Den zugesandten Link öffnen oder hier einfügen.")
        assert page.title() == "Studio: Anmelden"
        page.fill("input[name=link]", "https://example.org/")
        page.get_by_role("button", name="Eintreten").click()
        expect(page.get_by_role("alert")).to_have_text("Das ist kein Einladungslink; er endet auf #join_ und ein langes Wort.")
        page.fill("input[name=link]", f"{closed.address}/#join_{'x' * 43}")
        page.get_by_role("button", name="Eintreten").click()
        page.fill("input[name=name]", "Ann")
        page.get_by_role("button", name="Eintreten").click()
        expect(page.get_by_role("alert")).to_have_text("Dieser Link ist keine Einladung oder nicht mehr gültig; um einen neuen bitten.")
        context.close()
