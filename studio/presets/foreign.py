"""Presets of other programs: A1111's `styles.csv`, Fooocus, SwarmUI. What is not understood is said, by name.

Facts: A1111 `modules/styles.py` (columns, `{prompt}`, or appended after a comma), Fooocus `presets/*.json`, SwarmUI's
preset export (title to object with `param_map`, whose values are texts, `{value}` for the present text).
"""

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from studio.errors import BadPreset, InvalidRequest
from studio.metadata import wording
from studio.metadata.fooocus import STEPS as FOOOCUS_STEPS
from studio.metadata.reading import stem
from studio.metadata.samplers import from_k
from studio.presets import names
from studio.presets.document import MAX_DESCRIPTION, Preset
from studio.presets.merge import HOLE
from studio.request import GenerationRequest, bounds, limits, shorten

MAX_ROWS = 1000
SWARM_NUMBERS = {
    "steps": "steps",
    "cfgscale": "guidance_scale",
    "seed": "seed",
    "images": "batch_size",
    "width": "width",
    "height": "height",
}


@dataclass(frozen=True)
class Foreign:
    """A preset from elsewhere, what of it was not taken, and the picture it brings as a `data:` address, if any."""

    preset: Preset
    notes: tuple[str, ...] = ()
    picture: str = ""


class Builder:
    """Gathers a preset's values; each is looked at when it is set, and what is no good is noted instead."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.notes: list[str] = []

    def set(self, field: str, value: Any) -> None:
        """Take a value, or note why not."""
        try:
            self.values[field] = GenerationRequest.parse({field: value}).model_dump(mode="json")[field]
        except InvalidRequest as error:
            self.notes.append(str(error).rstrip("."))

    def text(self, field: str, text: str) -> None:
        """Take a prompt as A1111 means it."""
        least, most = limits("loras.weight")
        tagged, notes = wording.retagged(text, least=least, most=most)
        self.notes += notes
        if wording.A1111.signs.search(tagged):
            self.notes.append(f"{field}: {wording.A1111.why}")
        self.set(field, tagged)

    def number(self, field: str, value: Any) -> None:
        """Take a number, which may be written as a text; the nearest that the field can hold is taken, and noted."""
        try:
            given = float(value)
        except (TypeError, ValueError, OverflowError):
            given = math.nan
        if math.isnan(given):
            self.notes.append(f"{field} must be {bounds(field)}, not {shorten(value)}")
            return
        least, most = limits(field)
        brought = min(max(given, least), most)
        taken = brought if field == "guidance_scale" else int(brought)
        if taken != given:
            self.notes.append(f"{field} {shorten(value)} was brought to {taken}")
        self.set(field, taken)

    def scheduler(self, sampler: Any, schedule: Any) -> None:
        """Take a sampler and a schedule in ComfyUI's words."""
        row, note = from_k(str(sampler or "euler"), str(schedule or ""))
        if row:
            self.values["scheduler"] = row
        if note:
            self.notes.append(note)

    def loras(self, uses: Iterator[tuple[Any, Any]]) -> None:
        """Take (file, weight) pairs."""
        taken = []
        least, most = limits("loras.weight")
        for file, weight in uses:
            try:
                given = float(weight)
            except (TypeError, ValueError, OverflowError):
                given = math.nan
            if math.isnan(given) or not stem(str(file)):
                self.notes.append(f"LoRA {shorten(file)} has the weight {shorten(weight)}, and is left out")
                continue
            taken.append({"name": stem(str(file)), "weight": min(max(given, least), most)})
            if taken[-1]["weight"] != given:
                self.notes.append(f"the weight of LoRA {shorten(file)}, {shorten(weight)}, was brought to {taken[-1]['weight']:g}")
        self.set("loras", taken)

    def done(self, name: str, **details: Any) -> Foreign:
        """Return the preset.

        Raises:
            BadPreset: nothing could be taken.
        """
        if not self.values:
            said = "; ".join(self.notes[:3])
            raise BadPreset(f"{shorten(name)} holds nothing that could be taken{f' ({said})' if said else ''}.")
        return Foreign(Preset(name=cut(name), values=self.values, **details), tuple(self.notes))


