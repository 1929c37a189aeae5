"""Presets as values: what one holds, how it is read and written, merged into a form, and taken over from other programs. Pure."""

from studio.presets.document import SCHEMA, Preset, decode, encode, snapshot
from studio.presets.merge import Change, apply, changes
from studio.presets.parts import PARTS, Part

__all__ = ["PARTS", "SCHEMA", "Change", "Part", "Preset", "apply", "changes", "decode", "encode", "snapshot"]
