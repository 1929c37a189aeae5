"""The parts of a preset that can be saved and taken by themselves, and the request fields of each."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part: `name` in files and calls, `title` for people, and its request fields."""

    name: str
    title: str
    fields: tuple[str, ...]


PARTS = (
    Part("prompts", "Prompts", ("prompt", "negative_prompt")),
    Part("sampling", "Sampling", ("scheduler", "steps", "guidance_scale", "seed", "batch_size")),
    Part("size", "Size", ("width", "height")),
    Part("model", "Model", ("model",)),
    Part("loras", "LoRAs", ("loras",)),
    Part("control", "Control", ("controls",)),
)
ALL = tuple(part.name for part in PARTS)


def part_of(field: str) -> str:
    """Return the name of the part that a request field belongs to; empty for a field of no part."""
    return next((part.name for part in PARTS if field in part.fields), "")


def parts_in(fields: Collection[str]) -> tuple[str, ...]:
    """Return the parts of which at least one field is there, in the table's order."""
    return tuple(part.name for part in PARTS if any(field in fields for field in part.fields))


def fields_of(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the request fields of some parts, in the table's order."""
    wanted = set(parts)
    return tuple(field for part in PARTS if part.name in wanted for field in part.fields)
