"""A studio against a bare `pipe()` with the same weights, prompt, seed and steps, in a process each. Bound: 1.05.

python -m tests.benchmarks.overhead                         the embedded model
python -m tests.benchmarks.overhead --full-size DIR         a random model of Stable Diffusion 1.5's sizes, written to DIR once (2.1 GB)
"""

import sys
from pathlib import Path

import torch

from tests.benchmarks.bare import Bare
from tests.benchmarks.pairs import compare, conclude
from tests.benchmarks.studios import SIDE, arguments, make_full_size, open_on, request


def main() -> int:
    options = arguments(__doc__ or "", full_size="", precision="auto")
    folder = make_full_size(Path(options.full_size)) if options.full_size else options.model
    with open_on(folder, preview="none", precision=options.precision, device="cpu") as studio:

        def ours(number: int) -> None:
            studio.submit(request(number, steps=options.steps, width=SIDE, height=SIDE)).result()

        # Loads the model, which chooses the number format.
        ours(-3)
        number_format = studio.describe().rpartition(" ")[2]
        print(f"{folder.name}, {studio.describe()}, {options.steps} steps, {SIDE} x {SIDE}, {torch.get_num_threads()} threads", flush=True)
        with Bare(folder, number_format, steps=options.steps) as theirs:
            return conclude(compare("studio / bare pipe()", first=ours, second=theirs, pairs=options.pairs, bound=1.05))


if __name__ == "__main__":
    sys.exit(main())
