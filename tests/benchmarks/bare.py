"""The bare diffusers pipeline in a process of its own, as two in one process have twice as many threads as there are cores.

python -m tests.benchmarks.bare FOLDER FORMAT STEPS makes a picture for every number on its standard input, and answers with the processor
seconds it took.
"""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from studio.settings import ROOT
from tests.benchmarks.studios import SIDE, request


class Bare:
    """Such a process; called with a number it makes that picture. Use it as a context manager."""

    def __init__(self, folder: Path, number_format: str, *, steps: int) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.bare", str(folder.resolve()), number_format, str(steps)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def __call__(self, number: int) -> float:
        """Wait for a picture; return the processor seconds that the process spent."""
        assert self._process.stdin
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._process:
            self._process.kill()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bare pipeline ended with code {self._process.wait()}")
        return line


def main() -> None:
    import diffusers
    import torch

    folder, number_format, steps = sys.argv[1:]
    diffusers.utils.logging.disable_progress_bar()
    options = {"use_safetensors": True, "local_files_only": True, "dtype": getattr(torch, number_format)}
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, **options)
    pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = request(int(line), steps=int(steps), width=SIDE, height=SIDE)
        size = {"width": SIDE, "height": SIDE, "num_inference_steps": asked.steps, "guidance_scale": asked.guidance_scale}
        began = time.process_time()
        pipeline(asked.prompt, generator=torch.Generator().manual_seed(asked.seed), **size)
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
