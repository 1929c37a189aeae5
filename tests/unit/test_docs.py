"""Documents say what the code does: generated pages are current, links lead somewhere, examples are about what exists."""

import ast
import re
from pathlib import Path

import pytest

import studio
from studio.cli import generate_parser, page_parser
from tests.golden.texts import ROOT, texts

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("assets/**/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.name)
def test_generated_texts_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == texts()[path], "run: python -m tests.golden.write"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_python_examples_use_what_is_exported() -> None:
    for block in blocks(ROOT / "README.md", "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "studio":
                assert {alias.name for alias in node.names} <= set(studio.__all__)


def test_commands_use_options_that_exist() -> None:
    known = {option for parser in (page_parser(), generate_parser()) for action in parser._actions for option in action.option_strings}
    commands = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if "launch.py" in line]
    used = {option for line in commands for option in re.findall(r"(?<= )--[a-z-]+", line.split("#")[0])}
    assert used <= known
    assert len(commands) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run_modules_that_exist(page: Path) -> None:
    modules = re.findall(r"python -m ((?:tests|assets|studio)[\w.]*)", page.read_text(encoding="utf-8"))
    paths = [ROOT.joinpath(*module.split(".")) for module in modules]
    assert [str(path) for path in paths if not path.with_suffix(".py").exists() and not (path / "__main__.py").exists()] == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    records = {path.name for path in folder.glob("0*.md")}
    assert records == set(re.findall(r"\((0\d+-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")))
