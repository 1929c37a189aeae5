"""The request: the one schema from which widgets, bounds, validation, metadata, HTTP API and docs derive.

It holds names and numbers, never paths, pixels or tensors. What is left open here (`None`, seed -1) is
decided once, in `plan.resolve`.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MultipleOf
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from studio import schedulers, weights
from studio.errors import InvalidRequest

RANDOM_SEED = -1
# torch's CPU generator keeps 32 bits of a seed, so larger ones would silently repeat pictures.
MAX_SEED = 2**32 - 1
MAX_PIXELS = 16 * 1024 * 1024


@dataclass(frozen=True)
class Control:
    """How a field is shown: the widget's kind, its step and what it says below its label."""

    kind: Literal["text", "slider", "number", "choice", "size", "list"]
    step: float = 1
    help: str = ""


_CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
MAX_CONTROLS = 8
MAX_LORAS = 16


def _only_by_hand(make: Callable[..., None]) -> Callable[..., None]:
    """Mark a constructor that nested entries do without, so that pydantic's report names their place in the list."""
    make.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return make


class Use(BaseModel):
    """What the entries of a list field share: made by hand, too, they refuse what is out of bounds in one sentence."""

    model_config = _CONFIG

    @_only_by_hand
    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            field = next(field for field, kind in MODELS.items() if kind is type(self))
            problem = error.errors()[0]
            problem["loc"] = (field, 0, *problem["loc"])
            raise InvalidRequest(alone(sentence(problem), field)) from error


class ControlUse(Use):
    """One ControlNet unit: which picture steers the run, how it becomes a map, and how strongly the map is followed."""

    kind: Annotated[Literal["sketch", "depth", "pose"], Field(title="Kind")]
    image: Annotated[
        str, Field(min_length=1, max_length=100, title="Picture", description="key into the pictures given along, or a picture's hash")
    ]
    preprocessor: Annotated[
        str, Field(max_length=100, title="Preprocessor", description="what makes the map; none: the picture is a map already")
    ] = "none"
    settings: Annotated[dict[str, float], Field(max_length=8, title="Settings", description="numbers of the preprocessor, by name")] = {}
    fit: Annotated[
        Literal["crop", "pad", "stretch"], Field(title="Fit", description="how the picture is brought to the size of the result")
    ] = "crop"
    model: Annotated[
        str | None, Field(max_length=300, title="ControlNet", description="name of a ControlNet; none: the first that fits model and kind")
    ] = None
    weight: Annotated[float, Field(ge=0, le=2, title="Weight", description="how strongly the map is followed")] = 1.0
    start: Annotated[float, Field(ge=0, le=1, title="From", description="share of the steps after which it begins")] = 0.0
    end: Annotated[float, Field(ge=0, le=1, title="To", description="share of the steps after which it ends")] = 1.0
    mode: Annotated[
        Literal["balanced", "prompt", "control"], Field(title="Mode", description="which counts more, the prompt or the map")
    ] = "balanced"

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start is {self.start:g} and must be below end, which is {self.end:g}")
        return self

    @model_validator(mode="after")
    def _known_preprocessor(self) -> Self:
        if problem := weights.problem(self.preprocessor, self.kind, self.settings):
            raise ValueError(problem)
        return self


class LoraUse(Use):
    """One LoRA and how strongly it counts; 0 leaves the model as it is, negative values push away."""

    name: Annotated[str, Field(min_length=1, max_length=300, title="LoRA", description="name of a LoRA on this machine")]
    weight: Annotated[float, Field(ge=-2, le=2, title="Weight", description="in the U-Net")] = 1.0
    text_encoder_weight: Annotated[
        float | None, Field(ge=-2, le=2, title="Text weight", description="in the text encoder; none: the same weight")
    ] = None


