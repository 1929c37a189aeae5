"""Previews as steps are done against none, with a viewer that reads at once and one that reads a frame a second. Bound: 1.02.

Both run on one engine, as two in one process have twice as many threads as there are cores.
"""

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from studio.engine.runs import DiffusersRun
from studio.events import Preview
from studio.plan import Plan
from studio.ports import Engine, Run
from studio.service import Studio
from tests.benchmarks.pairs import compare, conclude
from tests.benchmarks.studios import arguments, open_on, request
from tests.passing import Passing


@dataclass
class Switched(Passing):
    """Starts runs as an engine with `--preview none` does while `off`."""

    off: bool = False

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> Run:
        run = self.engine.start(plan, maps)
        assert isinstance(run, DiffusersRun)
        return replace(run, model=replace(run.model, previewer=None)) if self.off else run


def main() -> int:
    options = arguments(__doc__ or "", method="linear")
    frames: list[int] = []
    engines: list[Switched] = []

    def wrap(engine: Engine) -> Engine:
        engines.append(Switched(engine))
        return engines[0]

    with open_on(options.model, wrap=wrap, preview=options.method) as studio:

        def without(number: int) -> None:
            engines[0].off = True
            studio.submit(request(number, steps=options.steps)).result()
            engines[0].off = False

        def quick(number: int) -> None:
            job = studio.submit(request(number, steps=options.steps))
            frames.append(sum(isinstance(event, Preview) for event in job.events()))

        def slow(number: int) -> None:
            watch_slowly(studio, number, steps=options.steps)

        studio.submit(request(-3, steps=1)).result()
        print(f"{options.model.name}, {studio.describe()}, {options.steps} steps, {options.method} previews", flush=True)
        every = compare("previews / none", first=quick, second=without, pairs=options.pairs, bound=1.02)
        print(f"frames a picture: {sum(frames) / len(frames):.1f} of {options.steps - 1}", flush=True)
        stalled = compare("previews, one frame a second read / none", first=slow, second=without, pairs=options.pairs, bound=1.02)
        return conclude(every, stalled)


def watch_slowly(studio: Studio, number: int, *, steps: int) -> None:
    """Run a job while another thread takes its newest frame once a second."""
    job = studio.submit(request(number, steps=steps))
    over = threading.Event()

    def view() -> None:
        while not over.wait(1.0):
            job.look()

    viewer = threading.Thread(target=view)
    viewer.start()
    job.result()
    over.set()
    viewer.join()


if __name__ == "__main__":
    sys.exit(main())
