"""Which device a model runs on and in which number format, and what to do when its memory is full."""

import gc
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from studio import heap
from studio.errors import OutOfMemory, StudioError
from studio.settings import DeviceName, PrecisionName

# Below this many parameters casts cost more than bfloat16 arithmetic saves on a CPU.
SMALL_MODEL = 100_000_000
# In the words of torch's CPU allocator, of the same on Windows, of that for MPS, and of cuBLAS and cuDNN.
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")

T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """Where a model is and how its numbers are kept.

    `vae_dtype` stays float32 where decoding in half precision would show in the picture.
    """

    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype

    def describe(self) -> str:
        """Return such as "CPU, bfloat16"."""
        return f"{label(self.device)}, {str(self.dtype).removeprefix('torch.')}"


def choose_device(wanted: DeviceName) -> torch.device:
    """Return the wanted device, or for `auto` the fastest present.

    Raises:
        StudioError: the device is not there.
    """
    present = [name for name in ("cuda", "mps", "xpu") if _present(name)] + ["cpu"]
    if wanted != "auto" and wanted not in present:
        raise StudioError(f"device: {wanted} is not available here; use {' or '.join(present)}.")
    return torch.device(present[0] if wanted == "auto" else wanted)


def place(device: torch.device, precision: PrecisionName, *, parameters: int) -> Placement:
    """Choose number formats for a U-Net of so many parameters.

    Raises:
        StudioError: the device cannot calculate in the wanted precision.
    """
    if precision == "auto":
        dtype = _fast_dtype(device, parameters)
    else:
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
        _check_precision(device, dtype)
    # float16 has too little range for the decoders of some checkpoints; bfloat16 has the range, and the CPU time to save.
    keeps_half = device.type == "cpu" and dtype == torch.bfloat16
    return Placement(device, dtype, dtype if keeps_half else torch.float32)


def label(device: torch.device) -> str:
    """Name a device for people."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return {"cpu": "CPU", "mps": f"Apple {platform.machine()}", "xpu": "Intel XPU"}.get(device.type, device.type)


def exact_label(device: torch.device) -> str:
    """Name a device with what its sums depend on: on a CPU the instructions in use and the number of threads."""
    if device.type != "cpu":
        return label(device)
    threads = torch.get_num_threads()
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}, {threads} {'thread' if threads == 1 else 'threads'}"


def release(device: torch.device) -> None:
    """Hand back memory that nothing refers to any more; takes up to a tenth of a second."""
    gc.collect()
    heap.hand_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif device.type == "xpu":
        torch.xpu.empty_cache()


@contextmanager
def memory_explained(device: torch.device, *, doing: str) -> Iterator[None]:
    """Turn running out of memory while `doing` something into one sentence, after freeing what can be freed.

    Raises:
        OutOfMemory: instead of what torch raised.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        release(device)
        raise OutOfMemory(
            f"{label(device)} ran out of memory while {doing}.", hint="Make the picture or the batch smaller, or choose a smaller model."
        ) from error


def with_room(work: Callable[[], T], make_room: Callable[[], bool]) -> T:
    """Do a piece of work; if memory runs out and `make_room` can free any, do it once more.

    Raises:
        OutOfMemory: there is no room even so.
    """
    try:
        return work()
    except OutOfMemory:
        if not make_room():
            raise
    return work()


def is_out_of_memory(error: BaseException) -> bool:
    """Tell running out of memory from a defect; only some of torch's allocators and libraries raise an error of their own for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def _present(name: str) -> bool:
    match name:
        case "cuda":
            return torch.cuda.is_available()
        case "mps":
            return torch.backends.mps.is_available()
        case _:
            return torch.xpu.is_available()


def _fast_dtype(device: torch.device, parameters: int) -> torch.dtype:
    match device.type:
        case "cpu":
            return torch.bfloat16 if parameters >= SMALL_MODEL and cpu_has_bfloat16() else torch.float32
        case "xpu":
            return torch.bfloat16
        case _:
            # Three bits more than bfloat16, and every GPU with half precision at all has it.
            return torch.float16


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; emulated, it is many times slower than float32."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def _check_precision(device: torch.device, dtype: torch.dtype) -> None:
    if device.type == "cpu" and dtype == torch.float16:
        raise StudioError("precision: float16 is not fit for a CPU; use bfloat16 or float32.")
    if device.type == "cuda" and dtype == torch.bfloat16 and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise StudioError(f"precision: {label(device)} has no bfloat16; use float16 or float32.")
