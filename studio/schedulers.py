"""The scheduler table: one row per name in the picker. Classes are named by string, so nothing heavy is imported.

Names follow A1111 and ComfyUI; every row starts from what the checkpoint's own config says of the model, plus its keywords.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
        seed_option: keyword that must carry the run's seeds, one per picture, where the class draws its own noise.
        stochastic: whether fresh noise is added while sampling.
        step_options: keywords of every `step` call.
        sigmas: noise levels to sample at, for any number of steps, instead of the class's own; the last is 0.
        timesteps: the same as training timesteps, for classes that do not take `sigmas`.
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
    step_options: Mapping[str, Any] = field(default_factory=dict)
    sigmas: tuple[float, ...] = ()
    timesteps: tuple[int, ...] = ()

    def evaluations(self, steps: int) -> int:
        """Return how many model evaluations `steps` steps take."""
        if steps == 1:
            return 1
        return {"n": steps, "2n-1": 2 * steps - 1, "n+1": steps + 1}[self.calls]

    def unavailable(self) -> str:
        """Return why the row cannot be used here, or an empty text."""
        missing = [module for module in self.needs if find_spec(module) is None]
        return f"the Python package {' and '.join(missing)} is not installed" if missing else ""


@dataclass(frozen=True)
class _Spacing:
    """A way to space the noise levels: what it adds to a row's name, description, keywords and needs."""

    suffix: str
    description: str
    options: Mapping[str, Any]
    needs: tuple[str, ...] = ()


_KARRAS = _Spacing("Karras", "more steps at low noise, finer detail", {"use_karras_sigmas": True})
_EXPONENTIAL = _Spacing("Exponential", "steps evenly spaced in log noise, smooth", {"use_exponential_sigmas": True})
_BETA = _Spacing("Beta", "more steps at both ends", {"use_beta_sigmas": True}, ("scipy",))
_UNIFORM = _Spacing("SGM Uniform", "starts at full noise, for Turbo and Lightning models", {"timestep_spacing": "trailing"})

# "Align Your Steps", Sabour et al. 2024, arXiv 2404.14507: levels found for Stable Diffusion 1.5 and 10 steps.
_AYS_SIGMAS = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.0)
_AYS_TIMESTEPS = (999, 850, 736, 645, 545, 455, 343, 233, 124, 24)


def _spaced(plain: Row, *spacings: _Spacing) -> Iterator[Row]:
    """Yield a row and its variants."""
    yield plain
    for spacing in spacings:
        yield replace(
            plain,
            name=f"{plain.name} {spacing.suffix}",
            description=f"{plain.description}; {spacing.description}",
            options={**plain.options, **spacing.options},
            needs=plain.needs + spacing.needs,
        )


_EULER = Row(name="Euler", group="Fast", description="plain and dependable; good from 15 steps", class_name="EulerDiscreteScheduler")
_MULTISTEP = Row(name="DPM++ 2M", group="Fast", description="fast, good at 15 to 30 steps", class_name="DPMSolverMultistepScheduler")

