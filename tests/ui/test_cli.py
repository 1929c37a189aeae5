"""The command line on the fake engine, as a person runs it: exit codes, sentences, files."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from studio import GenerationRequest, StudioError, read_metadata, schedulers, verify
from studio.app import access, build
from studio.cli import generate_parser, main
from studio.metadata.containers import read as carried
from studio.settings import Settings
from studio.terminal import ended_as_by_ctrl_c
from studio.ui.serve import free_port
from tests.served import first_port

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "launch.py"), "--here"]


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept by default goes into a folder of the test's."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path_factory.mktemp("home")))


def generate(folder: Path, *arguments: str) -> int:
    return main(["generate", "--engine", "fake", "--data-dir", str(folder / "data"), *arguments])


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    # A shell starts what it puts into the background with Ctrl+C ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stdout=pipe, stderr=pipe, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_picture_is_written_with_its_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    assert generate(tmp_path, "a red sphere", "--seed", "7", "--steps", "3", "--guidance-scale", "2.5", "--out", str(out)) == 0
    request = read_metadata(out)
    assert (request.prompt, request.seed, request.steps, request.guidance_scale) == ("a red sphere", 7, 3, 2.5)
    told = capsys.readouterr()
    assert told.out == f"{out}\n"
    assert "step 3 of 3" in told.err
    assert "it/s" in told.err


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_written_picture_is_found_to_be_bit_identical(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{suffix}"
    assert generate(tmp_path, "a red sphere", "--steps", "2", "--seed", "7", "--out", str(path)) == 0
    found = verify(path, engine="fake", data_dir=tmp_path / "data")
    assert found.identical and found.sentence.startswith("Bit-identical")
    assert "Steps: 2, Sampler: DPM++ 2M, Schedule type: Karras" in carried(path.read_bytes(), name="out").parameters


def test_a_picture_without_settings_cannot_be_verified(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "plain.png")
    with pytest.raises(StudioError, match=r"plain\.png carries no settings"):
        verify(tmp_path / "plain.png", engine="fake", data_dir=tmp_path / "data")


def test_a_batch_becomes_numbered_files_each_with_its_seed(tmp_path: Path) -> None:
    assert generate(tmp_path, "", "--seed=-1", "--steps", "1", "--batch-size", "2", "--out", str(tmp_path / "out.jpg")) == 0
    first, second = (read_metadata(tmp_path / f"out-{number}.jpg").seed for number in (1, 2))
    assert second == (first + 1) % 2**32
    assert not (tmp_path / "out.jpg").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--steps 0", "steps must be a whole number from 1 to 150, not 0."),
        ("--steps 2.5", "steps must be a whole number from 1 to 150, not 2.5."),
        ("--steps many", "steps must be a whole number from 1 to 150, not 'many'."),
        ("--width 7 --height 9999", "width must be a multiple of 8 from 64 to 2048, not 7."),
        ("--guidance-scale nan", "guidance_scale must be a number from 1 to 30, not nan."),
        ("--guidance-scale -inf", "guidance_scale must be a number from 1 to 30, not -inf."),
        ("--batch-size 10000", "batch_size must be a whole number from 1 to 8, not 10000."),
        ("--seed 36893488147419103232", "seed must be a whole number from -1 to 4294967295, not 36893488147419103232."),
        ("--scheduler Eulr", f"scheduler: 'Eulr' is no scheduler; use one of the {len(schedulers.TABLE)} names listed, such as \"Euler\"."),
        ("--controls 5", "controls must be a list of at most 8 objects, not 5."),
        ("--loras [3]", "loras[0] must be an object with fields such as name, weight, text_encoder_weight, not 3."),
        ("--out nowhere/x.png", "--out: the folder nowhere does not exist; make it first."),
        ("--out x.gif", "--out: x.gif must end in .png, .jpg, .jpeg or .webp."),
        ("--stepz 3", "unrecognized arguments: --stepz 3; see --help."),
        ("--out ~nosuch/x.png", "--out must not start with '~nosuch', for which no home folder is known; see --help."),
        ("--data-dir ~nosuch/x", "--data-dir must not start with '~nosuch', for which no home folder is known; see --help."),
        ("--lora-dir ~nosuch", "--lora-dir must not start with '~nosuch', for which no home folder is known; see --help."),
        ("--data-dir pyproject.toml", "--data-dir: the folder pyproject.toml cannot be made: File exists."),
    ],
)
def test_bad_input_is_one_sentence(options: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["generate", "--engine", "fake", "a sphere", *options.split()]) == 2
    assert capsys.readouterr() == ("", told + "\n")


def test_an_unknown_choice_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--engine", "other"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("--engine invalid choice: 'other'")
    assert "diffusers" in told
    assert told.count("\n") == 1


def test_a_model_name_that_is_no_file_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--model", "a" * 299]) in (1, 2)
    told = capsys.readouterr().err
    assert "aaaaa" in told
    assert told.count("\n") == 1
    assert len(told) < 400


def test_a_long_prompt_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(tmp_path, "a" * 100_000) == 2
    assert capsys.readouterr().err == "prompt has 100,000 characters; it must be a text of at most 10,000 characters.\n"


@pytest.mark.parametrize("prompt", ["🟥 a sphere 🙂", "كرة حمراء على العشب", "--a line\nand another"])
def test_unusual_prompts_reach_the_picture(prompt: str, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert generate(tmp_path, "--steps", "1", "--negative-prompt", "-dashes", "--out", str(out), "--", prompt) == 0
    assert (read_metadata(out).prompt, read_metadata(out).negative_prompt) == (prompt, "-dashes")


@pytest.mark.parametrize(
    "options",
    [
        "--host example.org",
        "--address studio",
        "--address https://a.example/x",
        "--share --address https://a.example",
        "--host 300.1.1.1",
        "--port 0",
        "--port 65536",
        "--port x",
        "--threads 0",
        "--threads two",
    ],
)
def test_the_page_is_for_this_machine_only(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--engine", "fake", *options.split()]) == 2
    told = capsys.readouterr().err
    assert options.split(maxsplit=1)[0] in told
    assert told.count("\n") == 1


def test_every_field_of_the_request_has_its_option() -> None:
    options = {option for action in generate_parser()._actions for option in action.option_strings}
    assert {f"--{name.replace('_', '-')}" for name in GenerationRequest.model_fields} - options == {"--prompt"}


def test_generate_takes_no_gradio(tmp_path: Path) -> None:
    code = "import sys; from studio.cli import main; code = main(sys.argv[1:]); assert 'gradio' not in sys.modules; sys.exit(code)"
    ran = [sys.executable, "-c", code, "generate", "x", "--engine", "fake", "--steps", "1", "--out", str(tmp_path / "x.png")]
    assert subprocess.run(ran, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_ctrl_c_stops_the_run(tmp_path: Path) -> None:
    with started("generate", "x", "--engine", "fake", "--steps", "150", folder=tmp_path) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=10)
    assert process.returncode == 130
    assert told.endswith("Stopped.\n")
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_the_page_answers_on_the_next_free_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started("--engine", "fake", "--port", str(port), "--data-dir", str(tmp_path), folder=tmp_path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"Port {port} is taken, so another one is used.\n"
            address = process.stdout.readline().split()[4]
            with urllib.request.urlopen(address, timeout=10) as answer:
                assert answer.status == 200


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_ends_the_page_ends_it_as_ctrl_c_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, temporary = tmp_path / "data" / "queue", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    keep_a_job(tmp_path / "data")
    address = ["--host", "0.0.0.0", "--port", str(free_port("0.0.0.0", first_port() + 600))]
    with heard(name), started("--engine", "fake", *address, "--data-dir", str(tmp_path / "data"), folder=tmp_path) as process:
        while not list(queue.glob("*.1.json")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "\nStopped.\n")
    # The job will be made at the next start, and does not count as one that killed this studio.
    assert [path.suffixes for path in queue.glob("*.json")] == [[".0", ".json"]]
    assert list(temporary.glob("studio-*")) == []


@contextmanager
def heard(name: str) -> Iterator[None]:
    """Have processes begun meanwhile hear a signal, also where the tests run under `nohup`, which they would inherit."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def keep_a_job(data_dir: Path) -> None:
    """Leave a long job for the next studio on this folder."""
    studio = build(Settings(data_dir=data_dir, engine="fake"))
    studio.resume()
    studio.submit(GenerationRequest(steps=150), lasting=True)
    studio.close()


