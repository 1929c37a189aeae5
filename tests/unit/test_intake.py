"""Pictures from outside: what every odd one becomes, one sentence for every bad one, and thousands of malformed files."""

import base64
import io
import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.errors import BadPicture
from studio.intake import MAX_FILE_BYTES, MAX_SIDE, decode, gather, lift, read, read_file, tidy
from tests.flat import flat


def photograph(width: int = 64, height: int = 48) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_formats(form: str) -> None:
    taken = read(encoded(photograph(), form))
    assert taken.picture.mode == "RGB" and taken.picture.size == (64, 48) and not taken.notes and not taken.picture.info
    assert np.abs(np.asarray(taken.picture, int) - np.asarray(photograph(), int)).mean() < 25


BAD = [
    (b"", "is no picture that can be read"),
    (b"GIF89a", "is no picture that can be read"),
    (b"%PDF-1.7 not a picture at all", "is no picture that can be read"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "is no picture that can be read"),
    (encoded(photograph())[:-600], "is damaged or cut short"),
    (encoded(photograph(), "JPEG")[:-200], "is damaged or cut short"),
    (encoded(Image.new("RGB", (1, 1))), "has 1 x 1 pixels; give one of at least 8 x 8."),
    (png_of_size(30_000, 30_000), "has too many pixels; give one of at most 64 megapixels."),
    (png_of_size(10_000, 10_000), "has 10000 x 10000 pixels; give one of at most 64 megapixels."),
    (bytes(MAX_FILE_BYTES + 1), "is a file of 20 MB; give one of at most 20 MB."),
]


@pytest.mark.parametrize(("data", "sentence"), BAD, ids=[sentence[:30] for _, sentence in BAD])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_pictures_are_one_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(BadPicture) as caught:
        read(data, name="map.png")
    assert str(caught.value).startswith(f"map.png {sentence}") and str(caught.value).count(". ") == 0


