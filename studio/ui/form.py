"""The form: which widget carries which request field, and the way back from the widgets' values to a request."""

import re
from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.errors import InvalidRequest
from studio.request import MODELS, GenerationRequest, bounds, control
from studio.ui import widgets

# Where in a list field the fault is, as the request says it: `controls[0].weight must`, `loras[1]: `.
_ENTRY = re.compile(r"(controls|loras)\[(\d+)\](?:\.(\w+))?(:?) (.*)", re.DOTALL)


class Form:
    """Places request fields on the page. A field that is not placed keeps its default."""

    def __init__(self) -> None:
        self._fields: dict[str, gr.HTML] = {}

    def add(self, field: str) -> gr.HTML:
        """Place a field with the widget that its `Control` names."""
        return self.bind(field, widgets.KINDS[control(field).kind](field))

    def bind(self, field: str, widget: gr.HTML) -> gr.HTML:
        """Place a field with a widget made elsewhere."""
        self._fields[field] = widget
        return widget

    @property
    def fields(self) -> Mapping[str, gr.HTML]:
        """The placed fields and their widgets."""
        return self._fields

    def read(self, values: Mapping[Any, Any]) -> GenerationRequest:
        """Turn the widgets' values, by widget, into a request.

        Raises:
            InvalidRequest: one sentence that names the first bad field by its label, and its bounds.
        """
        return parse(self.collect(values))

    def collect(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the widgets' values by field, as they are."""
        return {field: values[widget] for field, widget in self._fields.items()}


def parse(data: Mapping[str, Any]) -> GenerationRequest:
    """Read a request from the page's values; a sentence about a field begins with its label.

    Raises:
        InvalidRequest: as above.
    """
    filled = {}
    for field, value in data.items():
        default = GenerationRequest.model_fields[field].default
        if value in (None, "") and not isinstance(default, str):
            # An emptied box; gradio hands null over as "".
            if default is not None:
                raise InvalidRequest(f"{widgets.title(field)} is empty; it must be {bounds(field)}.")
            continue
        filled[field] = value
    try:
        return GenerationRequest.parse(filled)
    except InvalidRequest as error:
        raise InvalidRequest(labelled(str(error), filled), hint=error.hint) from error


def labelled(sentence: str, data: Mapping[str, Any]) -> str:
    """Say what stands on the page where a sentence begins with a request's name for it; `data` are the page's values.

    `guidance must` becomes "Guidance must", `controls[0].weight must` "Control sketch: Weight must".
    """
    if found := _ENTRY.fullmatch(sentence):
        field, index, part, colon, rest = found.groups()
        if field == "loras" and colon:
            # Tags in the prompt are LoRAs, too, so that the number may be none of the list's; such a sentence names its LoRA.
            return f"LoRA: {rest}"
        entry, (group, key) = data[field][int(index)], {"controls": ("Control ", "kind"), "loras": ("LoRA ", "name")}[field]
        whose = group + str(entry[key]) if isinstance(entry, Mapping) and key in entry else group.rstrip()
        declared = MODELS[field].model_fields.get(part)
        title = declared.title if declared else part
        place = f"{whose}, {title}:" if part and colon else f"{whose}: {title}" if part else whose + colon
        return f"{place} {rest}"
    first, space, rest = sentence.partition(" ")
    field = first.rstrip(":")
    if field not in GenerationRequest.model_fields:
        return sentence
    return widgets.title(field) + first.removeprefix(field) + space + rest
