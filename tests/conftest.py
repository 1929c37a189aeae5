"""What all tests share: which Chromium to drive, and skips that say why."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Every worker has a core; threads that wait for each other on cores of other workers make small networks ten times slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has Ctrl+C ignored in all that they start; some of them press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_tests:
        return
    # Imported only when such a test was collected, because it takes seconds.
    import torch

    if not torch.cuda.is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch finds none"))


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The Chromium to drive: the system's, else Playwright's own, which is fetched when it can be.

    Without one the test is skipped, or fails where STUDIO_REQUIRE_BROWSER=1 is set.
    """
    for name in SYSTEM_BROWSERS:
        if found := shutil.which(name):
            return found
    path = _playwright_browser()
    if not path.exists():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], timeout=600, check=False)
    if not path.exists():
        reason = "no Chromium here; install one, or run: python -m playwright install chromium"
        if os.environ.get("STUDIO_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return str(path)


def _playwright_browser() -> Path:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)
