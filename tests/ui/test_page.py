"""The page over plain HTTP: every field is placed, Generate and Stop, visitors apart, bad input, start values."""

import base64
from pathlib import Path

import httpx
import pytest

from studio import read_metadata
from studio.request import GenerationRequest
from studio.ui import widgets
from studio.ui.examples import EXAMPLES, FIRST_PROMPT
from tests.served import Served
from tests.ui.browserless import VISITOR_A, VISITOR_B, Page


@pytest.fixture
def visitor(http: httpx.Client) -> Page:
    return Page(http, VISITOR_A)


@pytest.fixture
def other(http: httpx.Client) -> Page:
    return Page(http, VISITOR_B)


def test_every_request_field_is_placed(visitor: Page) -> None:
    placed = {name.removeprefix("field-") for name in visitor.parts if name.startswith("field-")}
    assert placed == set(GenerationRequest.model_fields), "place it in a panel: form.add(...)"


def test_generate_makes_the_picture_with_the_request_inside(visitor: Page, tmp_path: Path) -> None:
    view = visitor.finish(visitor.generate(seed=11, steps=3, batch_size=2)["job"])
    assert (view["phase"], view["fraction"], view["left"][:7]) == ("done", 1.0, "done in")
    assert [picture["seed"] for picture in view["pictures"]] == [11, 12]
    file = visitor.call("stage", "picture", [view["job"], 1])
    path = tmp_path / file["name"]
    path.write_bytes(base64.b64decode(file["png"]))
    made = read_metadata(path)
    assert (made.seed, made.steps, made.prompt) == (12, 3, FIRST_PROMPT)


def test_start_values_are_the_requests_defaults(visitor: Page) -> None:
    view = visitor.finish(visitor.generate()["job"])
    assert view["prompt"] == FIRST_PROMPT


def test_a_prompt_of_megabytes_is_refused_by_its_own_sentence(visitor: Page) -> None:
    told = visitor.generate(prompt="x" * 2_000_000)["error"]
    assert told == "Prompt has 2,000,000 characters; it must be a text of at most 10,000 characters."


def test_emptied_boxes_of_open_fields_are_left_open(visitor: Page) -> None:
    # Gradio turns null into "".
    assert visitor.generate(width="", height="", model="", steps=1)["error"] == ""


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("steps", 0, "Steps must be a whole number from 1 to 150, not 0."),
        ("steps", "", "Steps is empty; it must be a whole number from 1 to 150."),
        ("steps", None, "Steps is empty; it must be a whole number from 1 to 150."),
        ("width", 7, "Width must be a multiple of 8 from 64 to 2048, not 7."),
        ("height", 9999, "Height must be a multiple of 8 from 64 to 2048, not 9999."),
        ("scheduler", "Euler b", "Scheduler: 'Euler b' is no scheduler"),
        ("batch_size", 10_000, "Batch must be a whole number from 1 to 8, not 10000."),
        ("seed", 2**64 + 1, "Seed must be a whole number from -1 to 4294967295, not 18446744073709551617."),
        ("prompt", "x" * 100_000, "Prompt has 100,000 characters; it must be a text of at most 10,000 characters."),
        ("prompt", ["a"], "Prompt must be a text of at most 10,000 characters, not a list."),
        ("guidance_scale", "5", "Guidance must be a number from 1 to 30, not '5'."),
        ("model", "nothing", "Model: 'nothing' is not here"),
    ],
)
def test_bad_input_is_one_sentence_with_the_label(visitor: Page, field: str, value: object, sentence: str) -> None:
    shown = visitor.generate(**{field: value})
    assert shown["job"] is None
    assert shown["error"].startswith(sentence)


def test_stop_ends_a_run_and_keeps_what_was_seen(visitor: Page) -> None:
    job = visitor.generate(steps=150, batch_size=1)["job"]
    view = visitor.call("stage", "poll", [job, -1, -1])
    while view["seen"] < 0:
        view = visitor.call("stage", "poll", [job, view["version"], view["seen"]])
    visitor.call("stage", "stop_job", job)
    over = visitor.finish(job)
    assert over["phase"] == "stopped" and over["left"].startswith("stopped after step")
    assert visitor.call("stage", "poll", [job, -1, -1])["preview"].startswith("data:image/jpeg;base64,")


