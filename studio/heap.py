"""The heap of the C library, set so that the memory of one step is still there for the next one, and handed back when asked.

glibc returns large blocks to the system as soon as they are freed, and so every step and every decode takes each of its pages anew: a
decode of 256 x 256 spent up to a fifth of its time on that. Measured in docs/decisions/0023-heap.md. Elsewhere nothing is done.
"""

import ctypes
from collections.abc import Callable
from typing import Any

# Options of mallopt(3), as <malloc.h> numbers them.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
KEPT = 2**31 - 1
"""Bytes of free memory at the heap's end that are kept; the most that can be said."""
BLOCKS = (2**30, 2**25)
"""Bytes from which a block is one of its own, which goes back at once; glibc before 2.35 takes the second only."""


def keep_freed() -> bool:
    """Keep freed memory in this process until `hand_back`; call it before the threads that calculate begin. Returns whether it is so now.

    All threads share one arena: the heap of any other is made of pieces of 64 MB, which hold no larger block and go back one by one.
    """
    option = _found("mallopt")
    if option is None:
        return False
    one = bool(option(ARENA_MAX, 1))
    end = bool(option(TRIM_THRESHOLD, KEPT))
    return any(bool(option(MMAP_THRESHOLD, size)) for size in BLOCKS) and end and one


def hand_back() -> None:
    """Give freed memory to the system, also from between what is in use; it takes up to a tenth of a second."""
    trim = _found("malloc_trim")
    if trim is not None:
        trim(0)


def _found(name: str) -> Callable[..., Any] | None:
    """Return a function of glibc; None on a system with another C library."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no handle of the process itself
        return None
    return getattr(library, name, None) if hasattr(library, "gnu_get_libc_version") else None
