"""The shape of the code base, checked: floors, sizes, what may be imported where, and files that must stay small."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = sorted([ROOT / "launch.py", *ROOT.glob("studio/**/*.py")])
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {"torch", "diffusers", "transformers", "controlnet_aux", "gradio"}
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 300, 40, 5
MEGABYTE = 10**6


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout, so there is no list of the files that belong to it")
    return [path for part in listed.stdout.split("\0") if part and (path := ROOT / part).is_file()]


def test_floors() -> None:
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run([sys.executable, "-c", linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(("library", "places"), [("torch", {"engine", "control"}), ("gradio", {"ui"})])
def test_the_rule_on_a_heavy_library_names_every_other_module(library: str, places: set[str]) -> None:
    contracts = CONFIG["tool"]["importlinter"]["contracts"]
    rule = next(contract for contract in contracts if library in contract.get("forbidden_modules", ()))
    modules = {path.stem if path.is_file() else path.name for path in (ROOT / "studio").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {module.removeprefix("studio.") for module in rule["source_modules"]} == modules - places - {"__init__", "__pycache__"}


@pytest.mark.parametrize("statement", ["import studio", "import studio.cli", "import studio.engine.fake", "import studio.ui.serve"])
def test_importing_takes_no_heavy_library(statement: str) -> None:
    assert not imported_after(statement) & HEAVY


def test_unit_tests_take_no_heavy_library() -> None:
    modules = [f"tests.unit.{path.stem}" for path in sorted((ROOT / "tests" / "unit").glob("test_*.py"))]
    assert not imported_after(f"import {', '.join(modules)}") & HEAVY


def test_the_set_up_takes_the_standard_library_only() -> None:
    assert {module.split(".")[0] for module in imported_after("import studio.launcher")} <= sys.stdlib_module_names | {
        "__main__",
        "studio",
        *_site(),
    }


def _site() -> set[str]:
    """What site-packages' .pth files import into every Python."""
    return {module.split(".")[0] for module in imported_after("pass")}


@pytest.mark.parametrize("path", CODE, ids=name)
def test_sizes(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MODULE_LINES
    for function in functions(source):
        lines = (function.end_lineno or 0) - function.lineno + 1
        given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        parameters = [argument.arg for argument in given if argument.arg not in ("self", "cls")]
        assert lines <= FUNCTION_LINES, f"{function.name} has {lines} lines"
        assert len(parameters) <= PARAMETERS, f"{function.name} takes {parameters}"


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_global_state(path: Path) -> None:
    assert not [node.lineno for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Global)]
    assert path.name not in ("utils.py", "helpers.py", "common.py")


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_stay_small() -> None:
    sizes = {path: path.stat().st_size for path in tracked_files()}
    assert {name(path): size for path, size in sizes.items() if size > 45 * MEGABYTE} == {}
    assert sum(size for path, size in sizes.items() if name(path).startswith("assets/")) <= 82 * MEGABYTE