def cut(name: str) -> str:
    """Return a foreign name as ours: one line, not too long."""
    tidy = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return names.checked(tidy[: names.MAX_NAME] or "Imported")


def styles(data: bytes, called: str) -> tuple[list[Foreign], list[str]]:
    """Read A1111's `styles.csv`, or a list of prompt templates in CSV with other programs' headings.

    Returns:
        The presets, and a note for each row that was passed over.

    Raises:
        BadPreset: it is no such table.
    """
    try:
        rows = csv.DictReader(_lines(data.decode("utf-8-sig")), skipinitialspace=True, strict=True)
        # A1111 begins comments with a hash.
        table = [row for row in rows if not (row.get("name") or "").startswith("#")]
    except UnicodeDecodeError as error:
        raise BadPreset(f"{called} is not UTF-8; save it again as UTF-8.") from error
    except csv.Error as error:
        raise BadPreset(f"{called} is no table that can be read ({error}).") from error
    if not table or "name" not in table[0] or not {"prompt", "text", "positive_prompt"} & set(table[0]):
        raise BadPreset(f"{called} is no styles.csv; its first line must be name,prompt,negative_prompt.")
    if len(table) > MAX_ROWS:
        raise BadPreset(f"{called} has {len(table)} rows; split it into files of at most {MAX_ROWS}.")
    known = ("name", "prompt", "text", "positive_prompt", "negative_prompt", "negative")
    notes = [f"column {shorten(column)} is not understood" for column in table[0] if column and column not in known]
    return _templates(table, notes)


def _lines(text: str) -> Iterator[str]:
    """Return the lines from the headings on; later a line may be the middle of a prompt, whatever it begins with."""
    return itertools.dropwhile(lambda line: line.startswith("#"), io.StringIO(text, newline=""))


def templates(rows: list[Any], called: str) -> tuple[list[Foreign], list[str]]:
    """Read a JSON list of {name, prompt, negative_prompt}, as Fooocus and SD.Next keep their styles."""
    good = [row for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)]
    if not good or len(rows) > MAX_ROWS:
        raise BadPreset(f"{called} is a list, but none of at most {MAX_ROWS} styles with a name and a prompt each.")
    return _templates(good, [])


def is_template(document: Mapping[str, Any]) -> bool:
    """Whether an object is one such style, as SD.Next writes each into a file of its own. Requests have no name, and presets a kind."""
    words = any(isinstance(document.get(key), str) for key in ("prompt", "negative", "negative_prompt"))
    return words and isinstance(document.get("name"), str) and not {"kind", "request"} & document.keys()


def _templates(rows: list[Any], notes: list[str]) -> tuple[list[Foreign], list[str]]:
    found = []
    for row in rows:
        build = Builder()
        for field, keys in (("prompt", ("prompt", "positive_prompt", "text")), ("negative_prompt", ("negative_prompt", "negative"))):
            text = next((row[key] for key in keys if isinstance(row.get(key), str) and row[key].strip()), "")
            if text:
                build.text(field, text if HOLE in text else f"{HOLE}, {text}")
        try:
            found.append(build.done(str(row["name"] or "")))
        except BadPreset as error:
            # A row of dashes, which people use as a divider, among them.
            notes.append(str(error).rstrip("."))
    return found, notes


def is_fooocus(document: Mapping[str, Any]) -> bool:
    """Whether an object is a Fooocus preset."""
    return any(key.startswith("default_") for key in document)


