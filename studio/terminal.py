"""What the command line writes while work goes on."""

import shutil
import sys
import time

from studio.events import Event, Loading, Queued, Step


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
