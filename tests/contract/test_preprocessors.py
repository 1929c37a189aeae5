"""Every preprocessor row that needs weights, against a hub on the loopback: fetched, run, cancelled, resumed, offline."""

import itertools
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from studio import weights
from studio.control.annotator import LOADERS, ControlAnnotator
from studio.control.plain import canny, lineart_standard
from studio.errors import MissingWeights, Stopped, StudioError
from studio.fit import place
from studio.pose import MAX_PEOPLE
from studio.pose.drawing import draw
from studio.reading import READING
from studio.request import ControlUse
from tests.contract import checkpoints
from tests.drawn import scene
from tests.loopback_hub import LoopbackHub, loopback_hub

ROWS = [row for row in weights.TABLE.values() if row.sources]
SLOW = {"depth_zoe", "depth_midas", "depth_leres", "normal_bae", "openpose", "segment_anything", "lineart_anime"}
SIZE = (96, 64)
NOWHERE = "http://127.0.0.1:9"
QUICK = {"resolution": 64.0, "points": 4.0, "score": 0.0, "joint": 0.0}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    with loopback_hub(tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture
def annotator(hub: LoopbackHub, tmp_path: Path) -> Iterator[ControlAnnotator]:
    hub.asked.clear()
    yield ControlAnnotator(tmp_path, endpoint=hub.address)
    # Some are large.
    shutil.rmtree(tmp_path)


def serve(hub: LoopbackHub, row: weights.Row) -> None:
    for source in row.sources:
        for name in source.files:
            checkpoints.make(hub.folder, source.repo, name)


def use_of(row: weights.Row, **settings: float) -> ControlUse:
    kind = row.kinds[0]
    quick = {setting.name: QUICK[setting.name] for setting in row.offered(kind) if setting.name in QUICK}
    return ControlUse(kind=kind, image="x", preprocessor=row.name, settings=quick | settings)


def test_every_loader_has_its_row() -> None:
    assert set(LOADERS) == {row.name for row in ROWS}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.name in SLOW else []) for row in ROWS])
def test_each_is_fetched_and_runs(row: weights.Row, hub: LoopbackHub, annotator: ControlAnnotator) -> None:
    torch.manual_seed(0)
    serve(hub, row)
    (offer,) = [offer for offer in annotator.offers(row.kinds[0]) if offer.row is row]
    assert offer.state == "download" and row.licence in offer.says and f"{row.bytes / 1e6:,.0f} MB" in offer.says
    heard: list[tuple[float, str]] = []
    made = annotator.annotate(scene(), use_of(row), SIZE, lambda *told: heard.append(told))
    assert made.mode == "RGB" and made.size == SIZE
    assert sorted(name for name, _ in hub.asked) == sorted(name for source in row.sources for name in source.files)
    assert any(0 < fraction <= 1 and "MB" in message for fraction, message in heard)
    (offer,) = [offer for offer in annotator.offers(row.kinds[0]) if offer.row is row]
    assert offer.state == "ready" and not offer.says
    # The second one asks nobody, not even whether there is something newer.
    hub.asked.clear()
    annotator.annotate(scene().rotate(180), use_of(row), SIZE, lambda *_: None)
    assert not hub.asked
    _compare_sizes(row, hub)


def _compare_sizes(row: weights.Row, hub: LoopbackHub) -> None:
    """What the row says it downloads is what the architecture's parameters take, give or take a sixth."""
    for source in row.sources:
        for name, said in source.files.items():
            if source.repo not in checkpoints.TRANSFORMERS:
                assert said == pytest.approx((hub.folder / source.repo / name).stat().st_size, rel=0.17), name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_offline_each_says_its_sentence(row: weights.Row, tmp_path: Path) -> None:
    annotator = ControlAnnotator(tmp_path, endpoint=NOWHERE)
    with pytest.raises(MissingWeights) as caught:
        annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)
    told = str(caught.value)
    assert told.startswith(row.sources[0].repo) and " MB) is not on this machine and the model hub cannot be reached; connect" in told
    (offer,) = [offer for offer in annotator.offers(row.kinds[0]) if offer.row is row]
    assert offer.state == "offline" and "would have to be fetched" in offer.says


