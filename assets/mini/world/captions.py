"""How people might describe a scene: varied captions, and for each the facts it states (slots, in the order they are mentioned).

A caption may leave parts out; what it omits is free in the picture. Word lists here are also the tokenizer's training text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .scene import COLOURS, FIGURE, GROUNDS, INVERSE, LIGHTS, POSES, RELATIONS, SHAPES, SIZES, Scene, Thing

NAMES: Final = {
    "sphere": ("sphere", "ball", "orb"),
    "cube": ("cube", "box", "block"),
    "cone": ("cone", "cone", "cone shape"),
    "cylinder": ("cylinder", "can", "drum"),
    "torus": ("torus", "ring", "donut"),
    FIGURE: ("figure", "person", "mannequin", "human", "man"),
}
PAINTS: Final = {
    "red": ("red", "red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "yellow", "golden"),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink",),
    "white": ("white",),
    "black": ("black",),
}
MEASURES: Final = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge"), "medium": ("medium",)}
PLACES: Final = {
    "grass": ("on grass", "on the grass", "on a lawn", "on a meadow", "in a grass field"),
    "sand": ("on sand", "on the sand", "on a beach", "in the desert"),
    "snow": ("on snow", "in the snow", "on the snow", "in winter"),
    "stone": ("on stone", "on stone tiles", "on a stone floor", "on pavement"),
}
TIMES: Final = {
    "day": ("during the day", "by day", "in daylight", "at noon", "under a blue sky", "in the daytime"),
    "sunset": ("at sunset", "at dusk", "in the evening", "in the evening light", "under an orange sky"),
    "night": ("at night", "by night", "in the dark", "in moonlight", "under the stars"),
}
DEEDS: Final = {
    "standing": ("standing", "standing up", "who stands"),
    "waving": ("waving", "waving a hand", "who waves"),
    "jumping": ("jumping", "leaping", "in mid air", "who jumps"),
    "sitting": ("sitting", "sitting down", "seated", "who sits"),
}
WHERE: Final = {
    "next to": ("next to", "beside", "near"),
    "behind": ("behind", "in back of"),
    "in front of": ("in front of", "before"),
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
}
OPENINGS: Final = ("a picture of", "a photo of", "a render of", "an image of", "there is", "a painting of", "3d render,")
PRAISE: Final = ("high quality", "detailed", "masterpiece", "best quality", "4k", "beautiful", "simple scene", "soft light")


@dataclass(frozen=True)
class Caption:
    """A text and what it states: slot name to value ('' means not stated). Slots: see SLOTS."""

    text: str
    slots: dict[str, str]


SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "shape1": ("", *SHAPES, FIGURE),
    "colour1": ("", *COLOURS),
    "size1": ("", *SIZES),
    "pose": ("", *POSES),
    "relation": ("", *RELATIONS),
    "shape2": ("", *SHAPES, FIGURE),
    "colour2": ("", *COLOURS),
    "size2": ("", *SIZES),
    "ground": ("", *GROUNDS),
    "light": ("", *LIGHTS),
}


class Writer:
    """Draws captions for scenes from one random generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def _one(self, words: tuple[str, ...]) -> str:
        """Half the time the plain first word, else any synonym."""
        return words[0] if self._rng.random() < 0.5 else words[int(self._rng.integers(len(words)))]

    def _odds(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def caption(self, scene: Scene, full: float = 0.45) -> Caption:
        """A caption: with odds `full` it states everything, else parts are left out; one in twelve is a word or two, unless `full` is 1."""
        if full < 1 and self._odds(0.08):
            return self._fragment(scene)
        keep = 1.0 if self._odds(full) else 0.65
        slots = dict.fromkeys(SLOTS, "")
        subject = self._subject(scene, slots, keep)
        parts = [self._ground(scene, slots)] if self._odds(keep) else []
        parts += [self._light(scene, slots)] if self._odds(keep) else []
        return Caption(self._arrange(subject, parts), slots)

    def vague(self, scene: Scene) -> str:
        """Colour, ground and light at most: nothing that says what stands where."""
        parts = [self._one(PAINTS[thing.colour]) for thing in scene.things if self._odds(0.5)]
        parts += [self._one(PLACES[scene.ground])] if self._odds(0.6) else []
        parts += [self._one(TIMES[scene.light])] if self._odds(0.5) else []
        return ", ".join(parts[::-1] if self._odds(0.5) else parts)

    def _arrange(self, subject: str, parts: list[str]) -> str:
        if self._odds(0.3):
            parts.reverse()
        comma = ", " if self._odds(0.35) else " "
        if parts and self._odds(0.15):
            text = ", ".join((comma.join(parts), subject))
        else:
            text = comma.join((subject, *parts))
        if self._odds(0.12):
            text = f"{self._one(OPENINGS)} {text}"
        if self._odds(0.08):
            text = f"{text}, {self._one(PRAISE)}"
        if self._odds(0.1):
            text = text[0].upper() + text[1:] + "."
        return text

    def _subject(self, scene: Scene, slots: dict[str, str], keep: float) -> str:
        if len(scene.things) == 1:
            return self._phrase(scene.things[0], slots, 1, keep)
        first, second = scene.things
        relation = self._true_relation(scene)
        if self._odds(0.5):
            first, second, relation = second, first, INVERSE[relation]
        if not self._odds(max(keep, 0.9)):
            return self._phrase(first, slots, 1, keep)
        left, right = self._phrase(first, slots, 1, keep), self._phrase(second, slots, 2, keep)
        if self._odds(0.12):
            return f"{left} and {right}"
        slots["relation"] = relation
        return f"{left} {self._one(WHERE[relation])} {right}"

    def _true_relation(self, scene: Scene) -> str:
        """The scene's relation, or another that also holds: side by side is both 'next to' and left or right."""
        if scene.relation in ("behind", "in front of"):
            return scene.relation
        if self._odds(0.35):
            return "next to"
        return "left of" if scene.things[0].x < scene.things[1].x else "right of"

    def _phrase(self, thing: Thing, slots: dict[str, str], number: int, keep: float) -> str:
        words: list[str] = []
        slots[f"shape{number}"] = thing.shape
        if thing.size != "medium" and self._odds(keep):
            slots[f"size{number}"] = thing.size
            words.append(self._one(MEASURES[thing.size]))
        if self._odds(max(keep, 0.8)):
            slots[f"colour{number}"] = thing.colour
            words.append(self._one(PAINTS[thing.colour]))
        if len(words) == 2 and self._odds(0.15):
            words.reverse()
        words.append(self._one(NAMES[thing.shape]))
        text = " ".join(words)
        if self._odds(0.8):
            text = ("the " if self._odds(0.15) else "an " if text[0] in "aeiou" else "a ") + text
        if thing.pose in DEEDS and self._odds(max(keep, 0.7)):
            slots["pose"] = thing.pose
            text += f" {self._one(DEEDS[thing.pose])}"
        return text

    def _ground(self, scene: Scene, slots: dict[str, str]) -> str:
        slots["ground"] = scene.ground
        return self._one(PLACES[scene.ground]) if self._odds(0.95) else scene.ground

    def _light(self, scene: Scene, slots: dict[str, str]) -> str:
        slots["light"] = scene.light
        return self._one(TIMES[scene.light]) if self._odds(0.95) else scene.light

    def _fragment(self, scene: Scene) -> Caption:
        """One fact alone: a colour, a shape, a pose, a ground or a light."""
        slots = dict.fromkeys(SLOTS, "")
        thing = scene.things[int(self._rng.integers(len(scene.things)))]
        kind = int(self._rng.integers(5))
        if kind == 0:
            slots["colour1"] = thing.colour
            return Caption(self._one(PAINTS[thing.colour]), slots)
        if kind == 1:
            return Caption(self._ground(scene, slots), slots)
        if kind == 2:
            return Caption(self._light(scene, slots), slots)
        if kind == 3 and thing.pose in DEEDS:
            slots["pose"] = thing.pose
            return Caption(self._one(DEEDS[thing.pose]), slots)
        slots["shape1"] = thing.shape
        return Caption(self._one(NAMES[thing.shape]), slots)


def words_of_the_world() -> list[str]:
    """Every phrase that captions are made of."""
    tables = (NAMES, PAINTS, MEASURES, PLACES, TIMES, DEEDS, WHERE)
    phrases = [phrase for table in tables for group in table.values() for phrase in group]
    return [*phrases, *OPENINGS, *PRAISE, "a", "an", "the", "and", *GROUNDS, *LIGHTS]
