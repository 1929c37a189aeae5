"""Kinds of arguments that the commands share: each reads a text, or says in one sentence what it must be."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from studio.request import shorten
from studio.ui.hosts import LOOPBACK, in_digits


def place(text: str) -> Path:
    """Read an argument that names a file or a folder, which may be below somebody's home."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        home = shorten(Path(text).parts[0])
        raise argparse.ArgumentTypeError(f"must not start with {home}, for which no home folder is known") from error


def whole(most: int) -> Callable[[str], int]:
    """Return what reads an argument that is a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}, not {shorten(text)}")
        return int(text)

    return read


def host(text: str) -> str:
    """Read an argument that is an address of this machine."""
    if text not in LOOPBACK and not in_digits(text):
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(LOOPBACK)} or another address in digits, such as 0.0.0.0, not {shorten(text)}"
        )
    return text


def gigabytes(text: str) -> int:
    """Read an argument in gigabytes; returns bytes."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) or not float(text):
        raise argparse.ArgumentTypeError(f"must be a number of gigabytes above 0 such as 20 or 0.5, not {shorten(text)}")
    return round(float(text) * 1e9)


def web_address(text: str) -> str:
    """Read an argument that is the address of a page, without a path."""
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be an address without a path, such as https://studio.example.org, not {shorten(text)}")
    return text.rstrip("/").lower()