def test_who_was_offline_may_try_again(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = big(hub)
    annotator = ControlAnnotator(tmp_path, endpoint=NOWHERE)
    with pytest.raises(MissingWeights):
        annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)
    assert {offer.state for offer in annotator.offers("sketch")} == {"ready", "offline"}
    monkeypatch.setattr("studio.control.detectors.RETRY_SECONDS", 0.0)
    assert {offer.state for offer in annotator.offers("sketch")} == {"ready", "download"}


def test_offline_mode_is_respected(tmp_path: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert {offer.state for offer in ControlAnnotator(tmp_path, endpoint=hub.address).offers("depth")} == {"ready", "offline"}


def test_a_detector_waits_for_the_model_that_is_being_read(hub: LoopbackHub, annotator: ControlAnnotator) -> None:
    """The libraries patch torch's modules while they read, so a detector made meanwhile would have no weights."""
    row = big(hub)
    made: list[Image.Image] = []
    asking = threading.Thread(target=lambda: made.append(annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)))
    with READING:
        asking.start()
        asking.join(3)
        assert asking.is_alive() and not made
    asking.join()
    assert made


def test_who_waits_for_a_detector_can_give_up(hub: LoopbackHub, annotator: ControlAnnotator, monkeypatch: pytest.MonkeyPatch) -> None:
    row = big(hub)
    made = annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)

    def unwilling(fraction: float, message: str) -> None:
        if "another map" in message:
            raise Stopped(message)

    monkeypatch.setattr("studio.control.annotator.MOST_PATIENCE", 0.1)
    with annotator._shelf.lent(row, lambda *_: None):
        with pytest.raises(Stopped):
            annotator.annotate(scene().rotate(90), use_of(row), SIZE, unwilling)
        busy = annotator.measure(scene(), made, use_of(row))
    assert (busy.value, busy.note) == (None, f"Not measured: {row.label} is making another map.")
    assert annotator.measure(scene(), made, use_of(row)).value is not None


def big(hub: LoopbackHub) -> weights.Row:
    row = weights.TABLE["softedge_hed"]
    serve(hub, row)
    return row


def test_cancel_and_resume(hub: LoopbackHub, annotator: ControlAnnotator, tmp_path: Path) -> None:
    row = big(hub)

    def enough(fraction: float, message: str) -> None:
        if fraction > 0.5:
            raise Stopped("The map was cancelled.")

    with pytest.raises(Stopped):
        annotator.annotate(scene(), use_of(row), SIZE, enough)
    (partial,) = tmp_path.rglob("*.partial")
    had = partial.stat().st_size
    assert 10_000_000 < had < 29_000_000
    heard: list[float] = []
    annotator.annotate(scene(), use_of(row), SIZE, lambda fraction, _: heard.append(fraction))
    assert hub.asked == [("ControlNetHED.pth", 0), ("ControlNetHED.pth", had)]
    assert heard[0] > 0.3 and not list(tmp_path.rglob("*.partial"))
    assert next(tmp_path.rglob("ControlNetHED.pth")).read_bytes() == next(hub.folder.rglob("ControlNetHED.pth")).read_bytes()


def test_other_bytes_than_the_hub_says_are_not_used(hub: LoopbackHub, annotator: ControlAnnotator, tmp_path: Path) -> None:
    row, hub.spoil = big(hub), True
    try:
        with pytest.raises(MissingWeights, match=r"ControlNetHED.pth of lllyasviel/Annotators came damaged and was deleted; try again."):
            annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)
    finally:
        hub.spoil = False
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_the_hub_does_not_have_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    with loopback_hub(tmp_path / "hub") as empty:
        annotator = ControlAnnotator(tmp_path, endpoint=empty.address)
        with pytest.raises(MissingWeights, match="The hub no longer gives out lllyasviel/Annotators as it did"):
            annotator.annotate(scene(), use_of(weights.TABLE["softedge_hed"]), SIZE, lambda *_: None)
        assert {offer.state for offer in annotator.offers("sketch")} == {"ready", "download"}


