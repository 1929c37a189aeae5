"""The command line: shows the page, or writes pictures without it. Options of `generate` derive from the request's fields.

Exit codes: 0 done, 1 failed, 2 something in the command is wrong, 130 stopped by Ctrl+C.
"""

import argparse
import io
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn, get_args

from PIL import Image

from studio import intake, metadata
from studio.app import build
from studio.arguments import gigabytes, host, place, web_address, whole
from studio.errors import BadPicture, BadPose, InvalidRequest, StudioError, UnknownModel
from studio.jobs import Job
from studio.request import GenerationRequest, bounds, control, shorten
from studio.service import Studio
from studio.settings import CHOICES, Settings, default_data_dir
from studio.terminal import Progress, ended_as_by_ctrl_c
from studio.token_command import tokens
from studio.ui.hosts import LOOPBACK, is_loopback
from studio.ui.serve import Server, Tunnel, serve

# Where the options are called otherwise than the fields: the prompt has no dashes, the model is one of the settings.
NOT_DERIVED = ("prompt", "model")
EPILOG = (
    "Also: launch.py generate --help; launch.py token --help; launch.py test; "
    "and launch.py --here ..., which uses this Python instead of a .venv."
)


class WrongUsage(StudioError):
    """The command line cannot be understood."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUsage(re.sub(r"^argument (\S+):", r"\1", message) + "; see --help.")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says and return the exit code. `arguments` are those after the program's name."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A path or a name that a terminal or a file cannot show must not end the rest.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if arguments[:1] == ["generate"]:
            _generate(generate_parser().parse_args(_joined(arguments[1:])))
        elif arguments[:1] == ["token"]:
            tokens(_Parser(prog="launch.py token", allow_abbrev=False), arguments[1:])
        else:
            _show_page(page_parser().parse_args(arguments))
    except (WrongUsage, InvalidRequest, UnknownModel) as error:
        return _tell(error, code=2)
    except StudioError as error:
        return _tell(error, code=1)
    except OSError as error:
        # Only what is about a file has its name.
        where = "" if error.filename is None else f": {shorten(error.filename)}"
        return _tell(StudioError(f"{error.strerror or error}{where}."), code=1)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


def page_parser() -> argparse.ArgumentParser:
    """Return the parser of the command that shows the page."""
    parser = _Parser(prog="launch.py", description="Show the studio's page.", epilog=EPILOG, allow_abbrev=False)
    others = "with any other, such as 0.0.0.0, everybody has to sign in"
    parser.add_argument("--host", default=LOOPBACK[0], type=host, help=f"address of this machine, {', '.join(LOOPBACK)}; {others}")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--share", action="store_true", help="also give the page a public address, which takes invitations to enter")
    behind = "address of your own proxy or name for this machine, such as https://studio.example.org; everybody has to sign in"
    ways.add_argument("--address", type=web_address, metavar="URL", help=behind)
    parser.add_argument("--mcp", action="store_true", help="let programs ask by the Model Context Protocol, at /mcp")
    parser.add_argument(
        "--port", default=7860, type=whole(65535), help="port of the page; the next free one is used when it is taken (7860)"
    )
    _add_settings(parser)
    return parser


def generate_parser() -> argparse.ArgumentParser:
    """Return the parser of the command that writes pictures."""
    last = "A prompt that starts with a dash goes last, after --."
    parser = _Parser(prog="launch.py generate", description="Make pictures and write them to files.", epilog=last, allow_abbrev=False)
    parser.add_argument("prompt", help=f"what to draw; {bounds('prompt')}")
    parser.add_argument(
        "--out", default="out.png", type=place, help="file to write, .png, .jpg or .webp; several become out-1.png, ... (out.png)"
    )
    for name, field in GenerationRequest.model_fields.items():
        if name not in NOT_DERIVED:
            usual = "none" if field.default == () else "the model's own" if field.default is None else field.default
            about = f"{field.description}; " if field.description else ""
            parser.add_argument(_option(name), dest=name, metavar="VALUE", help=f"{about}{bounds(name)} ({usual})".replace("%", "%%"))
    _add_settings(parser)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    usual = Settings()
    about = "folder for models and everything the studio keeps (~/.studio)"
    parser.add_argument("--data-dir", default=default_data_dir(), type=place, help=about)
    parser.add_argument("--model", default=usual.model, help="name of a model here, its folder, or a hub id such as owner/name (Mini)")
    parser.add_argument("--lora-dir", action="append", default=[], type=place, help="another folder with LoRAs; may be given several times")
    limit = "gigabytes that the history may take, above which the oldest pictures without a star are removed (all are kept)"
    parser.add_argument("--history-limit", type=gigabytes, help=limit)
    parser.add_argument(
        "--threads", type=whole(1024), help="CPU threads of the model; fewer than cores is faster on a busy machine (every core)"
    )
    for name, choices in CHOICES.items():
        default = getattr(usual, name)
        parser.add_argument(f"--{name}", default=default, choices=choices, help=f"({default})")


def _settings(options: argparse.Namespace) -> Settings:
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUsage(f"--data-dir: the folder {options.data_dir} cannot be made: {error.strerror}.") from error
    # The model's name goes through the request's own bounds, like every other value.
    GenerationRequest.parse({"model": options.model})
    names = ("model", "engine", "device", "precision", "preview", "threads", "history_limit")
    for folder in options.lora_dir:
        if not folder.is_dir():
            raise WrongUsage(f"--lora-dir: {folder} is no folder; name one with LoRA files in it.")
    given = {name: getattr(options, name) for name in names}
    return Settings(data_dir=options.data_dir, lora_dirs=tuple(options.lora_dir), mcp=getattr(options, "mcp", False), **given)


def _built(settings: Settings, progress: Progress) -> Studio:
    try:
        return build(settings, progress=progress.fetched)
    finally:
        progress.end()


def _show_page(options: argparse.Namespace) -> None:
    settings = _settings(options)
    # A studio that is not closed leaves its running job as one that killed it.
    with ended_as_by_ctrl_c(), _built(settings, Progress()) as studio:
        studio.resume()
        with closing(serve(studio, settings, host=options.host, port=options.port, closed=_is_closed(options))) as server:
            # Only now, because loading a model would slow the page's start.
            studio.open()
            if not server.address.endswith(f":{options.port}"):
                print(f"Port {options.port} is taken, so another one is used.")
            if options.address:
                server.publish(lambda host, port: Tunnel(options.address, close=lambda: None))
            _tell_links(server)
            if options.share:
                _publish(server)
            server.wait()


def _is_closed(options: argparse.Namespace) -> bool:
    return bool(options.share or options.address)


def _tell_links(server: Server) -> None:
    if not server.owner_secret:
        print(f"The studio is at {server.address} (Ctrl+C ends it).", flush=True)
        return
    print("The studio asks everybody to sign in. Your own link, which opens everything, so give it to nobody (Ctrl+C ends the studio):")
    for link in server.links():
        print(f"  {link}", flush=True)
    if not is_loopback(server.address):
        print("This address is not encrypted, so use it in a network that you trust.", flush=True)


def _publish(server: Server) -> None:
    # Imported here because it brings gradio along.
    from studio.ui.share import open_tunnel  # noqa: PLC0415

    print("Asking for a public address ...", flush=True)
    try:
        server.publish(open_tunnel)
        print(f"  {server.links()[0]}\nPublic now. Invite people by the button Guests on the page.", flush=True)
    except StudioError as error:
        print(error, flush=True)


def _generate(options: argparse.Namespace) -> None:
    try:
        fields, taken = intake.gather(_fields(options), Path())
    except (BadPicture, BadPose) as error:
        raise WrongUsage(str(error)) from error
    request = GenerationRequest.parse(fields)
    for note in (f"{name}: {note}." for name, each in taken.items() for note in each.notes):
        print(note, file=sys.stderr)
    out = options.out
    _check_writable(out, request)
    progress = Progress()
    with _built(_settings(options), progress).open() as studio:
        job = studio.submit(request, images={name: each.picture for name, each in taken.items()})
        for sentence in job.plan.notices:
            print(sentence, file=sys.stderr)
        _follow(studio, job, progress)
        result = job.result()
        if studio.gallery:
            studio.gallery.settle()
        for sentence in studio.notes():
            print(sentence, file=sys.stderr)
    for i in range(len(result.images)):
        path = out if len(result.images) == 1 else out.with_stem(f"{out.stem}-{i + 1}")
        print(result.save(i, path))


def _follow(studio: Studio, job: Job, progress: Progress) -> None:
    try:
        for event in job.events(previews=False):
            progress.happened(event)
    except KeyboardInterrupt:
        studio.stop(job)
        job.wait()
        raise
    finally:
        progress.end()


def _fields(options: argparse.Namespace) -> dict[str, Any]:
    """Return the request's fields that were given, as the request expects them; nothing is judged here."""
    given = {name: getattr(options, name) for name in GenerationRequest.model_fields if name != "model"}
    return {name: _value(name, text) for name, text in given.items() if text is not None}


