"""A run of one request as a value: its latents, its own scheduler, its generators, its embeddings, its place."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from PIL import Image

from studio.engine import guidance, sampling
from studio.engine.adapters import NO_LORAS, Selection
from studio.engine.decode import decode, to_image
from studio.engine.devices import memory_explained, with_room
from studio.engine.estimate import blend
from studio.engine.linear_map import Floats
from studio.engine.loader import Model
from studio.engine.previews import Latest
from studio.engine.units import Rows, Unit, residuals
from studio.errors import StudioError
from studio.plan import Plan
from studio.ports import Draw


@dataclass(kw_only=True)
class DiffusersRun:
    """One request in progress. `model` and the embeddings are shared and never written; all else is its own.

    Attributes:
        latents: (pictures, channels, h, w), float32 on the model's device.
        embeddings: the U-Net's text rows, negative ones first when guided.
        condition: embedded guidance scale, for models distilled with it.
        timesteps: one 0-d tensor per model evaluation; `training_steps` the same as numbers.
        arguments: keywords of every scheduler step, among them this run's generators.
        loras: what hangs on the U-Net while this run is stepped.
        units: its ControlNet units.
        make_room: frees what the run does not need when memory runs out; whether there was any.
    """

    model: Model
    plan: Plan
    scheduler: Any
    latents: torch.Tensor
    embeddings: torch.Tensor
    condition: torch.Tensor | None
    timesteps: list[torch.Tensor]
    make_room: Callable[[], bool]
    training_steps: list[float]
    arguments: dict[str, Any]
    loras: Selection = NO_LORAS
    units: tuple[Unit, ...] = ()
    index: int = 0
    latest: Latest | None = None

    @property
    def total(self) -> int:
        """Model evaluations the run takes."""
        return len(self.timesteps)

    @property
    def guided(self) -> bool:
        """Whether each picture takes two rows of the U-Net."""
        return len(self.embeddings) > len(self.latents)

    def advance(self) -> None:
        """Do one model evaluation and the scheduler's step.

        Raises:
            OutOfMemory: the device has no room; the run is as it was.
        """
        with torch.inference_mode():
            prediction = with_room(self._predict, self.make_room)
            with self._memory("drawing"):
                self._step(prediction)

    def preview(self) -> Draw | None:
        """Return a function that draws the newest x0 estimate on another thread."""
        previewer, latest = self.model.previewer, self.latest
        return previewer.begin(latest) if previewer and latest else None

    def finish(self) -> Iterator[Image.Image]:
        """Decode the pictures, each when it is asked for.

        Raises:
            OutOfMemory: not even tiles fit.
            StudioError: the numbers overflowed.
        """
        if not bool(torch.isfinite(self.latents).all()):
            dtype = str(self.model.placement.dtype).removeprefix("torch.")
            raise StudioError(
                f"The picture overflowed in {dtype}.", hint="Start the studio with --precision float32, or lower the guidance."
            )
        for row in self.latents.split(1):
            pictures = with_room(partial(self._decode, row), self.make_room)
            if self.model.previewer:
                self.model.previewer.learn(row, pictures)
            yield to_image(pictures[0])

    def snapshot(self) -> Self:
        """Return a copy that shares only the model and its inputs, and goes on to the same bytes."""
        arguments = dict(self.arguments)
        if "generator" in arguments:
            arguments["generator"] = [copy_generator(one) for one in arguments["generator"]]
        scheduler = sampling.copy_scheduler(self.scheduler, self.plan.scheduler, latents=self.latents, seeds=self.plan.seeds)
        return replace(self, scheduler=scheduler, latents=self.latents.clone(), arguments=arguments)

    def _memory(self, doing: str) -> AbstractContextManager[None]:
        return memory_explained(self.model.placement.device, doing=doing)

    def _decode(self, row: torch.Tensor) -> Floats:
        with self._memory("decoding the picture"):
            return decode(self.model.vae, row)

    def _predict(self) -> torch.Tensor:
        """Return the guided prediction, (pictures, channels, h, w), float32."""
        with self._memory("drawing"):
            return self._guided_answer()

    def _guided_answer(self) -> torch.Tensor:
        timestep, dtype = self.timesteps[self.index], self.model.placement.dtype
        rows = torch.cat([self.latents] * 2) if self.guided else self.latents
        rows = self.scheduler.scale_model_input(rows, timestep).to(dtype)
        self.model.adapters.unet.hang(self.loras.unet)
        steering = residuals(self.units, Rows(rows, timestep, self.embeddings, self.guided), index=self.index, total=self.total)
        answer: torch.Tensor = self.model.unet(
            rows, timestep, encoder_hidden_states=self.embeddings, timestep_cond=self.condition, return_dict=False, **steering
        )[0]
        # Steps are small differences of large numbers, so they are taken in float32 whatever the model runs in.
        answer = answer.float()
        return guidance.combine(answer, self.plan.request.guidance_scale) if self.guided else answer

    def _step(self, prediction: torch.Tensor) -> None:
        timestep = self.timesteps[self.index]
        if self.model.previewer:
            factors = blend(self.scheduler, timestep, self.training_steps[self.index])
            self.latest = Latest(self.latents, prediction, factors)
        self.latents = self.scheduler.step(prediction, timestep, self.latents, **self.arguments)[0]
        self.index += 1


def start_run(model: Model, plan: Plan, *, units: tuple[Unit, ...] = (), make_room: Callable[[], bool] = lambda: False) -> DiffusersRun:
    """Begin a run: encode the prompts, draw the first noise, set the scheduler up. `make_room` is asked when memory runs out later."""
    device, request = model.placement.device, plan.request
    scheduler = sampling.make_scheduler(model.scheduler_config, plan.scheduler, seeds=plan.seeds)
    timesteps = sampling.set_steps(scheduler, plan.scheduler, steps=request.steps, device=device)
    generators = [torch.Generator().manual_seed(seed) for seed in plan.seeds]
    latents = _first_noise(model, plan, generators).to(device) * scheduler.init_noise_sigma
    sampling.seed_noise(scheduler, plan.scheduler, latents=latents, seeds=plan.seeds)
    # A model distilled with guidance takes the scale as an input, so it needs no second row.
    width = model.unet.config.time_cond_proj_dim
    guided = plan.guided and width is None
    loras = model.adapters.select(plan.loras)
    negative, positive = (model.text.encode(text, loras) for text in (request.negative_prompt, request.prompt))
    return DiffusersRun(
        model=model,
        plan=plan,
        scheduler=scheduler,
        latents=latents,
        embeddings=guidance.both(negative, positive, pictures=len(plan.seeds), guided=guided),
        condition=None if width is None else _condition(model, plan, width),
        timesteps=timesteps,
        make_room=make_room,
        training_steps=[float(value) for value in torch.stack(timesteps).cpu()],
        arguments=sampling.step_arguments(scheduler, plan.scheduler, generators),
        loras=loras,
        units=units,
    )


def copy_generator(generator: torch.Generator) -> torch.Generator:
    """Return a generator that goes on with the same numbers."""
    twin = torch.Generator(generator.device)
    twin.set_state(generator.get_state())
    return twin


def _first_noise(model: Model, plan: Plan, generators: list[torch.Generator]) -> torch.Tensor:
    """Draw noise picture by picture on the CPU in float32, so that a seed means the same on every device and in every batch."""
    scale = 2 ** (len(model.vae.config.block_out_channels) - 1)
    shape = 1, model.unet.config.in_channels, plan.height // scale, plan.width // scale
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators])


def _condition(model: Model, plan: Plan, width: int) -> torch.Tensor:
    embedded = guidance.scale_embedding(plan.request.guidance_scale, width)
    return embedded.expand(len(plan.seeds), -1).to(model.placement.device, model.placement.dtype)
