"""Fixtures of the contract suites: tiny models on the disk, and the real engine with one of them loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.engine.diffusers_engine import DiffusersEngine
from studio.inventory import ModelCard
from studio.settings import Settings
from studio.storage.inventory import describe
from tests.tiny import make_tiny_model


@pytest.fixture(scope="session")
def tiny_card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """A tiny model that predicts noise. Read only."""
    return describe("Tiny", make_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def velocity_card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """A tiny model that predicts velocity. Read only."""
    return describe("Tiny-v", make_tiny_model(tmp_path_factory.mktemp("models") / "tiny-v", prediction_type="v_prediction"))


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a studio on the CPU in float32, so that numbers can be compared."""
    return Settings(data_dir=tmp_path_factory.mktemp("data"), device="cpu", precision="float32")


@pytest.fixture(scope="session")
def engine(settings: Settings, tiny_card: ModelCard) -> Iterator[DiffusersEngine]:
    """The real engine with the tiny model loaded."""
    engine = DiffusersEngine(settings)
    engine.load(tiny_card, quiet)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def velocity_engine(settings: Settings, velocity_card: ModelCard) -> Iterator[DiffusersEngine]:
    """The real engine with the tiny velocity model loaded."""
    engine = DiffusersEngine(settings)
    engine.load(velocity_card, quiet)
    yield engine
    engine.close()


@pytest.fixture
def tiny_copy(tiny_card: ModelCard, tmp_path: Path) -> Path:
    """A model folder of its own, to be damaged."""
    return make_tiny_model(tmp_path / "damaged")


def quiet(fraction: float, message: str) -> None:
    """Hear a model's loading progress and say nothing."""