def test_a_reload_finds_the_jobs_again_and_others_do_not(visitor: Page, other: Page) -> None:
    job = visitor.generate(steps=150)["job"]
    assert {"job": job, "over": False} in visitor.call("stage", "mine", VISITOR_A)
    assert job not in [known["job"] for known in other.call("stage", "mine", VISITOR_B)]
    visitor.call("stage", "stop_job", job)
    visitor.finish(job)
    assert {"job": job, "over": True} in visitor.call("stage", "mine", VISITOR_A)


@pytest.mark.parametrize(
    ("function", "data"),
    [
        ("poll", None), ("poll", []), ("poll", ["nothing", -1, -1]), ("poll", [5, "a", {}]), ("poll", {"path": "/etc/hostname"}),
        ("picture", None), ("picture", ["nothing", 0]), ("picture", [["a"], 0]), ("stop_job", None), ("stop_job", ["a"]),
    ],
)  # fmt: skip
def test_server_functions_answer_nonsense_with_nothing(visitor: Page, function: str, data: object) -> None:
    assert visitor.call("stage", function, data) is None


@pytest.mark.parametrize("name", [None, "", "short", "x" * 65, ["a"], "' or 1=1 --     "])
def test_only_a_proper_visitor_has_jobs(visitor: Page, name: object) -> None:
    assert visitor.call("stage", "mine", name) == []


@pytest.mark.parametrize("index", [-1, 99])
def test_a_picture_that_is_not_there(visitor: Page, index: int) -> None:
    job = visitor.finish(visitor.generate(steps=1)["job"])["job"]
    assert visitor.call("stage", "picture", [job, index]) is None


@pytest.mark.parametrize("name", ["__init__", "get_config", "preprocess", "push_to_hub", "nothing"])
def test_nothing_else_of_a_widget_can_be_called(visitor: Page, name: str) -> None:
    assert visitor.answer("stage", name, None).status_code == 404


def test_tokens_are_counted_while_typing(visitor: Page) -> None:
    assert visitor.call("field-prompt", "count", ["a red sphere", None]) == {"note": "3 / 75 tokens", "warning": ""}
    told = visitor.call("field-prompt", "count", ["word " * 80, None])
    assert told == {"note": "80 / 75 tokens", "warning": "The last 5 tokens are past the model's window of 75 and are not read."}
    assert visitor.call("field-prompt", "count", {"a": 1}) == {"note": "", "warning": ""}


def test_the_header_tells_models_device_and_loading(visitor: Page) -> None:
    visitor.finish(visitor.generate(steps=1)["job"])
    status = visitor.call("field-model", "status", None)
    assert status["models"] == [{"name": "Fake", "native": 256, "multiple": 8}]
    assert (status["state"], status["problems"], status["device"]) == ("ready", [], "fake engine, no model")


def test_examples_are_good_requests() -> None:
    assert len(EXAMPLES) >= 12
    for _, fields in EXAMPLES:
        GenerationRequest.parse(dict(fields))


def test_the_page_writes_the_history_and_nothing_else(visitor: Page, page: Served) -> None:
    def written() -> set[str]:
        assert page.studio.gallery and page.studio.gallery.settle(30)
        return {path.relative_to(page.data_dir).as_posix() for path in page.data_dir.rglob("*") if path.is_file()}

    before = written()
    visitor.finish(visitor.generate(steps=5)["job"])
    (picture, thumbnail) = sorted(written() - before)
    assert picture.startswith("pictures/2") and thumbnail.startswith("thumbnails/")


def test_a_row_that_cannot_be_used_is_shown_with_its_reason() -> None:
    rows = [{"name": "A", "description": "quick", "reason": ""}, {"name": "B", "description": "slow", "reason": "needs <scipy>"}]
    shown = str(widgets.choice("scheduler", [("Some", rows)]).html_template)
    assert '<option value="A" title="quick">A</option>' in shown
    assert '<option value="B" title="slow" disabled>B: needs &lt;scipy&gt;</option>' in shown
