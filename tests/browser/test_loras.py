"""The LoRA section in a real browser: choosing, weights, tags in the prompt, keyboard, phone; and a real model's picture."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.app import build
from studio.settings import Settings
from tests.browser.conftest import Open, ready
from tests.browser.test_generate import generate_anew
from tests.lora_files import attention_of_sd, write_lora
from tests.served import Served, served, served_fake

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def quick_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_fake(tmp_path_factory.mktemp("studio"), step_seconds=0.01) as page:
        yield page


@pytest.fixture
def page(quick_page: Served, visit: Open) -> Iterator[Page]:
    made = visit(quick_page.address)
    made.page.wait_for_selector(".offer")
    yield made.page
    assert made.errors == [] and made.outside == []


def chosen(page: Page) -> list[str]:
    return page.locator(".lora .name b").all_text_contents()


def offer(page: Page, name: str) -> None:
    page.locator(".offer", has_text=name).click()


def picture(page: Page) -> str:
    """Generate and return the finished picture's bytes, as the page holds them."""
    generate_anew(page)
    return str(
        page.evaluate(
            """async () => {
              const image = document.querySelector('[data-part=final] img');
              const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
              return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))).join(' ');
            }"""
        )
    )


def there_and_back(page: Page, name: str) -> None:
    """Take a LoRA and its slider from 0 to 1 and back: the picture changes, and then is the first one byte for byte."""
    offer(page, name)
    slider = page.get_by_label(f"Weight of {name}, slider")
    slider.fill("0")
    first = picture(page)
    slider.fill("1")
    expect(page.get_by_label(f"Weight of {name}", exact=True)).to_have_value("1")
    assert picture(page) != first
    slider.fill("0")
    assert picture(page) == first


def test_the_slider_changes_the_picture_and_zero_gives_the_first_bytes_again(page: Page) -> None:
    page.fill("#seed", "7")
    page.fill("#steps", "2")
    there_and_back(page, "clay")


def test_a_lora_of_another_family_shows_its_sentence_before_any_run(page: Page) -> None:
    wrong = page.locator(".offer", has_text="xl-look")
    expect(wrong).to_contain_text(
        "xl-look was made for Stable Diffusion XL (text width 2048), and Fake is Stable Diffusion (text width 32)"
    )
    expect(wrong).to_have_attribute("aria-disabled", "true")
    wrong.click(force=True)
    assert chosen(page) == []
    page.fill("#prompt", "a <lora:xl-look:1>")
    expect(page.locator(".lora .warning")).to_contain_text("xl-look was made for Stable Diffusion XL")
    page.click("#generate")
    expect(page.locator("[data-part=error-text]")).to_contain_text("xl-look was made for Stable Diffusion XL")


def test_prompt_and_panel_keep_in_step(page: Page) -> None:
    page.fill("#prompt", "a cat <lora:ink:0.5>, sky")
    expect(page.locator(".lora .facts")).to_contain_text("in the prompt")
    page.get_by_label("Weight of ink, slider").fill("-1.25")
    expect(page.locator("#prompt")).to_have_value("a cat <lora:ink:-1.25>, sky")
    page.get_by_role("button", name="Another weight for the text encoder").click()
    page.get_by_label("Text encoder of ink", exact=True).fill("0.3")
    expect(page.locator("#prompt")).to_have_value("a cat <lora:ink:-1.25:0.3>, sky")
    expect(page.get_by_role("button", name="LoRAs")).to_contain_text("ink -1.25")
    text = page.get_by_label("Text encoder of ink", exact=True)
    text.press("ControlOrMeta+a")
    text.press("Backspace")
    expect(text).to_be_focused()
    text.press_sequentially("0.3")
    expect(page.locator("#prompt")).to_have_value("a cat <lora:ink:-1.25:0.3>, sky")
    offer(page, "clay")
    expect(page.locator(".lora")).to_have_count(2)
    assert sorted(chosen(page)) == ["clay", "ink"]
    page.get_by_role("button", name="soft light").click()
    expect(page.locator("#prompt")).to_have_value("a cat <lora:ink:-1.25:0.3>, sky, soft light")
    page.get_by_role("button", name="Remove ink").click()
    expect(page.locator("#prompt")).to_have_value("a cat , sky, soft light")
    expect(page.locator(".lora .name b")).to_have_text(["clay"])
    page.fill("#prompt", "a <lora:inc:1>")
    expect(page.locator(".lora .warning").last).to_have_text("inc is not here; choose one of the list, or take it out.")


def test_search_keyboard_and_reload(page: Page) -> None:
    page.fill(".loras input[type=search]", "soft cl")
    expect(page.locator(".offer")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Weight of clay, slider")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Weight of clay", exact=True)).to_have_value("1.05")
    page.fill(".loras input[type=search]", "nothing like it")
    expect(page.locator("#loras [data-part=empty]")).to_have_text("No LoRA has that in its name, family or words.")
    page.reload()
    ready(page)
    expect(page.get_by_label("Weight of clay", exact=True)).to_have_value("1.05")
    page.get_by_role("button", name="LoRAs").click()
    expect(page.locator("#loras-section")).to_be_hidden()
    expect(page.get_by_role("button", name="LoRAs")).to_contain_text("clay 1.05")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_shows_the_section_without_overflow(quick_page: Served, visit: Open, theme: str) -> None:
    page = visit(quick_page.address, width=390, height=844, theme=theme).page
    page.wait_for_selector(".offer")
    offer(page, "clay")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".lora").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_a_real_models_picture_follows_the_slider(tmp_path: Path, visit: Open) -> None:
    from tests.tiny import make_tiny_model

    model = make_tiny_model(tmp_path / "models" / "tiny")
    block = "mid_block.attentions.0.transformer_blocks.0.attn{}.to_{}"
    shapes = {block.format(number, part): (32, 32) for number in (1, 2) for part in "qkv"}
    write_lora(tmp_path / "models" / "loras" / "style" / "bold.safetensors", shapes, size=1.0)
    write_lora(tmp_path / "models" / "loras" / "xl.safetensors", attention_of_sd(2048))
    settings = Settings(data_dir=tmp_path, embedded_models=(("Tiny", model),), embedded_loras=(), device="cpu", precision="float32")
    with served(build(settings), settings) as real:
        page = visit(real.address).page
        page.wait_for_selector('header[data-model="ready"]')
        expect(page.locator(".offer", has_text="xl")).to_contain_text("xl was made for Stable Diffusion XL")
        page.fill("#seed", "7")
        page.fill("#steps", "3")
        there_and_back(page, "style/bold")
