"""Fetches a model from the hub into the data folder: only the safetensors, configs and tokenizer files that a run needs."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.engine.checks import PICKLED, STEMS
from studio.errors import MissingWeights
from studio.families import PIPELINES
from studio.hub import Meter, quiet_bar
from studio.ports import Progress

INDEX = "model_index.json"
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CONFIGS = ("scheduler/scheduler_config.json", "text_encoder/config.json", "unet/config.json", "vae/config.json")
# Half the bytes to fetch and keep; the difference in a picture cannot be seen.
_VARIANTS = ("fp16", "")


def fetch(model_id: str, into: Path, progress: Progress, *, endpoint: str | None = None) -> Path:
    """Fetch a model and return its folder, `into/owner--name`; one that is there is not fetched again.

    What was fetched before an interruption is kept and gone on from.

    Args:
        model_id: "owner/name".
        into: where model folders are; made when missing.
        progress: hears (fraction, message); from several threads.
        endpoint: address of the hub; none: the library's own, which HF_ENDPOINT sets.

    Raises:
        MissingWeights: the hub cannot be reached, has no such model, or the model is of another kind.
    """
    if not _ID.fullmatch(model_id):
        raise MissingWeights(f"{model_id[:80]!r} is no hub id; write owner/name.")
    target = into / model_id.replace("/", "--")
    if (target / INDEX).is_file():
        return target
    if target.is_dir() and any(target.iterdir()):
        raise MissingWeights(f"{target} is in the way: it holds files, but no {INDEX}; move it away, and {model_id} is fetched anew.")
    # Dotted, so that half a model is never offered.
    partial = into / f".{target.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    progress(0.0, f"looking for {model_id}")
    with _explained(model_id):
        _download(model_id, partial, progress=progress, endpoint=endpoint)
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        partial.rename(target)
    progress(1.0, f"{model_id} is here")
    return target


def choose_files(model_id: str, sizes: Mapping[str, int]) -> list[str]:
    """Return which of a repository's files (name to bytes) a run needs.

    Raises:
        MissingWeights: a part is missing or there as a pickle only.
    """
    wanted = [INDEX, *_CONFIGS]
    wanted += [name for name in sizes if name.startswith("tokenizer/") and name.endswith((".json", ".txt"))]
    for part, stem in STEMS.items():
        wanted += _weights(model_id, f"{part}/{stem}", sizes)
    decoder = "preview_decoder/diffusion_pytorch_model.safetensors"
    if decoder in sizes:
        wanted += ["preview_decoder/config.json", decoder]
    missing = [name for name in wanted if name not in sizes]
    if missing:
        raise MissingWeights(f"{model_id} cannot be used: it has no {missing[0]}.")
    return wanted


def _weights(model_id: str, stem: str, sizes: Mapping[str, int]) -> list[str]:
    for variant in _VARIANTS:
        infix = f".{variant}" if variant else ""
        if f"{stem}{infix}.safetensors" in sizes:
            return [f"{stem}{infix}.safetensors"]
        index = f"{stem}.safetensors.index{infix}.json"
        if index in sizes:
            shard = re.compile(re.escape(stem) + re.escape(infix) + r"-\d+-of-\d+\.safetensors")
            return [index, *(name for name in sizes if shard.fullmatch(name))]
    part = stem.partition("/")[0]
    if any(name.startswith(f"{part}/") and name.endswith(PICKLED) for name in sizes):
        raise MissingWeights(f"{model_id} cannot be used: its {part} is there as a pickled file only, which could run programs.")
    raise MissingWeights(f"{model_id} cannot be used: it has no {stem}.safetensors.")


def _download(model_id: str, partial: Path, *, progress: Progress, endpoint: str | None) -> None:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download  # noqa: PLC0415

    info = HfApi(endpoint=endpoint).model_info(model_id, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    if INDEX not in sizes:
        raise MissingWeights(f"{model_id} cannot be used: it is not in the layout of a diffusers pipeline.")
    # The revision by its hash, so that nothing changes under way and nothing is noted outside `partial`.
    place: dict[str, Any] = {"revision": info.sha, "local_dir": partial, "cache_dir": partial / ".cache", "endpoint": endpoint}
    kind = _kind(model_id, Path(hf_hub_download(model_id, INDEX, **place)))
    if kind not in PIPELINES:
        raise MissingWeights(f"{model_id} is a {kind[:60]}; this studio runs {' and '.join(PIPELINES)} models.")
    files = choose_files(model_id, sizes)
    meter = Meter(progress, model_id, sum(sizes[name] for name in files))
    _interruptible(lambda: snapshot_download(model_id, allow_patterns=files, tqdm_class=quiet_bar(meter), max_workers=4, **place), meter)


def _interruptible(work: Callable[[], object], meter: Meter) -> None:
    """Do what reports to a meter so that Ctrl+C ends it at the next piece: by itself, huggingface_hub waits for the files under way."""
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
        done = pool.submit(work)
        try:
            # In turns, because on Windows nothing interrupts a wait without an end.
            while wait([done], timeout=1).not_done:
                pass
        except BaseException:
            meter.unwanted = True
            raise
        done.result()


def _kind(model_id: str, index: Path) -> str:
    try:
        data = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        data = None
    kind = data.get("_class_name") if isinstance(data, dict) else None
    if not isinstance(kind, str):
        raise MissingWeights(f"{model_id} cannot be used: its {INDEX} is damaged.")
    return kind


@contextmanager
def _explained(model_id: str) -> Iterator[None]:
    """Turn what huggingface_hub and the network raise into one sentence."""
    import httpx  # noqa: PLC0415
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        yield
    except errors.HFValidationError as error:
        raise MissingWeights(f"{model_id} is no hub id; write owner/name, or the path of a folder that is there.") from error
    except errors.GatedRepoError as error:
        raise MissingWeights(f"{model_id} is given out only after its terms are accepted on its page; do so and log in.") from error
    except errors.RepositoryNotFoundError as error:
        raise MissingWeights(f"The hub has no model {model_id}, or it is private.") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx.TransportError) as error:
        raise MissingWeights(
            f"{model_id} is not on this machine and the model hub cannot be reached; connect to the internet or name a model folder."
        ) from error
    except errors.HfHubHTTPError as error:
        raise MissingWeights(
            f"The model hub did not give out {model_id} (status {error.response.status_code}); try again later."
        ) from error
    except OSError as error:
        raise MissingWeights(f"{model_id} could not be written to the data folder: {error.strerror or error}.") from error
    except (RuntimeError, ValueError) as error:
        # What moves the large files is a library of its own, which says so of a connection that broke.
        raise MissingWeights(f"Fetching {model_id} broke off ({str(error)[:120]}); start again, and it goes on from there.") from error
