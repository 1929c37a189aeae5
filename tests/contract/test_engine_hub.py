"""Fetching by hub id, against a small server on the loopback that speaks as much of the hub's protocol as is needed."""

import _thread
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from studio import app
from studio.engine.diffusers_engine import DiffusersEngine
from studio.engine.hub import choose_files, fetch
from studio.errors import BrokenModel, MissingWeights
from studio.inventory import ModelCard
from studio.settings import Settings
from studio.storage.inventory import describe
from tests.contract.drive import latents_of, run_of

PIECE = 1 << 20
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one folder as the model `someone/tiny`; notes what was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []
        self.sent = 0
        self.pause = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers model info, the file tree, and files with their size and hash."""

    server: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/someone/tiny/tree/"):
            self._json([{"type": "file", "path": name, "size": size, "oid": "0"} for name, size in self._files().items()])
        elif path in ("/api/models/someone/tiny", f"/api/models/someone/tiny/revision/{COMMIT}"):
            siblings = [{"rfilename": name, "size": size} for name, size in self._files().items()]
            self._json({"id": "someone/tiny", "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"/someone/tiny/resolve/{COMMIT}/"):
            self._file(path.partition(COMMIT + "/")[2])
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _files(self) -> dict[str, int]:
        folder = self.server.folder
        return {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}

    def _json(self, data: object) -> None:
        self._send(json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str) -> None:
        if self.command == "GET":
            self.server.asked.append(name)
        data = (self.server.folder / name).read_bytes()
        self._send(data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            for start in range(0, len(data), PIECE):
                self.server.sent += self.wfile.write(data[start : start + PIECE])
                time.sleep(self.server.pause)


@pytest.fixture
def hub(tiny_copy: Path) -> Iterator[Hub]:
    """A hub with one tiny model."""
    with Hub(tiny_copy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_fetched_model_draws_the_same(hub: Hub, tmp_path: Path, settings: Settings, engine: DiffusersEngine, tiny_card: ModelCard) -> None:
    (hub.folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (hub.folder / "run_me.py").write_text("raise SystemExit")
    heard: list[tuple[float, str]] = []
    into = tmp_path / "models"
    folder = fetch("someone/tiny", into, lambda fraction, message: heard.append((fraction, message)), endpoint=hub.address)
    assert folder == into / "someone--tiny"
    assert [path.name for path in into.iterdir()] == ["someone--tiny"]
    assert not {"run_me.py", "unet/diffusion_pytorch_model.bin"} & set(hub.asked)
    assert not (folder / ".cache").exists()
    assert heard[0][0] == 0.0 and heard[-1][0] == 1.0
    assert any(0 < fraction <= 1 and "MB" in message for fraction, message in heard)
    fetched = describe("fetched", folder)
    other = DiffusersEngine(settings)
    other.load(fetched, lambda *_: None)
    assert latents_of(run_of(other, fetched)).equal(latents_of(run_of(engine, tiny_card)))


def test_second_fetch_asks_nothing(hub: Hub, tmp_path: Path) -> None:
    fetch("someone/tiny", tmp_path / "models", lambda *_: None, endpoint=hub.address)
    hub.asked.clear()
    fetch("someone/tiny", tmp_path / "models", lambda *_: None, endpoint="http://127.0.0.1:9")
    assert not hub.asked


def test_ctrl_c_ends_a_fetch_at_once_and_the_next_one_goes_on(hub: Hub, tmp_path: Path) -> None:
    size = 80 * PIECE
    (hub.folder / "tokenizer" / "large.json").write_bytes(bytes(size))
    hub.pause = 0.02

    def interrupt(fraction: float, message: str) -> None:
        if 0.1 < fraction < 1:
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        fetch("someone/tiny", tmp_path, interrupt, endpoint=hub.address)
    assert 0 < hub.sent < size
    hub.pause = 0.0
    assert (fetch("someone/tiny", tmp_path, lambda *_: None, endpoint=hub.address) / "tokenizer" / "large.json").stat().st_size == size


def test_a_fetched_model_that_cannot_be_run_is_told(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.engine.hub.fetch", partial(fetch, endpoint=hub.address))
    (hub.folder / "unet" / "config.json").write_text("{}")
    with pytest.raises(BrokenModel, match="someone--tiny cannot be used"):
        app.build(Settings(data_dir=tmp_path, model="someone/tiny"))


def test_a_model_is_called_by_its_name_whatever_lies_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Mini").mkdir()
    monkeypatch.chdir(tmp_path)
    with app.build(Settings(data_dir=tmp_path / "data", model="Mini")) as studio:
        assert studio.inventory().models[0].name == "Mini"


def test_offline_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="not on this machine and the model hub cannot be reached"):
        fetch("someone/tiny", tmp_path, lambda *_: None, endpoint="http://127.0.0.1:9")
    assert not (tmp_path / "someone--tiny").exists()


def test_unknown_model_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="has no model someone/else"):
        fetch("someone/else", tmp_path, lambda *_: None, endpoint=hub.address)


def test_other_kind_of_pipeline_is_refused(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(MissingWeights, match="is a FluxPipeline"):
        fetch("someone/tiny", tmp_path, lambda *_: None, endpoint=hub.address)
    assert hub.asked == ["model_index.json"]


@pytest.mark.parametrize("index", ["no JSON", "[1]", "[" * 200_000])
def test_a_damaged_index_is_one_sentence(index: str, hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "model_index.json").write_text(index)
    with pytest.raises(MissingWeights, match=r"its model_index\.json is damaged"):
        fetch("someone/tiny", tmp_path, lambda *_: None, endpoint=hub.address)


@pytest.mark.parametrize("wrong", ["models/someone--tiny", "a/b.git", "a/x."])
def test_what_only_the_hub_knows_to_be_no_id_is_one_sentence(wrong: str, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="is no hub id; write owner/name"):
        fetch(wrong, tmp_path, lambda *_: None, endpoint=hub.address)


def test_a_fetch_that_breaks_off_is_one_sentence(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Data processing error: connection reset")

    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    with pytest.raises(MissingWeights, match=r"broke off .*connection reset.*start again"):
        fetch("someone/tiny", tmp_path, lambda *_: None, endpoint=hub.address)


@pytest.mark.parametrize("wrong", ["../../etc", "/tmp", "a/b/c", "plain", "a/..", ".a/b"])
def test_only_hub_ids_are_fetched(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="no hub id"):
        fetch(wrong, tmp_path, lambda *_: None, endpoint="http://127.0.0.1:9")


def test_half_precision_files_are_preferred_and_pickles_refused() -> None:
    names = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/vocab.json",
        *(f"{part}/config.json" for part in ("text_encoder", "unet", "vae")),
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "v1-5-pruned.ckpt",
    ]
    chosen = choose_files("a/b", dict.fromkeys(names, 1))
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in chosen
    assert len(chosen) == len(names) - 3
    pickled = {name.replace("vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin"): 1 for name in names}
    with pytest.raises(MissingWeights, match="vae is there as a pickled file only"):
        choose_files("a/b", pickled)


def test_a_folder_in_the_way_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "someone--tiny" / "unet").mkdir(parents=True)
    with pytest.raises(MissingWeights, match=r"someone--tiny is in the way: it holds files, but no model_index.json; move it away"):
        fetch("someone/tiny", tmp_path, lambda *_: None, endpoint="http://127.0.0.1:9")
