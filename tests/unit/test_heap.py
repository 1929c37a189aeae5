"""Freed memory stays with the process until it is handed back; counted in page faults, in a process of its own, as it cannot be undone."""

import json
import platform
import subprocess
import sys
from typing import Any

import pytest

from studio.heap import keep_freed

PROGRAM = """
import json, os, resource, sys, threading
import numpy as np
from studio.heap import hand_back, keep_freed

done = keep_freed() if sys.argv[1] == "keep" else None

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step(blocks):
    blocks.extend(np.ones(size, np.uint8) for size in (100_000, 3_000_000, 40_000_000, 80_000_000))
    blocks.clear()

def work():
    kept = []
    for _ in range(2):
        step(kept)
    before = faults()
    for _ in range(5):
        step(kept)
    taken, held = faults() - before, resident()
    pages = [np.ones(1_000_000, np.uint8) for _ in range(20)]
    del pages[::2]
    hand_back()
    print(json.dumps({"done": done, "faults": taken, "held": held, "rest": resident()}))

worker = threading.Thread(target=work)
worker.start()
worker.join()
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system's C library is not glibc")


def run(how: str) -> dict[str, Any]:
    answer = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@glibc
def test_a_step_finds_the_memory_of_the_one_before_and_rest_hands_it_back() -> None:
    usual, kept = run("leave"), run("keep")
    assert kept["done"] is True
    # Five steps of 123 MB are 150,000 pages of 4 KB when each is taken anew.
    assert kept["faults"] < 1000 < usual["faults"]
    assert kept["held"] - kept["rest"] > 80_000_000
    assert abs(kept["rest"] - usual["rest"]) < 20_000_000


def test_it_can_be_said_again_and_says_whether_it_is_so() -> None:
    program = "from studio.heap import keep_freed; print(keep_freed(), keep_freed())"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == [str(platform.libc_ver()[0] == "glibc")] * 2


@pytest.mark.parametrize("library", [object(), OSError("none"), TypeError("no handle")])
def test_another_system_is_left_alone(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: None) -> object:
        if isinstance(library, Exception):
            raise library
        return library

    monkeypatch.setattr("studio.heap.ctypes.CDLL", load)
    assert keep_freed() is False
