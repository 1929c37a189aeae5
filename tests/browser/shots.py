"""Takes the screenshots of the documents: `python -m tests.browser.shots docs/images [--fake]`.

Writes desktop-dark, desktop-light, phone, running and error as PNG.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from studio.app import build
from studio.settings import Settings
from tests.browser.conftest import QUIET, ready
from tests.conftest import SYSTEM_BROWSERS
from tests.served import served

DESKTOP, PHONE = (1440, 900), (390, 844)
SEED = "0"


def take(browser: Browser, address: str, folder: Path) -> None:
    """Take all of them from a page that is being served."""
    page = opened(browser, address, size=DESKTOP, theme="dark")
    page.fill("#batch_size", "4")
    generate(page)
    page.fill("#batch_size", "1")
    page.get_by_role("button", name="Show picture with seed 1").click()
    page.wait_for_selector("[data-part=final] img:only-child")
    shoot(page, folder / "desktop-dark.png")
    page.get_by_role("button", name="Switch to light").click()
    shoot(page, folder / "desktop-light.png")
    page.get_by_role("button", name="Switch to dark").click()
    page.get_by_role("button", name="torus at sunset").click()
    # So many that the run is not over before it is looked at.
    page.fill("#steps", "150")
    page.click("#generate")
    page.wait_for_selector('[data-phase="running"] [data-part=preview]:not([hidden])')
    page.wait_for_function("parseInt(document.querySelector('[data-part=badge]').textContent.split('step ')[1]) >= 9")
    shoot(page, folder / "running.png")
    page.wait_for_selector('[data-phase="done"]')
    page.fill("#steps", "999")
    page.click("#generate")
    page.wait_for_selector("[data-part=error]:not([hidden])")
    shoot(page, folder / "error.png")
    phone = opened(browser, address, size=PHONE, theme="dark")
    generate(phone)
    shoot(phone, folder / "phone.png")


def opened(browser: Browser, address: str, *, size: tuple[int, int], theme: str) -> Page:
    """Open the page in a context of its own, once the model is loaded."""
    shape = {"width": size[0], "height": size[1]}
    page = browser.new_context(viewport=shape, color_scheme="light" if theme == "light" else "dark").new_page()  # type: ignore[arg-type]
    page.goto(address)
    ready(page)
    page.wait_for_selector('header[data-model="ready"]', timeout=120_000)
    return page


def generate(page: Page) -> None:
    """Make the first visit's picture and wait for it."""
    page.fill("#seed", SEED)
    page.click("#generate")
    page.wait_for_selector('[data-phase="done"]', timeout=300_000)
    page.wait_for_selector("[data-part=final]:not([hidden]) img")


def shoot(page: Page, path: Path) -> None:
    """Write what the page shows, with the pointer out of the way."""
    page.mouse.move(1, 1)
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)


def main(arguments: list[str]) -> None:
    """Serve the page and take the screenshots."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data_dir, sync_playwright() as playwright:
        settings = Settings(data_dir=Path(data_dir), engine="fake" if "--fake" in arguments else "diffusers")
        with served(build(settings), settings) as page:
            system = next(filter(None, map(shutil.which, SYSTEM_BROWSERS)), None)
            browser = playwright.chromium.launch(executable_path=system, args=QUIET)
            take(browser, page.address, folder)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
