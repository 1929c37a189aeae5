"""The prompts of the measures: scenes with seeds unseen in training, described completely and plainly."""

from __future__ import annotations

from dataclasses import dataclass

from ..world.scene import Scene, Thing, sample_scene

FIRST = 20_000_000
PLACE = {"grass": "on grass", "sand": "on sand", "snow": "on snow", "stone": "on stone"}
TIME = {"day": "during the day", "sunset": "at sunset", "night": "at night"}


@dataclass(frozen=True)
class Ask:
    """A prompt, the scene that it describes, and the seed of its noise."""

    prompt: str
    scene: Scene
    seed: int


def phrase(thing: Thing) -> str:
    """'a large red cube', 'a blue figure waving'."""
    words = [thing.colour, thing.shape]
    if thing.size != "medium":
        words.insert(0, thing.size)
    if thing.pose:
        words.append(thing.pose)
    return ("an " if words[0][0] in "aeiou" else "a ") + " ".join(words)


def describe(scene: Scene) -> str:
    """A scene in plain words, nothing left out."""
    subject = f" {scene.relation} ".join(phrase(thing) for thing in scene.things)
    return f"{subject} {PLACE[scene.ground]} {TIME[scene.light]}"


def asks(kind: str, count: int) -> list[Ask]:
    """`count` prompts of a kind ('single', 'pair', 'figure'), always the same ones."""
    first = FIRST + {"single": 0, "pair": 100_000, "figure": 200_000}[kind]
    scenes = [sample_scene(first + index, kind) for index in range(count)]
    return [Ask(describe(scene), scene, first + index) for index, scene in enumerate(scenes)]
