"""Memory that stays flat while something is done thousands of times."""

from collections.abc import Iterator

import psutil


def flat(times: int, *, most: int) -> Iterator[int]:
    """Count to `times`; at the end the process may hold at most `most` bytes more than after the first fifth, which warms up."""
    process, before = psutil.Process(), 0
    for number in range(times):
        if number == times // 5:
            before = process.memory_info().rss
        yield number
    grown = process.memory_info().rss - before
    assert grown < most, f"{grown / 2**20:.0f} MB more than after the first {times // 5}"