def fooocus(document: Mapping[str, Any], called: str) -> Foreign:
    """Read a Fooocus preset; its name is its file's."""
    build, left = Builder(), dict(document)

    def take(key: str) -> Any:
        return left.pop(f"default_{key}", None)

    if (model := take("model")) and model != "None":
        build.set("model", stem(str(model)))
    listed = take("loras")
    uses = [entry for entry in listed if isinstance(entry, list) and len(entry) in (2, 3)] if isinstance(listed, list) else []
    if uses:
        # Older files leave out whether it is on.
        build.loras((file, weight) for *on, file, weight in uses if on != [False] and file != "None")
    for key, field in (("cfg_scale", "guidance_scale"), ("image_number", "batch_size")):
        if (value := take(key)) is not None:
            build.number(field, value)
    if "default_sampler" in left or "default_scheduler" in left:
        build.scheduler(take("sampler"), take("scheduler"))
    _fooocus_steps(build, take("performance"), take("overwrite_step"))
    for key, field in (("prompt", "prompt"), ("prompt_negative", "negative_prompt")):
        if text := take(key):
            build.set(field, text)
    if size := re.match(r"\s*(\d{2,4})\s*[*x×]\s*(\d{2,4})", str(take("aspect_ratio") or "")):
        build.set("width", int(size[1]))
        build.set("height", int(size[2]))
    neutral: tuple[Any, ...] = (None, "", "None", [], {}, -1, False)
    build.notes += [f"{key} is not taken" for key, value in left.items() if value not in neutral]
    return build.done(called.rpartition(".")[0] or called)


def _fooocus_steps(build: Builder, performance: Any, overwrite: Any) -> None:
    steps = FOOOCUS_STEPS.get(str(performance).lower())
    if isinstance(overwrite, int) and overwrite > 0:
        steps = overwrite
    if steps:
        build.number("steps", steps)
    if steps and steps <= 8:
        build.notes.append(f"performance {performance}: Fooocus adds a LoRA and a sampler of its own, which are not added here")
    elif performance is not None and not steps:
        build.notes.append(f"performance {shorten(performance)} is not known")


def is_swarm(document: Mapping[str, Any]) -> bool:
    """Whether an object is one preset of SwarmUI, or a file of them by title."""
    return _is_one(document) or any(isinstance(each, dict) and _is_one(each) for each in document.values())


def swarm(document: Mapping[str, Any]) -> tuple[list[Foreign], list[str]]:
    """Read one preset of SwarmUI or a file of them; what could not be taken is noted."""
    found, notes = [], []
    for title, each in [("", document)] if _is_one(document) else list(document.items())[:MAX_ROWS]:
        try:
            found.append(_one_of_swarm(title, {key.lower().replace("_", ""): value for key, value in each.items()}))
        except (BadPreset, AttributeError) as error:
            notes.append(str(error).rstrip(".") if isinstance(error, BadPreset) else f"{shorten(title)} is no preset")
    return found, notes


def _is_one(document: Mapping[str, Any]) -> bool:
    return any(key.lower().replace("_", "") == "parammap" and isinstance(value, dict) for key, value in document.items())


def _one_of_swarm(title: str, given: Mapping[str, Any]) -> Foreign:
    if not isinstance(given.get("parammap"), dict):
        raise BadPreset(f"{shorten(title)} has no param_map.")
    build, left = Builder(), {key.lower(): value for key, value in given["parammap"].items()}
    for key, field in (("prompt", "prompt"), ("negativeprompt", "negative_prompt")):
        if isinstance(text := left.pop(key, None), str):
            build.set(field, text.replace("{value}", HOLE))
    if isinstance(model := left.pop("model", None), str) and model:
        build.set("model", stem(model))
    for key, field in SWARM_NUMBERS.items():
        if key in left:
            build.number(field, left.pop(key))
    if "sampler" in left or "scheduler" in left:
        build.scheduler(left.pop("sampler", None), left.pop("scheduler", None))
    if files := [file.strip() for file in str(left.pop("loras", "")).split(",") if file.strip()]:
        weights = [weight.strip() for weight in str(left.pop("loraweights", "")).split(",") if weight.strip()]
        build.loras(zip(files, [*weights, *["1"] * len(files)], strict=False))
    if left.pop("aspectratio", "Custom") != "Custom" and "width" not in build.values:
        build.notes.append("aspectratio is not taken; choose a size")
    build.notes += [f"{shorten(key)} is not understood" for key in left]
    picture = given.get("previewimage")
    made = build.done(
        str(given.get("title") or title),
        description=str(given.get("description") or "")[:MAX_DESCRIPTION],
        star=given.get("isstarred") is True,
    )
    return replace(made, picture=picture if isinstance(picture, str) and picture.startswith("data:image/") else "")
