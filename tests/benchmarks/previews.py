"""Previews at every step against none, with a viewer that reads at once and one that reads a frame a second. Bound: 1.02."""

import sys
import threading

from studio.events import Preview
from studio.service import Studio
from tests.benchmarks.pairs import compare, conclude
from tests.benchmarks.studios import arguments, open_on, request


def main() -> int:
    options = arguments(__doc__ or "", method="linear")
    frames: list[int] = []

    def without(number: int) -> None:
        bare.submit(request(number, steps=options.steps)).result()

    def quick(number: int) -> None:
        job = drawn.submit(request(number, steps=options.steps))
        frames.append(sum(isinstance(event, Preview) for event in job.events()))

    def slow(number: int) -> None:
        watch_slowly(drawn, number, steps=options.steps)

    with open_on(options.model, preview="none") as bare, open_on(options.model, preview=options.method) as drawn:
        print(f"{options.model.name}, {options.steps} steps, {options.method} previews", flush=True)
        every = compare("every step / none", first=quick, second=without, pairs=options.pairs, bound=1.02)
        print(f"frames a picture: {sum(frames) / len(frames):.1f} of {options.steps - 1}", flush=True)
        stalled = compare("every step, one frame a second read / none", first=slow, second=without, pairs=options.pairs, bound=1.02)
        return conclude(every, stalled)


def watch_slowly(studio: Studio, number: int, *, steps: int) -> None:
    """Run a job while another thread takes its newest frame once a second."""
    job = studio.submit(request(number, steps=steps))
    over = threading.Event()

    def view() -> None:
        while not over.wait(1.0):
            _ = job.state().preview

    viewer = threading.Thread(target=view)
    viewer.start()
    job.result()
    over.set()
    viewer.join()


if __name__ == "__main__":
    sys.exit(main())
