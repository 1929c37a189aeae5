"""Studio: prompt-driven pictures from a local diffusion model, steered and watched step by step.

from studio import GenerationRequest, open_studio

with open_studio() as studio:
    job = studio.submit(GenerationRequest(prompt="a red sphere on grass", seed=7))
    job.result().save(0, "out.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio import events, schedulers
    from studio.app import open_studio, verify
    from studio.errors import StudioError
    from studio.metadata import read_metadata
    from studio.request import ControlUse, GenerationRequest, LoraUse

    __version__: str

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

_PLACES = {
    "ControlUse": ("studio.request", "ControlUse"),
    "GenerationRequest": ("studio.request", "GenerationRequest"),
    "LoraUse": ("studio.request", "LoraUse"),
    "StudioError": ("studio.errors", "StudioError"),
    "__version__": ("studio.settings", "VERSION"),
    "open_studio": ("studio.app", "open_studio"),
    "read_metadata": ("studio.metadata", "read_metadata"),
    "verify": ("studio.app", "verify"),
}


def __getattr__(name: str) -> Any:
    # Looked up when first used, so that `studio.launcher` runs before anything is installed.
    if name in _PLACES:
        module, attribute = _PLACES[name]
        return getattr(import_module(module), attribute)
    if name in ("events", "schedulers"):
        return import_module(f"studio.{name}")
    raise AttributeError(f"module 'studio' has no attribute {name!r}")
