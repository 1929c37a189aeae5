"""`Studio.presets`: saves, finds, applies, hands out and takes in presets, each person's apart."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from PIL import Image

from studio.collection.answers import Look, NameTaken, Saved, TakenIn
from studio.collection.taking import Taking, small
from studio.errors import BadPreset, InvalidRequest, NotAllowed, StudioError
from studio.people import OWNER, Person
from studio.ports import InventorySource, Pictures, PresetStore
from studio.presets import Preset, apply, changes, encode, names, snapshot
from studio.presets.bundle import open_file, pack
from studio.presets.document import MAX_DESCRIPTION
from studio.presets.merge import TEXTS, keep_template
from studio.presets.missing import Finding, Names, find, known_hashes, repaired, stocks_of
from studio.presets.parts import ALL, fields_of, part_of
from studio.presets.shelf import Shelf
from studio.request import GenerationRequest

MAX_PRESETS, MAX_GUEST_PRESETS = 1_000, 100


class Presets:
    """Presets by name. Every method takes whose they are; without it they are this machine's own."""

    def __init__(self, store: PresetStore, pictures: Pictures, inventory: InventorySource) -> None:
        self._store, self._pictures, self._inventory = store, pictures, inventory
        self._lock = threading.RLock()

    def shelf(self, *, person: Person = OWNER) -> Shelf:
        """Return all presets, built-in ones among them, and what files could not be read."""
        return self._store.read(person)

    def list(self, search: str = "", *, person: Person = OWNER) -> tuple[Preset, ...]:
        """Return the presets that have every word of `search`, starred ones first."""
        return self.shelf(person=person).search(search)

    def load(self, name: str, *, person: Person = OWNER) -> Preset:
        """Return the preset of a name.

        Raises:
            UnknownPreset: there is none.
        """
        return self.shelf(person=person).find(name)

    def save(
        self, name: str, request: GenerationRequest, *, parts: Collection[str] = ALL, replace: bool = False, person: Person = OWNER
    ) -> Preset:
        """Save a request, or some parts of it (`prompts`, `sampling`, `size`, `model`, `loras`, `control`), and return the preset.

        Raises:
            NameTaken: there is one of that name, and `replace` is not set.
            BadPreset: the name is no good, or a built-in preset has it.
            InvalidRequest: a control unit's picture is not here.
        """
        return self.put(snapshot(name, request, parts), replace=replace, person=person).preset

    def put(self, preset: Preset, *, replace: bool = False, add: bool = False, person: Person = OWNER) -> Saved:
        """Keep a preset. In the place of another it keeps that one's description, star, picture and unknown fields; see `save`.

        With `add` the other one's parts stay, too, where this one has none.
        """
        with self._changing(person) as shelf:
            old = shelf.get(preset.name)
            if old and old.builtin:
                raise BadPreset(f"{old.name} is built in and stays as it is; choose another name.")
            if old and not replace:
                raise NameTaken(f"There is a preset called {old.name} already; choose another name, or save over it.")
            preset = self._secured(preset, person)
            return self._keep(shelf, _inheriting(preset, old, add=add) if old else preset, replaces=old, person=person)

    def rename(self, name: str, new: str, *, person: Person = OWNER) -> Preset:
        """Give a preset another name; that of another preset is refused."""
        with self._changing(person) as shelf:
            old, new = self._own(shelf, name), names.checked(new)
            there = shelf.get(new)
            if there and there != old:
                raise NameTaken(f"There is a preset called {there.name} already; choose another name.")
            return self._change(old, replace(old, name=new), person)

    def describe(self, name: str, description: str, *, person: Person = OWNER) -> Preset:
        """Write what a preset is for; at most 2,000 characters."""
        if len(description) > MAX_DESCRIPTION:
            raise BadPreset(f"The description has {len(description):,} characters; it has at most {MAX_DESCRIPTION:,}.")
        with self._changing(person) as shelf:
            old = self._own(shelf, name)
            return self._change(old, replace(old, description=description), person)

    def star(self, name: str, on: bool = True, *, person: Person = OWNER) -> Preset:
        """Put a preset before the others, or back among them."""
        with self._changing(person) as shelf:
            old = self._own(shelf, name)
            return self._change(old, replace(old, star=on), person)

    def illustrate(self, name: str, picture: Image.Image | None, *, person: Person = OWNER) -> Preset:
        """Give a preset a picture of any size and mode, or take it away; at most 384 pixels a side are kept."""
        with self._changing(person) as shelf:
            old = self._own(shelf, name)
            key = self._store.pictures.of(person).keep(small(picture)) if picture else None
            return self._change(old, replace(old, picture=key), person)

    def duplicate(self, name: str, new: str = "", *, person: Person = OWNER) -> Preset:
        """Copy a preset, a built-in one too, and return the copy; without a name it is called after the first."""
        with self._changing(person) as shelf:
            old = shelf.find(name)
            chosen = names.checked(new) if new else names.free(f"{old.name} copy"[: names.MAX_NAME], shelf.keys())
            if shelf.get(chosen):
                raise NameTaken(f"There is a preset called {chosen} already; choose another name.")
            return self._keep(shelf, replace(old, name=chosen, star=False, builtin=False), person=person).preset

    def delete(self, name: str, *, person: Person = OWNER) -> str:
        """Take a preset away and return what `undo` needs to have it back."""
        with self._changing(person) as shelf:
            return self._store.remove(person, self._own(shelf, name))

    def undo(self, token: str, *, person: Person = OWNER) -> Preset:
        """Bring back what was deleted or saved over.

        Raises:
            UnknownPreset: it is no longer kept; the newest 200 are.
        """
        with self._changing(person):
            return self._store.restore(person, token)

    def deleted(self, *, person: Person = OWNER) -> Sequence[tuple[str, Preset]]:
        """Return what `undo` can bring back, the newest first, each with what it needs."""
        return self._store.deleted(person)

    def look(
        self, name: str, present: Mapping[str, Any], *, parts: Collection[str] = ALL, instead: Names | None = None, person: Person = OWNER
    ) -> Look:
        """Say what applying a preset would change, and what of it is not here.

        Args:
            name: which preset.
            present: the form's values by request field; they may be anything a person typed.
            parts: which parts to take.
            instead: by (kind, name) of a finding, the name to take instead; empty leaves it out.
        """
        preset = self.load(name, person=person)
        fields = {field: preset.fields[field] for field in fields_of(parts) if field in preset.fields}
        inventory = self._inventory.read()
        chosen = instead or {}
        model = chosen.get(("model", fields.get("model") or ""), fields.get("model")) or present.get("model")
        stocks = stocks_of(inventory, model if isinstance(model, str) else None)
        kept = [use["image"] for use in fields.get("controls", ()) if self.picture(use["image"], person=person)]
        findings = find(fields, preset.hashes, stocks, kept)
        instead_of = {(each.kind, each.name): _choice(each, chosen) for each in findings}
        values = apply(repaired(fields, instead_of), present, parts)
        default = inventory.models[0].name if inventory.models else None
        compared = values | ({"model": default} if values.get("model", "") is None and present.get("model") == default else {})
        return Look(values, changes(compared, present), findings, preset.problems)

    def apply(
        self, name: str, request: GenerationRequest, *, parts: Collection[str] = ALL, instead: Names | None = None, person: Person = OWNER
    ) -> GenerationRequest:
        """Return a request with a preset applied to it; `{prompt}` in the preset wraps the request's own prompt.

        What the preset names and is not here is found by its hash under another name, or left out; see `look`.
        """
        values = self.look(name, request.model_dump(mode="json"), parts=parts, instead=instead, person=person).values
        self.secure(values, person=person)
        return GenerationRequest.parse(request.model_dump() | dict(values))

    def secure(self, values: Mapping[str, Any], *, person: Person = OWNER) -> None:
        """Put the pictures of some control units where requests find them."""
        kept, shared = self._store.pictures.of(person), self._pictures.of(person)
        for use in values.get("controls", ()):
            if shared.get(use["image"]) is None and (picture := kept.get(use["image"])):
                shared.keep(picture)

    def picture(self, key: str, *, person: Person = OWNER) -> Image.Image | None:
        """Return a picture that a preset names, or None when it is gone."""
        return self._store.pictures.of(person).get(key) or self._pictures.of(person).get(key)

    def export(self, wanted: Sequence[str], *, pictures: bool = True, person: Person = OWNER) -> tuple[str, bytes]:
        """Return a file's name and content: a zip with pictures, or without them the JSON of one preset."""
        shelf = self.shelf(person=person)
        found = [shelf.find(name) for name in wanted]
        if not found:
            raise BadPreset("Nothing would be exported; choose a preset.")
        title = names.stem(found[0].name) if len(found) == 1 else "presets"
        if len(found) == 1 and not pictures:
            return f"{title}.json", encode(found[0])
        return f"{title}.zip", pack(found, partial(self.picture, person=person))

    def take_in(self, data: bytes, called: str, *, person: Person = OWNER) -> TakenIn:
        """Take presets from a file: ours as JSON or zip, A1111's styles.csv, Fooocus' or SwarmUI's JSON.

        A name that is taken gets a number; a preset that is here already, word for word, is not taken twice.

        Raises:
            BadPreset: nothing in it can be taken; the sentence says why.
            StudioError: the folder cannot be written; where that comes about in the middle, the presets before are taken and it is a note.
        """
        self._check_may(person)
        incoming = open_file(data, called)
        # Pictures first: they take their time, and nobody has to wait for them.
        taking = Taking(incoming, self._store.pictures.of(person))
        ready = [taking.with_pictures(preset, own) for preset, own in incoming.presets]
        made: list[str] = []
        with self._changing(person) as shelf:
            for preset in ready:
                there = shelf.get(preset.name)
                if there and _same(there, preset):
                    taking.notes.append(f"{preset.name} is here already.")
                elif full := self._full(shelf, person):
                    taking.notes.append(f"{preset.name} was left out: {full}")
                else:
                    preset = replace(preset, name=names.free(preset.name, shelf.keys()))
                    try:
                        self._store.write(person, preset)
                    except StudioError as error:
                        if not made:
                            raise
                        taking.notes.append(f"{preset.name} and what follows it were left out: {error}")
                        break
                    shelf = replace(shelf, presets=(*shelf.presets, preset))
                    made.append(preset.name)
        return TakenIn(tuple(made), tuple(dict.fromkeys(taking.notes)))

    @contextmanager
    def _changing(self, person: Person) -> Iterator[Shelf]:
        """Let one writer in at a time, and only who may write."""
        self._check_may(person)
        with self._lock:
            yield self._store.read(person)

    def _check_may(self, person: Person) -> None:
        if person.role == "viewer":
            raise NotAllowed("You look on here, so nothing is saved for you; ask for an invitation as a maker.")

    def _full(self, shelf: Shelf, person: Person) -> str:
        """Say that no more presets can be kept; empty while they can."""
        most = MAX_PRESETS if person.role == "owner" else MAX_GUEST_PRESETS
        there = sum(not preset.builtin for preset in shelf.presets)
        return f"there are {most} presets already; delete one that is not needed." if there >= most else ""

    def _own(self, shelf: Shelf, name: str) -> Preset:
        found = shelf.find(name)
        if found.builtin:
            raise BadPreset(f"{found.name} is built in and stays as it is; make a copy and change that.")
        return found

    def _change(self, old: Preset, new: Preset, person: Person) -> Preset:
        self._store.write(person, new, replaces=old)
        return new

    def _keep(self, shelf: Shelf, preset: Preset, *, person: Person, replaces: Preset | None = None) -> Saved:
        if replaces is None and (full := self._full(shelf, person)):
            raise BadPreset(full.capitalize())
        return Saved(preset, self._store.write(person, preset, replaces=replaces, undo=replaces is not None))

    def _secured(self, preset: Preset, person: Person) -> Preset:
        """Copy the pictures that a preset names to where nothing else removes them, and note the hashes of its files."""
        kept, shared = self._store.pictures.of(person), self._pictures.of(person)
        for key in preset.pictures():
            if kept.get(key) is None:
                picture = shared.get(key)
                if picture is None:
                    raise InvalidRequest("A picture of the control units is not here any more; give it again, or leave Control out.")
                kept.keep(picture)
        stocks = stocks_of(self._inventory.read(), None)
        return replace(preset, hashes={**preset.hashes, **known_hashes(preset.fields, stocks)})