def _joined(arguments: Sequence[str]) -> list[str]:
    """Join each request option with what follows it, so that a value may start with a dash."""
    options = {_option(name) for name in GenerationRequest.model_fields}
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in options:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _value(field: str, text: str) -> object:
    kinds = get_args(GenerationRequest.model_fields[field].annotation) or (GenerationRequest.model_fields[field].annotation,)
    if str in kinds:
        return text
    if control(field).kind == "list":
        return _json(field, text)
    if re.fullmatch(r"[+-]?[0-9]{1,100}", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _json(field: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"{_option(field)} must be {bounds(field)} in JSON, not {shorten(text)}.") from error


def _check_writable(out: Path, request: GenerationRequest) -> None:
    """Find out before the work whether the picture can be written after it."""
    if not out.parent.is_dir():
        raise WrongUsage(f"--out: the folder {out.parent} does not exist; make it first.")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise WrongUsage(f"--out: {out} cannot be written; choose another place.")
    with tempfile.TemporaryDirectory() as folder:
        try:
            metadata.save(Image.new("RGB", (1, 1)), request, Path(folder) / out.name)
        except StudioError as error:
            raise WrongUsage(f"--out: {error}") from error


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")


def _tell(error: StudioError, *, code: int) -> int:
    print(" ".join(filter(None, (str(error), error.hint))), file=sys.stderr)
    return code
