"""Takes pictures in from outside: any bytes become a safe picture of mode L, I;16 or RGB, or one sentence. Pure.

Only the formats below are opened, sizes are looked at before pixels are, and nothing of a file's metadata is kept.
"""

import base64
import binascii
import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from studio.errors import BadPicture, BadPose
from studio.pose import drawing, openpose

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_FILE_BYTES = 20_000_000
# A phone's 50 megapixels are let in; what is larger would take gigabytes in some modes.
MAX_PIXELS = 64_000_000
MIN_SIDE = 8
# Results have at most 2048 pixels a side, so nothing is lost that could be seen.
MAX_SIDE = 4096
MAX_DRAWN_SIDE = 2048
# Longer texts in the place of a picture's name are the picture itself.
MAX_NAME = 100
# A browser goes by the file's name, so the type says little; `read` looks at the content.
_DATA_URL = re.compile(r"data:(?:[\w.+-]{1,60}/[\w.+-]{1,80})?(?:;[\w=.+-]{1,60}){0,3},", re.ASCII)


@dataclass(frozen=True)
class Taken:
    """A picture of mode L, I;16 (16-bit grey) or RGB, and per change made to it on the way a part of a sentence."""

    picture: Image.Image
    notes: tuple[str, ...] = ()


def read(data: bytes, *, kind: str = "", name: str = "The picture", most: int = MAX_FILE_BYTES) -> Taken:
    """Open a picture file's bytes.

    Args:
        data: the whole file; for a pose also OpenPose's JSON, which is drawn.
        kind: what the picture is for, `sketch`, `depth` or `pose`; decides what shows through where it is transparent.
        name: what the sentence calls it.
        most: how many bytes it may have.

    Raises:
        BadPicture: it is no picture of a known format, damaged, too large or too small.
        BadPose: it is JSON, but no pose.
    """
    if kind == "pose" and data[:64].removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return Taken(_drawn(data.decode("utf-8-sig", "replace")))
    if len(data) > most:
        raise BadPicture(f"{name} is a file of {len(data) / 1e6:.0f} MB; give one of at most {most // 10**6} MB.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            _check_size(opened.size, name)
            if opened.format == "JPEG":
                # Decodes a large photograph at a half, a quarter or an eighth at once.
                opened.draft(None, (MAX_SIDE, MAX_SIDE))
            notes = _told(opened)
            opened.load()
            taken = tidy(_upright(opened, notes), kind=kind, name=name)
    except BadPicture:
        raise
    except UnidentifiedImageError:
        raise BadPicture(f"{name} is no picture that can be read; give a PNG, JPEG, WebP, GIF, BMP or TIFF file.") from None
    except (Image.DecompressionBombError, MemoryError):
        raise BadPicture(f"{name} has too many pixels; give one of at most {MAX_PIXELS // 10**6} megapixels.") from None
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise BadPicture(f"{name} is damaged or cut short; save or copy it again.") from error
    return Taken(taken.picture, (*notes, *taken.notes))


def read_file(path: Path, *, kind: str = "") -> Taken:
    """Open a picture file.

    Raises:
        BadPicture: the file cannot be read, or `read` refuses it.
    """
    try:
        if not path.is_file():
            raise BadPicture(f"{path} is no file; give the path of a picture.")
        # Before it is read: a disk image would fill the memory.
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise BadPicture(f"{path.name} is a file of {size / 1e6:.0f} MB; give one of at most {MAX_FILE_BYTES // 10**6} MB.")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadPicture(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    return read(data, kind=kind, name=path.name)


def decode(text: str, *, kind: str = "", name: str = "The picture") -> Taken:
    """Open a picture given as a `data:image/...;base64,` URL or as plain base64.

    Raises:
        BadPicture: the text is no base64, or `read` refuses what it holds.
    """
    if kind == "pose" and text[:64].lstrip("\ufeff").lstrip()[:1] in ("{", "["):
        return Taken(_drawn(text.lstrip("\ufeff")))
    found = _DATA_URL.match(text)
    if found and not found.group().endswith(";base64,"):
        raise BadPicture(f"{name} is a data URL without base64; encode it as data:image/png;base64,...")
    body = text[found.end() :] if found else text
    if len(body) > MAX_FILE_BYTES * 4 // 3 + 4:
        raise BadPicture(f"{name} is a file of {len(body) * 3 / 4e6:.0f} MB; give one of at most {MAX_FILE_BYTES // 10**6} MB.")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadPicture(f"{name} is neither the name of a picture nor base64; give data:image/png;base64,...") from None
    return read(data, kind=kind, name=name)


def tidy(picture: Image.Image, *, kind: str = "", name: str = "The picture") -> Taken:
    """Bring an open picture of any mode to L, I;16 or RGB, transparent parts filled and at most 4096 pixels a side.

    Raises:
        BadPicture: it is too large or too small, or of a mode that means no colour.
    """
    _check_size(picture.size, name)
    if picture.mode in ("L", "RGB", "I;16") and max(picture.size) <= MAX_SIDE and "transparency" not in picture.info:
        return Taken(_bare(picture))
    try:
        result, notes = _plain(picture, kind)
    except (OSError, ValueError) as error:
        raise BadPicture(f"{name} is of colour mode {picture.mode}, which cannot be shown; save it as RGB.") from error
    if max(result.size) > MAX_SIDE:
        width, height = result.size
        scale = MAX_SIDE / max(width, height)
        result = result.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
        notes = (*notes, f"{width} x {height} pixels, brought to {result.width} x {result.height}")
    return Taken(_bare(result), notes)


def lift(data: object) -> tuple[object, dict[str, Taken]]:
    """Take the pictures out of a request's JSON: each `controls[i].image` that is no name but a picture as text.

    Returns the request with names in their places, and the pictures by name. Anything else is left for the request's own validation.

    Raises:
        BadPicture: the sentence names the place.
    """
    pictures: dict[str, Taken] = {}

    def lifted(index: int, entry: object) -> object:
        text = entry.get("image") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(text, str) or (len(text) <= MAX_NAME and not text.startswith("data:")):
            return entry
        name = f"picture {index}"
        place = f"controls[{index}].image"
        with _named(place):
            pictures[name] = decode(text, kind=_kind(entry), name=place)
        return {**entry, "image": name}

    if isinstance(data, dict) and isinstance(units := data.get("controls"), list):
        data = {**data, "controls": [lifted(index, entry) for index, entry in enumerate(units)]}
    return data, pictures


def gather(data: dict[str, object], folder: Path) -> tuple[dict[str, object], dict[str, Taken]]:
    """Read the files that a command line's request names: each `controls[i].image` that is no hash is a path, below `folder` if relative.

    Returns the request with names in their places, and the pictures by name.

    Raises:
        BadPicture: a file cannot be read as a picture.
    """
    pictures: dict[str, Taken] = {}
    units = data.get("controls")
    entries = list(units) if isinstance(units, list) else []
    for index, text in _paths(entries):
        name = f"picture {index}"
        path = folder / _expanded(text)
        with _named(path.name):
            pictures[name] = read_file(path, kind=_kind(entries[index]))
        entries[index] = {**entries[index], "image": name}
    return ({**data, "controls": entries} if pictures else data), pictures


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Say of which of several pictures a pose's sentence is."""
    try:
        yield
    except BadPose as error:
        raise BadPose(f"{place}: {error}") from error


def _paths(entries: list[object]) -> Iterator[tuple[int, str]]:
    for index, entry in enumerate(entries):
        text = entry.get("image") if isinstance(entry, dict) else None
        if isinstance(text, str) and text and not re.fullmatch(r"[0-9a-f]{64}", text):
            yield index, text


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        home = Path(text).parts[0]
        raise BadPicture(f"{text} is no file, as no home folder is known for {home}; give the path of a picture.") from error


def _drawn(text: str) -> Image.Image:
    """Draw a pose on its own canvas, made smaller where that has more than 2048 pixels a side."""
    pose = openpose.read(text)
    scale = min(1, MAX_DRAWN_SIDE / max(pose.width, pose.height))
    return drawing.draw(pose.fitted(max(MIN_SIDE, round(scale * pose.width)), max(MIN_SIDE, round(scale * pose.height))))


def _kind(entry: object) -> str:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    return kind if isinstance(kind, str) else ""


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise BadPicture(f"{name} has {width} x {height} pixels; give one of at most {MAX_PIXELS // 10**6} megapixels.")
    if min(size) < MIN_SIDE:
        raise BadPicture(f"{name} has {width} x {height} pixels; give one of at least {MIN_SIDE} x {MIN_SIDE}.")


def _told(opened: Image.Image) -> tuple[str, ...]:
    """Say what of a file is left out."""
    # A camera's MPO holds smaller copies of the same photograph.
    frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
    word = "pages" if opened.format == "TIFF" else "frames"
    return (f"the first of {frames} {word} is used",) if frames > 1 else ()


def _upright(opened: Image.Image, notes: tuple[str, ...]) -> Image.Image:
    """Turn a photograph as its EXIF orientation says."""
    frame = opened.copy()
    frame.info.update(opened.info)
    return ImageOps.exif_transpose(frame)


def _plain(picture: Image.Image, kind: str) -> tuple[Image.Image, tuple[str, ...]]:
    mode = picture.mode
    if mode.startswith("I;16"):
        return Image.fromarray(np.asarray(picture).astype(np.uint16)), ()
    if mode in ("I", "F"):
        return _sixteen_bit(np.asarray(picture, np.float64), whole=mode == "I")
    if mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return _filled(picture.convert("RGBA"), kind)
    if mode in ("L", "1"):
        return picture.convert("L"), ()
    return picture.convert("RGB"), ()


def _sixteen_bit(values: NDArray[np.float64], *, whole: bool) -> tuple[Image.Image, tuple[str, ...]]:
    """Bring 32-bit grey to 16 bit; whole numbers that fit stay, all else is spread over the whole range."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    fits = whole and low >= 0 and high <= 65535
    if not fits:
        finite = (finite - low) / max(high - low, 1e-12) * 65535
    notes = () if fits else (f"values from {low:.4g} to {high:.4g} are spread over 16 bits",)
    return Image.fromarray(np.round(finite).astype(np.uint16)), notes


def _filled(picture: Image.Image, kind: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Lay an RGBA picture on white or black: black for maps of depth and pose, where it means far and nothing; else what its lines need."""
    pixels = np.asarray(picture, np.float32)
    shown = pixels[..., 3:] / 255
    if shown.min() == 1:
        return picture.convert("RGB"), ()
    brightness = float((pixels[..., :3] * shown).sum() / max(float(shown.sum()) * 3, 1e-6))
    black = kind in ("depth", "pose") or (kind == "sketch" and brightness > 127)
    ground = Image.new("RGBA", picture.size, "black" if black else "white")
    ground.alpha_composite(picture)
    return ground.convert("RGB"), (f"its transparent parts are {'black' if black else 'white'} now",)


def _bare(picture: Image.Image) -> Image.Image:
    """Return a picture without the metadata of its file."""
    if not picture.info and type(picture) is Image.Image:
        return picture
    bare = picture.copy()
    bare.info.clear()
    return bare
