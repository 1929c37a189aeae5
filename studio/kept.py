"""Pictures that were kept, as values: one picture of the history, what is looked for among them, a page of what was found. Pure."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from studio.errors import InvalidRequest
from studio.people import Person
from studio.request import GenerationRequest, info, shorten

Change = Literal["star", "unstar", "delete", "restore"]
"""What can be done to pictures of the history besides tagging them."""

MAX_TAGS, MAX_TAG, MAX_TEXT = 20, 40, 300
Shelf = Literal["all", "starred", "deleted"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture of the history.

    Attributes:
        id: 16 hexadecimal digits, drawn at random.
        made: when it was made, in microseconds since 1970, UTC; no two pictures share one.
        person: `Person.id` of whose it is.
        run: the pictures of one run share it.
        path: its file, below the data folder's `pictures`.
        bytes: the file's size.
        request: the concrete request that makes it again; None where its file carries none that this studio can read.
        starred: whether it was starred.
        tags: words that a person gave it, in their order.
        deleted: when it was put into the trash, in microseconds since 1970; None while it is not there.
    """

    id: str
    made: int
    person: str
    run: str
    path: str
    bytes: int
    request: GenerationRequest | None
    starred: bool = False
    tags: tuple[str, ...] = ()
    deleted: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A job that is not over: what a restart needs to take it up again.

    Attributes:
        id: the job's.
        made: when it was asked for, in nanoseconds since 1970.
        visitor: whose turn it takes.
        person: to whom its pictures belong.
        request: the concrete request.
        starts: how often it was begun.
    """

    id: str
    made: int
    visitor: str
    person: Person
    request: GenerationRequest
    starts: int = 0


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What stood in a browser's form: `content` is its values by name, `version` grows by one each time, `tab` is which tab wrote it."""

    version: int
    tab: str
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is looked for. Empty parts do not narrow.

    Attributes:
        text: words that all stand in the prompt, the model's name, the LoRAs' names or the tags; case does not count.
        model: a model's name.
        lora: a LoRA's name.
        since: the least `Entry.made`.
        until: what every `Entry.made` is below.
        shelf: all that is not in the trash, what is starred, or what is in the trash.
    """

    text: str = ""
    model: str = ""
    lora: str = ""
    since: int | None = None
    until: int | None = None
    shelf: Shelf = "all"


@dataclass(frozen=True)
class Leaf:
    """Some of the pictures found, newest first. `following` is the key that goes on after them, None at the end."""

    entries: tuple[Entry, ...] = ()
    following: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shelves:
    """How much a person has, and the names of models and LoRAs that can be chosen among."""

    count: int = 0
    bytes: int = 0
    deleted: int = 0
    models: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()


def query(data: object) -> Query:
    """Read a query from decoded JSON.

    Raises:
        InvalidRequest: one sentence that names the part.
    """
    if not isinstance(data, dict):
        raise InvalidRequest("The search must be an object; reload the page.")
    text, model, lora = (_text(name, data.get(name) or "") for name in ("text", "model", "lora"))
    since, until = (_time(name, data.get(name)) for name in ("since", "until"))
    shelf = next((known for known in get_args(Shelf) if known == (data.get("shelf") or "all")), None)
    if shelf is None:
        raise InvalidRequest(f"shelf must be one of {', '.join(get_args(Shelf))}, not {shorten(data['shelf'])}.")
    return Query(text=text, model=model, lora=lora, since=since, until=until, shelf=shelf)


def tags(data: object) -> tuple[str, ...]:
    """Read tags from decoded JSON: texts, each once, with single spaces.

    Raises:
        InvalidRequest: too many, too long, or no texts.
    """
    if not isinstance(data, list) or not all(isinstance(tag, str) for tag in data):
        raise InvalidRequest("Tags must be a list of texts.")
    wanted = tuple(dict.fromkeys(" ".join(tag.split()) for tag in data if tag.strip()))
    for tag in wanted:
        if len(tag) > MAX_TAG or not tag.isprintable() or "," in tag:
            raise InvalidRequest(f"The tag {shorten(tag)} must have at most {MAX_TAG} characters and no comma.")
    if len(wanted) > MAX_TAGS:
        raise InvalidRequest(f"A picture takes at most {MAX_TAGS} tags, not {len(wanted)}.")
    return wanted


def differences(one: GenerationRequest, other: GenerationRequest) -> list[tuple[str, str, str]]:
    """Return (title, first's value, second's value) of every setting in which two requests differ, in the request's order."""
    found = []
    for name, declared in GenerationRequest.model_fields.items():
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, tuple):
            found += _entries(name, declared.title or name, left, right)
        elif left != right:
            found.append((declared.title or name, _shown(left), _shown(right)))
    return found


def _entries(field: str, title: str, left: tuple[Any, ...], right: tuple[Any, ...]) -> list[tuple[str, str, str]]:
    """Compare the entries of a list field: those at the same place part by part."""
    found = []
    most = max(len(left), len(right))
    for index in range(most):
        one, other = (entries[index] if index < len(entries) else None for entries in (left, right))
        where = f"{title} {index + 1}" if most > 1 else title
        if one is None or other is None:
            found.append((where, _called(one), _called(other)))
            continue
        for part in type(one).model_fields:
            values = getattr(one, part), getattr(other, part)
            if values[0] != values[1]:
                found.append((f"{where}: {info(f'{field}.{part}').title}", _shown(values[0]), _shown(values[1])))
    return found


def _called(entry: Any) -> str:
    return "none" if entry is None else f"{getattr(entry, 'kind', None) or entry.name} {entry.weight:g}"


def _shown(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(number)}" for name, number in value.items()) or "default"
    text = str(value)
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        # The whole hash of a picture tells a person no more than that it is another one.
        return f"picture {text[:6]}"
    return text or "empty"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise InvalidRequest(f"{name} must be a text of at most {MAX_TEXT} characters, not {shorten(value)}.")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidRequest(f"{name} holds a character that is none; leave it out.")
    return value


def _time(name: str, value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 2**53:
        raise InvalidRequest(f"{name} must be a time in microseconds, not {shorten(value)}.")
    return value
