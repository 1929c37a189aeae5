"""The tables of texts: every text in every language, with the same holes, and no text twice."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from studio.settings import ROOT

FILES = sorted((ROOT / "studio" / "ui" / "words").glob("*.json"))
LANGUAGES = {"de", "zh-CN", "ja"}
HOLE = re.compile(r"\{=?(\w+)\}")


def rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """A table's rows, those that stand in it twice too."""
    pairs: list[tuple[str, dict[str, str]]] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=lambda found: found)
    return [(english, dict(languages)) for english, languages in pairs]


def test_no_text_stands_in_two_places() -> None:
    counted = Counter(english for path in FILES for english, _ in rows(path))
    assert [text for text, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_text_is_there_in_every_language(path: Path) -> None:
    for english, languages in rows(path):
        assert set(languages) == LANGUAGES, english
        for text in languages.values():
            assert text == text.strip() and text, english


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_changes_is_not_lost_on_the_way(path: Path) -> None:
    for english, languages in rows(path):
        holes = HOLE.findall(english)
        assert len(set(holes)) == len(holes), english
        for text in languages.values():
            used = HOLE.findall(text)
            assert set(used) <= set(holes), (english, text)
            # A number is never left out; a name may be where the sentence says as much without it.
            assert {hole for hole in holes if len(hole) == 1} <= set(used), (english, text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sentence_stays_one(path: Path) -> None:
    for english, languages in rows(path):
        if english.endswith("."):
            assert languages["de"].endswith("."), english
            assert languages["zh-CN"].endswith("。"), english
            assert languages["ja"].endswith("。"), english
