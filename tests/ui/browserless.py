"""The page without a browser: presses Generate and calls the widgets' server functions over plain HTTP."""

from typing import Any

import httpx

VISITOR_A, VISITOR_B = "visitor-aaaaaaaaaaaa", "visitor-bbbbbbbbbbbb"


class Page:
    """What a browser does, as one visitor."""

    def __init__(self, http: httpx.Client, visitor: str) -> None:
        self._http, self._visitor = http, visitor
        self._config: dict[str, Any] = http.get("/config").json()
        self._ids = {part["props"]["elem_id"]: part["id"] for part in self._config["components"] if part["props"].get("elem_id")}

    @property
    def parts(self) -> dict[str, int]:
        """Ids of the page's named components."""
        return self._ids

    def generate(self, **typed: Any) -> dict[str, Any]:
        """Press Generate with some fields typed over the page's start values; return what the stage is given."""
        press = next(event for event in self._config["dependencies"] if (self._ids["actions"], "click") in map(tuple, event["targets"]))
        values = [self._value(part, typed) for part in press["inputs"]]
        body = {"fn_index": press["id"], "data": values, "session_hash": self._visitor}
        answer = self._http.post("/gradio_api/run/predict", json=body)
        answer.raise_for_status()
        shown: dict[str, Any] = answer.json()["data"][0]
        return shown

    def call(self, part: str, function: str, data: Any) -> Any:
        """Call a widget's server function."""
        return self.answer(part, function, data).raise_for_status().json()

    def answer(self, part: str, function: str, data: Any) -> httpx.Response:
        """Call a widget's server function and return the whole answer."""
        body = {"session_hash": self._visitor, "component_id": self._ids[part], "fn_name": function, "data": data}
        return self._http.post("/gradio_api/component_server", json=body)

    def finish(self, job: str) -> dict[str, Any]:
        """Poll a job as the stage does, until it is over; return the last view."""
        version, seen = -1, -1
        while True:
            view: dict[str, Any] = self.call("stage", "poll", [job, version, seen])
            if view["over"]:
                return view
            version, seen = view["version"], view["seen"]

    def _value(self, part: int, typed: dict[str, Any]) -> Any:
        name = next(name for name, number in self._ids.items() if number == part)
        if name == "stage":
            return {"visitor": self._visitor}
        start = next(found["props"].get("value") for found in self._config["components"] if found["id"] == part)
        return typed.get(name.removeprefix("field-"), start)
