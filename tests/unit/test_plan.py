"""`resolve` leaves nothing open and is pure."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from studio import schedulers
from studio.errors import InvalidRequest, UnknownModel
from studio.inventory import BrokenCard, ControlNetCard, Inventory, LoraCard, ModelCard, UnetShape
from studio.plan import resolve
from studio.request import MAX_SEED, ControlUse, GenerationRequest
from tests.strategies import requests

SHAPE = UnetShape(latent_channels=4, widths=(32, 64), context_width=32)
CARD = ModelCard(
    name="Mini", path=Path("mini"), family="sd", prediction_type="epsilon", native_size=256, multiple_of=16, bytes=1, unet=SHAPE
)
HERE = Inventory(
    (CARD, replace(CARD, name="Other", native_size=512, multiple_of=8)), (BrokenCard("Bad", Path("bad"), "Bad cannot be used."),)
)


def test_open_choices_are_made() -> None:
    plan = resolve(GenerationRequest(batch_size=3), HERE, entropy=41)
    assert (plan.width, plan.height, plan.seeds) == (256, 256, (41, 42, 43))
    assert plan.request == GenerationRequest(model="Mini", seed=41, width=256, height=256, batch_size=3)


def test_seeds_wrap_at_the_end() -> None:
    plan = resolve(GenerationRequest(seed=MAX_SEED, batch_size=2), HERE, entropy=0)
    assert plan.seeds == (MAX_SEED, 0)


def test_each_picture_has_a_request_that_makes_it_alone() -> None:
    plan = resolve(GenerationRequest(seed=5, batch_size=2, model="Other"), HERE, entropy=0)
    assert [r.seed for r in plan.picture_requests()] == [5, 6]
    assert resolve(plan.picture_requests()[1], HERE, entropy=9).seeds == (6,)


def test_a_control_of_another_family_is_refused_before_anything_is_loaded() -> None:
    other = ControlNetCard(name="big", path=Path("big"), kind="depth", unet=replace(SHAPE, context_width=768), bytes=1)
    here = replace(HERE, controlnets=(other,))
    with pytest.raises(InvalidRequest, match=r"controls\[0\]: no depth ControlNet for Mini is here"):
        resolve(GenerationRequest(controls=(ControlUse(kind="depth", image="x"),)), here, entropy=0)
    with pytest.raises(InvalidRequest, match=r"big was made for another family \(text width 768\) than Mini \(text width 32\)"):
        resolve(GenerationRequest(controls=(ControlUse(kind="depth", image="x", model="big"),)), here, entropy=0)


def test_a_named_control_is_told_apart_by_what_differs_or_is_broken_or_absent() -> None:
    named = GenerationRequest(controls=(ControlUse(kind="depth", image="x"), ControlUse(kind="depth", image="x", model="net")))
    fitting = ControlNetCard(name="any", path=Path("any"), kind="depth", unet=SHAPE, bytes=1)
    deep = replace(fitting, name="net", unet=replace(SHAPE, layers=(2, 2)))
    with pytest.raises(
        InvalidRequest, match=r"controls\[1\]\.model: net was made .* \(layers a level 2, 2\) than Mini \(layers a level 1, 1\)"
    ):
        resolve(named, Inventory((replace(CARD, unet=replace(SHAPE, layers=(1, 1))),), controlnets=(deep, fitting_to((1, 1)))), entropy=0)
    broken = BrokenCard("net", Path("net"), "net cannot be used.", "controlnet")
    with pytest.raises(InvalidRequest, match=r"controls\[1\]\.model: net cannot be used"):
        resolve(named, replace(HERE, broken=(broken,), controlnets=(fitting,)), entropy=0)
    with pytest.raises(InvalidRequest, match=r"controls\[1\]\.model: 'net' is not here"):
        resolve(named, replace(HERE, controlnets=(fitting,)), entropy=0)
    plan = resolve(named, replace(HERE, controlnets=(fitting, replace(fitting, name="net"))), entropy=0)
    assert [control.net.name for control in plan.controls] == ["any", "net"]


def fitting_to(layers: tuple[int, ...]) -> ControlNetCard:
    return ControlNetCard(name="any", path=Path("any"), kind="depth", unet=replace(SHAPE, layers=layers), bytes=1)


def test_a_broken_controlnet_is_no_model() -> None:
    here = Inventory(HERE.models, (BrokenCard("canny", Path("canny"), "canny cannot be used.", "controlnet"),))
    with pytest.raises(UnknownModel, match="model: 'canny' is not here"):
        resolve(GenerationRequest(model="canny"), here, entropy=0)
    with pytest.raises(UnknownModel, match=r"put a model folder into models/ of the data folder\.$"):
        resolve(GenerationRequest(), replace(here, models=()), entropy=0)


def test_a_unit_acts_at_the_steps_that_lie_wholly_in_its_range_and_at_one_at_least() -> None:
    net = ControlNetCard(name="net", path=Path("net"), kind="depth", unet=SHAPE, bytes=1)
    here = replace(HERE, controlnets=(net,))

    def steps(scheduler: str, **fields: float) -> list[int]:
        use = ControlUse(kind="depth", image="x", **fields)
        plan = resolve(GenerationRequest(steps=5, scheduler=scheduler, controls=(use,)), here, entropy=0)
        return [i for i in range(plan.evaluations) if plan.controls[0].acts(i, plan.evaluations)]

    assert steps("Euler") == [0, 1, 2, 3, 4]
    assert steps("Euler", start=0.2, end=0.8) == [1, 2, 3]
    assert steps("Euler", start=0.3, end=0.7) == [2]
    assert steps("Heun", start=0.5) == [5, 6, 7, 8]
    assert steps("Euler", weight=0) == steps("Euler", weight=0, start=0.9) == []
    with pytest.raises(InvalidRequest, match=r"controls\[0\]: from 0\.9 to 1 lies none of the 5 steps whole; widen it, or take more steps"):
        steps("Euler", start=0.9)


@given(requests)
def test_resolving_the_concrete_request_changes_nothing(request: GenerationRequest) -> None:
    nets = tuple(ControlNetCard(name=kind, path=Path(kind), kind=kind, unet=SHAPE, bytes=1) for kind in ("sketch", "depth", "pose"))
    uses = tuple(use.model_copy(update={"model": None}) for use in request.controls)
    here = replace(HERE, controlnets=nets, loras=tuple(LoraCard(name=use.name, path=Path("l"), bytes=1) for use in request.loras))
    try:
        plan = resolve(request.model_copy(update={"model": None, "controls": uses}), here, entropy=7)
    except InvalidRequest as error:
        assert "multiple of 16" in str(error) or "widen it, or take more steps" in str(error)
        return
    assert resolve(plan.request, here, entropy=8) == plan


def test_a_size_that_the_model_cannot_make_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="width must be a multiple of 16 for Mini, not 72; use 64 or 80"):
        resolve(GenerationRequest(width=72), HERE, entropy=0)
    assert resolve(GenerationRequest(width=72, model="Other"), HERE, entropy=0).width == 72


def test_unknown_and_broken_models_are_told_apart() -> None:
    with pytest.raises(UnknownModel, match="'Nope' is not here; choose one of: Mini, Other"):
        resolve(GenerationRequest(model="Nope"), HERE, entropy=0)
    with pytest.raises(UnknownModel, match="Bad cannot be used"):
        resolve(GenerationRequest(model="Bad"), HERE, entropy=0)
    with pytest.raises(UnknownModel, match="No usable model was found"):
        resolve(GenerationRequest(), Inventory(), entropy=0)


def test_guidance_of_one_is_off() -> None:
    assert not resolve(GenerationRequest(guidance_scale=1), HERE, entropy=0).guided
    assert resolve(GenerationRequest(guidance_scale=1.1), HERE, entropy=0).guided


def test_evaluations_follow_the_scheduler() -> None:
    counts = {name: resolve(GenerationRequest(scheduler=name, steps=10), HERE, entropy=0).evaluations for name in ("Euler", "Heun")}
    assert counts == {"Euler": 10, "Heun": 19}


def test_a_row_without_its_library_says_so() -> None:
    row = schedulers.Row(name="X", group="g", description="d", class_name="C", needs=("no_such_module",))
    assert row.unavailable() == "the Python package no_such_module is not installed"
