"""The description of the HTTP API as OpenAPI 3.1, derived from the request's fields. Pure."""

from typing import Any

from studio import schedulers, weights
from studio.request import GenerationRequest
from studio.settings import VERSION
from studio.ui.routes import CALL, WITH_PICTURES

_EXAMPLE = {"data": [{"prompt": "a red sphere on grass", "seed": 7}]}
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_REFUSALS = {
    "401": "Nobody known asks: the token is wrong, revoked or too old.",
    "403": "The person asking may not do this, or the page is another one's.",
    "409": "The `session_hash` in the body is another person's; leave it out.",
    "411": "The body has no content-length.",
    "413": f"The body has more than {WITH_PICTURES // 10**6} MB.",
    "415": "The body's type is not application/json.",
    "422": "The body holds no request, or a field is out of its bounds; the sentence names it.",
    "429": "Too many wrong tokens came from this address; `Retry-After` says for how long to wait.",
    "503": "The disk cannot be read or written; try again later.",
}


def document() -> dict[str, Any]:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Studio",
            "version": VERSION,
            "description": "One request in, pictures and the requests that make them again out. In two steps, as gradio's clients do it.",
        },
        "security": [{"token": []}, {}],
        "paths": {CALL: {"post": _ask()}, f"{CALL}/{{event_id}}": {"get": _follow()}},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Needed where the page is not open to you."}},
            "schemas": _schemas(),
        },
    }


def _ask() -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/GenerationRequest"}, "minItems": 1, "maxItems": 1}
        },
        "required": ["data"],
        "additionalProperties": False,
        "examples": [_EXAMPLE],
    }
    began = {
        "type": "object",
        "properties": {"event_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}},
        "required": ["event_id"],
    }
    return {
        "operationId": "generate",
        "summary": "Ask for pictures; answers at once with the id under which they are waited for.",
        "description": "A full queue, a spent quota and a model or picture that is not here are told by the `error` event of the wait.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": _EXAMPLE}}},
        "responses": {"200": _json("The request is queued.", began), **{status: _json(text, None) for status, text in _REFUSALS.items()}},
    }


def _follow() -> dict[str, Any]:
    told = (
        "Server-sent events. `generating`: `[progress]` with `state` (waiting, running), `step`, `steps` and `says`. `complete`: "
        "`[answer]` with `images` (files with `url`), `requests`, `notices` and `notes`. `error`: one sentence. `heartbeat`: nothing new."
    )
    return {
        "operationId": "follow",
        "summary": "Wait for the pictures; ending the wait stops the run.",
        "parameters": [{"name": "event_id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}],
        "responses": {
            "200": {"description": told, "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **{status: _json(_REFUSALS[status], None) for status in ("401", "403", "429", "503")},
        },
    }


def _json(text: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema or _ERROR}}}


def request_schema(ref: str = "#/$defs/{model}") -> dict[str, Any]:
    """Return the JSON schema of a request as HTTP and MCP take it: pictures as text, the schedulers by name."""
    schema = GenerationRequest.model_json_schema(ref_template=ref)
    schema["properties"]["scheduler"]["enum"] = list(schedulers.TABLE)
    schema["$defs"]["ControlUse"]["properties"]["preprocessor"]["enum"] = list(weights.TABLE)
    image = schema["$defs"]["ControlUse"]["properties"]["image"]
    image["maxLength"] = WITH_PICTURES
    image["description"] = "a picture as `data:image/png;base64,...` or plain base64, or the hash of one that you gave before"
    return schema


def _schemas() -> dict[str, Any]:
    schema = request_schema("#/components/schemas/{model}")
    entries: dict[str, Any] = schema.pop("$defs")
    return {**entries, "GenerationRequest": schema}
