"""Studio: prompt-driven pictures from a local diffusion model, steered and watched step by step.

    from studio import GenerationRequest, open_studio

    with open_studio() as studio:
        job = studio.submit(GenerationRequest(prompt="a red sphere on grass", seed=7))
        job.result().save(0, "out.png")
"""

from studio import events, schedulers
from studio.app import open_studio
from studio.errors import StudioError
from studio.metadata import read_metadata
from studio.request import GenerationRequest

__version__ = "0.1.0"
__all__ = ["GenerationRequest", "StudioError", "__version__", "events", "open_studio", "read_metadata", "schedulers"]
