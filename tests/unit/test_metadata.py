"""Settings survive every picture format and both schemas; damaged pictures give a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from studio import intake
from studio.errors import BadPicture, StudioError
from studio.images import content_key
from studio.metadata import Record, encode, file_bytes, png_bytes, read_metadata, save, save_record
from studio.metadata.own import read_record
from studio.provenance import Mark, Provenance
from studio.request import ControlUse, GenerationRequest
from tests.strategies import requests

PICTURE = Image.new("RGB", (16, 8), (200, 30, 30))
MANY = 1000

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text(st.characters(codec="utf-8"), max_size=40)
marks = st.builds(Mark, name=names, hash=st.just("") | digests, tensor_hash=st.just("") | digests)
provenances = st.none() | st.builds(
    Provenance,
    versions=st.dictionaries(names, names, max_size=3),
    device=names,
    precision=names,
    model=marks,
    loras=st.lists(marks, max_size=2).map(tuple),
    controlnets=st.lists(marks, max_size=2).map(tuple),
    maps=st.lists(digests, max_size=2).map(tuple),
    pixels=st.just("") | digests,
)


@settings(max_examples=MANY, suppress_health_check=list(HealthCheck), deadline=None)
@given(request=requests, provenance=provenances)
def test_a_request_is_the_same_in_every_format_and_over_http(request: GenerationRequest, provenance: Provenance | None) -> None:
    record = Record(request, provenance)
    for kind in ("PNG", "JPEG", "WEBP"):
        assert read_record(encode(PICTURE, record, kind=kind), name="a") == record
    lifted, pictures = intake.lift(json.loads(json.dumps(request.model_dump())))
    assert GenerationRequest.parse(lifted) == request and not pictures


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(request=requests)
def test_pictures_of_the_first_schema_are_still_read(request: GenerationRequest) -> None:
    text = json.dumps({"schema": 1, "request": request.model_dump()})
    info = PngImagePlugin.PngInfo()
    info.add_itxt("studio", text)
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0" + text.encode("ascii")
    if len(text) < 60_000:
        for kind, options in (("PNG", {"pnginfo": info}), ("JPEG", {"exif": exif}), ("WEBP", {"exif": exif})):
            assert read_record(content(kind, **options), name="a") == Record(request)


def content(kind: str, **options: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".jpeg", ".webp"])
def test_a_saved_file_carries_its_request(tmp_path: Path, suffix: str) -> None:
    request = GenerationRequest(prompt="a cat, sitting", seed=7)
    assert read_metadata(save(PICTURE, request, tmp_path / f"a{suffix}")) == request


def test_png_keeps_the_pixels_and_leaves_no_draft(tmp_path: Path) -> None:
    path = save(PICTURE, GenerationRequest(), tmp_path / "a.png")
    with Image.open(path) as read:
        assert read.tobytes() == PICTURE.tobytes() and content_key(read) == content_key(PICTURE)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_stripped_picture_carries_nothing(kind: Any) -> None:
    tainted = PICTURE.copy()
    tainted.info.update({"icc_profile": b"secret", "comment": b"secret", "exif": b"Exif\0\0secret", "xmp": b"secret"})
    stripped = encode(tainted, None, kind=kind)
    assert b"secret" not in stripped and b"studio" not in stripped and b"Steps" not in stripped
    with pytest.raises(BadPicture, match="carries no settings"):
        read_record(stripped, name="a")


def test_an_unknown_suffix_or_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"a\.gif must end in \.png"):
        save(PICTURE, GenerationRequest(), tmp_path / "a.gif")
    with pytest.raises(StudioError, match="cannot be written: No such file"):
        save(PICTURE, GenerationRequest(), tmp_path / "nowhere" / "a.png")


def test_what_a_jpeg_cannot_hold_is_said_and_other_formats_hold_it(tmp_path: Path) -> None:
    request = GenerationRequest(prompt="😀" * 10_000, negative_prompt="🎈" * 10_000)
    with pytest.raises(StudioError, match="save it as PNG or WebP"):
        save(PICTURE, request, tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []
    for suffix in (".png", ".webp"):
        assert read_metadata(save(PICTURE, request, tmp_path / f"a{suffix}")) == request
    longest = GenerationRequest(prompt="猫" * 9_000, negative_prompt="犬" * 9_000)
    assert read_metadata(save(PICTURE, longest, tmp_path / "b.jpg")) == longest


def test_provenance_travels_and_its_damage_does_not_lose_the_request(tmp_path: Path) -> None:
    provenance = Provenance(versions={"torch": "2"}, model=Mark(name="Mini", hash="a" * 64), pixels="b" * 64)
    path = save_record(PICTURE, Record(GenerationRequest(seed=3), provenance), tmp_path / "a.png")
    assert read_record(file_bytes(path), name="a").provenance == provenance
    damages: tuple[Any, ...] = ({"model": 3}, {"model": {"name": "x", "hash": "no"}}, [], "x", {"versions": {"a" * 999: "b"}})
    for damage in damages:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("studio", json.dumps({"schema": 2, "request": {"seed": 3}, "provenance": damage}))
        assert read_record(content("PNG", pnginfo=info), name="a") == Record(GenerationRequest(seed=3), None)


def test_foreign_and_damaged_pictures_are_told_apart(tmp_path: Path) -> None:
    plain, text, cut = tmp_path / "plain.png", tmp_path / "text.txt", tmp_path / "cut.png"
    PICTURE.save(plain)
    text.write_text("hello")
    cut.write_bytes(plain.read_bytes()[:20])
    with pytest.raises(BadPicture, match="carries no settings"):
        read_metadata(plain)
    for path in (text, cut, tmp_path / "missing.png", tmp_path):
        with pytest.raises(BadPicture, match="cannot be read as a picture"):
            read_metadata(path)


@pytest.mark.parametrize(
    "chunk", ["{", "[]", "{}", '{"request": 3}', "[" * 100_000, '{"request": {"steps": 0}}', "\x00\xff", '{"request": {"seed": NaN}}']
)
def test_damaged_settings_are_a_sentence(tmp_path: Path, chunk: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("studio", chunk)
    PICTURE.save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(BadPicture, match=r"settings inside a\.png"):
        read_metadata(tmp_path / "a.png")


def test_settings_of_a_later_studio_are_a_sentence() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("studio", '{"schema": 99, "request": {}}')
    with pytest.raises(BadPicture, match=r"made by a later studio \(schema 99\); update this one"):
        read_record(content("PNG", pnginfo=info), name="a")


def test_a_file_of_200_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(BadPicture, match="a file of 200 MB; give one of at most 64 MB"):
        read_metadata(path)


def test_controls_of_a_request_travel_by_hash() -> None:
    request = GenerationRequest(controls=(ControlUse(kind="depth", image="0" * 64, settings={"near": 0.5}),))
    assert read_record(png_bytes(PICTURE, request), name="a").request == request
