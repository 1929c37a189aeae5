"""Serving: which port is free, which addresses need no proxy, and hosts of both kinds."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from studio.app import build
from studio.settings import Settings
from studio.ui.serve import around_proxies, free_port, serve
from tests.served import first_port

OWN = "127.0.0.1,localhost,::1"


@contextmanager
def taken_port(*, listening: bool = True) -> Iterator[int]:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        if listening:
            taken.listen()
        yield int(taken.getsockname()[1])


@pytest.fixture(params=["::1", "127.0.0.2"])
def other_host(request: pytest.FixtureRequest) -> str:
    return host_or_skip(str(request.param))


def host_or_skip(host: str) -> str:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            pytest.skip(f"{host} is no address of this machine: {error}")
    return host


def test_a_port_that_is_taken_at_home_is_not_free_elsewhere(other_host: str) -> None:
    with taken_port() as port:
        assert free_port(other_host, port) > port


def test_a_port_is_not_shared_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the option for ports of one's own is used; here one that shares no port either takes its place."""
    with taken_port(listening=False) as port:
        monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
        assert free_port("127.0.0.1", port) > port


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, OWN),
        ({"NO_PROXY": "example.org, 10.0.0.1"}, f"example.org,10.0.0.1,{OWN}"),
        ({"no_proxy": "example.org", "NO_PROXY": "localhost"}, "example.org,localhost,127.0.0.1,::1"),
    ],
)
def test_own_addresses_are_asked_without_a_proxy(given: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**given, "HTTP_PROXY": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    found = around_proxies("127.0.0.1")
    assert found["no_proxy"] == found["NO_PROXY"] == wanted
    assert found["http_proxy"] == os.environ["HTTP_PROXY"]
    assert around_proxies("192.168.7.7")["no_proxy"] == f"{wanted},192.168.7.7"


def test_a_host_of_the_newer_kind_is_served(tmp_path: Path) -> None:
    port = free_port(host_or_skip("::1"), first_port() + 700)
    settings = Settings(data_dir=tmp_path, engine="fake")
    with build(settings) as studio, closing(serve(studio, settings, host="::1", port=port)) as server:
        assert server.address == f"http://[::1]:{port}"
        assert httpx.get(server.address, trust_env=False).status_code == 200