def _inheriting(preset: Preset, old: Preset, *, add: bool) -> Preset:
    """Return a preset that takes an old one's place: what nobody gave anew goes on, with `add` parts, too, and what is not known here."""
    kept = {field: value for field, value in old.values.items() if add or not part_of(field)}
    known = old.hashes if add else {}
    texts = {field: keep_template(old.values.get(field), preset.values[field]) for field in TEXTS if field in preset.values}
    return replace(
        preset,
        name=old.name,
        values={**kept, **preset.values, **texts},
        hashes={kind: {**known.get(kind, {}), **preset.hashes.get(kind, {})} for kind in {*known, *preset.hashes}},
        description=preset.description or old.description,
        star=preset.star or old.star,
        picture=preset.picture or old.picture,
        extra={**old.extra, **preset.extra},
    )


def _same(there: Preset, incoming: Preset) -> bool:
    """Whether a preset is here already; a file that says nothing of its picture or what it is for says nothing else of them."""
    told = incoming.description in ("", there.description) and incoming.picture in (None, there.picture)
    return told and there.values == incoming.values


def _choice(finding: Finding, chosen: Names) -> str:
    """Return what takes a finding's place; a choice that was never offered counts for nothing."""
    wanted = chosen.get((finding.kind, finding.name))
    return finding.taken if wanted is None or wanted not in ("", finding.name, finding.taken, *finding.offers) else wanted
