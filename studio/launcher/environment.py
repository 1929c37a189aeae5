"""The virtual environment beside launch.py: made, mended, and stamped with what was installed into it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


class SetupError(Exception):
    """The set-up cannot go on; the text is one sentence that says what to do."""


def venv_python(folder: Path) -> Path:
    """Return where a virtual environment keeps its Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def stamp_file(folder: Path) -> Path:
    """Return the file that says what was installed."""
    return folder / "studio-installed.txt"


def stamp(requirements: Path, folder: Path) -> str:
    """Describe what is installed: the requirements' hash, and the environment's own description with its Python version."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return digest + "\n" + (folder / "pyvenv.cfg").read_text(encoding="utf-8")


def is_made(folder: Path, requirements: Path) -> bool:
    """Whether just these requirements were installed into the environment in `folder`, and it still works."""
    try:
        return stamp_file(folder).read_text(encoding="utf-8") == stamp(requirements, folder) and works(folder)
    except OSError:
        return False


def mark_made(folder: Path, requirements: Path) -> None:
    """Note that these requirements were installed."""
    stamp_file(folder).write_text(stamp(requirements, folder), encoding="utf-8")


def make_environment(folder: Path) -> Path:
    """Return the Python of the virtual environment in `folder`; one that does not work is made anew.

    Raises:
        SetupError: the folder cannot be written, or this Python cannot make environments.
    """
    python = venv_python(folder)
    if works(folder) and has_pip(python):
        return python
    try:
        print(f"{folder} does not work and is made anew" if folder.exists() else f"Making {folder}", flush=True)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be made ({error.strerror}); put the studio into a folder of yours, or start it with --here."
        ) from error
    # Where launch.py was started with the .venv's own Python, that is gone now and the one below it is not.
    maker = getattr(sys, "_base_executable", "") or sys.executable
    made = subprocess.run([maker, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
    if made.returncode or not (works(folder) and has_pip(python)):
        reason = "its venv module is missing (on Debian and Ubuntu: apt install python3-venv)"
        if "ensurepip" not in made.stdout + made.stderr:
            reason = ((made.stdout + made.stderr).strip().splitlines() or ["it does not say why"])[-1]
        raise SetupError(f"This Python cannot make a virtual environment: {reason}; mend that, or start with --here.")
    return python


def works(folder: Path) -> bool:
    """Whether an environment's Python starts, is new enough, and is of the version that its packages were installed for.

    The Python that it was made from may have been removed or upgraded. Asked on every start, so it takes a few milliseconds.
    """
    try:
        described = re.search(r"^version\w* *= *(\d+)\.(\d+)", (folder / "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE)
        version = tuple(map(int, described.groups())) if described else ()
        code = f"import sys; sys.exit(sys.version_info[:2] != {version})"
        # Isolated and without its packages, because looking for them takes longer than all the rest.
        command = [str(venv_python(folder)), "-I", "-S", "-c", code]
        return version >= OLDEST and subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def has_pip(python: Path) -> bool:
    """Whether a Python that starts can install packages; it cannot where making its environment was interrupted."""
    return subprocess.run([str(python), "-c", "import pip"], capture_output=True, check=False).returncode == 0


def size_of(folder: Path) -> int:
    """Return how many bytes a folder holds."""
    return sum(Path(place, name).lstat().st_size for place, _, names in os.walk(folder) for name in names)


def check_sqlite(version: tuple[int, ...] | None = None) -> None:
    """Check this Python's SQLite, in which the history is kept: before 3.34 it cannot search for parts of words.

    Raises:
        SetupError: it is too old, or missing.
    """
    try:
        import sqlite3  # noqa: PLC0415  (a Python built without it must get a sentence)
    except ImportError as error:
        raise SetupError("This Python has no sqlite3 module, which the studio needs; start it with another Python.") from error
    version = version or sqlite3.sqlite_version_info
    if version < (3, 34):
        raise SetupError(
            f"This Python's SQLite {'.'.join(map(str, version))} is too old: the studio needs 3.34 or newer; start it with another Python."
        )


def check_space(folder: Path, *, needed: int, free: int | None = None) -> None:
    """Check the disk that holds `folder`; `free` bytes are looked up unless given.

    Raises:
        SetupError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free if free is None else free
    if free < needed:
        raise SetupError(
            f"There is not enough disk space: installing into {folder} takes {needed / 2**30:.1f} GB"
            f" and {free / 2**30:.1f} GB are free; free some and start again."
        )
