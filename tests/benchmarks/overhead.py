"""A studio against a bare `pipe()` with the same weights, prompt, seed and steps. Bound: 1.05.

python -m tests.benchmarks.overhead                         the embedded model
python -m tests.benchmarks.overhead --full-size DIR         a random model of Stable Diffusion 1.5's sizes, written to DIR once (2.1 GB)
"""

import sys
from pathlib import Path

import diffusers
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

from studio.service import Studio
from tests.benchmarks.pairs import compare, conclude
from tests.benchmarks.studios import arguments, make_full_size, open_on, request


def main() -> int:
    options = arguments(__doc__ or "", full_size="", precision="auto")
    folder = make_full_size(Path(options.full_size)) if options.full_size else options.model
    with open_on(folder, preview="none", precision=options.precision, device="cpu") as studio:
        studio.submit(request(-3, steps=1, width=256, height=256)).result()
        pipeline = bare(folder, studio)

        def ours(number: int) -> None:
            studio.submit(request(number, steps=options.steps, width=256, height=256)).result()

        def theirs(number: int) -> None:
            asked = request(number)
            generator = torch.Generator().manual_seed(asked.seed)
            pipeline(asked.prompt, num_inference_steps=options.steps, guidance_scale=5.0, width=256, height=256, generator=generator)

        print(f"{folder.name}, {studio.describe()}, {options.steps} steps, 256 x 256, {torch.get_num_threads()} threads", flush=True)
        return conclude(compare("studio / bare pipe()", first=ours, second=theirs, pairs=options.pairs, bound=1.05))


def bare(folder: Path, studio: Studio) -> StableDiffusionPipeline:
    """Return the stock pipeline in the number format that the studio chose."""
    diffusers.utils.logging.disable_progress_bar()
    dtype = torch.bfloat16 if "bfloat16" in studio.describe() else torch.float32
    pipeline = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=dtype)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


if __name__ == "__main__":
    sys.exit(main())
