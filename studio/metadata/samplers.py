"""Samplers by the names that other programs give them, to and from the rows of the scheduler table.

Sources: A1111's sampler and schedule lists (1.9 and later keep the two apart, earlier versions joined them), k-diffusion's identifiers as
ComfyUI, SwarmUI, Fooocus and NovelAI use them, and InvokeAI's scheduler identifiers, which name diffusers classes.
"""

import re
from collections.abc import Mapping

from studio.schedulers import TABLE

Choice = tuple[str, str]
"""A row's name, and why it is only near to what was asked; empty when it is that."""

_SUFFIXES = ("Karras", "Exponential", "Beta", "SGM Uniform", "Align Your Steps")
# What A1111 takes for "Automatic".
_AUTOMATIC = {
    **dict.fromkeys(("DPM++ 2M", "DPM++ SDE", "DPM++ 2S a", "DPM2", "DPM2 a"), "Karras"),
    **dict.fromkeys(("DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"), "Exponential"),
}
_PLAIN = {"", "automatic", "uniform", "normal", "discrete", "native", "default"}
# DDIM's own way to space its steps, which others take as a schedule.
_OF_DDIM = {"ddim", "ddim_uniform"}
_SPACINGS = {
    "karras": "Karras",
    "exponential": "Exponential",
    "beta": "Beta",
    "sgm_uniform": "SGM Uniform",
    "sgm uniform": "SGM Uniform",
    "align_your_steps": "Align Your Steps",
    "align your steps": "Align Your Steps",
}
# Samplers without a row, and the row nearest to them.
_NEAR = {
    "DPM++ 2S a": "DPM++ 2S",
    "DPM fast": "DPM++ 2M",
    "DPM adaptive": "DPM++ 2M",
    "DPM++ 2M SDE Heun": "DPM++ 2M SDE",
    "Restart": "Heun",
    "HeunPP2": "Heun",
    "Euler CFG++": "Euler",
    "Euler a CFG++": "Euler a",
    "res_multistep": "DPM++ 2M",
    "ipndm": "PLMS",
    "DDIM CFG++": "DDIM",
}
_K = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "euler_cfg_pp": "Euler CFG++",
    "euler_ancestral_cfg_pp": "Euler a CFG++",
    "heun": "Heun",
    "heunpp2": "HeunPP2",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "ddpm": "DDPM",
    "lcm": "LCM",
    "tcd": "TCD",
    "deis": "DEIS",
    "ddim": "DDIM",
    "ddim_v3": "DDIM",
    "plms": "PLMS",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "sa_solver": "SA-Solver",
    "restart": "Restart",
}
_INVOKE = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "lms": "LMS",
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "deis": "DEIS",
    "pndm": "PLMS",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2s": "DPM++ 2S",
    "dpmpp_3m": "DPM++ 3M",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "unipc": "UniPC",
    "lcm": "LCM",
    "tcd": "TCD",
}
_SDNEXT = {"PNDM": "PLMS", "UniPC": "UniPC", "DPM SDE": "DPM++ SDE", "KDPM2": "DPM2", "KDPM2 a": "DPM2 a", "SA Solver": "SA-Solver"}


def to_a1111(row: str) -> tuple[str, str]:
    """Return A1111's (sampler, schedule type) of a row; a sampler that it does not have keeps its own name."""
    if row == "DPM++ 2M Lu":
        return "DPM++ 2M", "Uniform"
    for suffix in _SUFFIXES:
        if row.endswith(f" {suffix}"):
            return row.removesuffix(f" {suffix}"), suffix
    return row, "Uniform"


def from_a1111(sampler: str, schedule: str | None) -> Choice:
    """Return the row of A1111's names; without a schedule the sampler's name holds it, as before version 1.9."""
    base, joined = _split(sampler)
    if schedule is None or (joined and schedule.lower() in (joined.lower(), "automatic")):
        # Fooocus writes the schedule both into the sampler's name and beside it.
        sampler, schedule = base, joined
    elif schedule.lower() == "automatic":
        schedule = _AUTOMATIC.get(sampler, "")
    found = _row(_SDNEXT.get(sampler, _K.get(sampler, sampler)), schedule)
    # Savers of ComfyUI and Fooocus write k-diffusion's identifiers there, the schedule after the last dash or beside them.
    return found if found[0] else _joined_k(sampler, schedule, otherwise=found)


def _joined_k(sampler: str, schedule: str, *, otherwise: Choice) -> Choice:
    """Return the row of `dpmpp_2m_karras` and the like, where the schedule may stand beside it, too."""
    for ending in (*_SPACINGS, "normal", "simple"):
        if ending and sampler.endswith(f"_{ending}"):
            return from_k(sampler.removesuffix(f"_{ending}"), ending)
    known = from_k(sampler, schedule)
    return known if known[0] else otherwise


def from_k(sampler: str, schedule: str = "") -> Choice:
    """Return the row of k-diffusion's identifiers, such as `dpmpp_2m_sde_gpu` with `karras`."""
    name = re.sub(r"_gpu$", "", sampler.removeprefix("k_"))
    return _row(_K.get(name, name), schedule)


def from_invoke(identifier: str) -> Choice:
    """Return the row of an InvokeAI scheduler, such as `dpmpp_2m_k`."""
    base = identifier.removesuffix("_k")
    return _row(_INVOKE.get(base, base), "karras" if base != identifier else "")


def _split(name: str) -> tuple[str, str]:
    return next(((name.removesuffix(f" {suffix}"), suffix) for suffix in _SUFFIXES if name.endswith(f" {suffix}")), (name, ""))


def _row(sampler: str, schedule: str) -> Choice:
    known: Mapping[str, str] = {name.lower(): name for name in TABLE}
    base = known.get(sampler.lower()) or _NEAR.get(sampler, "")
    if not base:
        return "", f"there is no sampler {sampler[:60]} here"
    why = "" if sampler.lower() in known else f"{sampler} is not here; {base} is nearest"
    spacing = _SPACINGS.get(schedule.lower(), "")
    if spacing and f"{base} {spacing}" in TABLE:
        return f"{base} {spacing}", why
    if spacing or schedule.lower() not in (_PLAIN | _OF_DDIM if base == "DDIM" else _PLAIN):
        why = why or f"{base} has no schedule {schedule[:60]} here"
    return base, why
