"""The set-up: what it decides, what it says when it cannot go on, and that a second start skips it. Needs no network."""

import ast
import errno
import io
import os
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from studio import launcher
from studio.launcher.environment import (
    SetupError,
    check_space,
    check_sqlite,
    has_pip,
    make_environment,
    mark_made,
    size_of,
    venv_python,
    works,
)
from studio.launcher.packages import explain, install, installed_versions, missing, opencv_problem
from studio.launcher.progress import Line, translate

ROOT = Path(__file__).resolve().parents[2]
posix_only = pytest.mark.skipif(os.name != "posix", reason="the stand-in for Python is a shell script")


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and "\n" not in text and "Traceback" not in text


def stand_in(folder: Path, script: str, *, opencv: str = "exit 0") -> Path:
    """Write a program that takes Python's place: its -c succeeds, but for OpenCV runs `opencv`, and as pip it runs `script`."""
    python = folder / "python"
    cases = f'*"import cv2"*) {opencv};; *"import sys"*|*"import pip"*) exit 0;;'
    python.write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\n{script}\n', encoding="utf-8")
    python.chmod(0o755)
    return python


def put_package(environment: Path, name: str) -> None:
    """Leave in an environment what pip leaves of a package."""
    package = environment / "lib" / "python3.11" / "site-packages" / f"{name}-2.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n", encoding="utf-8")


def run_launch(*arguments: str, folder: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else [str(ROOT / "launch.py")]
    return subprocess.run([sys.executable, *start, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13)])
def test_an_old_python_is_told(version: tuple[int, ...], tmp_path: Path) -> None:
    code = f"import sys, runpy; sys.version_info = {version}; runpy.run_path({str(ROOT / 'launch.py')!r}, run_name='__main__')"
    ran = run_launch(folder=tmp_path, code=code)
    found = ".".join(map(str, version[:2]))
    assert ran.returncode == 1
    assert ran.stderr == f"Python {found} is too old: the studio needs Python 3.11 or newer, so start it with that.\n"


def test_an_old_python_can_read_launch_py() -> None:
    tree = ast.parse((ROOT / "launch.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    new_syntax = (ast.JoinedStr, ast.AnnAssign, ast.FunctionDef, ast.NamedExpr, ast.Match)
    assert not [node for node in ast.walk(tree) if isinstance(node, new_syntax)]


@pytest.mark.parametrize(
    ("requirement", "version", "is_missing"),
    [
        ("torch>=2.9,<3   # tensors", "2.15.0+cpu", False),
        ("torch>=2.9,<3", "2.8.1", True),
        ("torch>=2.9,<3", "3.0.0", True),
        ("torch>=3", "3", False),
        ("controlnet-aux>=0.0.10,<0.1", "0.0.10", False),
        ("torchvision>=0.24", None, True),
        ("# only a remark", None, False),
    ],
)
def test_missing(requirement: str, version: str | None, is_missing: bool) -> None:
    installed = {} if version is None else dict.fromkeys(("torch", "controlnet-aux"), version)
    assert bool(missing([requirement], installed)) is is_missing


def test_what_this_python_has_is_not_missing() -> None:
    assert missing(["pytest>=8", "Import_Linter"], installed_versions()) == []


def test_of_a_package_that_is_there_twice_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, version in (("own", "2.1.0"), ("system", "1.26.4")):
        folder = tmp_path / place / f"twice-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: twice\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "own"), str(tmp_path / "system"), *sys.path])
    assert installed_versions()["twice"] == "2.1.0"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Downloading torch-2.15.0-cp311-cp311-linux.whl (858.1 MB)", "downloading torch 2.15.0 (858.1 MB)"),
        ("  Using cached pydub-0.25.1.tar.gz (38 kB)", "found here pydub 0.25.1 (38 kB)"),
        ("  Downloading torch-2.15.0-cp311-cp311-linux.whl.metadata (30 kB)", ""),
        ("Building wheel for pydub (pyproject.toml): started", "building pydub"),
        ("Installing collected packages: a, b, c", "installing 3 packages; this takes a few minutes"),
        ("Successfully installed a-1 b-2", "installed 2 packages"),
        ("Requirement already satisfied: a in b", ""),
        ("", ""),
    ],
)
def test_pip_is_translated(said: str, shown: str) -> None:
    assert translate(said) == shown


