"""Pictures dropped on the page: the report, restoring their settings, undo, verifying, and downloads in other formats."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Locator, Page, expect

from studio.errors import BadPicture
from studio.events import Cancelled
from studio.jobs import Job
from studio.metadata import Record, encode, read_metadata
from studio.metadata.containers import read as carried
from studio.request import ControlUse, GenerationRequest, LoraUse
from tests.browser.conftest import Open, eventually, ready
from tests.browser.held import hold
from tests.browser.test_generate import clean, finished, generate
from tests.served import Served

pytestmark = pytest.mark.browser

A1111 = (
    "a lighthouse at dusk <lora:clay:0.6>, (storm:1.2)\nNegative prompt: people\n"
    "Steps: 31, Sampler: Euler a, Schedule type: Automatic, CFG scale: 6, Seed: 4242, Size: 320x256, Model hash: 0123456789, Model: gone, "
    'Clip skip: 2, Lora hashes: "clay: 999999999999", Version: v1.10.1'
)


def a1111_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", A1111)
    buffer = io.BytesIO()
    Image.effect_noise((320, 256), 60).convert("RGB").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def drop(page: Page, name: str, content: bytes, *, at: str = "#stage", kind: str = "image/png") -> None:
    """Drop a file as a person does: it is dragged over the page first."""
    page.evaluate(
        """([name, data, at, kind]) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const moved = new DataTransfer();
          moved.items.add(new File([bytes], name, { type: kind }));
          const target = document.querySelector(at);
          for (const type of ["dragenter", "dragover", "drop"])
            target.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: moved }));
        }""",
        [name, base64.b64encode(content).decode(), at, kind],
    )


def mark(page: Page, subject: str) -> Locator:
    return page.locator(".line-of", has=page.get_by_text(subject, exact=True)).locator(".mark").first


def downloaded(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("[data-part=download]")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_picture_of_ours_comes_back_whole_and_is_verified(slow_page: Served, visit: Open, tmp_path: Path) -> None:
    visited = visit(slow_page.address)
    page = visited.page
    page.fill("#steps", "4")
    page.fill("#seed", "77")
    page.fill("#guidance_scale", "3.5")
    generate(page, "a blue cube on snow")
    finished(page)
    path = downloaded(page, tmp_path)
    page.fill("#prompt", "something else")
    page.fill("#steps", "9")
    page.fill("#seed", "5")
    drop(page, path.name, path.read_bytes())
    sheet = page.locator("dialog.sheet[open]")
    expect(sheet.locator("h2")).to_have_text("studio-77.png")
    expect(page.locator("[data-part=summary]")).to_have_text("All settings are exact.")
    expect(mark(page, "Model")).to_have_text("exact")
    page.click("[data-part=verify]")
    expect(page.locator("[data-part=outcome-text]")).to_contain_text("Bit-identical")
    page.click("[data-part=restore]")
    expect(sheet).to_have_count(0)
    values = {"prompt": "a blue cube on snow", "steps": "4", "seed": "77"}
    for field, value in values.items():
        expect(page.locator(f"#{field}")).to_have_value(value)
    page.click("#recall [data-part=undo]")
    for field, value in {"prompt": "something else", "steps": "9", "seed": "5"}.items():
        expect(page.locator(f"#{field}")).to_have_value(value)
    page.click("#recall [data-part=undo]")
    for field, value in values.items():
        expect(page.locator(f"#{field}")).to_have_value(value)
    clean(visited)


def test_a_check_that_nobody_waits_for_ends_and_says_nothing_of_another_picture(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    picture = Image.new("RGB", (256, 256))

    def checks() -> list[Job]:
        return [job for job in slow_page.studio._jobs.values() if job.plan.request.prompt == "to be verified"]

    def begin(count: int) -> Job:
        """Have the held call of Verify answered, and return the check that the studio begins."""
        held.let_go(count - 1)
        eventually(page, lambda: len(checks()) == count)
        return checks()[-1]

    def dropped(name: str, prompt: str) -> None:
        drop(page, name, encode(picture, Record(GenerationRequest(prompt=prompt, seed=5, steps=150))))
        expect(page.locator("dialog.sheet[open] h2")).to_have_text(name)

    held = hold(page, "verify")
    # The sheet is closed before it is answered, and opened with another picture.
    dropped("a.png", "to be verified")
    page.click("[data-part=verify]")
    held.wait_for(1)
    page.keyboard.press("Escape")
    dropped("b.png", "another")
    first = begin(1)
    eventually(page, lambda: isinstance(first.state().terminal, Cancelled))
    expect(page.locator("[data-part=outcome]")).to_be_hidden()
    expect(page.locator("[data-part=verify]")).to_be_enabled()
    # Another picture is dropped on the open sheet while the check runs.
    dropped("a.png", "to be verified")
    page.click("[data-part=verify]")
    held.wait_for(2)
    second = begin(2)
    expect(page.locator("[data-part=outcome-text]")).to_contain_text("Making it again")
    dropped("b.png", "another")
    eventually(page, lambda: isinstance(second.state().terminal, Cancelled))
    expect(page.locator("[data-part=outcome]")).to_be_hidden()


def test_control_units_and_loras_come_back_with_their_pictures(slow_page: Served, visit: Open) -> None:
    drawing = Image.new("RGB", (64, 64), "black")
    drawing.paste("white", (20, 20, 40, 40))
    unit = ControlUse(kind="depth", image="drawing", weight=0.7)
    request = GenerationRequest(prompt="a cat", steps=2, seed=8, controls=(unit,), loras=(LoraUse(name="ink", weight=0.4),))
    result = slow_page.studio.submit(request, images={"drawing": drawing}).result(300)
    visited = visit(slow_page.address)
    page = visited.page
    drop(page, "made.png", encode(result.images[0], result.record(0)))
    expect(page.locator("[data-part=summary]")).to_have_text("All settings are exact.")
    page.click("[data-part=restore]")
    expect(page.locator(".heading", has_text="Control")).to_contain_text("depth 0.7")
    expect(page.locator(".loras .chosen")).to_contain_text("ink")
    page.click("#generate")
    finished(page)
    again = next(job for job in reversed(slow_page.studio.jobs_of(page.evaluate("studio.visitor"))))
    assert again.plan.request == result.requests[0]
    clean(visited)


def test_a_picture_of_a1111_comes_back_as_well_as_can_be(slow_page: Served, visit: Open) -> None:
    visited = visit(slow_page.address)
    page = visited.page
    drop(page, "from a1111.png", a1111_png(), at="#form")
    expect(page.locator("[data-part=from]")).to_have_text("Settings in the format of A1111")
    for subject, verdict in (
        ("Steps", "exact"),
        ("Seed", "approximated"),
        ("Prompt", "approximated"),
        ("Model", "missing"),
        ("LoRA", "approximated"),
        ("Clip skip", "approximated"),
    ):
        expect(mark(page, subject)).to_have_text(verdict)
    expect(page.locator(".report")).to_contain_text("it is not on this machine, hash 0123456789; Fake is used instead")
    page.click("[data-part=restore]")
    for field, value in {
        "prompt": "a lighthouse at dusk, (storm:1.2)",
        "steps": "31",
        "seed": "4242",
        "width": "320",
        "height": "256",
    }.items():
        expect(page.locator(f"#{field}")).to_have_value(value)
    expect(page.locator(".loras .chosen")).to_contain_text("clay")
    expect(page.locator("#scheduler")).to_have_value("Euler a")
    page.click("#generate")
    finished(page)
    clean(visited)


def test_a_picture_can_be_chosen_by_keyboard_and_pasted(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    with page.expect_file_chooser() as chooser:
        page.locator("#recall-choose").press("Enter")
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": a1111_png()})
    expect(page.locator("dialog.sheet[open] h2")).to_have_text("a.png")
    expect(page.locator("[data-part=restore]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.sheet[open]")).to_have_count(0)
    expect(page.locator("#recall-choose")).to_be_focused()
    page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const copied = new DataTransfer();
          copied.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: copied }));
        }""",
        base64.b64encode(a1111_png()).decode(),
    )
    expect(page.locator("dialog.sheet[open] h2")).to_have_text("pasted.png")


