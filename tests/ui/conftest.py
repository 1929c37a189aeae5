"""One page over the fake engine for all tests of this folder, a client of its endpoint, and plain HTTP to it."""

from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client

from tests.served import Served, served_fake


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_fake(tmp_path_factory.mktemp("studio"), step_seconds=0.01) as page:
        yield page


@pytest.fixture(scope="session")
def client(page: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(page.address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture(scope="session")
def http(page: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.address) as http:
        yield http
