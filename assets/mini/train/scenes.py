"""Stage `render`: draws the training and held-out scenes into memory-mapped files of a run folder. Needs numpy only.

Files: `<part>-pictures.npy` uint8 (N, 256, 256, 3), `<part>-ids.npy` uint8 (N, 256, 256). Scene i of a part has seed FIRST_SEED[part] + i.
"""

from __future__ import annotations

from multiprocessing import Process
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..world.render import SIZE, render
from ..world.scene import Scene, sample_large, sample_posed, sample_scene

# Whoever trains the U-Net further takes scenes that it never saw: seen ten times, they had 0.85 of their loss and others 0.96 of theirs.
FIRST_SEED = {"held": 10_000_000, "measure": 20_000_000, "posed": 30_000_000, "train": 220_000_000, "large": 260_000_000}
COUNTS = {"held": 1_200, "train": 22_000, "posed": 3_000, "large": 8_000}
CHUNK = 200


def scene_of(part: str, index: int) -> Scene:
    """The scene behind a row of a part's files; `posed` holds figures with limbs anywhere, `large` single large things."""
    return {"posed": sample_posed, "large": sample_large}.get(part, sample_scene)(FIRST_SEED[part] + index)


def pictures(run: Path, part: str) -> NDArray[np.uint8]:
    """Memory-mapped pictures of a part, uint8 (N, 256, 256, 3)."""
    return cast("NDArray[np.uint8]", np.load(run / f"{part}-pictures.npy", mmap_mode="r"))


def identities(run: Path, part: str) -> NDArray[np.uint8]:
    """Memory-mapped ids of a part, uint8 (N, 256, 256): 0 sky, 1 ground, 2 and up the things."""
    return cast("NDArray[np.uint8]", np.load(run / f"{part}-ids.npy", mmap_mode="r"))


def rendered(run: Path, part: str) -> int:
    """How many leading scenes of a part are drawn without a gap."""
    count = 0
    while (run / "done" / f"{part}-{count // CHUNK:04d}").exists():
        count += CHUNK
    return min(count, COUNTS[part])


def render_all(run: Path, workers: int = 2) -> None:
    """Draw every part; running it again continues where it stopped."""
    (run / "done").mkdir(parents=True, exist_ok=True)
    for part, count in COUNTS.items():
        for name, shape in (("pictures", (count, SIZE, SIZE, 3)), ("ids", (count, SIZE, SIZE))):
            path = run / f"{part}-{name}.npy"
            if not path.exists():
                np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
        todo = [at for at in range(0, count, CHUNK) if not (run / "done" / f"{part}-{at // CHUNK:04d}").exists()]
        helpers = [Process(target=_draw, args=(run, part, todo[index::workers])) for index in range(workers)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()


def _draw(run: Path, part: str, chunks: list[int]) -> None:
    drawn = np.load(run / f"{part}-pictures.npy", mmap_mode="r+")
    ids = np.load(run / f"{part}-ids.npy", mmap_mode="r+")
    for start in chunks:
        for index in range(start, min(start + CHUNK, COUNTS[part])):
            result = render(scene_of(part, index))
            drawn[index], ids[index] = result.picture, result.ids
        (run / "done" / f"{part}-{start // CHUNK:04d}").touch()
