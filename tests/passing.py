"""An engine that passes everything on to another, for tests and benchmarks that look on or step in at one place."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from studio.inventory import ModelCard
from studio.plan import Plan
from studio.ports import Engine, EngineFacts, Progress, Run


@dataclass
class Passing:
    """Passes everything on to an engine."""

    engine: Engine

    def load(self, model: ModelCard, progress: Progress) -> None:
        self.engine.load(model, progress)

    def prepare(self, plan: Plan, progress: Progress) -> None:
        self.engine.prepare(plan, progress)

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> Run:
        return self.engine.start(plan, maps)

    def rest(self) -> None:
        self.engine.rest()

    def describe(self) -> str:
        return self.engine.describe()

    def facts(self) -> EngineFacts:
        return self.engine.facts()

    def close(self) -> None:
        self.engine.close()
