"""The real engine: one model at a time on one device, and runs of it."""

from collections.abc import Sequence

from PIL import Image

from studio.engine.devices import choose_device, label, memory_explained, release
from studio.engine.loader import LoadOptions, Model, load_model
from studio.engine.runs import DiffusersRun, start_run
from studio.errors import StudioError
from studio.inventory import ModelCard
from studio.plan import Plan
from studio.ports import Progress
from studio.settings import Settings


class DiffusersEngine:
    """Implements `ports.Engine` over diffusers modules. All calls come from one thread.

    Raises:
        StudioError: the device that the settings name is not there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._device = choose_device(settings.device)
        self._model: Model | None = None

    def load(self, model: ModelCard, progress: Progress) -> None:
        """Make a model ready; the one before is freed first, as two may not fit.

        Raises:
            StudioError: the sentence names the file that is missing, truncated or unsafe, or says what ran out.
        """
        if self._model is not None and self._model.card == model:
            return
        self._model = None
        release(self._device)
        options = LoadOptions(self._device, self._settings.precision, self._settings.preview)
        self._model = load_model(model, options, progress=progress)

    def prepare(self, plan: Plan, progress: Progress) -> None:
        """Make the plan's ControlNets and LoRAs resident.

        Raises:
            StudioError: another model is loaded, or a LoRA cannot be applied; all else stays as it was.
        """
        if self._model is None or self._model.card != plan.model:
            raise StudioError(f"{plan.model.name} is not loaded; load it first.")
        self._model.adapters.make_ready(plan.loras, progress)

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> DiffusersRun:
        """Begin a run of a plan whose model is loaded.

        Raises:
            StudioError: another model is loaded, or memory ran out.
        """
        if self._model is None or self._model.card != plan.model:
            raise StudioError(f"{plan.model.name} is not loaded; load it first.")
        with memory_explained(self._device, doing="starting a picture"):
            return start_run(self._model, plan)

    def rest(self) -> None:
        """Hand back freed memory; the model stays loaded."""
        release(self._device)

    def describe(self) -> str:
        """Say where and how the model runs, such as "CPU, bfloat16"."""
        return self._model.placement.describe() if self._model else label(self._device)

    def close(self) -> None:
        """Free the device."""
        self._model = None
        release(self._device)
