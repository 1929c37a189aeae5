"""From what was asked to what will be done. Pure: every open choice is made here, before any work."""

from dataclasses import dataclass

from studio import schedulers
from studio.errors import InvalidRequest, UnknownModel
from studio.inventory import Inventory, ModelCard
from studio.request import MAX_SEED, RANDOM_SEED, GenerationRequest, shorten


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request with nothing left open.

    Attributes:
        request: the concrete request; the same pictures come from it again.
        model: the model to use.
        scheduler: the scheduler's row.
        seeds: one seed per picture, each in 0 .. 2**32 - 1.
        width, height: pixels.
        evaluations: model evaluations the run takes, which is what progress counts.
    """

    request: GenerationRequest
    model: ModelCard
    scheduler: schedulers.Row
    seeds: tuple[int, ...]
    width: int
    height: int
    evaluations: int

    @property
    def guided(self) -> bool:
        """Whether classifier-free guidance is on; at 1 it changes nothing and half the work is saved."""
        return self.request.guidance_scale > 1

    def picture_requests(self) -> list[GenerationRequest]:
        """Return, per picture, the request that makes just that picture."""
        return [self.request.model_copy(update={"seed": seed, "batch_size": 1}) for seed in self.seeds]


def resolve(request: GenerationRequest, inventory: Inventory, *, entropy: int) -> Plan:
    """Decide everything the request leaves open.

    Args:
        request: what was asked.
        inventory: what is on this machine.
        entropy: a random whole number; becomes the seed when the request asks for a new one.

    Raises:
        UnknownModel: the named model is not there, or its folder is broken.
        InvalidRequest: the size does not fit the model, or the scheduler's library is missing.
    """
    model = _choose_model(request.model, inventory)
    row = schedulers.TABLE[request.scheduler]
    if reason := row.unavailable():
        raise InvalidRequest(f"scheduler: {row.name} cannot be used here, {reason}.")
    width, height = request.width or model.native_size, request.height or model.native_size
    for field, value in (("width", width), ("height", height)):
        if value % model.multiple_of:
            below = max(model.multiple_of, value - value % model.multiple_of)
            near = f"use {below} or {below + model.multiple_of}"
            raise InvalidRequest(f"{field} must be a multiple of {model.multiple_of} for {model.name}, not {value}; {near}.")
    seed = entropy % (MAX_SEED + 1) if request.seed == RANDOM_SEED else request.seed
    concrete = request.model_copy(update={"model": model.name, "seed": seed, "width": width, "height": height})
    return Plan(
        request=GenerationRequest.parse(concrete.model_dump()),
        model=model,
        scheduler=row,
        seeds=tuple((seed + i) % (MAX_SEED + 1) for i in range(request.batch_size)),
        width=width,
        height=height,
        evaluations=row.evaluations(request.steps),
    )


def _choose_model(name: str | None, inventory: Inventory) -> ModelCard:
    if not inventory.models:
        problems = " ".join(card.problem for card in inventory.broken)
        raise UnknownModel(f"No usable model was found; put a model folder into models/ of the data folder. {problems}".strip())
    if name is None:
        return inventory.models[0]
    for card in inventory.models:
        if card.name == name:
            return card
    for broken in inventory.broken:
        if broken.name == name:
            raise UnknownModel(broken.problem)
    names = ", ".join(card.name for card in inventory.models[:8])
    raise UnknownModel(f"model: {shorten(name)} is not here; choose one of: {names}.")