def test_progress_is_plain_lines_without_a_terminal() -> None:
    stream = io.StringIO()
    with Line(stream) as line:
        line.show("downloading torch")
    assert stream.getvalue().splitlines()[-1] == "downloading torch"
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "not enough disk space"),
        ("error: externally-managed-environment", "start without --here"),
        ("/usr/bin/python3: No module named pip", "This Python has no pip"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError(...)'", "check the network connection"),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/usr'", "a folder of yours"),
        ("ERROR: No matching distribution found for torch<3,>=2.9", "No release of torch<3,>=2.9 fits this Python"),
        ("ERROR: Could not find a version that satisfies the requirement x>=1 (from versions: none)", "No release of x>=1 was found"),
        ("Collecting a\nERROR: Failed to build a\n", "ERROR: Failed to build a"),
        ("", "pip said nothing"),
    ],
)
def test_what_pip_fails_with_is_explained(output: str, told: str) -> None:
    sentence = explain(output, Path("install.log"))
    assert told in sentence
    assert sentence.endswith("install.log")
    assert "\n" not in sentence


def test_too_little_disk_space_is_told_before_installing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"takes 10\.0 GB and 2\.5 GB are free") as caught:
        check_space(tmp_path, needed=10 * 2**30, free=5 * 2**29)
    assert is_one_sentence(str(caught.value))
    check_space(tmp_path, needed=1)


def test_an_old_sqlite_is_told_before_installing() -> None:
    with pytest.raises(SetupError, match=r"SQLite 3\.26\.0 is too old") as caught:
        check_sqlite((3, 26, 0))
    assert is_one_sentence(str(caught.value))
    check_sqlite((3, 34, 1))
    check_sqlite()


def test_space_is_checked_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LARGE", 2**60)
    (tmp_path / "requirements.txt").write_text("torch\n", encoding="utf-8")
    with pytest.raises(SetupError, match="There is not enough disk space"):
        launcher.prepare(tmp_path, here=False)
    assert not (tmp_path / ".venv").exists()


def test_size_of(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"1234")
    assert size_of(tmp_path) == 4


def test_little_space_is_needed_once_pytorch_is_there(tmp_path: Path) -> None:
    venv.create(tmp_path)
    assert launcher.space_needed(tmp_path) == launcher.LARGE - size_of(tmp_path)
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "torch-2.15.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Name: torch\nVersion: 2.15.0\n", encoding="utf-8")
    assert launcher.space_needed(tmp_path) == launcher.SMALL
    # An environment that will be made anew brings nothing along.
    (tmp_path / "pyvenv.cfg").write_text("version = 3.99.0\n", encoding="utf-8")
    assert launcher.space_needed(tmp_path) == launcher.LARGE - size_of(tmp_path)


