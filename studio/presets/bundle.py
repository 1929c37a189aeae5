"""Presets in files: what is handed out, and what is taken in, whatever program it comes from. Pure.

A bundle is a zip with `presets/*.json` and `pictures/<hash>.png`.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from studio.errors import BadPreset
from studio.presets import foreign, names, plain
from studio.presets.document import Preset, encode, read, schema_of

MAX_FILE_BYTES = 40_000_000
MAX_ENTRIES = 2_000
MAX_UNPACKED = 200_000_000
MAX_JSON_BYTES = 20_000_000
_PICTURE = re.compile(r"[0-9a-f]{64}\.png")


@dataclass(frozen=True)
class Incoming:
    """What a file held.

    Attributes:
        presets: each with the picture it brought for itself as a `data:` address, or an empty text.
        pictures: files of the pictures that the presets name, by the key they are named by; not looked at yet.
        notes: a sentence for everything that was not taken.
    """

    presets: list[tuple[Preset, str]] = field(default_factory=list)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def pack(presets: Iterable[Preset], picture: Callable[[str], Image.Image | None]) -> bytes:
    """Return a bundle; `picture` returns the picture of a key, or None when it is gone.

    Raises:
        BadPreset: it is larger than what `open_file` takes.
    """
    buffer = io.BytesIO()
    wanted: dict[str, None] = {}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for preset in presets:
            archive.writestr(f"presets/{names.stem(preset.name)}.json", encode(preset))
            wanted |= dict.fromkeys(preset.pictures())
        for key in wanted:
            if (found := picture(key)) is not None:
                content = io.BytesIO()
                found.save(content, "PNG")
                # A PNG is packed already.
                archive.writestr(zipfile.ZipInfo(f"pictures/{key}.png"), content.getvalue())
    if (size := len(buffer.getvalue())) > MAX_FILE_BYTES:
        raise BadPreset(
            f"The presets and their pictures take {size / 1e6:.0f} MB, and files of at most {MAX_FILE_BYTES // 10**6} MB can be taken in "
            "again; export fewer at once, or a single one without pictures."
        )
    return buffer.getvalue()


def open_file(data: bytes, called: str) -> Incoming:
    """Take a file in: our JSON or zip, `styles.csv`, a style of SD.Next, or a JSON preset of Fooocus or SwarmUI.

    Args:
        data: the whole file.
        called: its name; only looked at for its suffix, and for the name of a preset that has none.

    Raises:
        BadPreset: it is damaged, dangerous, too large, or of no kind that is known.
    """
    called = PurePosixPath(called.replace("\\", "/")).name[:200] or "The file"
    if len(data) > MAX_FILE_BYTES:
        raise BadPreset(f"{called} has {len(data) / 1e6:.0f} MB; give a file of at most {MAX_FILE_BYTES // 10**6} MB.")
    if data[:4] == b"PK\3\4":
        return _unpacked(data, called)
    return _from_table_or_json(data, called)


def _from_table_or_json(data: bytes, called: str) -> Incoming:
    if called.lower().endswith(".csv"):
        return _gathered(*foreign.styles(data, called))
    return _from_json(plain.loads(data, called, most=MAX_JSON_BYTES), called)


def _from_json(document: Any, called: str) -> Incoming:
    if isinstance(document, list):
        return _gathered(*foreign.templates(document, called))
    if isinstance(document, dict) and foreign.is_template(document):
        return _gathered(*foreign.templates([document], called))
    if isinstance(document, dict) and schema_of(document) is None:
        if foreign.is_swarm(document):
            return _gathered(*foreign.swarm(document))
        if foreign.is_fooocus(document):
            return _gathered([foreign.fooocus(document, called)], [])
    preset = read(document, called=called)
    return Incoming([(preset, "")], {}, [f"{preset.name}: {problem}" for problem in preset.problems])


def _gathered(found: list[foreign.Foreign], notes: list[str]) -> Incoming:
    said = [f"{note[:1].upper()}{note[1:]}." for note in notes]
    said += [f"{each.preset.name}: {note}." for each in found for note in each.notes]
    presets = [(each.preset, each.picture) for each in found]
    if not presets:
        raise BadPreset(" ".join(said[:1]) or "The file holds no preset.")
    return Incoming(presets, {}, said)


def _unpacked(data: bytes, called: str) -> Incoming:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(entries, called)
            return _read_entries(archive, entries, called)
    # What zipfile raises for damaged headers and data, and, as RuntimeError, for encrypted files and compression that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise BadPreset(f"{called} is a damaged or locked zip; export it again.") from error


def _check(entries: list[zipfile.ZipInfo], called: str) -> None:
    """Look at what a zip says of itself, before anything is unpacked."""
    if len(entries) > MAX_ENTRIES:
        raise BadPreset(f"{called} has {len(entries)} files inside; a bundle has at most {MAX_ENTRIES}.")
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename or "\0" in entry.filename:
            raise BadPreset(f"{called} has a file inside that would lead out of it; it was not opened.")
    if (size := sum(entry.file_size for entry in entries)) > MAX_UNPACKED:
        raise BadPreset(f"{called} would unpack to {size / 1e6:,.0f} MB; a bundle has at most {MAX_UNPACKED // 10**6} MB.")


def _read_entries(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], called: str) -> Incoming:
    presets: list[tuple[Preset, str]] = []
    pictures: dict[str, bytes] = {}
    notes: list[str] = []
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/")).name
        try:
            if _PICTURE.fullmatch(name):
                pictures[name[:64]] = _content(archive, entry, MAX_FILE_BYTES)
            elif name.lower().endswith((".json", ".csv")):
                inner = _from_table_or_json(_content(archive, entry, MAX_JSON_BYTES), name)
                presets += inner.presets
                notes += inner.notes
            else:
                notes.append(f"{name[:80]} is neither a preset nor a picture of one, and was passed over.")
        except BadPreset as error:
            notes.append(str(error))
    if not presets:
        raise BadPreset(f"{called} holds no preset. {notes[0] if notes else ''}".strip())
    return Incoming(presets, pictures, notes)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """Unpack one file, no further than `most` bytes whatever it says of itself."""
    with archive.open(entry) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise BadPreset(f"{PurePosixPath(entry.filename).name[:80]} unpacks to more than {most // 10**6} MB and was passed over.")
    return data