def test_colour_modes_become_plain_ones() -> None:
    for mode in ("1", "L", "P", "RGB", "CMYK"):
        taken = read(encoded(photograph().convert(mode), "JPEG" if mode == "CMYK" else "PNG"))
        assert taken.picture.mode == ("L" if mode in ("1", "L") else "RGB")
    for mode in ("HSV", "YCbCr", "LAB", "RGBX"):
        assert tidy(Image.new(mode, (64, 48))).picture.mode == "RGB"
    with pytest.raises(BadPicture, match="is of colour mode La, which cannot be shown; save it as RGB"):
        tidy(Image.new("La", (64, 48)))
    cmyk = read(encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG")).picture.getpixel((9, 9))
    assert isinstance(cmyk, tuple) and cmyk[0] > 200 and cmyk[1] < 60


def test_sixteen_bit_stays_sixteen_bit() -> None:
    depth = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    for form in ("PNG", "TIFF"):
        taken = read(encoded(Image.fromarray(depth), form), kind="depth").picture
        assert taken.mode == "I;16" and np.array_equal(np.asarray(taken), depth)
    big_endian = Image.frombytes("I;16B", (64, 48), depth.astype(">u2").tobytes())
    assert np.array_equal(np.asarray(tidy(big_endian).picture), depth)
    metres = Image.fromarray(np.where(depth == 0, np.nan, depth / 1000).astype(np.float32))
    taken_metres = read(encoded(metres, "TIFF"), kind="depth")
    assert np.asarray(taken_metres.picture).max() == 65535 and "spread over 16 bits" in taken_metres.notes[0]


def test_animated_gives_its_first_frame_and_says_so() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        taken = read(encoded(frames[0], form, save_all=True, append_images=frames[1:]))
        assert taken.picture.getpixel((5, 5)) == pytest.approx((255, 0, 0), abs=4)
        assert taken.notes == (f"the first of 3 {'pages' if form == 'TIFF' else 'frames'} is used",)


@pytest.mark.parametrize(
    ("kind", "line", "ground"), [("sketch", 0, 255), ("sketch", 255, 0), ("depth", 0, 0), ("pose", 0, 0), ("", 0, 255), ("", 255, 255)]
)
def test_transparency_is_filled_by_kind(kind: str, line: int, ground: int) -> None:
    picture = Image.new("RGBA", (32, 32), (9, 9, 9, 0))
    picture.paste((line, line, line, 255), (10, 0, 14, 32))
    taken = read(encoded(picture), kind=kind)
    assert taken.picture.getpixel((0, 0)) == (ground,) * 3 and taken.picture.getpixel((12, 5)) == (line,) * 3
    assert taken.notes == (f"its transparent parts are {'white' if ground else 'black'} now",)
    palette = Image.new("P", (32, 32), 3)
    palette.putpalette([0] * 9 + [200, 10, 10] + [0] * 756)
    assert read(encoded(palette, transparency=3), kind="depth").picture.getpixel((0, 0)) == (0, 0, 0)


def test_orientation_is_followed_and_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    taken = read(encoded(photograph(), "JPEG", exif=exif, quality=95)).picture
    assert taken.size == (48, 64) and not taken.info and not taken.getexif()
    turned = photograph().transpose(Image.Transpose.ROTATE_270)
    assert np.abs(np.asarray(taken, int) - np.asarray(turned, int)).mean() < 10


def test_large_photographs_are_brought_down() -> None:
    taken = read(encoded(Image.new("L", (6000, 5000)), "PNG"))
    assert taken.picture.size == (MAX_SIDE, 3413) and taken.notes == ("6000 x 5000 pixels, brought to 4096 x 3413",)
    assert max(read(encoded(Image.new("RGB", (8000, 6000)), "JPEG")).picture.size) <= MAX_SIDE


def test_files(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(encoded(photograph()))
    assert read_file(tmp_path / "map.png").picture.size == (64, 48)
    for path, sentence in ((tmp_path / "none.png", "is no file"), (tmp_path, "is no file"), (Path("/dev/zero"), "is no file")):
        with pytest.raises(BadPicture, match=sentence):
            read_file(path)
    with pytest.raises(BadPicture, match=r"cannot be read|is no file"):
        read_file(Path("a\0b"))
    with (tmp_path / "disk.img").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(BadPicture, match="is a file of 1000000 MB"):
        read_file(tmp_path / "disk.img")


def test_pictures_as_text() -> None:
    plain = base64.b64encode(encoded(photograph())).decode()
    types = ("image/png", "image/png;name=x.png", "application/octet-stream", "application/vnd.oasis", "")
    for text in (plain, *(f"data:{each};base64,{plain}" for each in types)):
        assert decode(text).picture.tobytes() == photograph().tobytes()
    for text, sentence in (
        ("data:image/svg+xml,<svg/>", "is a data URL without base64"),
        ("data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7 not a picture").decode(), "is no picture that can be read"),
        ("données" * 50, "is neither the name of a picture nor base64"),
        ("A" * 30_000_000, "is a file of 22 MB"),
        (base64.b64encode(b"hello" * 50).decode(), "is no picture that can be read"),
    ):
        with pytest.raises(BadPicture, match=sentence):
            decode(text)


def test_pictures_are_lifted_out_of_a_request() -> None:
    url = "data:image/png;base64," + base64.b64encode(encoded(photograph())).decode()
    data, taken = lift({"prompt": "x", "controls": [{"kind": "sketch", "image": "a" * 64}, {"kind": "depth", "image": url}]})
    assert data == {"prompt": "x", "controls": [{"kind": "sketch", "image": "a" * 64}, {"kind": "depth", "image": "picture 1"}]}
    assert taken["picture 1"].picture.size == (64, 48)
    others: list[Any] = [None, 3, [], {"controls": 3}, {"controls": [3, None, {"image": 5}, {"image": {"path": "/etc/hostname"}}]}]
    for other in others:
        assert lift(other) == (other, {})
    with pytest.raises(BadPicture, match=r"controls\[0\].image is neither"):
        lift({"controls": [{"image": "x" * 101}]})


def test_files_are_gathered_for_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(encoded(photograph()))
    data, taken = gather({"controls": [{"kind": "sketch", "image": "map.png"}, {"image": "b" * 64}]}, tmp_path)
    assert data == {"controls": [{"kind": "sketch", "image": "picture 0"}, {"image": "b" * 64}]} and list(taken) == ["picture 0"]
    assert gather({"controls": 5}, tmp_path) == ({"controls": 5}, {})
    with pytest.raises(BadPicture, match=r"none\.png is no file"):
        gather({"controls": [{"image": "none.png"}]}, tmp_path)


def seeds() -> Iterator[bytes]:
    picture = photograph()
    for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        yield encoded(picture, form)
    yield encoded(picture.convert("P"), "PNG")
    yield encoded(picture.convert("CMYK"), "JPEG")
    yield encoded(picture, "TIFF", compression="tiff_lzw")
    yield encoded(Image.fromarray(np.zeros((48, 64), np.uint16)), "PNG")
    yield encoded(picture, "JPEG", exif=Image.Exif().tobytes() + b"\x00" * 50)


def spoiled(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 60))):
        # Headers decide how a file is read, so they are hit most.
        at = chance.randrange(min(len(broken), chance.choice((40, 200, 10**9))))
        broken[at] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256), broken[at] ^ (1 << chance.randrange(8))))
    return bytes(broken[: chance.randrange(len(broken))]) if chance.random() < 0.3 else bytes(broken)


def test_five_thousand_malformed_pictures_do_no_harm() -> None:
    chance, files = random.Random(7), list(seeds())
    outcomes = {"read": 0, "refused": 0}
    for _ in flat(5000, most=250 * 2**20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                taken = read(spoiled(chance.choice(files), chance))
            except BadPicture as error:
                outcomes["refused"] += 1
                assert str(error).endswith(".") and "\n" not in str(error) and len(str(error)) < 200
            else:
                outcomes["read"] += 1
                assert taken.picture.mode in ("L", "RGB", "I;16") and max(taken.picture.size) <= MAX_SIDE
    assert min(outcomes.values()) > 500, outcomes
