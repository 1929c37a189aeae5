"""Agreement scores: what perfect, close, loose and unrelated pictures get."""

import colorsys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.stats import spearmanr

from studio.control import agreement
from studio.control.annotator import ControlAnnotator
from studio.engine.fake import FakeAnnotator, FakeEngine, fake_parts
from studio.events import Agreement, Finished
from studio.jobs import Job
from studio.ports import Annotator
from studio.request import ControlUse, GenerationRequest
from studio.service import Studio


def drawn(shift: int = 0, width: int = 1, side: int = 256, *, circle: bool = True) -> np.ndarray:
    picture = Image.new("L", (side, side))
    draw = ImageDraw.Draw(picture)
    if circle:
        draw.ellipse((60 + shift, 60, 180 + shift, 180), outline=255, width=width)
    else:
        for at in range(20, 240, 30):
            draw.line((at, 0, at, 256), fill=255)
    return np.asarray(picture)


def test_edges_within_two_pixels_of_256_are_the_same() -> None:
    assert agreement.edges(drawn(), drawn()).value == 1
    assert agreement.edges(drawn(2), drawn()) == Agreement(
        "edges", 1.0, "follows closely", "100% of the lines are in the picture, 100% of its edges are in the map."
    )
    shifted = agreement.edges(drawn(8), drawn())
    assert shifted.value is not None and shifted.value < 0.6
    other = agreement.edges(drawn(circle=False), drawn())
    assert other.word == "hardly follows" and other.value is not None and other.value < 0.35
    # The tolerance grows with the picture: at 512, 4 pixels.
    larger = [np.kron(pixels, np.ones((2, 2), np.uint8)) for pixels in (drawn(2), drawn())]
    assert agreement.edges(*larger).value == pytest.approx(1, abs=0.02)


def test_a_broad_stroke_and_the_edge_in_its_middle_agree() -> None:
    broad = Image.new("L", (256, 256))
    ImageDraw.Draw(broad).ellipse((54, 54, 186, 186), outline=255, width=12)
    value = agreement.edges(drawn(), np.asarray(broad)).value
    assert value is not None and value > 0.9


def test_more_of_the_picture_than_was_drawn_costs_precision() -> None:
    both = np.maximum(drawn(), drawn(circle=False))
    found = agreement.edges(both, drawn())
    assert found.note.startswith("100% of the lines") and found.value is not None and 0.2 < found.value < 0.8


def test_no_lines() -> None:
    empty = np.zeros((256, 256), np.uint8)
    assert agreement.edges(drawn(), empty).value is None
    assert agreement.edges(empty, drawn()).value == 0


def test_depth_by_rank() -> None:
    random = np.random.default_rng(0)
    wanted = random.integers(0, 255, (100, 90), np.uint8)
    monotone = (np.sqrt(wanted / 255) * 255).astype(np.uint8)
    assert agreement.depth(monotone, wanted).word == "follows closely"
    inverse = agreement.depth(255 - wanted, wanted)
    assert inverse.value == pytest.approx(-1) and inverse.word == "hardly follows"
    mixed = (wanted * 0.5 + random.integers(0, 128, wanted.shape)).astype(np.uint8)
    assert agreement.depth(mixed, wanted).value == pytest.approx(spearmanr(mixed.ravel(), wanted.ravel()).statistic, abs=1e-9)
    assert agreement.depth(wanted, np.full_like(wanted, 7)).value is None


def figure(shift: int = 0, missing: int = 0) -> np.ndarray:
    picture = Image.new("RGB", (256, 256))
    draw = ImageDraw.Draw(picture)
    for kind in range(18 - missing):
        colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(kind / 18, 1, 1))
        x, y = 60 + kind % 6 * 20 + shift, 30 + kind // 6 * 90
        draw.line((x, y, x + 15, y + 40), fill=tuple(int(part * 0.6) for part in colour), width=6)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
    return np.asarray(picture)


