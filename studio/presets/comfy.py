"""Samplers and schedules as ComfyUI, and with it Fooocus and SwarmUI, call them, as rows of the scheduler table.

The names are those of ComfyUI's sampler node; what each is in diffusers is said in diffusers' scheduler overview.
"""

from studio.schedulers import TABLE

SAMPLERS = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "lms": "LMS",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "deis": "DEIS",
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "lcm": "LCM",
    "tcd": "TCD",
    "sa_solver": "SA-Solver",
}
NEAR = {"dpmpp_2s_ancestral": "DPM++ 2S", "heunpp2": "Heun", "euler_cfg_pp": "Euler", "ipndm": "DEIS"}
"""Those without a twin here, and what comes nearest."""
SCHEDULES = {
    "normal": "",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
    "beta": "Beta",
    "align_your_steps": "Align Your Steps",
}


def row_of(sampler: str, schedule: str) -> tuple[str | None, str]:
    """Return the scheduler's name for a sampler and a schedule, and what of it is not exact; None when nothing comes near."""
    plain = sampler.removesuffix("_gpu")
    base = SAMPLERS.get(plain) or NEAR.get(plain)
    if base is None:
        return None, f"sampler {sampler[:40]} is not known here"
    note = "" if plain in SAMPLERS else f"sampler {sampler} has no twin here, {base} comes nearest"
    spacing = SCHEDULES.get(schedule)
    name = f"{base} {spacing}".strip()
    # Distilled samplers and DDIM bring their own spacing, which the others call after them.
    own = schedule in ("", "lcm", "tcd", "ddim_uniform", "turbo") and base in ("LCM", "TCD", "DDIM")
    if spacing is not None and name in TABLE:
        return name, note
    return base, note if own or schedule == "" else "; ".join(filter(None, [note, f"schedule {schedule[:40]} is not offered for {base}"]))
