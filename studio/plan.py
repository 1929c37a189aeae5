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

    def acts(self, index: int, total: int) -> bool:
        """Whether the unit steers model evaluation `index` of `total`: those that lie wholly between its start and end.

        Evaluations are counted, not steps, as `controlnet_keep` of diffusers' ControlNet pipelines does. A unit of weight 0 never acts.
        """
        return self.use.weight > 0 and not (index / total < self.use.start or (index + 1) / total > self.use.end)


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
        InvalidRequest: the size does not fit the model, the scheduler's library is missing, a ControlNet or LoRA is not here
            or does not fit the model, or a ControlNet unit would act at no step.
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
    controls = tuple(_plan_control(i, use, model, inventory) for i, use in enumerate(request.controls))
    _check_steps(controls, row.evaluations(request.steps))
    seed = entropy % (MAX_SEED + 1) if request.seed == RANDOM_SEED else request.seed
    request = gather(request, inventory)
    units = tuple(control.use for control in controls)
    concrete = request.model_copy(update={"model": model.name, "seed": seed, "width": width, "height": height, "controls": units})
    return Plan(
        request=GenerationRequest.parse(concrete.model_dump()),
        model=model,
        scheduler=row,
        seeds=tuple((seed + i) % (MAX_SEED + 1) for i in range(request.batch_size)),
        width=width,
        height=height,
        evaluations=row.evaluations(request.steps),
        controls=controls,
        loras=tuple(plan_lora(i, use, model, inventory) for i, use in enumerate(request.loras)),
    )


def _plan_control(index: int, use: ControlUse, model: ModelCard, inventory: Inventory) -> PlannedControl:
    """Choose the ControlNet of one unit; its family is checked here, before anything is loaded."""
    if use.model is None:
        for net in inventory.controlnets:
            if net.kind == use.kind and not net.misfit(model.unet):
                return PlannedControl(use.model_copy(update={"model": net.name}), net)
        raise InvalidRequest(
            f"controls[{index}]: no {use.kind} ControlNet for {model.name} is here; "
            f"put one into controlnets/ of the data folder, take another model, or take this unit out."
        )
    named = next((net for net in inventory.controlnets if net.name == use.model), None)
    if named is None:
        if broken := next((card for card in inventory.broken if card.part == "controlnet" and card.name == use.model), None):
            raise InvalidRequest(f"controls[{index}].model: {broken.problem}")
        raise InvalidRequest(f"controls[{index}].model: {shorten(use.model)} is not here; leave it out to take one that fits.")
    if misfit := named.misfit(model.unet):
        raise InvalidRequest(
            f"controls[{index}].model: {named.name} was made for another family ({misfit[0]}) than {model.name} ({misfit[1]}); "
            f"leave it out to take one that fits."
        )
    return PlannedControl(use, named)


def _check_steps(controls: tuple[PlannedControl, ...], evaluations: int) -> None:
    """Refuse units that lie between two steps: they would do nothing, and not say so."""
    for index, control in enumerate(controls):
        if control.use.weight and not any(control.acts(i, evaluations) for i in range(evaluations)):
            raise InvalidRequest(
                f"controls[{index}]: from {control.use.start:g} to {control.use.end:g} lies none of the {evaluations} steps whole; "
                f"widen it, or take more steps."
            )


def _choose_model(name: str | None, inventory: Inventory) -> ModelCard:
    if not inventory.models:
        problems = " ".join(card.problem for card in inventory.broken if card.part == "model")
        raise UnknownModel(f"No usable model was found; put a model folder into models/ of the data folder. {problems}".strip())
    if name is None:
        return inventory.models[0]
    for card in inventory.models:
        if card.name == name:
            return card
    for broken in inventory.broken:
        if broken.part == "model" and broken.name == name:
            raise UnknownModel(broken.problem)
    names = ", ".join(card.name for card in inventory.models[:8])
    raise UnknownModel(f"model: {shorten(name)} is not here; choose one of: {names}.")
