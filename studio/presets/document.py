"""A preset and its JSON document: a schema number, a sparse request, and whatever a newer studio wrote beside it.

    {"kind": "preset", "schema": 1, "name": "...", "description": "...", "star": false, "picture": null,
     "request": {"steps": 20, ...}, "hashes": {"model": {"name": "sha256"}, "loras": {}, "controlnets": {}}}

A field that `request` leaves out stays as it is where the preset is applied. Fields that are not known here, beside the
request and inside it, are kept and written again.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from studio.errors import BadPreset, InvalidRequest
from studio.presets import names, plain
from studio.presets.parts import fields_of, part_of, parts_in
from studio.request import MODELS, GenerationRequest, shorten

SCHEMA = 1
KIND = "preset"
MAX_DESCRIPTION = 2_000
KINDS_OF_FILES = ("model", "loras", "controlnets")
"""What `hashes` tells apart."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named part of a request, or all of it.

    Attributes:
        name: unique for a person, as by `names.key`.
        values: request fields as JSON; a field that is left out stays as it is, one that is not known here is kept.
        description: what a person wrote about it.
        star: whether it comes first in the list.
        picture: hash of a kept picture that stands for it.
        hashes: SHA-256 of the files it names, by kind (`KINDS_OF_FILES`) and name, as far as known when it was saved.
        extra: fields of the document that are not known here.
        builtin: whether it came with the studio, so that it cannot be changed; not in the document.
    """

    name: str
    values: Mapping[str, Any]
    description: str = ""
    star: bool = False
    picture: str | None = None
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    builtin: bool = field(default=False, compare=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts it has something of."""
        return parts_in(self.values)

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """Its request fields that are good here, as JSON values."""
        return self._read[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each field that is not known here, or whose value is not good here."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        good: dict[str, Any] = {}
        problems = []
        for name, value in self.values.items():
            if not part_of(name):
                problems.append(f"{shorten(name)} is not known to this studio; it is kept in the preset.")
                continue
            cleaned, unknown = _without_unknown(name, value)
            problems += [f"{name}: {shorten(inner)} is not known to this studio; it is kept in the preset." for inner in unknown]
            try:
                good[name] = GenerationRequest.parse({name: cleaned}).model_dump(mode="json")[name]
            except InvalidRequest as error:
                problems.append(str(error))
        return good, tuple(problems)

    def pictures(self) -> tuple[str, ...]:
        """Return the hashes of the pictures it needs: its own and those of its control units."""
        units = [use["image"] for use in self.fields.get("controls", ())]
        return tuple(dict.fromkeys([*([self.picture] if self.picture else []), *units]))


def snapshot(name: str, request: GenerationRequest, parts: Collection[str]) -> Preset:
    """Return a new preset of some parts of a request.

    Raises:
        BadPreset: the name is no good, or no part is named.
    """
    fields = fields_of(parts)
    if not fields:
        raise BadPreset("Nothing would be saved; tick at least one part.")
    values = request.model_dump(mode="json")
    return Preset(name=names.checked(name), values={each: values[each] for each in fields})


def encode(preset: Preset) -> bytes:
    """Return the preset's file, UTF-8.

    Raises:
        BadPreset: it would not be read again: it is too large, nested too deeply, or holds half a character.
    """
    document = {
        **preset.extra,
        "kind": KIND,
        "schema": SCHEMA,
        "name": preset.name,
        "description": preset.description,
        "star": preset.star,
        "picture": preset.picture,
        "request": dict(preset.values),
        "hashes": {kind: dict(known) for kind, known in preset.hashes.items()},
    }
    try:
        data = (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
    except UnicodeError as error:
        raise BadPreset(f"{shorten(preset.name)} holds half a character, which no file takes; leave it out.") from error
    if len(data) > plain.MAX_BYTES:
        raise BadPreset(f"{shorten(preset.name)} would have {len(data) / 1e6:.1f} MB; a preset has at most {plain.MAX_BYTES // 10**6} MB.")
    plain.loads(data, shorten(preset.name))
    return data


def decode(data: bytes, *, called: str) -> Preset:
    """Read a preset's file, of this schema or an older one.

    Args:
        data: the whole file.
        called: the file's name, for sentences, and for a preset that has no name of its own.

    Raises:
        BadPreset: it is damaged or no preset; NewerPreset: a newer studio wrote it.
    """
    return read(plain.loads(data, called), called=called)


def read(document: Any, *, called: str) -> Preset:
    """Read a preset from decoded JSON; see `decode`."""
    if not isinstance(document, dict):
        raise BadPreset(f"{called} is no preset; a preset is a JSON object.")
    document = migrated(document, called)
    known = {key: document.pop(key) for key in ("name", "description", "star", "picture", "request", "hashes") if key in document}
    del document["kind"], document["schema"]
    name = known.get("name", called.rpartition(".")[0] or called)
    values, hashes = known.get("request", {}), known.get("hashes", {})
    if not isinstance(name, str) or not isinstance(values, dict):
        raise BadPreset(f"{called} is damaged: a preset needs a name and a request.")
    return Preset(
        name=names.checked(name),
        values=values,
        description=_text(known.get("description", ""), called)[:MAX_DESCRIPTION],
        star=known.get("star") is True,
        picture=_hash(known.get("picture"), called),
        hashes=_hashes(hashes, called),
        extra=document,
    )


def migrated(document: dict[str, Any], called: str) -> dict[str, Any]:
    """Bring a document of any older schema to this one; the given one is left as it is.

    Raises:
        BadPreset: it is of no schema there ever was; NewerPreset: it is of one there will be.
    """
    schema = schema_of(document)
    if schema is None:
        raise BadPreset(f"{called} is no preset of this studio, and none of another program that it can read.")
    if schema > SCHEMA:
        raise NewerPreset(f"{called} was saved by a newer studio (schema {schema}; this one reads up to {SCHEMA}); update this studio.")
    document = dict(document)
    for step in range(schema, SCHEMA):
        document = MIGRATIONS[step](document)
    return document


class NewerPreset(BadPreset):
    """A preset of a schema that is not known yet; its file is good and stays."""


def schema_of(document: Mapping[str, Any]) -> int | None:
    """Return a document's schema number, or None when it is no preset."""
    if document.get("kind") == KIND:
        schema = document.get("schema")
        return schema if type(schema) is int and schema >= 1 else None
    # Schema 0: a bare request, as the HTTP API takes it, or the one inside a picture.
    if isinstance(document.get("request"), dict) and "schema" in document:
        return 0
    return 0 if document and "kind" not in document and any(part_of(name) for name in document) else None


def _from_bare_request(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 0: what a request leaves out has its default, so that a preset of all of it makes the same picture."""
    inner = document.get("request")
    values = inner if isinstance(inner, dict) else document
    defaults = GenerationRequest().model_dump(mode="json")
    return {"kind": KIND, "schema": 1, "request": {**defaults, **values}}


MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {0: _from_bare_request}
"""By schema number, what makes the next one of it."""


def _without_unknown(name: str, value: Any) -> tuple[Any, list[str]]:
    """Take the unknown fields out of a list field's entries; return what is left, and their names."""
    if name not in MODELS or not isinstance(value, list):
        return value, []
    known = MODELS[name].model_fields
    unknown = [key for entry in value if isinstance(entry, dict) for key in entry if key not in known]
    cleaned = [{key: each for key, each in entry.items() if key in known} if isinstance(entry, dict) else entry for entry in value]
    return cleaned, list(dict.fromkeys(unknown))


def _text(value: Any, called: str) -> str:
    if not isinstance(value, str):
        raise BadPreset(f"{called} is damaged: its description must be a text.")
    return value


def _hash(value: Any, called: str) -> str | None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value)):
        raise BadPreset(f"{called} is damaged: its picture must be a hash of 64 digits.")
    return value


def _hashes(value: Any, called: str) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(value, dict):
        raise BadPreset(f"{called} is damaged: its hashes must be an object.")
    for kind, known in value.items():
        if not isinstance(known, dict) or not all(isinstance(digits, str) for digits in known.values()):
            raise BadPreset(f"{called} is damaged: the hashes of {shorten(kind)} must be an object of texts.")
    return value
