"""From what was asked to what will be done. Pure: every open choice is made here, before any work."""

from dataclasses import dataclass

from studio import schedulers
from studio.errors import InvalidRequest, UnknownModel
from studio.inventory import ControlNetCard, Inventory, ModelCard
from studio.lora_plan import PlannedLora, gather, plan_lora
from studio.request import MAX_SEED, RANDOM_SEED, ControlUse, GenerationRequest, shorten


@dataclass(frozen=True)
class PlannedControl:
    """A ControlNet unit and the ControlNet it runs on."""

    use: ControlUse
    net: ControlNetCard


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
        controls: the ControlNet units, in the request's order.
        loras: the LoRAs, in the request's order.
    """

    request: GenerationRequest
    model: ModelCard
    scheduler: schedulers.Row
    seeds: tuple[int, ...]
    width: int
    height: int
    evaluations: int
    controls: tuple[PlannedControl, ...] = ()
    loras: tuple[PlannedLora, ...] = ()

    @property
    def guided(self) -> bool:
        """Whether classifier-free guidance is on; at 1 it changes nothing and half the work is saved."""
        return self.request.guidance_scale > 1

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about what will be done otherwise than asked."""
        return tuple(lora.notice for lora in self.loras if lora.notice)

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
        InvalidRequest: the size does not fit the model, the scheduler's library is missing, or a ControlNet or LoRA is not here
            or does not fit the model.
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
    request = gather(request, inventory)
    concrete = request.model_copy(update={"model": model.name, "seed": seed, "width": width, "height": height})
    return Plan(
        request=GenerationRequest.parse(concrete.model_dump()),
        model=model,
        scheduler=row,
        seeds=tuple((seed + i) % (MAX_SEED + 1) for i in range(request.batch_size)),
        width=width,
        height=height,
        evaluations=row.evaluations(request.steps),
        controls=tuple(_plan_control(i, use, model, inventory) for i, use in enumerate(request.controls)),
        loras=tuple(plan_lora(i, use, model, inventory) for i, use in enumerate(request.loras)),
    )


def _plan_control(index: int, use: ControlUse, model: ModelCard, inventory: Inventory) -> PlannedControl:
    """Choose the ControlNet of one unit; its family is checked here, before anything is loaded."""
    if use.model is None:
        for net in inventory.controlnets:
            if net.kind == use.kind and net.unet == model.unet:
                return PlannedControl(use, net)
        raise InvalidRequest(f"controls[{index}]: no {use.kind} ControlNet for {model.name} is here; take another model, or this unit out.")
    named = next((net for net in inventory.controlnets if net.name == use.model), None)
    if named is None:
        raise InvalidRequest(f"controls[{index}].model: {shorten(use.model)} is not here; leave it out to take one that fits.")
    if named.unet != model.unet:
        raise InvalidRequest(
            f"controls[{index}].model: {named.name} was made for another family (text width {named.unet.context_width}) than "
            f"{model.name} (text width {model.unet.context_width}); leave it out to take one that fits."
        )
    return PlannedControl(use, named)


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
