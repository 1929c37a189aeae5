"""A writer of presets is killed at random moments: no file is corrupt, and nothing is lost but the write in flight."""

import contextlib
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import atomic
from studio.collection import Presets
from studio.request import GenerationRequest
from tests.preset_rooms import room

KILLS = 150
NAMES = ["a", "b", "c", "d"]
State = dict[str, int]
"""Steps by the preset's name."""


def state(presets: Presets) -> State:
    return {preset.name: preset.values["steps"] for preset in presets.list() if not preset.builtin}


def work(presets: Presets, chance: random.Random) -> Iterator[State]:
    """Save, save over, rename, delete and undo for ever; yield after each what must be there from now on."""
    there = state(presets)
    while True:
        name, other, steps = chance.choice(NAMES), chance.choice(NAMES), chance.randrange(1, 150)
        act = chance.choice(["save", "save", "save", "rename", "delete", "undo"])
        if act == "save" or name not in there:
            presets.save(name, GenerationRequest(steps=steps), replace=True)
            there = there | {name: steps}
        elif act == "rename" and other not in there:
            presets.rename(name, other)
            there = {each: there[each] for each in there if each != name} | {other: there[name]}
        elif act == "delete":
            presets.delete(name)
            there = {each: there[each] for each in there if each != name}
        elif act == "undo":
            token = presets.delete(name)
            yield {each: there[each] for each in there if each != name}
            presets.undo(token)
        yield there


def killed(folder: Path, seed: int, seconds: float) -> int:
    """Let a process write and kill it; return how many writes it had finished."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            for _ in work(room(folder), random.Random(seed)):
                os.write(writing, b".")
        os._exit(1)
    os.close(writing)
    select.select([reading], [], [], 10)  # it has begun
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done = 0
    while part := os.read(reading, 65536):
        done += len(part)
    os.close(reading)
    return done


def replayed(folder: Path, seed: int, steps: int) -> list[State]:
    """Do the same writes elsewhere; return what must be there after `steps` of them, and after one more."""
    states = work(room(folder), random.Random(seed))
    found = [next(states) for _ in range(steps + 1)]
    return found[-2:]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_150_kills_corrupt_nothing_and_lose_nothing(tmp_path: Path) -> None:
    chance = random.Random(1)
    writes = 0
    for kill in range(KILLS):
        folder = tmp_path / f"{kill}"
        done = killed(folder, kill, chance.uniform(0, 0.03))
        writes += done
        presets = room(folder)
        assert presets.shelf().problems == ()
        assert state(presets) in replayed(tmp_path / "twin" / f"{kill}", kill, done)
    assert writes > KILLS
    old = time.time() - 2 * atomic.DEAD_AFTER
    for draft in tmp_path.rglob(".studio-*"):
        os.utime(draft, (old, old))
    for kill in range(KILLS):
        room(tmp_path / f"{kill}")
    assert list(tmp_path.rglob(".studio-*")) == []
