"""From a fresh clone to a running studio, with the standard library only: set up what is missing, then hand over.

Knows nothing of the studio but that `python -m studio` starts it.
"""

import os
import subprocess
import sys
from pathlib import Path

from studio.launcher.environment import (
    SetupError,
    check_space,
    check_sqlite,
    is_made,
    make_environment,
    mark_made,
    size_of,
    venv_python,
    works,
)
from studio.launcher.packages import check_installed, install, installed_versions, log_file, missing, opencv_problem

ROOT = Path(__file__).resolve().parents[2]
# PyTorch for Linux brings CUDA along; unpacked and downloaded files lie side by side while it is installed.
LARGE = (10 if sys.platform == "linux" else 5) * 2**30
# All the other packages, where PyTorch is there already.
SMALL = 2**30
USAGE = """usage: python launch.py [--here] [options]               show the page
       python launch.py [--here] generate "a prompt" [options]
       python launch.py [--here] test [pytest options]
The first start sets up what is missing; after it, --help lists the options."""


def main(arguments: list[str]) -> int:
    """Set up if needed, hand over, and return the exit code. `arguments` are those after the program's name."""
    here = "--here" in arguments
    rest = [argument for argument in arguments if argument != "--here"]
    try:
        if {"-h", "--help"} & set(rest) and not is_ready(ROOT, here=here):
            print(USAGE)
            return 0
        python = prepare(ROOT, here=here)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or ROOT} cannot be used ({error.strerror}); put the studio into a folder of yours.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the next start goes on from here.", file=sys.stderr)
        return 130
    if rest[:1] == ["test"]:
        # One worker a core, a file at a time, the slow browser tests first; what the caller adds comes later and has the last word.
        side_by_side = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
        return hand_over([str(python), "-m", "pytest", *side_by_side, *rest[1:]], folder=ROOT)
    # -P keeps a folder called studio in the working folder from being taken for the studio.
    return hand_over([str(python), "-P", "-m", "studio", *rest], folder=None)


def space_needed(folder: Path | None) -> int:
    """Return how many bytes must be free before installing into the environment in `folder`, or into this Python."""
    # What is in an environment that does not work goes with it.
    if (folder is None or works(folder)) and "torch" in installed_versions(folder):
        return SMALL
    return max(SMALL, LARGE - (size_of(folder) if folder else 0))


def hand_over(command: list[str], *, folder: Path | None) -> int:
    """Run a command of the set-up Python in this one's place, in `folder` or here, and return its exit code."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    sys.stdout.flush()
    if os.name == "posix":
        os.chdir(folder or ".")
        os.execve(command[0], command, environment)
    with subprocess.Popen(command, cwd=folder, env=environment) as child:
        while True:
            # Ctrl+C reaches the child as well; it ends by itself and says how.
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue


def is_ready(root: Path, *, here: bool) -> bool:
    """Whether everything is installed, so that a start needs no set-up."""
    requirements = root / "requirements.txt"
    if here:
        return not missing(requirements.read_text(encoding="utf-8").splitlines(), installed_versions())
    return is_made(root / ".venv", requirements)


def prepare(root: Path, *, here: bool) -> Path:
    """Return the Python to run the studio with, after installing what it lacks.

    Raises:
        SetupError: it cannot be done; the sentence says what to do.
    """
    folder = root / ".venv"
    if is_ready(root, here=here):
        return Path(sys.executable) if here else venv_python(folder)
    check_sqlite()
    # Before the environment is made, which a full disk would end with a sentence about Python.
    check_space(Path(sys.prefix) if here else root, needed=space_needed(None if here else folder))
    python = Path(sys.executable) if here else make_environment(folder)
    install(python, root / "requirements.txt", log=log_file(root), scratch=None if here else folder / "downloads")
    if not here:
        check_installed(folder, root / "requirements.txt")
        mark_made(folder, root / "requirements.txt")
    if problem := opencv_problem(python):
        print(problem, file=sys.stderr)
    return python
