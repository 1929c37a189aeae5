"""Python packages: which are missing, installing them with pip, and what its failures mean."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from studio.launcher.environment import SetupError
from studio.launcher.progress import Line, translate

# What pip says, and what it means. The first that fits is told.
MEANINGS = (
    (r"No space left on device|Errno 28", "There is not enough disk space; free some and start again, it goes on where it stopped."),
    (
        r"No module named pip",
        "This Python has no pip (on Debian and Ubuntu: apt install python3-pip); install it, or start without --here.",
    ),
    (
        r"externally-managed-environment",
        "This Python belongs to the operating system and takes no packages; start without --here, so that a .venv is made.",
    ),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError"
        r"|Max retries exceeded|Network is unreachable|Connection broken|Connection aborted",
        "The packages could not be downloaded; check the network connection (or proxy) and start again, it goes on where it stopped.",
    ),
    (
        r"Permission denied|Errno 13|Read-only file system",
        "The folder for packages cannot be written to; put the studio into a folder of yours.",
    ),
    (
        r"requirement (\S+) \(from versions: none\)",
        "No release of {} was found; check the network connection (or proxy), or try another Python from 3.11 on.",
    ),
    (r"No matching distribution found for (\S+)", "No release of {} fits this Python on this machine; try another Python from 3.11 on."),
)


def log_file(root: Path) -> Path:
    """Return a writable place for what pip says."""
    place = root if os.access(root, os.W_OK) else Path(tempfile.gettempdir())
    return place / "install.log"


def installed_versions(folder: Path | None = None) -> Mapping[str, str]:
    """Return the packages of the environment in `folder`, or of this Python, and their versions, by normalised name."""
    if folder is None:
        found = importlib.metadata.distributions()
    else:
        places = [folder / "Lib" / "site-packages", *folder.glob("lib/python*/site-packages")]
        found = importlib.metadata.distributions(path=list(map(str, places)))
    versions: dict[str, str] = {}
    for package in found:
        # Of a package that is there twice, Python takes the first.
        versions.setdefault(normalised(package.metadata["Name"] or ""), package.version)
    return versions


def normalised(name: str) -> str:
    """Return a package's name as packaging tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(requirements: Iterable[str], installed: Mapping[str, str]) -> list[str]:
    """Return the names of requirements that are not installed in a version they ask for; knows `>=` and `<` only."""
    names = []
    for line in requirements:
        wanted = re.match(r"([\w.-]+)((?:[<>]=?[\d.]+,?)*)", line.split("#")[0].strip())
        if wanted is None:
            continue
        name, rules = wanted.group(1), re.findall(r"(>=|<)([\d.]+)", wanted.group(2))
        version = installed.get(normalised(name))
        if version is None or not all((numbers(version) >= numbers(bound)) == (sign == ">=") for sign, bound in rules):
            names.append(name)
    return names


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's release numbers without trailing zeros, such as (2, 15) for 2.15.0+cpu."""
    found = re.match(r"[\d.]*", version)
    text = re.sub(r"(\.0*)+$", "", found.group() if found else "")
    return tuple(map(int, text.split("."))) if text else ()


def install(python: Path, requirements: Path, *, log: Path, scratch: Path | None) -> None:
    """Install what is required, with progress on the standard error stream.

    Args:
        python: the Python to install into.
        requirements: what to install.
        log: gets all that pip says.
        scratch: folder for downloads in progress; None leaves the choice to pip.

    Raises:
        SetupError: pip failed; the sentence says what to do.
    """
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    # These would send the packages somewhere else than into the environment; pip's configuration may ask for the first of them, too.
    environment = {name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_PREFIX")}
    environment |= {"PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    if scratch:
        # /tmp is often a small disk in memory.
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)))
    try:
        with log.open("w", encoding="utf-8") as record:
            code = follow([*command, "-r", str(requirements)], environment, record)
    except OSError as error:
        raise SetupError(f"{log} cannot be written ({error.strerror}); put the studio into a folder of yours.") from error
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    if code:
        raise SetupError(explain(log.read_text(encoding="utf-8"), log))


def check_installed(folder: Path, requirements: Path) -> None:
    """Say where the packages may be if pip was content, but did not put them into the environment in `folder`.

    Raises:
        SetupError: some are not there.
    """
    if absent := missing(requirements.read_text(encoding="utf-8").splitlines(), installed_versions(folder)):
        raise SetupError(
            f"pip did not put {absent[0]} into {folder}; look with `pip config list` for a target or prefix that sends packages elsewhere, "
            "remove it, and start again."
        )


def opencv_problem(python: Path) -> str:
    """Return the sentence for an OpenCV that cannot be loaded, or an empty text; on Linux it wants libraries that pip does not bring."""
    ran = subprocess.run([str(python), "-P", "-c", "import cv2"], capture_output=True, text=True, errors="replace", check=False)
    if not ran.returncode:
        return ""
    last = (ran.stderr.strip().splitlines() or ["it does not say why"])[-1]
    return f"OpenCV cannot be loaded ({last}); on Debian and Ubuntu `sudo apt install libgl1 libglib2.0-0` mends it."


def follow(command: list[str], environment: Mapping[str, str], record: TextIO) -> int:
    """Run pip, show what it does, keep all it says in `record`, and return its exit code."""
    output = subprocess.PIPE
    with (
        Line(sys.stderr) as line,
        subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True, errors="replace") as pip,
    ):
        for text in pip.stdout or ():
            record.write(text)
            record.flush()
            if shown := translate(text):
                line.show(shown)
    return pip.returncode


def explain(output: str, log: Path) -> str:
    """Return the sentence for a failed installation, from all that pip said."""
    for pattern, meaning in MEANINGS:
        if found := re.search(pattern, output):
            return meaning.format(*found.groups()) + f" Details: {log}"
    last = (output.strip().splitlines() or ["pip said nothing"])[-1].strip()
    return f"The packages could not be installed ({last}); start again, or delete .venv and start again. Details: {log}"