def test_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ended_as_by_ctrl_c():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_end_is_heard_once() -> None:
    with ended_as_by_ctrl_c():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        # This would interrupt the closing.
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_is_written_opens_as_a_picture(tmp_path: Path) -> None:
    assert generate(tmp_path, "x", "--steps", "1", "--width", "128", "--out", str(tmp_path / "x.webp")) == 0
    with Image.open(tmp_path / "x.webp") as picture:
        assert picture.size == (128, 256)


def test_a_picture_file_steers_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGBA", (40, 40), (0, 0, 0, 9)).save("map.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "map.png").read_bytes()[:60])

    def steered(image: str) -> int:
        unit = json.dumps([{"kind": "sketch", "image": image, "preprocessor": "canny"}])
        return generate(tmp_path, "x", "--steps", "1", "--out", "x.png", "--controls", unit)

    assert steered("map.png") == 0
    assert "picture 0: its transparent parts are white now." in capsys.readouterr().err
    assert len(read_metadata(tmp_path / "x.png").controls[0].image) == 64
    for image, told in (
        ("cut.png", "cut.png is damaged or cut short; save or copy it again."),
        ("no.png", "no.png is no file; give the path"),
        ("~nosuch/no.png", "~nosuch/no.png is no file, as no home folder is known for ~nosuch; give the path of a picture."),
    ):
        assert steered(image) == 2
        assert capsys.readouterr().err.startswith(told)