def test_an_environment_whose_python_is_another_one_now_is_not_ready(tmp_path: Path) -> None:
    folder, requirements = tmp_path / ".venv", tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n", encoding="utf-8")
    venv.create(folder)
    mark_made(folder, requirements)
    assert launcher.is_ready(tmp_path, here=False)
    # The description stays when the Python below is upgraded; a newer patch release keeps its packages.
    for version, ready in ((f"{sys.version_info[0]}.{sys.version_info[1]}.99", True), ("3.99.0", False)):
        (folder / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n", encoding="utf-8")
        mark_made(folder, requirements)
        assert launcher.is_ready(tmp_path, here=False) is ready


@posix_only
def test_an_environment_whose_python_died_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, requirements = tmp_path / ".venv", tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n", encoding="utf-8")
    venv.create(folder)
    mark_made(folder, requirements)
    venv_python(folder).unlink()
    venv_python(folder).write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    venv_python(folder).chmod(0o755)
    (folder / "old").touch()
    launcher.prepare(tmp_path, here=False)
    assert works(folder) and launcher.is_ready(tmp_path, here=False) and not (folder / "old").exists()
    assert f"{folder} does not work and is made anew" in capsys.readouterr().out


@posix_only
def test_opencv_that_cannot_be_loaded_is_told_and_the_start_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, requirements = tmp_path / ".venv", tmp_path / "requirements.txt"
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("version = 3.11.7\n", encoding="utf-8")
    requirements.write_text("opencv-python\n", encoding="utf-8")
    python = stand_in(folder / "bin", "exit 0", opencv="echo 'ImportError: libGL.so.1: cannot open' >&2; exit 1")
    put_package(folder, "opencv-python")
    mends = "on Debian and Ubuntu `sudo apt install libgl1 libglib2.0-0` mends it."
    assert launcher.prepare(tmp_path, here=False) == python
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"OpenCV cannot be loaded (ImportError: libGL.so.1: cannot open); {mends}"
    # Once: the next start has nothing to set up.
    assert launcher.prepare(tmp_path, here=False) == python
    assert capsys.readouterr().err == ""
    assert opencv_problem(stand_in(folder / "bin", "exit 0")) == ""


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be made") as caught:
        make_environment(tmp_path / "file" / ".venv")
    assert is_one_sentence(str(caught.value))
    assert os.strerror(errno.ENOTDIR) in str(caught.value)


@posix_only
def test_an_environment_that_belongs_to_another_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the superuser, whom no rights keep out, a file in the way of the folder for downloads does what missing rights do."""
    python = stand_in(tmp_path, "exit 0")
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("version = 3.11.7\n", encoding="utf-8")
    (tmp_path / ".venv" / "downloads").touch()
    (tmp_path / "requirements.txt").write_text("numpy\n", encoding="utf-8")
    python.rename(folder / "python")
    monkeypatch.setattr(launcher, "ROOT", tmp_path)
    assert launcher.main([]) == 1
    told = capsys.readouterr().err.strip()
    assert told.startswith(f"{tmp_path / '.venv' / 'downloads'} cannot be used ({os.strerror(errno.EEXIST)}); ")
    assert is_one_sentence(told)


def test_no_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [variable for variable in os.environ if variable.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_RETRIES", "1")
        (tmp_path / "requirements.txt").write_text("a-package-that-is-nowhere>=1\n", encoding="utf-8")
        with pytest.raises(SetupError, match="check the network connection"):
            install(Path(sys.executable), tmp_path / "requirements.txt", log=tmp_path / "install.log", scratch=tmp_path / "downloads")
    assert "a-package-that-is-nowhere" in (tmp_path / "install.log").read_text(encoding="utf-8")
    assert not (tmp_path / "downloads").exists()


@posix_only
def test_a_failed_installation_is_told_and_leaves_no_stamp(tmp_path: Path) -> None:
    python = stand_in(tmp_path, "echo 'ERROR: Failed to build numpy'; exit 1")
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("version = 3.11.7\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("numpy\n", encoding="utf-8")
    python.rename(folder / "python")
    with pytest.raises(SetupError, match="Failed to build numpy"):
        launcher.prepare(tmp_path, here=False)
    assert not launcher.is_ready(tmp_path, here=False)
    stand_in(folder, "echo Successfully installed numpy-2.0").chmod(0o755)
    with pytest.raises(SetupError, match=r"pip did not put numpy into .*; look with `pip config list` for a target or prefix"):
        launcher.prepare(tmp_path, here=False)
    assert not launcher.is_ready(tmp_path, here=False)
    put_package(folder.parent, "numpy")
    launcher.prepare(tmp_path, here=False)
    assert launcher.is_ready(tmp_path, here=False)
    (tmp_path / "requirements.txt").write_text("numpy\nscipy\n", encoding="utf-8")
    assert not launcher.is_ready(tmp_path, here=False)


def test_a_half_made_environment_is_made_anew_and_then_kept(tmp_path: Path) -> None:
    folder = tmp_path / ".venv"
    python = venv_python(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "requirements.txt").write_text("# nothing\n", encoding="utf-8")
    assert not works(folder)
    assert launcher.prepare(tmp_path, here=False) == python
    assert works(folder) and has_pip(python)
    (folder / "kept").touch()
    assert launcher.prepare(tmp_path, here=False) == python
    assert (folder / "kept").exists()


def test_here_hands_over_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "studio").mkdir()
    (tmp_path / "studio" / "__init__.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    ran = run_launch("--here", "generate", "--help", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "--guidance-scale" in ran.stdout


def test_the_test_command_runs_pytest_in_the_repository(tmp_path: Path) -> None:
    ran = run_launch("--here", "test", "--version", folder=tmp_path)
    assert (ran.returncode, ran.stdout.split()[0]) == (0, "pytest"), ran.stderr


@posix_only
def test_help_before_the_set_up_installs_nothing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "studio" / "launcher", tmp_path / "studio" / "launcher", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "studio" / "__init__.py", tmp_path / "studio")
    shutil.copy(ROOT / "launch.py", tmp_path)
    (tmp_path / "requirements.txt").write_text("a-package-that-is-nowhere\n", encoding="utf-8")
    ran = subprocess.run([sys.executable, "launch.py", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout.startswith("usage: python launch.py")
    assert not (tmp_path / ".venv").exists()
