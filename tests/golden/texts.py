"""What the generated texts say now. `python -m tests.golden.write` writes them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from studio import schedulers, weights
from studio.presets import PARTS, SCHEMA, decode
from studio.request import MODELS, GenerationRequest, bounds
from studio.ui import openapi

ROOT = Path(__file__).resolve().parents[2]
RENEWED_BY = "<!-- Written by `python -m tests.golden.write`; a test compares it with the code. -->"


def texts() -> Mapping[Path, str]:
    """Return every generated file and its content."""
    return {
        ROOT / "README.md": readme(),
        ROOT / "docs" / "schedulers.md": schedulers_page(),
        ROOT / "docs" / "request.md": request_page(),
        ROOT / "docs" / "preprocessors.md": preprocessors_page(),
        ROOT / "docs" / "presets.md": presets_page(),
        ROOT / "tests" / "golden" / "request.schema.json": json.dumps(GenerationRequest.model_json_schema(), indent=2) + "\n",
        ROOT / "tests" / "golden" / "openapi.json": json.dumps(openapi.document(), indent=2) + "\n",
    }


def readme() -> str:
    """Return the README with the newest measures of Mini and the number of schedulers in it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    measures = ROOT / "assets" / "mini" / "MEASURES.md"
    table = measures.read_text(encoding="utf-8").partition("\n")[2].strip() if measures.exists() else "Not measured yet."
    before, begin, rest = text.partition("<!-- mini-measures:begin -->\n")
    _, end, after = rest.partition("<!-- mini-measures:end -->")
    text = before + begin + table + "\n" + end + after
    return re.sub(r"\[\d+ schedulers\]", f"[{len(schedulers.TABLE)} schedulers]", text)


def schedulers_page() -> str:
    """Return the table of schedulers as Markdown."""
    lines = [
        "# Schedulers",
        "",
        RENEWED_BY,
        "",
        "`evaluations` is how often the model is evaluated for n steps; progress and speed count these.",
    ]
    for group in dict.fromkeys(row.group for row in schedulers.TABLE.values()):
        lines += ["", f"## {group}", "", "| name | | evaluations | noise added | diffusers class |", "|---|---|---|---|---|"]
        lines += [
            f"| {row.name} | {row.description} | {row.calls} | {'yes' if row.stochastic else 'no'} | `{row.class_name}` |"
            for row in schedulers.TABLE.values()
            if row.group == group
        ]
    return "\n".join(lines) + "\n"


PRESETS = """
A preset is a JSON file in `presets/` of the data folder, of schema {schema}. Those that ship with the studio
lie in [presets/](../presets/); they are read-only and can be copied.

| field | |
|---|---|
| `kind`, `schema` | `"preset"` and the schema's number; a JSON object with a request's fields alone counts as schema 0 |
| `name` | at most 100 characters on one line; two that differ only by case or by how a letter is composed are the same |
| `description`, `star` | a text, and whether it comes first in the list |
| `picture` | hash of the picture that stands for it, in `presets/pictures/`, or null |
| `request` | [fields of a request](request.md); one that is left out stays as it is where the preset is applied |
| `hashes` | SHA-256 of what `request` names, by `model`, `loras` or `controlnets` and name, to find it under another name |
| any other | is kept and written again |

`{{prompt}}` in `prompt` or `negative_prompt` stands for what is in that field when the preset is applied.

| part that can be saved and taken by itself | fields |
|---|---|
{parts}

Several presets, or one with the pictures of its control units, are a zip of `presets/*.json` and
`pictures/<hash>.png`. Taken in are these, A1111's `styles.csv` and other tables with a name and a prompt, Fooocus
presets, and SwarmUI's export; what could not be taken over is said.

| built in | parts | |
|---|---|---|
{builtin}
"""


def presets_page() -> str:
    """Return what a preset's file holds, and the table of those that ship with the studio, as Markdown."""
    titles = {part.name: part.title for part in PARTS}
    found = [decode(path.read_bytes(), called=path.name) for path in sorted((ROOT / "presets").glob("*.json"))]
    rows = (f"| {each.name} | {', '.join(titles[part] for part in each.parts)} | {each.description} |" for each in found)
    parts = (f"| {part.title} | {', '.join(f'`{field}`' for field in part.fields)} |" for part in PARTS)
    return "# Presets\n\n" + RENEWED_BY + "\n" + PRESETS.format(schema=SCHEMA, parts="\n".join(parts), builtin="\n".join(rows))


def preprocessors_page() -> str:
    """Return the table of preprocessors as Markdown."""
    lines = [
        "# Preprocessors",
        "",
        RENEWED_BY,
        "",
        "What turns a picture into the map that a ControlNet follows. Those without a download work offline. Weights are fetched from the",
        "model hub when a preprocessor is used first, into `preprocessors/` of the data folder; checkpoints are read as tensors only.",
        "The licence is the one its makers give a network; the repository that gathers most of them states none of its own.",
    ]
    for kind in get_args(weights.KindName):
        lines += ["", f"## {kind}", "", "| name | | downloads | licence of the weights | settings |", "|---|---|---|---|---|"]
        for row in weights.rows_for(kind):
            size = f"{row.bytes / 1e6:,.1f} MB from {', '.join(source.repo for source in row.sources)}" if row.sources else "nothing"
            settings = "; ".join(f"`{each.name}` {each.least:g} .. {each.most:g} ({each.default:g})" for each in row.offered(kind))
            lines.append(f"| `{row.name}` | {row.label}: {row.description} | {size} | {row.licence} | {settings} |")
    return "\n".join(lines) + "\n"


def request_page() -> str:
    """Return the fields of a request as Markdown."""
    lines = [
        "# The request",
        "",
        RENEWED_BY,
        "",
        "The fields of `GenerationRequest`: of the HTTP endpoint's JSON object, of the command line's options and of what a saved picture",
        "carries. All are optional.",
        "",
        "| field | accepts | default | |",
        "|---|---|---|---|",
    ]
    for name, field in GenerationRequest.model_fields.items():
        lines.append(f"| `{name}` | {bounds(name)} | `{json.dumps(field.default)}` | {field.description or ''} |")
    for name, entry in MODELS.items():
        lines += ["", f"## An entry of `{name}`", "", "| field | accepts | default | |", "|---|---|---|---|"]
        for inner, field in entry.model_fields.items():
            default = "" if field.is_required() else f"`{json.dumps(field.default)}`"
            lines.append(f"| `{inner}` | {bounds(f'{name}.{inner}')} | {default} | {field.description or ''} |")
    return "\n".join(lines) + "\n"
