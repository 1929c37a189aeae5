"""The Preset row in a real browser: save, reload, apply a part, delete, undo; what is missing; import and export; keyboard and phone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from studio.app import build
from studio.settings import Settings
from tests.browser.conftest import Open, ready
from tests.browser.test_control import drop
from tests.served import Served, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def disk_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page over the fake engine with everything else on a disk."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("studio"), engine="fake")
    with served(build(settings), settings) as page:
        yield page


@pytest.fixture
def page(disk_page: Served, visit: Open) -> Iterator[Page]:
    made = visit(disk_page.address)
    yield made.page
    assert made.errors == [] and made.outside == []
    for preset in disk_page.studio.presets.list():
        if not preset.builtin:
            disk_page.studio.presets.delete(preset.name)


def save_as(page: Page, name: str, *, without: tuple[str, ...] = ()) -> None:
    page.click("#presets [data-part=more]")
    page.get_by_role("button", name="Save as…").click()
    page.fill("#preset-name", name)
    for part in without:
        page.locator("#presets [data-part=details-parts]").get_by_label(part, exact=True).uncheck()
    page.click("#presets [data-part=details-save]")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text(f"{name} is saved.")


def choose(page: Page, name: str) -> None:
    """Open the sheet of a preset."""
    page.click("#presets [data-part=pick]")
    page.locator("#presets .preset-open", has_text=name).first.click()
    expect(page.locator("#presets [data-part=sheet-title]")).to_have_text(f"Apply {name}")


def menu(page: Page, item: str) -> None:
    page.click("#presets [data-part=more]")
    page.locator("#preset-menu").get_by_role("button", name=item, exact=True).click()


def test_save_reload_apply_a_part_delete_undo(page: Page) -> None:
    page.fill("#prompt", "a cube in the fog")
    page.fill("#steps", "12")
    page.fill("#seed", "7")
    save_as(page, "Fog")
    page.reload()
    ready(page)
    expect(page.locator("#presets [data-part=name]")).to_have_text("Fog")
    expect(page.locator("#presets [data-part=changed]")).to_be_hidden()
    page.fill("#prompt", "my own words")
    page.fill("#steps", "30")
    expect(page.locator("#presets [data-part=changed]")).to_be_visible()
    choose(page, "Fog")
    expect(page.locator("#presets .preset-change", has_text="Steps").locator("del")).to_have_text("30")
    expect(page.locator("#presets .preset-change", has_text="Steps").locator("ins")).to_have_text("12")
    page.locator("#presets [data-name=prompts] input").uncheck()
    expect(page.locator("#presets .preset-change", has_text="my own words")).to_have_count(0)
    page.click("#presets [data-part=sheet-apply]")
    expect(page.locator("#steps")).to_have_value("12")
    expect(page.locator("#prompt")).to_have_value("my own words")
    page.click("#presets [data-part=told-undo]")
    expect(page.locator("#steps")).to_have_value("30")
    menu(page, "Delete")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Fog is deleted.")
    expect(page.locator("#presets [data-part=name]")).to_have_text("Presets")
    page.keyboard.press("Enter")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Fog is back.")
    choose(page, "Fog")
    expect(page.locator("#presets [data-part=sheet-apply]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#prompt")).to_have_value("a cube in the fog")


def test_saving_over_and_the_name_that_is_taken(page: Page) -> None:
    page.fill("#steps", "5")
    save_as(page, "Mine", without=("Prompts", "Model"))
    page.fill("#steps", "6")
    page.click("#presets [data-part=save]")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Mine is saved.")
    expect(page.locator("#presets [data-part=changed]")).to_be_hidden()
    page.click("#presets [data-part=told-undo]")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Mine is as it was before.")
    choose(page, "Mine")
    expect(page.locator("#presets .preset-change", has_text="Steps").locator("ins")).to_have_text("5")
    expect(page.locator("#presets .preset-part")).to_have_count(4)
    page.keyboard.press("Escape")
    menu(page, "Save as…")
    page.fill("#preset-name", "MINE")
    page.keyboard.press("Enter")
    expect(page.locator("#presets [data-part=details-error]")).to_contain_text("There is a preset called Mine already")
    page.click("#presets [data-part=details-over]")
    expect(page.locator("#presets [data-part=details]")).to_be_hidden()
    choose(page, "Mine")
    expect(page.locator("#presets .preset-part")).to_have_count(6)


def test_saving_after_a_part_was_applied_leaves_the_other_parts(page: Page) -> None:
    page.fill("#prompt", "a cube in the fog")
    page.fill("#steps", "5")
    save_as(page, "Mine")
    page.fill("#prompt", "my own words")
    choose(page, "Mine")
    page.locator("#presets [data-name=prompts] input").uncheck()
    expect(page.locator("#presets .preset-change", has_text="my own words")).to_have_count(0)
    page.click("#presets [data-part=sheet-apply]")
    for steps in ("7", "8"):
        page.fill("#steps", steps)
        expect(page.locator("#presets [data-part=changed]")).to_be_visible()
        page.click("#presets [data-part=save]")
        expect(page.locator("#presets [data-part=changed]")).to_be_hidden()
    choose(page, "Mine")
    expect(page.locator("#presets .preset-part")).to_have_count(6)
    expect(page.locator("#presets .preset-change")).to_have_count(1)
    expect(page.locator("#presets .preset-change ins")).to_have_text("a cube in the fog")


def test_changing_its_words_leaves_the_form_changed_and_saving_over_leaves_its_words(page: Page) -> None:
    page.fill("#steps", "5")
    save_as(page, "Mine")
    page.fill("#steps", "6")
    menu(page, "Name, description, picture…")
    page.fill("#preset-description", "for fog")
    page.click("#presets [data-part=details-save]")
    expect(page.locator("#presets [data-part=details]")).to_be_hidden()
    expect(page.locator("#presets [data-part=changed]")).to_be_visible()
    menu(page, "Duplicate")
    expect(page.locator("#presets [data-part=name]")).to_have_text("Mine copy")
    expect(page.locator("#presets [data-part=changed]")).to_be_visible()
    menu(page, "Save as…")
    page.fill("#preset-name", "Mine")
    page.keyboard.press("Enter")
    page.click("#presets [data-part=details-over]")
    expect(page.locator("#presets [data-part=details]")).to_be_hidden()
    expect(page.locator("#presets [data-part=changed]")).to_be_hidden()
    page.click("#presets [data-part=told-undo]")
    expect(page.locator("#presets [data-part=name]")).to_have_text("Mine copy")
    expect(page.locator("#presets [data-part=changed]")).to_be_visible()
    choose(page, "Mine")
    expect(page.locator("#presets [data-part=sheet-description]")).to_have_text("for fog")


def test_a_form_that_is_no_good_is_told_in_the_sheet(page: Page) -> None:
    page.fill("#steps", "999")
    menu(page, "Save as…")
    page.fill("#preset-name", "Broken")
    page.click("#presets [data-part=details-save]")
    expect(page.locator("#presets [data-part=details-error]")).to_have_text("Steps must be a whole number from 1 to 150, not 999.")
    page.locator("#presets [data-part=details-parts]").get_by_label("Sampling").uncheck()
    page.click("#presets [data-part=details-save]")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Broken is saved.")


def test_a_built_in_one_wraps_the_prompt_and_can_be_copied(page: Page) -> None:
    page.fill("#prompt", "a blue cone")
    choose(page, "Mini: at night")
    page.click("#presets [data-part=sheet-apply]")
    expect(page.locator("#prompt")).to_have_value("a blue cone at night")
    page.click("#presets [data-part=more]")
    expect(page.locator("#preset-menu").get_by_role("button", name="Delete")).to_be_disabled()
    page.locator("#preset-menu").get_by_role("button", name="Duplicate").click()
    expect(page.locator("#presets [data-part=name]")).to_have_text("Mini: at night copy")


def test_what_is_missing_is_said_with_something_else_to_take(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.json"
    document = {
        "kind": "preset",
        "schema": 1,
        "name": "Elsewhere",
        "request": {"loras": [{"name": "claay"}], "model": "Gone", "tiling": True},
    }
    file.write_text(json.dumps(document))
    page.set_input_files("#presets [data-part=file]", file)
    expect(page.locator("#presets [data-part=report-title]")).to_have_text("1 preset taken in")
    expect(page.locator("#presets [data-part=report-notes]")).to_contain_text("'tiling' is not known to this studio")
    page.get_by_role("button", name="Done").click()
    choose(page, "Elsewhere")
    expect(page.locator("#presets [data-part=findings]")).to_contain_text("Model 'Gone' is not here.")
    expect(page.locator("#presets [data-part=findings]")).to_contain_text("LoRA 'claay' is not here.")
    page.get_by_label("Instead of claay").select_option("clay")
    expect(page.locator("#presets .preset-change", has_text="LoRAs").locator("ins")).to_have_text("clay 1")
    page.click("#presets [data-part=sheet-apply]")
    expect(page.locator(".lora .name b")).to_have_text("clay")


def test_control_units_come_back_with_their_picture(page: Page, tmp_path: Path) -> None:
    lines = Image.new("RGB", (64, 64), "black")
    lines.paste((255, 255, 255), (20, 20, 24, 50))
    lines.save(tmp_path / "lines.png")
    page.wait_for_function("document.querySelector('#control [data-part=unit]')?.inert === false")
    drop(page, tmp_path / "lines.png")
    expect(page.locator("#control [data-part=on]")).to_be_checked()
    save_as(page, "Drawn", without=("Prompts", "Sampling", "Size", "Model", "LoRAs"))
    page.locator("#control [data-part=on]").uncheck()
    choose(page, "Drawn")
    expect(page.locator("#presets .preset-change", has_text="Control").locator("ins")).to_contain_text("sketch 1")
    page.click("#presets [data-part=sheet-apply]")
    expect(page.locator("#control [data-part=on]")).to_be_checked()
    with page.expect_download() as download:
        menu(page, "Export with pictures")
    assert download.value.suggested_filename.endswith(".zip")
    menu(page, "Delete")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Drawn is deleted.")
    page.set_input_files("#presets [data-part=file]", download.value.path())
    expect(page.locator("#presets [data-part=report-title]")).to_have_text("1 preset taken in")


def test_search_star_and_keys(page: Page) -> None:
    save_as(page, "Alpha")
    save_as(page, "Beta")
    page.click("#presets [data-part=pick]")
    expect(page.get_by_label("Search presets")).to_be_focused()
    page.get_by_label("Star Beta").click()
    expect(page.locator("#presets .preset-open b").first).to_have_text("Beta")
    expect(page.get_by_label("Star Beta")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Search presets").fill("jumping")
    expect(page.locator("#presets .preset-open")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#presets [data-part=sheet-title]")).to_have_text("Apply Mini: figure jumping")
    page.keyboard.press("Escape")
    expect(page.locator("#presets [data-part=sheet]")).to_be_hidden()


def test_what_was_deleted_can_be_had_back_after_a_reload(page: Page) -> None:
    save_as(page, "Lost")
    menu(page, "Delete")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("Lost is deleted.")
    page.reload()
    ready(page)
    page.click("#presets [data-part=pick]")
    page.locator("#presets summary", has_text="Deleted").click()
    page.get_by_label("Bring back Lost").first.click()
    expect(page.locator("#presets .preset-open", has_text="Lost")).to_have_count(1)


def test_a_dangerous_file_is_one_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + b"x" * 200)
    page.set_input_files("#presets [data-part=file]", tmp_path / "a.zip")
    expect(page.locator("#presets [data-part=told-text]")).to_have_text("a.zip is a damaged or locked zip; export it again.")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_shows_row_list_and_sheet_without_overflow(disk_page: Served, visit: Open, theme: str) -> None:
    page = visit(disk_page.address, width=390, height=844, theme=theme).page
    choose(page, "Mini: not red")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#presets [data-part=sheet]").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    page.click("#presets [data-part=sheet-apply]")
    expect(page.locator("#negative_prompt")).to_have_value("red")
