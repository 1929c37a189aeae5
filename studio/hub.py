"""What all downloads from the model hub share: progress in bytes, and files that are fetched one by one and gone on with."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.errors import MissingWeights, Stopped, Unreachable
from studio.ports import Progress


@dataclass
class Meter:
    """Adds up the bytes of every bar that huggingface_hub draws, and reports them; `before` counts those of earlier files.

    Once `unwanted`, it ends the work that reports to it.
    """

    progress: Progress
    label: str
    total: int
    before: float = 0
    unwanted: bool = False
    done: dict[int, float] = field(default_factory=dict)

    def report(self, bar: object, bytes_done: float) -> None:
        if self.unwanted:
            raise Stopped("The download was cancelled.")
        # Two bars count the same bytes, once as they arrive and once as they are written.
        self.done[id(bar)] = bytes_done
        ready = min(self.before + max(self.done.values()), self.total)
        self.progress(ready / max(1, self.total), f"fetching {self.label}, {ready / 1e6:,.0f} of {self.total / 1e6:,.0f} MB")


def fetch_files(repo: str, names: Mapping[str, int], into: Path, progress: Progress, *, endpoint: str | None = None) -> Path:
    """Fetch single files of a repository and return their folder, `into/owner--name`; what is there is not asked for again.

    Not to be called twice at once for one file. A download that was interrupted is gone on with from its last byte. Each file is compared
    with the hub's own SHA-256, where it gives one.

    Args:
        repo: "owner/name".
        names: the files, and about how many bytes each has.
        into: where folders of repositories are; made when missing.
        progress: hears (fraction, message), and ends the download by raising; what was fetched by then stays.
        endpoint: address of the hub; none: the library's own, which HF_ENDPOINT sets.

    Raises:
        MissingWeights: the hub cannot be reached, does not have a file, or sent another one than it says.
    """
    folder = into / repo.replace("/", "--")
    missing = [name for name in names if not (folder / name).is_file()]
    total, before = sum(names[name] for name in missing), 0
    for name in missing:
        with explained(repo, sum(names.values())):
            _fetch_file(repo, name, folder / name, meter=Meter(progress, repo, total, before), endpoint=endpoint)
        before += names[name]
    return folder


def _fetch_file(repo: str, name: str, target: Path, *, meter: Meter, endpoint: str | None) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415
    from huggingface_hub.file_download import http_get  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # noqa: PLC0415

    url, headers = hf_hub_url(repo, name, endpoint=endpoint), build_hf_headers()
    about = get_hf_file_metadata(url, headers=headers, endpoint=endpoint)
    # Named by its content, so that a part of an older version is not gone on with.
    partial = target.with_name(f".{target.name}.{str(about.etag)[:16]}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as file:
        if about.size is not None and file.tell() > about.size:
            file.truncate(0)
        done = file.tell()
        # A redirect leads to another host, which must not see the token.
        asked = headers if about.location == url else {key: value for key, value in headers.items() if key != "authorization"}
        http_get(about.location, file, resume_size=done, headers=asked, expected_size=about.size, tqdm_class=quiet_bar(meter))
    if about.etag and len(about.etag) == 64 and _sha256(partial) != about.etag:
        partial.unlink()
        raise MissingWeights(f"{name} of {repo} came damaged and was deleted; try again.")
    partial.replace(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def explained(repo: str, size: int) -> Iterator[None]:
    """Turn what huggingface_hub and the network raise into one sentence."""
    import httpx  # noqa: PLC0415
    from huggingface_hub import errors  # noqa: PLC0415

    needed = f"{repo} ({size / 1e6:,.0f} MB)"
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise MissingWeights(f"The hub no longer gives out {repo} as it did, so choose another preprocessor.") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx.TransportError) as error:
        raise Unreachable(
            f"{needed} is not on this machine and the model hub cannot be reached; connect to the internet or choose another preprocessor."
        ) from error
    except (errors.HfHubHTTPError, httpx.HTTPStatusError) as error:
        raise MissingWeights(f"The model hub did not give out {repo} (status {error.response.status_code}); try again later.") from error
    except OSError as error:
        raise MissingWeights(f"{needed} could not be written to the data folder: {error.strerror or error}.") from error


def quiet_bar(meter: Meter) -> Any:
    """Return a tqdm class that shows nothing and reports bytes to the meter."""
    from tqdm import tqdm  # type: ignore[import-untyped]  # noqa: PLC0415

    class Bar(tqdm):  # type: ignore[misc]
        # tqdm would start a thread that refreshes bars nobody sees.
        monitor_interval = 0

        def display(self, *_: object, **__: object) -> None:
            """Draw nothing."""

        def update(self, n: float | None = 1) -> bool | None:
            """Count, and report bytes but not files."""
            self.n += n or 0
            if self.unit == "B":
                meter.report(self, self.n)
            return None

    return Bar
