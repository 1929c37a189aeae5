"""The terminal: what the command line writes while work goes on, and what ends it."""

import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from studio.events import Event, Loading, Queued, Step

# What ends a process besides Ctrl+C: `kill` and service managers, a terminal that is closed, on Windows Ctrl+Break.
ENDINGS = ("SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Have whatever asks this process to end raise KeyboardInterrupt, so that what is open gets closed; asking twice is not heard.

    A signal that is ignored stays so, because `nohup` wants that; and only the main thread can be interrupted at all.
    """
    present = [getattr(signal, name) for name in ENDINGS if hasattr(signal, name)]
    in_main = threading.current_thread() is threading.main_thread()
    taken = [each for each in present if in_main and signal.getsignal(each) == signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        # A service manager sends SIGTERM and SIGHUP in a row; the second one must not interrupt the closing.
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in taken:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


class Progress:
    """Writes what happens to the standard error stream: one line that changes on a terminal, else a line a second."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._told = -1.0
        self._open = False

    def fetched(self, fraction: float, message: str) -> None:
        """Show how far a download or a loading is."""
        self._show(f"{message} {fraction:.0%}", at_once=fraction >= 1)

    def happened(self, event: Event) -> None:
        """Show an event of a job."""
        match event:
            case Queued(position=position) if position:
                self._show(f"waiting, {position} before this one", at_once=False)
            case Loading():
                self.fetched(event.fraction, f"{event.model}: {event.message}")
            case Step(index=index, total=total, seconds=seconds):
                speed = index / max(seconds, 1e-6)
                left = f", {(total - index) / speed:.0f} s left" if index < total else ""
                self._show(f"step {index} of {total}, {speed:.1f} it/s{left}", at_once=index == total)

    def end(self) -> None:
        """Leave the changing line."""
        if self._open:
            print(file=self._stream)
        self._open = False

    def _show(self, text: str, *, at_once: bool) -> None:
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            print("\r" + text[:width].ljust(width), end="", file=self._stream, flush=True)
            self._open = True
        elif at_once or time.monotonic() - self._told >= 1:
            print(text, file=self._stream, flush=True)
            self._told = time.monotonic()