class Runs:
    """A pickle that would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["softedge_hed", "softedge_pidinet", "lineart_coarse", "teed", "anyline", "mlsd", "segment_mobile"])
def test_a_checkpoint_that_holds_a_program_is_not_run(name: str, tmp_path: Path) -> None:
    row, mark = weights.TABLE[name], tmp_path / "mark"
    for source in row.sources:
        for file in source.files:
            path = tmp_path / source.repo.replace("/", "--") / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == "teed":
                path.write_bytes(pickle.dumps(Runs(mark)))
            else:
                torch.save({"state_dict": Runs(mark)}, path)
    with pytest.raises(StudioError, match="is damaged or holds more than weights, so it is not used; delete it from"):
        ControlAnnotator(tmp_path, endpoint=NOWHERE).annotate(scene(), use_of(row), SIZE, lambda *_: None)
    assert not mark.exists()


def test_the_switch_that_lets_checkpoints_run_is_refused(hub: LoopbackHub, annotator: ControlAnnotator, monkeypatch: Any) -> None:
    row = big(hub)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(StudioError, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set"):
        annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)


def test_a_truncated_checkpoint_is_one_sentence(hub: LoopbackHub, tmp_path: Path) -> None:
    row = big(hub)
    path = tmp_path / "lllyasviel--Annotators" / "ControlNetHED.pth"
    path.parent.mkdir()
    path.write_bytes(next(hub.folder.rglob("ControlNetHED.pth")).read_bytes()[:-1000])
    with pytest.raises(StudioError, match=r"ControlNetHED.pth is damaged or holds more than weights"):
        ControlAnnotator(tmp_path, endpoint=NOWHERE).annotate(scene(), use_of(row), SIZE, lambda *_: None)


@pytest.mark.parametrize("name", ["depth_anything", "vitpose"])
def test_weights_that_the_library_cannot_read_are_one_sentence(
    name: str, hub: LoopbackHub, annotator: ControlAnnotator, tmp_path: Path
) -> None:
    row = weights.TABLE[name]
    serve(hub, row)
    annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None)
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(StudioError, match=f"The weights of {row.label} are damaged; delete .*, and they are fetched again."):
        ControlAnnotator(tmp_path, endpoint=NOWHERE).annotate(scene(), use_of(row), SIZE, lambda *_: None)


def test_several_threads_fetch_once(hub: LoopbackHub, annotator: ControlAnnotator) -> None:
    row, made = big(hub), []

    def work() -> None:
        made.append(annotator.annotate(scene(), use_of(row), SIZE, lambda *_: None).tobytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1 and len(made) == 4 and [name for name, _ in hub.asked] == ["ControlNetHED.pth"]


def test_a_measure_without_weights_says_so_and_fetches_nothing(hub: LoopbackHub, annotator: ControlAnnotator) -> None:
    serve(hub, weights.TABLE["depth_anything"])
    ramp = Image.linear_gradient("L").convert("RGB")
    for kind, label in (("depth", "Depth Anything V2"), ("pose", "ViTPose")):
        told = annotator.measure(scene(), ramp, ControlUse(kind=kind, image="x"))
        assert told.value is None and told.note.startswith(f"Not measured: the weights of {label} (") and not hub.asked
    depth = use_of(weights.TABLE["depth_anything"])
    made = annotator.annotate(scene(), depth, SIZE, lambda *_: None)
    same = annotator.measure(scene().resize(SIZE, Image.Resampling.LANCZOS), made, depth)
    assert same.value == pytest.approx(1, abs=1e-6) and same.word == "follows closely"
    # Now that it is here, a given map is measured by it too.
    assert annotator.measure(scene(), ramp, ControlUse(kind="depth", image="x")).value is not None


def test_weightless_ones_draw_as_controlnet_aux() -> None:
    from controlnet_aux.canny import CannyDetector
    from controlnet_aux.lineart_standard import LineartStandardDetector

    pixels = np.asarray(Image.effect_noise((512, 512), 60).convert("RGB").resize((64, 64)).resize((512, 512)))
    for low, high in itertools.product((50, 100), (150, 200)):
        theirs = CannyDetector()(pixels, low, high, 512, 512)
        assert np.array_equal(theirs[..., 0], canny(pixels, {"low": low, "high": high}))
    theirs = LineartStandardDetector()(pixels, 6.0, 8, 512, "np")
    assert np.array_equal(theirs[..., 0], lineart_standard(pixels, {"sigma": 6, "threshold": 8}))


@pytest.mark.parametrize("name", ["vitpose", pytest.param("openpose", marks=pytest.mark.slow)])
def test_a_pose_detector_tells_the_joints_it_draws(name: str, hub: LoopbackHub, annotator: ControlAnnotator) -> None:
    torch.manual_seed(0)
    row = weights.TABLE[name]
    serve(hub, row)
    use = use_of(row, **{part: 1.0 for part in ("hand", "face") if name == "openpose"}).model_copy(update={"fit": "pad"})
    made = annotator.annotate(scene(), use, SIZE, lambda *_: None)
    pose = annotator.people(scene(), use, SIZE, lambda *_: None)
    if name == "openpose":
        assert pose is None or pose.people, "random weights see hardly anybody"
        return
    assert pose is not None and (pose.width, pose.height) == SIZE and 1 <= len(pose.people) <= MAX_PEOPLE
    # Outside of the picture proper, its map has black bars, and a pose goes on.
    placed = place(scene().size, SIZE, "pad")
    (left, top), (width, height) = placed.offset, placed.inner
    inner = np.s_[top : top + height, left : left + width]
    differing = np.abs(np.asarray(draw(pose))[inner].astype(int) - np.asarray(made)[inner]).max(axis=2) > 40
    assert np.asarray(made).any() and float(differing.mean()) < 0.05


def test_openpose_keeps_which_point_of_a_face_is_which() -> None:
    from controlnet_aux.open_pose.body import BodyResult, Keypoint

    from studio.control.poses import _face

    heat = np.zeros((71, 32, 32), np.float32)
    for part in range(0, 70, 2):
        heat[part, part // 8 + 1, 9] = 0.9
    heat[70, 5, 5] = 1  # what is no face

    class Detector:
        def face_estimation(self, pixels: np.ndarray) -> np.ndarray:
            return heat

    joints = [None] * 18
    for index, (x, y) in {0: (100, 100), 14: (90, 90), 15: (110, 90), 16: (80, 95), 17: (120, 95)}.items():
        joints[index] = Keypoint(x, y)
    points = _face(Detector(), BodyResult(joints, 1.0, 5), np.zeros((200, 200, 3), np.uint8))
    assert len(points) == 70 and [point is not None for point in points] == [True, False] * 35


def test_the_environments_hub_is_asked(hub: LoopbackHub, tmp_path: Path) -> None:
    import subprocess
    import sys

    row = big(hub)
    unit = f"ControlUse(kind='sketch', image='x', preprocessor='{row.name}')"
    code = (
        "from pathlib import Path; from PIL import Image; from studio.request import ControlUse; "
        "from studio.control.annotator import ControlAnnotator; "
        f"print(ControlAnnotator(Path({str(tmp_path)!r})).annotate(Image.new('RGB', (64, 64)), {unit}, (64, 64), lambda *_: None).size)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.address}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith("(64, 64)")
