"""A real Chromium that can reach nothing but this machine, and pages in contexts of their own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize, expect, sync_playwright

from studio.app import build
from studio.settings import Settings
from tests.served import PatientEngine, Served, served, served_fake

FLAGS = "no-sandbox disable-background-networking disable-component-update disable-sync no-first-run disable-gpu"
# Names of other machines are not even looked up, so that what only works with the internet fails.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
QUIET = [*(f"--{flag}" for flag in FLAGS.split()), ALONE]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass
class Visit:
    """One visitor's browser context, what it asked for and what went wrong in it."""

    context: BrowserContext
    page: Page
    outside: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOOPBACK:
            self.outside.append(request.url)


Open = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser(browser_path: str) -> Iterator[Browser]:
    # A machine may be busy with something else; only a test that fails waits as long.
    expect.set_options(timeout=90_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def hurrying() -> Event:
    return Event()


@pytest.fixture
def hurry(hurrying: Event) -> Iterator[Event]:
    """Set, the runs of `slow_page` go on without waiting."""
    yield hurrying
    hurrying.clear()


@pytest.fixture(scope="session")
def slow_page(tmp_path_factory: pytest.TempPathFactory, hurrying: Event) -> Iterator[Served]:
    """The page over a fake engine that takes its time, as a model does; 150 steps are more than a test has to wait for."""
    with served_fake(tmp_path_factory.mktemp("studio"), step_seconds=0.15, engine=partial(PatientEngine, hurry=hurrying)) as page:
        yield page


@pytest.fixture(scope="module")
def kept_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page over the fake engine with everything else on a disk."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("studio"), engine="fake")
    with served(build(settings), settings) as page:
        yield page


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens an address in a new context and waits until the page can be used."""
    contexts: list[BrowserContext] = []

    def open_page(address: str, *, width: int = 1440, height: int = 900, theme: str = "dark", language: str = "en-US") -> Visit:
        look: ViewportSize = {"width": width, "height": height}
        context = browser.new_context(viewport=look, color_scheme="light" if theme == "light" else "dark", locale=language)
        context.set_default_timeout(120_000)
        contexts.append(context)
        made = Visit(context, context.new_page())
        made.page.on("request", made.note_request)
        made.page.on("requestfailed", lambda request: made.failed.append(f"{request.url} {request.failure}"))
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        made.page.on("console", lambda message: made.errors.append(message.text) if message.type == "error" else None)
        made.page.goto(address)
        ready(made.page)
        return made

    yield open_page
    for context in contexts:
        context.close()


def ready(page: Page) -> None:
    """Wait until the form is there and the header knows the model."""
    page.wait_for_selector("#prompt")
    page.wait_for_function("document.querySelector('#model')?.options.length > 0")


def eventually(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until something holds that the page cannot tell by itself."""
    until = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < until, "it did not come to hold"
        page.wait_for_timeout(50)


def noted(page: Page) -> None:
    """Wait until the form as it stands is a step of its own, for undo and redo."""
    # By the page's own clock, which is behind when the machine is busy: its timers go off in their order.
    page.evaluate(
        """async () => {
          await new Promise((done) => studio.idle(done));
          await studio.settled();
          await new Promise((done) => setTimeout(done, 700));
          await studio.settled();
          await new Promise((done) => setTimeout(done));
        }"""
    )
