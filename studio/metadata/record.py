"""What a picture of ours carries: its concrete request and where it came from, as JSON with a schema number.

Schema 1 held the request alone. Fields that a later studio adds are passed over, as the request's own fields decide the picture.
"""

import json
from dataclasses import dataclass
from typing import Any

from studio.errors import BadPicture, InvalidRequest
from studio.provenance import Provenance
from studio.request import GenerationRequest

SCHEMA = 2
# A prompt of 10,000 characters is 120 kB in JSON's escapes; more than a few of those is no document of ours.
MAX_TEXT = 1_000_000


@dataclass(frozen=True)
class Record:
    """A request that makes a picture again, and what made it the first time, where that is known."""

    request: GenerationRequest
    provenance: Provenance | None = None


def document(record: Record) -> str:
    """Return the JSON text that stands in a picture."""
    data: dict[str, Any] = {"schema": SCHEMA, "request": record.request.model_dump()}
    if record.provenance:
        data["provenance"] = record.provenance.model_dump(exclude_defaults=True)
    return json.dumps(data, ensure_ascii=False)


def read_document(text: str, *, name: str) -> Record:
    """Read the JSON text of a picture, of this schema or an older one.

    Args:
        text: what stands in the picture.
        name: what the picture is called.

    Raises:
        BadPicture: the text is damaged, of a later schema, or its request is out of bounds.
    """
    try:
        data = json.loads(text) if len(text) <= MAX_TEXT else None
        schema, request = data.get("schema", 1), data["request"]  # type: ignore[union-attr,index]
        if type(schema) is int and schema > SCHEMA:
            raise BadPicture(f"{name} was made by a later studio (schema {schema}); update this one to read its settings.")
        return Record(GenerationRequest.parse(request), Provenance.read(data.get("provenance")))  # type: ignore[union-attr]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadPicture(f"The settings inside {name} are damaged.") from error
    except InvalidRequest as error:
        raise BadPicture(f"The settings inside {name} do not fit this studio: {error}") from error
