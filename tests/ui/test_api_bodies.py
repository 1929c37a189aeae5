"""The endpoint against what is no request: schemathesis over its own description, 2,000 malformed bodies, numbers out of range."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from studio.request import MODELS, GenerationRequest, control, limits
from tests.closed import Closed, closed_fake

ROUTE = "/gradio_api/call/generate"
BODIES = 2000
SEEDS = 8
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with closed_fake(tmp_path_factory.mktemp("bodies"), step_seconds=0.0) as closed:
        yield closed


@pytest.fixture(scope="module")
def token(closed: Closed) -> str:
    return closed.access.make_token("owner", name="tests")[1]


@pytest.fixture(scope="module")
def http(closed: Closed, token: str) -> Iterator[httpx.Client]:
    with closed.http(headers={"authorization": f"Bearer {token}"}) as http:
        yield http


def test_the_description_is_served_as_it_is_kept(http: httpx.Client) -> None:
    golden = Path(__file__).resolve().parents[1] / "golden" / "openapi.json"
    assert http.get("/openapi.json").json() == json.loads(golden.read_text(encoding="utf-8"))


# A few rules cannot be said in a schema: a unit ends after it begins, a setting belongs to its preprocessor.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "422"]
"""


def test_schemathesis_finds_nothing(closed: Closed, token: str, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    program = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "--config-file", str(config)]
    options = ["--header", f"Authorization: Bearer {token}", "--max-examples", "20", "--seed", "1", "--no-color"]
    # Checked elsewhere: that a token is needed (here it always is there), and PUT and its like, which are 403 rather than 405.
    options += ["--suppress-health-check", "all", "--exclude-checks", "ignored_auth,unsupported_method", "--include-name", f"POST {ROUTE}"]
    command = [*program, "run", f"{closed.address}/openapi.json", *options]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)})
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "No issues found" in ran.stdout, ran.stdout[-2000:]


def malformed(chance: random.Random) -> bytes:
    """Return a body that is no call of the endpoint: noise, damaged JSON, wrong shapes, wrong types, out of bounds, deeply nested."""
    match chance.randrange(6):
        case 0:
            return chance.randbytes(chance.randrange(200))
        case 1:
            good = json.dumps({"data": [{"prompt": "a", "steps": 3, "controls": [{"kind": "sketch", "image": "x"}]}]}).encode()
            cut = bytearray(good[: chance.randrange(1, len(good))])
            cut[chance.randrange(len(cut))] ^= chance.randrange(1, 256)
            return bytes(cut)
        case 2:
            return json.dumps(
                chance.choice([{"data": value(chance)}, value(chance), {"data": [value(chance)] * chance.randrange(3)}])
            ).encode()
        case 3:
            field = chance.choice(list(GenerationRequest.model_fields))
            return json.dumps({"data": [{field: value(chance)}]}).encode()
        case 4:
            outer = chance.choice(list(MODELS))
            inner = chance.choice([*MODELS[outer].model_fields, "nothing"])
            return json.dumps({"data": [{outer: [{inner: value(chance)}]}]}).encode()
        case _:
            depth = chance.randrange(10, 3000)
            opening, closing = chance.choice([("[", "]"), ('{"data":[', "]}"), ('{"a":', "}")])
            return (opening * depth + "1" + closing * chance.randrange(depth + 1)).encode()


def value(chance: random.Random, depth: int = 0) -> Any:
    odd: list[Any] = [
        None,
        True,
        -1,
        0,
        10**400,
        -0.5,
        float("nan"),
        float("inf"),
        1e308,
        "",
        "\0",
        "../../x",
        "CON",
        "x" * 300,
        "🙂" * 5,
        "\ud800",
        "NaN",
    ]
    if depth < 3 and chance.random() < 0.3:
        inside = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
        return (
            inside if chance.random() < 0.5 else {chance.choice(["path", "meta", "_type", "image", "prompt", "a"]): each for each in inside}
        )
    return chance.choice(odd)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_malformed_bodies_are_one_sentence_and_change_nothing(closed: Closed, http: httpx.Client, seed: int) -> None:
    chance = random.Random(seed)
    before = len(closed.studio._jobs)
    begun = 0
    for _ in range(BODIES // SEEDS):
        body = malformed(chance)
        answer = http.post(ROUTE, content=body, headers=JSON)
        if answer.status_code == 200:
            # Well-formed after all, or wrong in a way that is told in the stream.
            told = http.get(f"{ROUTE}/{answer.json()['event_id']}", timeout=60).text
            begun += 1
            assert "Traceback" not in told and ("event: complete" in told or "event: error" in told), body
            if "event: error" in told:
                assert "null" not in told.split("data: ", 1)[1][:8], (body, told)
            continue
        assert answer.status_code == 422, (body, answer.status_code, answer.text[:200])
        sentence = answer.json()["error"]
        assert list(answer.json()) == ["error"] and sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence
    assert len(closed.studio._jobs) <= before + begun
    assert http.get("/config").status_code == 200


OUTSIDE = [
    (field, number)
    for field in GenerationRequest.model_fields
    if control(field).kind in ("slider", "size", "number")
    for least, most in [limits(field)]
    for number in (least - 1, most + 1, -(2**63), 2**64, 1e308)
]


@pytest.mark.parametrize(("field", "number"), OUTSIDE)
def test_numbers_out_of_range_name_the_field(http: httpx.Client, field: str, number: float) -> None:
    answer = http.post(ROUTE, json={"data": [{field: number}]})
    assert answer.status_code == 422 and answer.json()["error"].startswith(f"{field} must be ")


@pytest.mark.parametrize(
    "headers", [{"content-type": "text/plain"}, {"content-type": "multipart/form-data; boundary=x"}, {"content-type": ""}]
)
def test_only_json_is_taken(http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.post(ROUTE, content=b'{"data": [{}]}', headers=headers).status_code == 415


PAYLOADS = [
    *("<script>alert(1)</script>", "${7*7}", "{{7*7}}", "'; DROP TABLE records; --", "\r\nSet-Cookie: a=b", "file:///etc/passwd"),
    *(
        "http://169.254.169.254/",
        "data:text/html,<script>",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/png;base64,AAAA",
        "\\\\host\\share",
    ),
]


@pytest.mark.parametrize("text", PAYLOADS)
def test_payloads_are_texts_and_nothing_else(http: httpx.Client, text: str) -> None:
    made = http.post(ROUTE, json={"data": [{"prompt": text, "steps": 1}]})
    told = http.get(f"{ROUTE}/{made.json()['event_id']}").text
    answer = json.loads(told.split("event: complete\ndata: ", 1)[1].split("\n", 1)[0])[0]
    assert answer["requests"][0]["prompt"] == text
    for field in ({"model": text}, {"scheduler": text}, {"loras": [{"name": text}]}, {"controls": [{"kind": "sketch", "image": text}]}):
        asked = http.post(ROUTE, json={"data": [field]})
        told = asked.text if asked.status_code == 422 else http.get(f"{ROUTE}/{asked.json()['event_id']}").text
        assert '"error": "' in told and "Traceback" not in told and "root:" not in told
