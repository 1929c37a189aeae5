"""The scheduler table: one row per name in the picker. Classes are named by string, so nothing heavy is imported.

Names follow A1111 and ComfyUI; every row starts from the checkpoint's own config plus its keywords.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scheduler.

    Attributes:
        name: as in the picker, in requests and in metadata.
        group: heading in the picker.
        description: one line for a person.
        class_name: class in `diffusers`.
        options: keywords over the checkpoint's pristine config.
        calls: model evaluations for n steps.
        needs: importable modules the class cannot do without.
        seed_option: keyword that must carry the run's seed, where the class draws its own noise.
        stochastic: whether fresh noise is added while sampling.
    """

    name: str
    group: str
    description: str
    class_name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    calls: Literal["n", "2n-1", "n+1"] = "n"
    needs: tuple[str, ...] = ()
    seed_option: str = ""
    stochastic: bool = False

    def evaluations(self, steps: int) -> int:
        """Return how many model evaluations `steps` steps take."""
        return {"n": steps, "2n-1": 2 * steps - 1, "n+1": steps + 1}[self.calls]

    def unavailable(self) -> str:
        """Return why the row cannot be used here, or an empty text."""
        missing = [module for module in self.needs if find_spec(module) is None]
        return f"the Python package {' and '.join(missing)} is not installed" if missing else ""


_ROWS = (
    Row(name="Euler", group="Fast", description="plain and dependable; good from 15 steps", class_name="EulerDiscreteScheduler"),
    Row(
        name="DPM++ 2M Karras",
        group="Fast",
        description="fast, good at 15 to 30 steps",
        class_name="DPMSolverMultistepScheduler",
        options={"use_karras_sigmas": True},
    ),
    Row(
        name="Euler a",
        group="Stochastic",
        description="adds noise at each step; lively, changes with the step count",
        class_name="EulerAncestralDiscreteScheduler",
        stochastic=True,
    ),
    Row(name="Heun", group="Accurate", description="two evaluations a step; smooth", class_name="HeunDiscreteScheduler", calls="2n-1"),
)
TABLE: Mapping[str, Row] = {row.name: row for row in _ROWS}