def test_joints() -> None:
    assert [len(each) for each in agreement.joint_places(figure())] == [1] * 18
    assert agreement.joints(figure(), figure()) == Agreement(
        "joints", 0.0, "follows closely", "18 of 18 joints were found, 0% of the figure's height off."
    )
    shifted = agreement.joints(figure(18), figure())
    assert shifted.value == pytest.approx(0.1) and shifted.word == "follows loosely"
    half = agreement.joints(figure(missing=9), figure())
    assert half.value == pytest.approx(0.25) and half.word == "hardly follows" and half.note.startswith("9 of 18")
    assert agreement.joints(figure(), np.zeros((256, 256, 3), np.uint8)).value is None


def test_a_given_sketch_is_measured_by_canny_on_the_picture() -> None:
    picture = Image.new("RGB", (256, 256), (40, 90, 160))
    ImageDraw.Draw(picture).ellipse((60, 60, 180, 180), fill=(220, 30, 30))
    use = ControlUse(kind="sketch", image="x")
    follows, other = Image.fromarray(drawn()).convert("RGB"), Image.fromarray(drawn(circle=False)).convert("RGB")
    assert ControlAnnotator(Path("nowhere")).measure(picture, follows, use).word == "follows closely"
    assert ControlAnnotator(Path("nowhere")).measure(picture, other, use).word == "hardly follows"


def test_solid_regions_of_a_threshold_are_measured_by_thresholds() -> None:
    picture = Image.new("RGB", (256, 256))
    ImageDraw.Draw(picture).ellipse((60, 60, 180, 180), fill="white")
    use = ControlUse(kind="sketch", image="x", preprocessor="threshold")
    annotator = ControlAnnotator(Path("nowhere"))
    followed = annotator.annotate(picture, use, (256, 256), lambda *_: None)
    assert annotator.measure(picture, followed, use).word == "follows closely"


@pytest.mark.parametrize("name", ["shuffle", "segment_mobile"])
def test_maps_that_no_measure_suits_have_no_word(name: str) -> None:
    use = ControlUse(kind="sketch", image="x", preprocessor=name)
    told = ControlAnnotator(Path("nowhere")).measure(Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64)), use)
    assert (told.value, told.word) == (None, "") and told.note.startswith("Not measured: no measure suits the maps of ")


class Failing(FakeAnnotator):
    def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
        raise ZeroDivisionError


@pytest.mark.parametrize("annotator", [ControlAnnotator(Path("nowhere")), Failing()])
def test_every_picture_has_a_score_per_unit_and_failing_ones_cost_no_picture(annotator: Annotator) -> None:
    uses = (ControlUse(kind="sketch", image="a", preprocessor="canny"), ControlUse(kind="sketch", image="a"))
    with Studio(lambda: FakeEngine(step_seconds=0), replace(fake_parts(), annotator=annotator)).open() as studio:
        request = GenerationRequest(steps=1, batch_size=2, controls=uses)
        job = studio.submit(request, images={"a": Image.fromarray(drawn())})
        finished = job.wait(60)
    assert isinstance(finished, Finished)
    assert [[each.measure for each in row] for row in finished.agreements] == [["edges", "edges"]] * 2
    failing = isinstance(annotator, Failing)
    assert all((each.value is None) == failing and each.note.endswith(".") for row in finished.agreements for each in row)


def test_stop_while_agreement_is_measured_keeps_the_picture_and_leaves_out_the_rest() -> None:
    jobs: list[Job] = []

    class Slow(FakeAnnotator):
        def measure(self, picture: Image.Image, control: Image.Image, use: ControlUse) -> Agreement:
            jobs[0].stop()
            return Agreement("edges", 1.0, "follows closely", "")

    uses = (ControlUse(kind="sketch", image="a", preprocessor="canny"), ControlUse(kind="sketch", image="a"))
    with Studio(lambda: FakeEngine(step_seconds=0.01), replace(fake_parts(), annotator=Slow())).open() as studio:
        jobs.append(studio.submit(GenerationRequest(steps=10, controls=uses), images={"a": Image.fromarray(drawn())}))
        finished = jobs[0].wait(60)
    assert isinstance(finished, Finished) and len(finished.images) == 1
    assert [(each.value, each.note) for each in finished.agreements[0]] == [(1.0, ""), (None, "Not measured: the run was stopped.")]
