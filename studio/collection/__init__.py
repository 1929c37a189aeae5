"""What a person has collected and can have back by name."""

from studio.collection.presets import Presets

__all__ = ["Presets"]
