"""Hypothesis strategies that draw from the request's own bounds."""

from typing import Any, get_args

from hypothesis import assume
from hypothesis import strategies as st

from studio import schedulers, weights
from studio.request import ControlUse, GenerationRequest, LoraUse, limits


def whole(field: str) -> st.SearchStrategy[int]:
    """Draw any whole number that a request field accepts."""
    least, most = limits(field)
    return st.integers(int(least), int(most))


characters = st.characters(codec="utf-8")
texts = st.text(characters, max_size=300)
sides = st.none() | st.integers(8, 128).map(lambda units: units * 8)
keys = st.text("0123456789abcdef", min_size=64, max_size=64)
spans = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda span: span[0] != span[1]).map(sorted)


@st.composite
def preprocessors(draw: st.DrawFn) -> dict[str, Any]:
    """A kind of control, a preprocessor for it and values of its settings that go together."""
    kind = draw(st.sampled_from(get_args(ControlUse.model_fields["kind"].annotation)))
    row = draw(st.sampled_from(weights.rows_for(kind)))
    settings = draw(st.fixed_dictionaries({}, optional={each.name: st.floats(each.least, each.most) for each in row.offered(kind)}))
    assume(not weights.problem(row.name, kind, settings))
    return {"kind": kind, "preprocessor": row.name, "settings": settings}


controls = st.builds(
    lambda span, made_by, **fields: ControlUse(start=span[0], end=span[1], **made_by, **fields),
    spans,
    made_by=preprocessors(),
    image=keys,
    fit=st.sampled_from(get_args(ControlUse.model_fields["fit"].annotation)),
    model=st.none() | texts,
    weight=st.floats(*limits("controls.weight")),
    mode=st.sampled_from(get_args(ControlUse.model_fields["mode"].annotation)),
)
loras = st.builds(
    LoraUse,
    name=st.text(characters, min_size=1, max_size=40),
    weight=st.floats(*limits("loras.weight")),
    text_encoder_weight=st.none() | st.floats(*limits("loras.text_encoder_weight")),
)
requests = st.builds(
    GenerationRequest,
    prompt=texts,
    negative_prompt=texts,
    model=st.none() | st.text(characters, max_size=40),
    scheduler=st.sampled_from(sorted(schedulers.TABLE)),
    steps=whole("steps"),
    guidance_scale=st.floats(*limits("guidance_scale")),
    seed=whole("seed"),
    width=sides,
    height=sides,
    batch_size=whole("batch_size"),
    controls=st.lists(controls, max_size=3).map(tuple),
    loras=st.lists(loras, max_size=3).map(tuple),
)