def test_what_the_command_line_makes_is_in_the_history(tmp_path: Path) -> None:
    assert generate(tmp_path, "kept", "--seed", "7", "--steps", "1", "--batch-size", "2", "--out", str(tmp_path / "out.png")) == 0
    kept = sorted((tmp_path / "data" / "pictures").rglob("*.png"))
    assert [read_metadata(path).seed for path in kept] == [7, 8]


@pytest.mark.parametrize("limit", ["0", "-1", "x", "nan", "1e9", "0.0"])
def test_a_limit_that_is_none_is_one_sentence(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--history-limit", limit]) == 2
    assert capsys.readouterr().err.startswith("--history-limit must be a number of gigabytes above 0 such as 20 or 0.5, not ")


def test_tokens_are_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["token", "--data-dir", str(tmp_path)]
    assert main([*command, "make", "notebook", "--role", "viewer", "--days", "2"]) == 0
    first, secret = capsys.readouterr().out.strip().splitlines()
    identity = first.split(",")[0]
    person = access(Settings(data_dir=tmp_path)).by_token(secret)
    assert person and (person.id, person.role, person.name) == (identity, "viewer", "notebook")
    assert main([*command, "list"]) == 0
    listed = capsys.readouterr().out
    assert "notebook" in listed and identity in listed and secret not in listed
    assert main([*command, "revoke", identity]) == 0
    assert access(Settings(data_dir=tmp_path)).by_token(secret) is None


@pytest.mark.parametrize(
    "words", ["", "make", "make a --days x", "make a --days -1", "make a --role king", "make a --waiting 99", "revoke nothing", "burn"]
)
def test_a_token_command_that_makes_no_sense_is_one_sentence(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--data-dir", str(tmp_path), *words.split()]) in (1, 2)
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "Traceback" not in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--days x", "--days must be a number of days above 0 and up to 366, not 'x'; see --help."),
        ("--days 0", "--days must be a number of days above 0 and up to 366, not '0'; see --help."),
        ("--days 9999", "--days must be a number of days above 0 and up to 366, not '9999'; see --help."),
        ("--per-hour x", "--per-hour must be a number from 0 to 1,000,000, not 'x'; see --help."),
        ("--per-hour nan", "--per-hour must be a number from 0 to 1,000,000, not 'nan'; see --help."),
        ("--waiting 1.5", "--waiting must be a whole number from 1 to 8, not '1.5'; see --help."),
        ("--waiting 9", "--waiting must be a whole number from 1 to 8, not '9'; see --help."),
    ],
)
def test_a_token_out_of_bounds_is_a_wrong_command(words: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--data-dir", str(tmp_path), "make", "a", *words.split()]) == 2
    assert capsys.readouterr() == ("", told + "\n")


@pytest.mark.parametrize("name", ["", " ", "\u202e"])
def test_a_token_without_a_name_is_a_wrong_command(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--data-dir", str(tmp_path), "make", name]) == 2
    assert "must be a name, so that you know the token again" in capsys.readouterr().err


def test_a_token_for_the_longest_time_is_made(tmp_path: Path) -> None:
    assert main(["token", "--data-dir", str(tmp_path), "make", "a", "--days", "366", "--per-hour", "0", "--waiting", "8"]) == 0


def test_tokens_of_an_unknown_user_are_a_wrong_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--data-dir", "~nosuch/x", "list"]) == 2
    assert capsys.readouterr().err == "--data-dir must not start with '~nosuch', for which no home folder is known; see --help.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_error_about_no_file_names_none(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "studio", "token", "--data-dir", str(tmp_path), "make", "a"]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "No space left on device.\n")


def test_behind_a_proxy_the_page_answers_to_its_address(tmp_path: Path) -> None:
    address, port = "https://studio.example.org", str(free_port("127.0.0.1", first_port() + 520))
    command = [sys.executable, "-m", "studio", "--engine", "fake", "--address", f"{address}/", "--data-dir", str(tmp_path), "--port", port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ran:
        try:
            assert ran.stdout
            lines: list[str] = []
            while not any("/#own_" in line for line in lines):
                lines.append(ran.stdout.readline())
                assert lines[-1], lines
            assert lines[-1].strip().startswith(f"{address}/#own_")
            secret = lines[-1].strip().partition("#")[2]
            # As nginx passes it on by itself, and with the Host that the browser sent.
            for host in (f"127.0.0.1:{port}", "studio.example.org"):
                asked = {"host": host, "origin": address, "x-forwarded-proto": "https"}
                answer = httpx.post(f"http://127.0.0.1:{port}/studio/enter", json={"secret": secret}, headers=asked, trust_env=False)
                assert answer.status_code == 200 and "; Secure" in answer.headers["set-cookie"]
        finally:
            ran.kill()


def test_share_without_a_tunnel_goes_on_closed(tmp_path: Path) -> None:
    """The whole command, in a process of its own, where no address outside of this machine can be reached.

    The proxy that is named answers nobody, so the page's start must not ask it for this machine's own addresses either.
    """
    nowhere = dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "NO_PROXY": "", "no_proxy": "", "HOME": str(tmp_path), "HF_HOME": str(tmp_path)}
    port = str(free_port("127.0.0.1", first_port() + 500))
    command = [sys.executable, "-m", "studio", "--engine", "fake", "--share", "--data-dir", str(tmp_path), "--port", port]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ran:
        try:
            assert ran.stdout
            lines: list[str] = []
            while not any("goes on without" in line for line in lines):
                lines.append(ran.stdout.readline())
                assert lines[-1], lines
            assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 401
        finally:
            ran.kill()
    assert any("/#own_" in line for line in lines) and not any("Traceback" in line for line in lines)
