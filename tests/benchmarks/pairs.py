"""Interleaved pairs: run A and B in the order A B, B A, A B, ... and judge the median of the paired ratios."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Paired ratios A / B of one comparison, and the bound that their median must keep.

    `work` are the same ratios of processor time, which a busy machine disturbs less.
    """

    name: str
    ratios: list[float]
    work: list[float]
    bound: float

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        low, _, high = statistics.quantiles(self.ratios, n=4) if len(self.ratios) > 1 else (self.median,) * 3
        return low, high

    @property
    def verdict(self) -> str:
        """`holds`, `misses`, or `unclear` when the spread is wider than the room the bound leaves."""
        low, high = self.quartiles
        if high <= self.bound:
            return "holds"
        if high - low > abs(self.bound - 1):
            return "unclear: the spread is wider than the bound; measure on a quieter machine"
        return "holds" if self.median <= self.bound else "misses"

    def __str__(self) -> str:
        low, high = self.quartiles
        shown = f"{self.name}: {self.median:.4f} (quartiles {low:.4f} .. {high:.4f}, {len(self.ratios)} pairs)"
        return f"{shown}, processor time {statistics.median(self.work):.4f}, bound {self.bound}: {self.verdict}"


def compare(name: str, *, first: Callable[[int], object], second: Callable[[int], object], pairs: int, bound: float) -> Ratio:
    """Time `first` against `second`, both called with the number of the pair, after two pairs of warm-up."""
    for i in (-2, -1):
        first(i)
        second(i)
    ratios, work = [], []
    for i in range(pairs):
        if i % 2:
            right, left = timed(second, i), timed(first, i)
        else:
            left, right = timed(first, i), timed(second, i)
        ratios.append(left[0] / right[0])
        work.append(left[1] / right[1])
    return Ratio(name, ratios, work, bound)


def timed(call: Callable[[int], object], number: int) -> tuple[float, float]:
    """Return the seconds that a call takes, and the processor seconds of the whole process meanwhile.

    A call that has another process work returns the processor seconds of that one.
    """
    began, worked = time.perf_counter(), time.process_time()
    elsewhere = call(number)
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    return seconds, work + (elsewhere if isinstance(elsewhere, float) else 0.0)


def conclude(*results: Ratio) -> int:
    """Print results; return 1 when one of them misses its bound."""
    for result in results:
        print(result, flush=True)
    return int(any(result.verdict == "misses" for result in results))
