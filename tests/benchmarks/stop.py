"""How long Stop takes: at most one step and 50 ms, and never a decode."""

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from PIL import Image

from studio.events import Cancelled, Step
from studio.jobs import Job
from studio.plan import Plan
from studio.ports import Engine, Run
from tests.benchmarks.studios import arguments, open_on, request
from tests.passing import Passing

SLACK = 0.05
"""Seconds that Stop may take beyond a step."""


@dataclass
class Counting(Passing):
    """Counts the decodes of an engine's runs."""

    decodes: list[int] = field(default_factory=list)

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> Run:
        run = self.engine.start(plan, maps)
        finish = run.finish

        def counted() -> Iterator[Image.Image]:
            for picture in finish():
                self.decodes.append(1)
                yield picture

        object.__setattr__(run, "finish", counted)
        return run


def main() -> int:
    options = arguments(__doc__ or "")
    decodes: list[int] = []
    wrap: Callable[[Engine], Engine] = lambda engine: Counting(engine, decodes)  # noqa: E731
    with open_on(options.model, wrap=wrap) as studio:
        job = studio.submit(request(0, steps=options.steps))
        step = longest_step(job)
        drawn = len(decodes)
        waits = [stop_somewhere(studio.submit(request(i, steps=options.steps))) for i in range(options.pairs)]
    bound = step + SLACK
    late, decoded = sum(wait > bound for wait in waits), len(decodes) - drawn
    print(f"longest step of a whole run {step * 1e3:.0f} ms; stop after median {statistics.median(waits) * 1e3:.0f} ms, ", end="")
    print(f"longest {max(waits) * 1e3:.0f} ms; {late} of {len(waits)} later than a step and 50 ms; {decoded} decodes")
    return int(late > 0 or decoded > 0)


def longest_step(job: Job) -> float:
    """Return the longest time between two steps of a whole run, in seconds."""
    times = [event.seconds for event in job.events() if isinstance(event, Step)]
    return max(after - before for before, after in pairwise(times))


def stop_somewhere(job: Job) -> float:
    """Stop a job at a random moment of its run; return the seconds until it ended."""
    for event in job.events():
        if isinstance(event, Step):
            break
    time.sleep(random.random() * 0.2)
    began = time.perf_counter()
    job.stop()
    ended = job.wait()
    waited = time.perf_counter() - began
    assert isinstance(ended, Cancelled), "the job was over before it was stopped; use more --steps"
    return waited


if __name__ == "__main__":
    sys.exit(main())
