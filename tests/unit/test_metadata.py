"""The request survives every picture format; damaged pictures give a sentence."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image, PngImagePlugin

from studio.errors import BadPicture, StudioError
from studio.metadata import read_metadata, save
from studio.request import GenerationRequest
from tests.strategies import requests

PICTURE = Image.new("RGB", (16, 8), (200, 30, 30))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(request=requests)
def test_round_trip(tmp_path: Path, suffix: str, request: GenerationRequest) -> None:
    assert read_metadata(save(PICTURE, request, tmp_path / f"a{suffix}")) == request


def test_png_keeps_the_pixels_and_leaves_no_draft(tmp_path: Path) -> None:
    path = save(PICTURE, GenerationRequest(), tmp_path / "a.png")
    with Image.open(path) as read:
        assert read.tobytes() == PICTURE.tobytes()
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_or_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"a\.gif must end in \.png"):
        save(PICTURE, GenerationRequest(), tmp_path / "a.gif")
    with pytest.raises(StudioError, match="cannot be written: No such file"):
        save(PICTURE, GenerationRequest(), tmp_path / "nowhere" / "a.png")


def test_foreign_and_damaged_pictures_are_told_apart(tmp_path: Path) -> None:
    plain, text, cut = tmp_path / "plain.png", tmp_path / "text.txt", tmp_path / "cut.png"
    PICTURE.save(plain)
    text.write_text("hello")
    cut.write_bytes(plain.read_bytes()[:20])
    with pytest.raises(BadPicture, match="carries no settings"):
        read_metadata(plain)
    for path in (text, cut, tmp_path / "missing.png"):
        with pytest.raises(BadPicture, match="cannot be read as a picture"):
            read_metadata(path)


@pytest.mark.parametrize("chunk", ["{", "[]", "{}", '{"request": 3}', "[" * 100_000, '{"request": {"steps": 0}}', "\x00\xff"])
def test_damaged_settings_are_a_sentence(tmp_path: Path, chunk: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("studio", chunk)
    PICTURE.save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(BadPicture, match=r"settings inside a\.png"):
        read_metadata(tmp_path / "a.png")