_ROWS = (
    *_spaced(_EULER, _KARRAS, _EXPONENTIAL, _BETA, _UNIFORM),
    replace(
        _EULER,
        name="Euler Align Your Steps",
        description="levels optimised for Stable Diffusion; good at 10 steps",
        sigmas=_AYS_SIGMAS,
    ),
    *_spaced(_MULTISTEP, _KARRAS, _EXPONENTIAL, _BETA, _UNIFORM),
    replace(
        _MULTISTEP,
        name="DPM++ 2M Align Your Steps",
        description="levels optimised for Stable Diffusion; good at 10 steps",
        timesteps=_AYS_TIMESTEPS,
    ),
    replace(_MULTISTEP, name="DPM++ 2M Lu", description="the paper's own spacing; good at few steps", options={"use_lu_lambdas": True}),
    *_spaced(
        Row(name="UniPC", group="Fast", description="predicts and corrects; good from 10 steps", class_name="UniPCMultistepScheduler"),
        _KARRAS,
        _EXPONENTIAL,
        _BETA,
    ),
    *_spaced(
        Row(name="DEIS", group="Fast", description="exponential integrator; good from 10 steps", class_name="DEISMultistepScheduler"),
        _KARRAS,
    ),
    *_spaced(
        Row(
            name="DPM++ 3M",
            group="Accurate",
            description="third order; for 25 steps and more",
            class_name="DPMSolverMultistepScheduler",
            options={"solver_order": 3},
        ),
        _KARRAS,
    ),
    *_spaced(
        Row(
            name="DPM++ 2S",
            group="Accurate",
            description="second order in single steps; steady at high guidance",
            class_name="DPMSolverSinglestepScheduler",
            options={"lower_order_final": True},
        ),
        _KARRAS,
    ),
    *_spaced(
        Row(
            name="Heun",
            group="Accurate",
            description="two evaluations a step; smooth",
            class_name="HeunDiscreteScheduler",
            calls="2n-1",
        ),
        _KARRAS,
    ),
    *_spaced(
        Row(
            name="DPM2",
            group="Accurate",
            description="two evaluations a step; crisp",
            class_name="KDPM2DiscreteScheduler",
            calls="2n-1",
        ),
        _KARRAS,
    ),
    *_spaced(
        Row(
            name="Euler a",
            group="Stochastic",
            description="adds noise at each step; lively, changes with the step count",
            class_name="EulerAncestralDiscreteScheduler",
            stochastic=True,
        ),
        _UNIFORM,
    ),
    *_spaced(
        Row(
            name="DPM2 a",
            group="Stochastic",
            description="two evaluations a step, adds noise; rich in detail",
            class_name="KDPM2AncestralDiscreteScheduler",
            calls="2n-1",
            stochastic=True,
        ),
        _KARRAS,
    ),
    *_spaced(
        Row(
            name="DPM++ 2M SDE",
            group="Stochastic",
            description="adds noise; rich in detail from 20 steps",
            class_name="DPMSolverMultistepScheduler",
            options={"algorithm_type": "sde-dpmsolver++"},
            stochastic=True,
        ),
        _KARRAS,
        _EXPONENTIAL,
    ),
    *_spaced(
        Row(
            name="DPM++ 3M SDE",
            group="Stochastic",
            description="third order, adds noise; for 30 steps and more",
            class_name="DPMSolverMultistepScheduler",
            options={"solver_order": 3, "algorithm_type": "sde-dpmsolver++"},
            stochastic=True,
        ),
        _KARRAS,
        _EXPONENTIAL,
    ),
    *_spaced(
        Row(
            name="DPM++ SDE",
            group="Stochastic",
            description="two evaluations a step, adds noise; good from 10 steps",
            class_name="DPMSolverSDEScheduler",
            calls="2n-1",
            needs=("torchsde",),
            seed_option="noise_sampler_seed",
            stochastic=True,
        ),
        _KARRAS,
    ),
    Row(
        name="SA-Solver",
        group="Stochastic",
        description="noise in the middle of the run only; good from 20 steps",
        class_name="SASolverScheduler",
        stochastic=True,
    ),
    Row(
        name="LCM",
        group="Distilled models",
        description="for LCM models and LoRAs; 4 to 8 steps, guidance 1 to 2",
        class_name="LCMScheduler",
        stochastic=True,
    ),
    Row(
        name="TCD",
        group="Distilled models",
        description="for TCD and Hyper-SD LoRAs; 4 to 8 steps, guidance 1",
        class_name="TCDScheduler",
        step_options={"eta": 0.3},
        stochastic=True,
    ),
    *_spaced(
        Row(name="DDIM", group="Classic", description="the first fast one; exact to run backwards", class_name="DDIMScheduler"),
        _UNIFORM,
    ),
    Row(
        name="DDPM",
        group="Classic",
        description="the original, adds noise; wants 50 steps and more",
        class_name="DDPMScheduler",
        stochastic=True,
    ),
    Row(
        name="PLMS",
        group="Classic",
        description="the first Stable Diffusion's default; one evaluation more than steps",
        class_name="PNDMScheduler",
        options={"skip_prk_steps": True},
        calls="n+1",
    ),
    *_spaced(
        Row(
            name="LMS",
            group="Classic",
            description="linear multistep; for 30 steps and more",
            class_name="LMSDiscreteScheduler",
            needs=("scipy",),
        ),
        _KARRAS,
    ),
)
TABLE: Mapping[str, Row] = {row.name: row for row in _ROWS}
