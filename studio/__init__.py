"""Studio: prompt-driven pictures from a local diffusion model, steered and watched step by step.

from studio import GenerationRequest, open_studio

with open_studio() as studio:
    job = studio.submit(GenerationRequest(prompt="a red sphere on grass", seed=7))
    job.result().save(0, "out.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from studio.settings import VERSION

if TYPE_CHECKING:
    from studio import events, schedulers
    from studio.app import open_studio, verify
    from studio.errors import StudioError
    from studio.metadata import read_metadata
    from studio.request import ControlUse, GenerationRequest, LoraUse

__version__ = VERSION
__all__ = [
    "ControlUse",
    "GenerationRequest",
    "LoraUse",
    "StudioError",
    "__version__",
    "events",
    "open_studio",
    "read_metadata",
    "schedulers",
    "verify",
]

_MODULES = {
    "ControlUse": "studio.request",
    "GenerationRequest": "studio.request",
    "LoraUse": "studio.request",
    "StudioError": "studio.errors",
    "open_studio": "studio.app",
    "read_metadata": "studio.metadata",
    "verify": "studio.app",
}


def __getattr__(name: str) -> Any:
    # Looked up when first used, so that `studio.launcher` runs before anything is installed.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name in ("events", "schedulers"):
        return import_module(f"studio.{name}")
    raise AttributeError(f"module 'studio' has no attribute {name!r}")
