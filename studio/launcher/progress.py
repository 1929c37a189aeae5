"""What pip says, in words for a person, on one changing line."""

import shutil
import threading
import time
from pathlib import Path
from typing import Self, TextIO


def translate(text: str) -> str:
    """Return what a line of pip's output means to a person, or an empty text when it means nothing."""
    words = text.split()
    match words:
        case ["Downloading" | "Using", *_, file, size, unit] if file.endswith((".whl", ".tar.gz")):
            name, version = (*Path(file).name.split("-"), "")[:2]
            verb = "downloading" if words[0] == "Downloading" else "found here"
            return f"{verb} {name} {version.removesuffix('.tar.gz')} {size} {unit}"
        case ["Building", "wheel", "for", name, *_]:
            return f"building {name}"
        case ["Installing", "collected", "packages:", *names]:
            return f"installing {len(names)} packages; this takes a few minutes"
        case ["Successfully", "installed", *names]:
            return f"installed {len(names)} packages"
    return ""


class Line:
    """Shows progress: one line that changes, with the time, on a terminal; a line per change elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._tty = stream, stream.isatty()
        self._text, self._began = "looking for packages", time.monotonic()
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self.show("installing packages; the first time this takes some minutes")
        if self._tty:
            self._clock.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._tty:
            self._clock.join()
            print(file=self._stream)

    def show(self, text: str) -> None:
        """Show what is being done now."""
        self._text = text
        if not self._tty:
            print(text, file=self._stream, flush=True)

    def _tick(self) -> None:
        while True:
            seconds = round(time.monotonic() - self._began)
            width = shutil.get_terminal_size().columns - 1
            text = f"{seconds // 60}:{seconds % 60:02} {self._text}"[:width]
            print("\r" + text.ljust(width), end="", file=self._stream, flush=True)
            if self._over.wait(0.3):
                return
