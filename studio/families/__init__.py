"""Model families: one row each, by what a model folder's configs say."""

from dataclasses import dataclass

# What `model_index.json` may call a model of these parts; the second is how LCM's are saved (arXiv 2310.04378).
PIPELINES = ("StableDiffusionPipeline", "LatentConsistencyModelPipeline")


@dataclass(frozen=True)
class Family:
    """`name` is what cards hold, `label` what people read; `context_width` is the U-Net's cross-attention width."""

    name: str
    label: str
    context_width: int | None


GENERIC = Family("sd", "Stable Diffusion", None)
TABLE = {
    row.name: row
    for row in (
        Family("sd15", "Stable Diffusion 1.x", 768),
        Family("sd2", "Stable Diffusion 2.x", 1024),
        GENERIC,
    )
}


def family_of(context_width: int) -> Family:
    """Return the family whose text encoder has this width; the generic row fits any other."""
    return next((row for row in TABLE.values() if row.context_width == context_width), GENERIC)
