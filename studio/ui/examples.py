"""Example prompts: what the first visit starts with, and what the chips below the prompt fill in."""

from collections.abc import Mapping, Sequence

FIRST_PROMPT = "a large red sphere on grass during the day"
EXAMPLES: Sequence[tuple[str, Mapping[str, str]]] = (
    ("red sphere", {"prompt": FIRST_PROMPT}),
    ("cube on snow", {"prompt": "a blue cube on snow at sunset"}),
    ("cone at night", {"prompt": "a small yellow cone on stone at night"}),
    ("cube and sphere", {"prompt": "a red cube next to a green sphere on sand during the day"}),
    ("torus at sunset", {"prompt": "a large green torus on sand at sunset"}),
    ("one in front", {"prompt": "an orange cone in front of a blue cube on grass during the day"}),
    ("purple cylinder", {"prompt": "a purple cylinder on stone during the day"}),
    ("figure waving", {"prompt": "a white figure waving on grass at sunset"}),
    ("one behind one", {"prompt": "a pink sphere behind a white cylinder on snow during the day"}),
    ("figure jumping", {"prompt": "a black figure jumping on sand during the day"}),
    ("left and right", {"prompt": "a green cone left of a red torus on stone at sunset"}),
    ("not red", {"prompt": "a large sphere on grass during the day", "negative_prompt": "red"}),
)
"""(label, request fields). Fields that a row leaves out stay as they are, except the negative prompt, which is cleared."""


def fill(fields: Mapping[str, str]) -> dict[str, str]:
    """Return what a chip puts into the form."""
    return {"negative_prompt": "", **fields}
