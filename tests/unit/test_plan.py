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


@given(requests)
def test_resolving_the_concrete_request_changes_nothing(request: GenerationRequest) -> None:
    nets = tuple(ControlNetCard(name=kind, path=Path(kind), kind=kind, unet=SHAPE, bytes=1) for kind in ("sketch", "depth", "pose"))
    uses = tuple(use.model_copy(update={"model": None}) for use in request.controls)
    here = replace(HERE, controlnets=nets, loras=tuple(LoraCard(name=use.name, path=Path("l"), bytes=1) for use in request.loras))
    try:
        plan = resolve(request.model_copy(update={"model": None, "controls": uses}), here, entropy=7)
    except InvalidRequest as error:
        assert "multiple of 16" in str(error)
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
