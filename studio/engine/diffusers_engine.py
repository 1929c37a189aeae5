"""The real engine: one model at a time on one device, and runs of it."""

from collections.abc import Sequence
from functools import partial

import diffusers
import torch
import transformers
from PIL import Image

from studio.engine.checks import stamp_of
from studio.engine.controls import Resident
from studio.engine.devices import choose_device, exact_label, label, memory_explained, release, with_room
from studio.engine.loader import LoadOptions, Model, load_model
from studio.engine.runs import DiffusersRun, start_run
from studio.engine.units import make_unit
from studio.errors import StudioError
from studio.inventory import ControlNetCard, ModelCard
from studio.plan import Plan
from studio.ports import EngineFacts, Progress
from studio.settings import Settings
from studio.stamps import Stamp


class DiffusersEngine:
    """Implements `ports.Engine` over diffusers modules. All calls come from one thread.

    Raises:
        StudioError: the device that the settings name is not there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._device = choose_device(settings.device)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._model: Model | None = None
        self._stamp: Stamp = ()
        self._controls = Resident(self._device)

    def load(self, model: ModelCard, progress: Progress) -> None:
        """Make a model ready, also anew when its files were written since.

        The one before is freed first, as two may not fit, and with it the ControlNets that do not fit the new one.

        Raises:
            StudioError: the sentence names the file that is missing, truncated or unsafe, or says what ran out.
        """
        found = stamp_of(model.path)
        if self._model is not None and self._model.card == model and self._stamp == found:
            return
        self._model = None
        self._controls.keep_for(model.unet)
        release(self._device)
        self._model, self._stamp = self._read(model, progress), found
        self._controls.keep_in(self._model.placement.dtype)

    def prepare(self, plan: Plan, progress: Progress) -> None:
        """Make the plan's ControlNets and LoRAs resident; ControlNets of weight 0 are not needed.

        Raises:
            StudioError: another model is loaded, a file is damaged or does not fit, or memory ran out; all else stays as it was.
        """
        model = self._loaded(plan)
        with_room(partial(model.adapters.make_ready, plan.loras, progress), partial(self._free_but, plan))
        self._controls.make_ready(_nets_of(plan), model, progress)

    def start(self, plan: Plan, maps: Sequence[Image.Image] = ()) -> DiffusersRun:
        """Begin a run of a prepared plan.

        Raises:
            StudioError: another model is loaded, a ControlNet was not made ready, or memory ran out.
        """
        model, make_room = self._loaded(plan), partial(self._free_but, plan)

        def begin() -> DiffusersRun:
            with memory_explained(self._device, doing="starting a picture"):
                given = [(control, drawn) for control, drawn in zip(plan.controls, maps, strict=True) if control.use.weight]
                units = tuple(make_unit(control, self._controls.net(control.net), drawn) for control, drawn in given)
                return start_run(model, plan, units=units, make_room=make_room)

        return with_room(begin, make_room)

    def rest(self) -> None:
        """Hand back freed memory; the model stays loaded."""
        release(self._device)

    def describe(self) -> str:
        """Say where and how the model runs, such as "CPU, bfloat16"."""
        model = self._model  # the page asks on a thread of its own, while another one may be loaded
        return model.placement.describe() if model else label(self._device)

    def facts(self) -> EngineFacts:
        """Say what a picture made now depends on besides its request and weights."""
        versions = {"diffusers": diffusers.__version__, "torch": str(torch.__version__), "transformers": transformers.__version__}
        precision = str(self._model.placement.dtype).removeprefix("torch.") if self._model else ""
        return EngineFacts(versions, exact_label(self._device), precision)

    def close(self) -> None:
        """Free the device."""
        self._model = None
        self._controls.free_but()
        release(self._device)

    def _free_but(self, plan: Plan) -> bool:
        """Free what a plan does not need, other ControlNets and LoRAs; whether there was any."""
        nets = self._controls.free_but(_nets_of(plan))
        loras = self._model.adapters.free_but(plan.loras) if self._model else False
        release(self._device)
        return nets or loras

    def _read(self, model: ModelCard, progress: Progress) -> Model:
        options = LoadOptions(self._device, self._settings.precision, self._settings.preview)
        return with_room(partial(load_model, model, options, progress=progress), self._controls.free_but)

    def _loaded(self, plan: Plan) -> Model:
        if self._model is None or self._model.card != plan.model:
            raise StudioError(f"{plan.model.name} is not loaded; load it first.")
        return self._model


def _nets_of(plan: Plan) -> list[ControlNetCard]:
    """Return the ControlNets that a plan needs; those of weight 0 do nothing."""
    return [control.net for control in plan.controls if control.use.weight]
