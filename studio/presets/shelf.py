"""A person's presets as a value: what there is, what could not be read, and how one is looked up."""

import difflib
from dataclasses import dataclass

from studio.errors import UnknownPreset
from studio.presets import names
from studio.presets.document import Preset
from studio.request import shorten


@dataclass(frozen=True)
class Shelf:
    """All presets a person has, built-in ones among them, and a sentence for each file that could not be read."""

    presets: tuple[Preset, ...] = ()
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> Preset | None:
        """Return the preset of a name, however it is written, or None."""
        wanted = names.key(name)
        return next((preset for preset in self.presets if names.key(preset.name) == wanted), None)

    def find(self, name: str) -> Preset:
        """Return the preset of a name.

        Raises:
            UnknownPreset: there is none.
        """
        if found := self.get(name):
            return found
        near = difflib.get_close_matches(name, [preset.name for preset in self.presets], n=1)
        raise UnknownPreset(f"No preset is called {shorten(name)}; " + (f"did you mean {near[0]}?" if near else "choose one of the list."))

    def search(self, text: str) -> tuple[Preset, ...]:
        """Return the presets whose name, description, prompts or model have every word of a text, starred ones first, then by name."""
        words = names.key(text).split()
        found = [preset for preset in self.presets if all(word in _searched(preset) for word in words)]
        return tuple(sorted(found, key=lambda preset: (not preset.star, preset.builtin, names.key(preset.name))))

    def keys(self) -> set[str]:
        """Return the keys of all names that are taken."""
        return {names.key(preset.name) for preset in self.presets}


def _searched(preset: Preset) -> str:
    texts = (preset.values.get(field) for field in ("prompt", "negative_prompt", "model", "scheduler"))
    return names.key(" ".join([preset.name, preset.description, *(text for text in texts if isinstance(text, str))]))
