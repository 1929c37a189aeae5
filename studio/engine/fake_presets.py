"""Presets that live as long as the studio runs."""

import secrets
from dataclasses import dataclass, field, replace

from studio.errors import UnknownPreset
from studio.people import Person
from studio.ports import Pictures
from studio.presets import Preset, names
from studio.presets.shelf import Shelf


@dataclass(frozen=True)
class MemoryPresets:
    """Implements `ports.PresetStore` without a disk, and without built-in ones."""

    pictures: Pictures
    known: dict[tuple[str, str], Preset] = field(default_factory=dict)
    """By (person's id, name's key)."""
    trash: dict[tuple[str, str], Preset] = field(default_factory=dict)
    """By (person's id, token)."""

    def read(self, person: Person) -> Shelf:
        """Return what there is."""
        return Shelf(tuple(preset for (owner, _), preset in self.known.items() if owner == person.id))

    def write(self, person: Person, preset: Preset, *, replaces: Preset | None = None, undo: bool = False) -> str:
        """Keep a preset."""
        token = self._trash(person, replaces, "replaced") if replaces else ""
        self.known[person.id, names.key(preset.name)] = preset
        return token if undo else ""

    def remove(self, person: Person, preset: Preset) -> str:
        """Take a preset away."""
        return self._trash(person, preset, "deleted")

    def restore(self, person: Person, token: str) -> Preset:
        """Bring a preset back."""
        preset = self.trash.pop((person.id, token), None)
        if preset is None:
            raise UnknownPreset("What was there before is no longer kept.")
        if token.endswith("deleted"):
            preset = replace(preset, name=names.free(preset.name, self.read(person).keys()))
        self.known[person.id, names.key(preset.name)] = preset
        return preset

    def deleted(self, person: Person) -> list[tuple[str, Preset]]:
        """Return what was deleted."""
        found = [(token, preset) for (owner, token), preset in self.trash.items() if owner == person.id and token.endswith("deleted")]
        return found[::-1]

    def _trash(self, person: Person, preset: Preset, why: str) -> str:
        token = f"{secrets.token_hex(8)}-{why}"
        self.trash[person.id, token] = self.known.pop((person.id, names.key(preset.name)))
        return token
