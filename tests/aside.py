"""Coroutines in tests whose thread may have Playwright's event loop running."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def awaited(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a coroutine to its end on a thread of its own and return its answer."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