def test_text_that_brings_a_picture_of_itself_is_pasted_as_text(slow_page: Served, visit: Open) -> None:
    page = visit(slow_page.address).page
    page.locator("#prompt").focus()
    page.evaluate(
        """() => {
          const copied = new DataTransfer();
          copied.setData("text/plain", "a cell");
          copied.items.add(new File(["no picture"], "cell.png", { type: "image/png" }));
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: copied }));
        }"""
    )
    # What is wrong with a picture would be said.
    page.wait_for_timeout(300)
    expect(page.get_by_text("cannot be read as a picture")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("plain.png", b"", "plain.png cannot be read as a picture"),
        ("song.mp3", b"ID3 is no picture", "song.mp3 cannot be read as a picture"),
        ("bare.png", None, "bare.png carries no settings of this studio, A1111, Forge"),
    ],
)
def test_what_carries_nothing_is_one_sentence(slow_page: Served, visit: Open, name: str, content: bytes | None, sentence: str) -> None:
    page = visit(slow_page.address).page
    if content is None:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64)).save(buffer, "PNG")
        content = buffer.getvalue()
    drop(page, name, content)
    expect(page.locator("#recall [data-part=error]")).to_contain_text(sentence)
    expect(page.locator("dialog.sheet[open]")).to_have_count(0)


def test_downloads_come_in_three_formats_with_settings_or_without(slow_page: Served, visit: Open, tmp_path: Path) -> None:
    visited = visit(slow_page.address)
    page = visited.page
    page.fill("#steps", "2")
    page.fill("#seed", "9")
    generate(page, "a green torus")
    finished(page)
    how = page.locator("[popovertarget=download-how]")
    expect(how).to_have_attribute("aria-label", "Downloads: PNG, with settings")
    for label, suffix, kind in (("JPEG", ".jpg", "JPEG"), ("WebP", ".webp", "WEBP")):
        how.click()
        page.locator(".picks").get_by_text(label).click()
        how.click()
        path = downloaded(page, tmp_path)
        found = carried(path.read_bytes(), name="a")
        assert (path.suffix, found.format, read_metadata(path).prompt) == (suffix, kind, "a green torus")
        assert "Steps: 2" in found.parameters
    how.click()
    page.get_by_role("switch", name="Leave the settings out").check()
    how.click()
    expect(how).to_have_text("WebP, bare")
    with pytest.raises(BadPicture, match="carries no settings"):
        read_metadata(downloaded(page, tmp_path))
    # Another tab, opened before, leaves the choice alone whatever it does.
    other = visited.context.new_page()
    other.goto(page.url)
    ready(other)
    how.click()
    page.get_by_role("switch", name="Leave the settings out").uncheck()
    generate(other, "a green torus")
    finished(other)
    kept = page.evaluate("JSON.parse(localStorage.getItem('studio-download'))")
    assert kept == {"kind": "WEBP", "bare": False}
    clean(visited)