class GenerationRequest(BaseModel):
    """What a person asks for. Immutable; unknown fields and wrong types are refused.

    Field names are those of `diffusers.StableDiffusionPipeline.__call__`.
    """

    model_config = _CONFIG

    prompt: Annotated[str, Field(max_length=10_000, title="Prompt"), Control("text")] = ""
    negative_prompt: Annotated[str, Field(max_length=10_000, title="Negative prompt"), Control("text")] = ""
    model: Annotated[
        str | None, Field(max_length=300, title="Model", description="name of a model; none: the default one"), Control("choice")
    ] = None
    scheduler: Annotated[
        str, Field(max_length=100, title="Scheduler", description="name of a row in the scheduler table"), Control("choice")
    ] = "DPM++ 2M Karras"
    steps: Annotated[int, Field(ge=1, le=150, title="Steps", description="denoising steps"), Control("slider")] = 20
    guidance_scale: Annotated[
        float,
        Field(ge=1, le=30, title="Guidance", description="classifier-free guidance; 1 switches it off"),
        Control("slider", step=0.1),
    ] = 3.0
    seed: Annotated[int, Field(ge=RANDOM_SEED, le=MAX_SEED, title="Seed", description="-1 draws a new one"), Control("number")] = (
        RANDOM_SEED
    )
    width: Annotated[
        int | None, Field(ge=64, le=2048, multiple_of=8, title="Width", description="pixels; none: the model's own size"), Control("size")
    ] = None
    height: Annotated[
        int | None, Field(ge=64, le=2048, multiple_of=8, title="Height", description="pixels; none: the model's own size"), Control("size")
    ] = None
    batch_size: Annotated[
        int, Field(ge=1, le=8, title="Batch", description="pictures in one run, with seeds seed, seed+1, ..."), Control("slider")
    ] = 1
    controls: Annotated[
        tuple[ControlUse, ...],
        Field(strict=False, max_length=MAX_CONTROLS, title="Control", description="ControlNet units, all at once"),
        Control("list"),
    ] = ()
    loras: Annotated[
        tuple[LoraUse, ...], Field(strict=False, max_length=MAX_LORAS, title="LoRAs", description="LoRAs, all at once"), Control("list")
    ] = ()

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _encodable(cls, text: str) -> str:
        # A lone surrogate half passes JSON but no tokenizer, PNG chunk or log can hold it.
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("has a broken character; paste the text again") from None
        return text

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, name: str) -> str:
        if name not in schedulers.TABLE:
            near = difflib.get_close_matches(name, schedulers.TABLE, n=1) or ["DPM++ 2M Karras"]
            raise ValueError(f'{shorten(name)} is no scheduler; use one of the {len(schedulers.TABLE)} names listed, such as "{near[0]}"')
        return name

    @model_validator(mode="after")
    def _fits_pixel_budget(self) -> Self:
        pixels = (self.width or 0) * (self.height or 0) * self.batch_size
        if pixels > MAX_PIXELS:
            raise ValueError(
                f"width x height x batch_size is {pixels / 2**20:.0f} megapixels; make one smaller, at most {MAX_PIXELS // 2**20} in all"
            )
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _told(cls, data: object, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(data)
        except ValidationError as error:
            raise InvalidRequest(sentence(error.errors()[0])) from error

    @classmethod
    def parse(cls, data: object) -> Self:
        """Read a request from decoded JSON.

        Raises:
            InvalidRequest: one sentence that names the first bad field and its bounds; so does the constructor.
        """
        return cls.model_validate(data)


MODELS: Mapping[str, type[BaseModel]] = {"controls": ControlUse, "loras": LoraUse}
"""What the entries of a list field are."""


def info(field: str) -> FieldInfo:
    """Return a field's declaration; `field` is a request field's name or one inside a list, such as `controls.weight`."""
    outer, _, inner = field.partition(".")
    return MODELS[outer].model_fields[inner] if inner else GenerationRequest.model_fields[outer]


def bounds(field: str) -> str:
    """Say what a field accepts, such as "a whole number from 1 to 150". `field` is a request field's name, or `controls.weight`."""
    declared = info(field)
    kinds = get_args(declared.annotation) or (declared.annotation,)
    found = {type(rule): rule for rule in declared.metadata}
    if get_origin(declared.annotation) is Literal:
        return "one of " + ", ".join(map(str, kinds))
    if get_origin(declared.annotation) is tuple:
        return f"a list of at most {found[MaxLen].max_length} objects"
    if get_origin(declared.annotation) is dict:
        return f"an object of at most {found[MaxLen].max_length} numbers"
    if str in kinds:
        return f"a text of at most {found[MaxLen].max_length:,} characters" if MaxLen in found else "a text"
    kind = "a whole number" if int in kinds else "a number"
    if MultipleOf in found:
        kind = f"a multiple of {found[MultipleOf].multiple_of}"
    return f"{kind} from {found[Ge].ge:,} to {found[Le].le:,}".replace(",", "")


def limits(field: str) -> tuple[float, float]:
    """Return the least and greatest value of a numeric request field, or of one inside a list, such as `controls.weight`."""
    found: Mapping[type, Any] = {type(rule): rule for rule in info(field).metadata}
    return found[Ge].ge, found[Le].le


def control(field: str) -> Control:
    """Return how a request field is shown."""
    return next(rule for rule in GenerationRequest.model_fields[field].metadata if isinstance(rule, Control))


def shorten(value: object) -> str:
    """Show a value in at most about 40 characters, so that a sentence stays one sentence."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


# What there is too much of, by pydantic's name for it.
_TOO_MANY: Mapping[str, str] = {"string_too_long": "characters", "too_long": "entries"}


def sentence(problem: ErrorDetails) -> str:
    """Turn one pydantic problem into a sentence that names the field and its bounds."""
    field = str(problem["loc"][0]) if problem["loc"] else ""
    if not field:
        if problem["type"] == "value_error":
            return str(problem["ctx"]["error"]) + "."
        return f"The request must be one JSON object with fields such as prompt, steps and seed, not {shorten(problem['input'])}."
    if field not in GenerationRequest.model_fields:
        near = difflib.get_close_matches(field, GenerationRequest.model_fields, n=1)
        return f"{shorten(field)} is no field of a request; " + (f"did you mean {near[0]}?" if near else "leave it out.")
    if problem["type"] == "value_error":
        return f"{_where(problem)}: {problem['ctx']['error']}."
    if len(problem["loc"]) > 1:
        return _inner_sentence(problem, field)
    if problem["type"] in _TOO_MANY:
        return f"{field} has {len(problem['input']):,} {_TOO_MANY[problem['type']]}; it must be {bounds(field)}."
    return f"{field} must be {bounds(field)}, not {shorten(problem['input'])}."


def alone(text: str, field: str) -> str:
    """Take the place of the first entry out of a sentence, for who never saw a list."""
    return text.replace(f"{field}[0].", "").replace(f"{field}[0]: ", "")


def _where(problem: ErrorDetails) -> str:
    """Name the place of a problem as Python and JavaScript would: `controls[0].weight`."""
    first, *rest = problem["loc"]
    return str(first) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


def _inner_sentence(problem: ErrorDetails, field: str) -> str:
    """Say what is wrong inside an entry of a list field."""
    where, names = _where(problem), MODELS[field].model_fields
    inner = str(problem["loc"][2]) if len(problem["loc"]) > 2 else ""
    if not inner:
        return f"{where} must be an object with fields such as {', '.join(list(names)[:3])}, not {shorten(problem['input'])}."
    if problem["type"] == "missing":
        return f"{where} is missing; it must be {bounds(f'{field}.{inner}')}."
    if inner not in names:
        near = difflib.get_close_matches(inner, names, n=1)
        return f"{shorten(where)} is no field there; " + (f"did you mean {near[0]}?" if near else "leave it out.")
    if problem["type"] == "string_too_short":
        return f"{where} is empty; it must be {bounds(f'{field}.{inner}')}."
    if problem["type"] == "too_long":
        return f"{where} has {len(problem['input']):,} entries; it must be {bounds(f'{field}.{inner}')}."
    if len(problem["loc"]) > 3:
        return f"{shorten(where)} must be a number, not {shorten(problem['input'])}."
    return f"{where} must be {bounds(f'{field}.{inner}')}, not {shorten(problem['input'])}."
