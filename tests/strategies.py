"""Hypothesis strategies that draw from the request's own bounds."""

from hypothesis import strategies as st

from studio import schedulers
from studio.request import GenerationRequest, limits


def whole(field: str) -> st.SearchStrategy[int]:
    """Draw any whole number that a request field accepts."""
    least, most = limits(field)
    return st.integers(int(least), int(most))


characters = st.characters(codec="utf-8")
texts = st.text(characters, max_size=300)
sides = st.none() | st.integers(8, 128).map(lambda units: units * 8)
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
)
