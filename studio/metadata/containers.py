"""The texts that a picture file carries, read without decoding its pixels and within bounds.

Formats: PNG 11.3.3 (tEXt, zTXt, iTXt); Exif 2.32, tags 0x9286 (UserComment: eight bytes of character code first) and 0x927C
(MakerNote); XMP part 3. Nothing is believed: lengths, counts and what a compressed text unfolds to are bounded.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import unescape

from PIL import ExifTags, Image, UnidentifiedImageError

from studio.errors import BadPicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
OWN = "studio"
KNOWN = (OWN, "parameters", "prompt", "invokeai_metadata", "Comment", "Description", "Software", "Title", "Source", "fooocus_scheme")
"""Keywords of PNG texts that some dialect uses; others are passed over."""
# Those that hold no settings by themselves.
_ABOUT = {"Description", "Software", "Title", "Source"}
MAX_TEXT_BYTES = 4_000_000
MAX_TEXTS = 1000
MAX_PIXELS = 64_000_000
# What we write has no bare "<"; to look for the end past one would take forged packets of many beginnings hours.
_XMP = re.compile(r"<studio:document>([^<]*)</studio:document>|studio:document=\"([^\"<]*)\"")


@dataclass(frozen=True)
class Carried:
    """What stands in a file besides the pixels; `format` is PNG, JPEG or WEBP.

    Attributes:
        texts: PNG's texts by keyword, each keyword once; of other files what their EXIF holds under such a keyword.
        comment: EXIF UserComment.
        maker: EXIF MakerNote, where it is a text.
        own: our own document out of XMP.
    """

    format: str
    texts: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    maker: str = ""
    own: str = ""

    @property
    def document(self) -> str:
        """Our own document, wherever this or an older studio put it; empty where there is none."""
        return self.texts.get(OWN, "") or self.own or (self.comment if self._first_schema else "")

    @property
    def _first_schema(self) -> bool:
        """Whether the comment is our document, as in the first schema; a prompt may begin so, but its settings stand in a line below."""
        return self.comment.startswith('{"schema"') and "\n" not in self.comment

    @property
    def parameters(self) -> str:
        """The text in which most programs write their settings."""
        return self.texts.get("parameters", "") or ("" if self._first_schema else self.comment)


def read(data: bytes, *, name: str) -> Carried:
    """Return what a file carries.

    Raises:
        BadPicture: it is no PNG, JPEG or WebP file, or its texts go beyond all bounds.
    """
    texts = _png_texts(data, name) if data.startswith(SIGNATURE) else None
    if texts and texts.keys() - _ABOUT:
        return Carried("PNG", texts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, which is read as far as it goes
            return _photo(data, name) if texts is None else _png_exif(data, texts)
    except BadPicture:
        raise
    except UnidentifiedImageError:
        raise BadPicture(f"{name} cannot be read as a picture; give a PNG, JPEG or WebP file.") from None
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        raise BadPicture(f"{name} cannot be read as a picture, because it is damaged or cut short.") from error


def _png_exif(data: bytes, texts: Mapping[str, str]) -> Carried:
    """Return what stands in a PNG's EXIF block, where Civitai's own generator writes."""
    block = next((bytes(content) for kind, content in _chunks(data) if kind == b"eXIf"), b"")
    exif = Image.Exif()
    if block:
        exif.load(block)
    return Carried("PNG", {**_exif_texts(exif), **texts}, *_exif(exif))


def _photo(data: bytes, name: str) -> Carried:
    with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP")) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise BadPicture(f"{name} has {opened.width} x {opened.height} pixels; give one of at most {MAX_PIXELS // 10**6} megapixels.")
        exif = opened.getexif()
        comment, maker = _exif(exif)
        kind = "JPEG" if opened.format in ("JPEG", "MPO") else "WEBP"
        return Carried(kind, _exif_texts(exif), comment, maker, _own_xmp(opened.info.get("xmp", b"")))


def unpack(data: bytes, *, name: str, gzip: bool = False) -> bytes:
    """Decompress zlib's or gzip's data up to a bound.

    Raises:
        BadPicture: it is damaged, or unfolds to more than `MAX_TEXT_BYTES`.
    """
    try:
        stream = zlib.decompressobj(31 if gzip else 15)
        content = stream.decompress(data, MAX_TEXT_BYTES)
    except zlib.error as error:
        raise BadPicture(f"A text inside {name} is damaged.") from error
    if stream.unconsumed_tail:
        raise BadPicture(f"A text inside {name} unfolds to more than {MAX_TEXT_BYTES // 10**6} MB, which no settings need.")
    return content


def _png_texts(data: bytes, name: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    chunks = _chunks(data)
    first = next(chunks, None)
    if first is None or first[0] != b"IHDR":
        raise BadPicture(f"{name} cannot be read as a picture, because it is damaged or cut short.")
    count = 0
    for kind, content in chunks:
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        count += 1
        if count > MAX_TEXTS:
            raise BadPicture(f"{name} holds more than {MAX_TEXTS:,} texts, which no picture of an image program does.")
        keyword, _, rest = bytes(content).partition(b"\0")
        key = keyword.decode("latin-1")
        if key in KNOWN and key not in texts:
            texts[key] = _png_text(kind, rest, name)
    return texts


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield (kind, content) of a PNG's chunks up to the end, or to where the file is cut."""
    view, place = memoryview(data), len(SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if place + 12 + length > len(data):
            return
        yield kind, view[place + 8 : place + 8 + length]
        place += 12 + length


def _png_text(kind: bytes, rest: bytes, name: str) -> str:
    if kind == b"zTXt":
        return unpack(rest[1:], name=name).decode("latin-1")
    if kind == b"tEXt":
        return rest[:MAX_TEXT_BYTES].decode("latin-1")
    packed = rest[:1] == b"\1"
    _, _, rest = rest[2:].partition(b"\0")
    _, _, text = rest.partition(b"\0")
    return (unpack(text, name=name) if packed else text[:MAX_TEXT_BYTES]).decode("utf-8", "replace")


def _exif_texts(exif: Image.Exif) -> dict[str, str]:
    """Return ComfyUI's graph, which it writes into a WebP's EXIF as `prompt:{...}` in place of a camera's model."""
    model = _comment(exif.get(ExifTags.Base.Model, b""))
    return {"prompt": model.removeprefix("prompt:")} if model.startswith("prompt:") else {}


def _exif(exif: Image.Exif) -> tuple[str, str]:
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    # Some programs put these two where others put the camera's name.
    comment, maker = (inner.get(tag, exif.get(tag, b"")) for tag in (ExifTags.Base.UserComment, ExifTags.Base.MakerNote))
    return _comment(comment), _comment(maker)


def _comment(content: object) -> str:
    if isinstance(content, str):
        return content[:MAX_TEXT_BYTES]
    if not isinstance(content, bytes):
        return ""
    code, text = content[:8], content[8:MAX_TEXT_BYTES]
    if code == b"UNICODE\0":
        return _utf16(text)
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        content = text
    return content[:MAX_TEXT_BYTES].decode("utf-8", "replace").rstrip("\0")


def _utf16(text: bytes) -> str:
    """Decode UTF-16 of either byte order; most of any settings is ASCII, which tells which."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.decode("utf-16", "replace")
    big, little = (text.decode(code, "replace").rstrip("\0") for code in ("utf-16-be", "utf-16-le"))
    return little if sum(map(str.isascii, little)) > sum(map(str.isascii, big)) else big


def _own_xmp(packet: object) -> str:
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet if isinstance(packet, str) else ""
    found = _XMP.search(text[:MAX_TEXT_BYTES])
    return unescape(found[1] or found[2] or "", {"&quot;": '"', "&apos;": "'"}) if found else ""
