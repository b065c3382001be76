"""Figures of pictures: every panel is the picture it says it is, whether it was cached or computed for the figure."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Answer, manifests, shown
from matplotlib.figure import Figure
from PIL import Image
from test_figures import check_layout, notes

from bench.api import registry
from bench.api.errors import BenchError, MetricError, UsageError
from bench.config import load_config
from bench.data.cityscapes import CITYSCAPES
from bench.data.registry import open_dataset
from bench.figures import draw_figure, maps
from bench.figures import methods as of_methods
from bench.figures.grid import Panel, PanelRow, draw_grid
from bench.figures.style import theme
from bench.pictures import evaluators
from bench.pictures.album import main_methods
from bench.pictures.cells import paint_labels
from bench.results.request import Request, parts, read_request
from bench.run.ablations import Ablation, Arm
from metrics.evaluators.detectors import Detections

Cli = Callable[..., Answer]
SIZE = (32, 64)


@pytest.fixture
def ran(cli: Cli, fakes: Path) -> Path:
    """A run of pixels and maps over two channels, three scenes."""
    answer = cli("run", "--methods", "fake_pixels,fake_maps,fake_maps+fds", "--psnr", "100,10", "--out", "o")
    assert answer.code == 0, answer.err
    return fakes


def request(**choices: Any) -> Request:
    return read_request(Path("o"), Path("figures"), config=load_config(), **choices)


def panels(figure: Figure) -> dict[str, np.ndarray]:
    """Pictures by `row | heading`; rows of equal names are counted up."""
    found: dict[str, np.ndarray] = {}
    for axis in figure.axes:
        name = axis.get_label()
        while name in found:
            name += "'"
        found[name] = np.asarray(axis.images[0].get_array())
    return found


def cached(spec: str, psnr: int, position: int) -> np.ndarray:
    """A picture of the run, read from its file without any code of the project."""
    (folder,) = Path("o/cells/streets").glob(f"{spec}/awgn-paper-peak@{psnr}-seed0-*")
    return shown(folder)[position]


def scene(position: int) -> Any:
    source = open_dataset("streets", size=SIZE)
    return source.load("test", source.ids("test", position + 1)[position])


def test_a_strip_shows_the_cells_of_the_run_and_computes_nothing(ran: Path) -> None:
    (drawing,) = draw_figure("strip", request(scenes=("test-000001",)))
    shown = panels(drawing.figure)
    truth = scene(1)
    labels = paint_labels(truth.labels, CITYSCAPES)
    assert np.array_equal(shown["received map | original, labels"], truth.image)
    assert np.array_equal(shown["fake_pixels | original, labels"], labels)
    assert np.array_equal(shown["received map | 100 dB"], labels)  # came through the clean channel
    assert 0.05 < (shown["received map | 10 dB"] == labels).all(axis=2).mean() < 0.95
    for spec in ("fake_pixels", "fake_maps"):
        for psnr in (100, 10):
            assert np.array_equal(shown[f"{spec} | {psnr} dB"], cached(spec, psnr, 1)), (spec, psnr)
    assert len(shown) == 8  # the variant fake_maps+fds has no row unless it is asked for
    assert not Path("figures").exists()
    with theme():
        check_layout(drawing.figure)


def test_pictures_that_the_cache_lacks_are_computed_equal_and_kept(ran: Path) -> None:
    before = {(s, p): cached(s, p, 0) for s in ("fake_pixels", "fake_maps") for p in (100, 10)}
    (ran / "o/cells").rename(ran / "gone")
    said: list[str] = []
    (drawing,) = draw_figure("strip", request(say=said.append))
    shown = panels(drawing.figure)
    for (spec, psnr), picture in before.items():
        assert np.array_equal(shown[f"{spec} | {psnr} dB"], picture)
    (line,) = said
    assert line.startswith("computing pictures that the cache of o lacks: 4 cells of 1 scene(s), about ")
    assert line.endswith("; kept in figures/cells")
    made = manifests(ran / "figures")
    assert (len(made), (ran / "o/cells").exists()) == (4, False)
    (again,) = draw_figure("strip", request(say=said.append))
    assert (len(said), manifests(ran / "figures")) == (1, made)
    assert all(np.array_equal(picture, shown[name]) for name, picture in panels(again.figure).items())


def test_figures_share_the_pictures_they_computed(ran: Path) -> None:
    (ran / "o/cells").rename(ran / "gone")
    said: list[str] = []
    draw_figure("comparison", request(say=said.append, scenes=2))
    assert "2 cells of 2 scene(s)" in said[0]
    said.clear()
    draw_figure("strip", request(say=said.append, scenes=("test-000001",)))
    assert "2 cells of 1 scene(s)" in said[0]  # those at 100 dB; those at 10 dB are there


def test_pictures_by_other_weights_than_the_results_are_owned_up_to(ran: Path) -> None:
    (ran / "o/cells").rename(ran / "gone")
    asked = request(methods=("fake_pixels",))
    for scenes in asked.facts["sets"].values():
        scenes["methods"]["fake_pixels"]["weights_sha256"] = "f" * 64
    (drawing,) = draw_figure("strip", asked)
    assert "Pictures of fake_pixels were made with other weights" in notes(drawing.figure)


def test_pictures_that_cannot_be_made_here_name_the_command_that_makes_them(
    ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ran / "o/cells").rename(ran / "gone")
    asked = request(methods=("fake_pixels",))
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [p for p in entry_points(group=group) if p.module != "bench_fakes"]
    )
    registry._points.cache_clear()
    with pytest.raises(BenchError) as caught:
        draw_figure("strip", asked)
    for words in (
        "unknown method 'fake_pixels'",
        "--methods fake_pixels,fake_maps,fake_maps+fds --psnr 100,10 --out o`",
        "choose others",
    ):
        assert words in str(caught.value)


def test_a_scene_that_the_run_did_not_have_is_refused(ran: Path) -> None:
    with pytest.raises(UsageError, match="no scene 'test-000004' of streets; did you mean"):
        draw_figure("strip", request(scenes=("test-000004",)))


class FakeDetector:
    """One sure object and one doubtful one, at places that the picture's brightness decides."""

    protocol = "fake|detector"

    def detect(self, images: torch.Tensor) -> list[Detections]:
        assert images.dtype == torch.float32
        assert 0 <= float(images.min()) <= float(images.max()) <= 1
        boxes = np.array([[1, 2, 9, 8], [20, 4, 30, 12]], dtype=np.float32)
        scores, labels = np.array([0.9, 0.2], dtype=np.float32), np.array([26, 24])
        return [Detections(boxes + float(image.mean()), scores, labels) for image in images]


class FakeDepth:
    """Metres that rise from left to right."""

    protocol, inverse = "fake|depth", False

    def estimate(self, images: torch.Tensor) -> torch.Tensor:
        return torch.linspace(1, 10, images.shape[-1]).expand(len(images), *images.shape[-2:])


def judges(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = SimpleNamespace(load=lambda folder, device: FakeDetector(), threshold=0.5)
    monkeypatch.setattr(evaluators, "choose_detector", lambda dataset, name: choice)
    monkeypatch.setattr(evaluators, "load_estimator", lambda dataset, name, folder, device: FakeDepth())


def test_a_comparison_draws_sure_detections_at_their_pixels_and_depth_below(
    ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges(monkeypatch)
    (drawing,) = draw_figure("comparison", request(scenes=1))
    shown = panels(drawing.figure)
    assert list(shown) == [f"{r} | {c}" for r in ("detections", "depth") for c in ("original", "fake_pixels",
                                                                                   "fake_maps")]  # fmt: skip
    assert np.array_equal(shown["detections | original"], scene(0).image)
    assert np.array_equal(shown["detections | fake_maps"], cached("fake_maps", 10, 0))
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["car"]
    for axis in drawing.figure.axes[:3]:
        (box,) = axis.patches  # the doubtful object has none
        shift = axis.images[0].get_array().mean() / 255
        # a picture's pixel k reaches from k - 0.5 to k + 0.5 on the axis
        assert box.get_bbox().extents == pytest.approx(np.array([0.5, 1.5, 8.5, 7.5]) + shift, abs=1e-3)
        assert box.get_edgecolor()[:3] == legend.get_lines()[0].get_color()
    near = shown["depth | fake_pixels"].sum(axis=2)
    assert near[:, 0].min() > near[:, -1].max()  # bright is near, and one metre is nearer than ten
    assert "Boxes: fake|detector, score 0.5 or more. Depth: fake|depth" in notes(drawing.figure)
    with theme():
        check_layout(drawing.figure)


def test_without_judges_the_rows_are_left_out_and_the_notes_say_so(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise MetricError("weights are missing; train them")

    monkeypatch.setattr(evaluators, "choose_detector", missing)
    monkeypatch.setattr(evaluators, "load_estimator", missing)
    said: list[str] = []
    (drawing,) = draw_figure("comparison", request(scenes=1, say=said.append))
    assert [name.split(" | ")[0] for name in panels(drawing.figure)] == ["picture"] * 3
    assert not any(axis.patches for axis in drawing.figure.axes)
    assert "Without detections: there is no detector for streets here." in notes(drawing.figure)
    assert "Without depth: there is no depth network for streets here." in notes(drawing.figure)
    assert said == [f"without {what}: weights are missing; train them" for what in ("detections", "depth")]


def test_a_flat_depth_map_is_one_colour_and_the_judge_of_the_configuration_is_used(
    ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(np.unique(evaluators.paint_nearness(np.full((4, 4), 0.3)).reshape(-1, 3), axis=0)) == 1
    (ran / "bench.toml").write_text(
        (ran / "bench.toml").read_text() + '[metrics.objects.evaluators]\nstreets = "mine"\n'
    )
    asked: list[str | None] = []

    def choose(dataset: str, name: str | None) -> Any:
        asked.append(name)
        raise MetricError("no")

    monkeypatch.setattr(evaluators, "choose_detector", choose)
    evaluators.load_evaluators("streets", load_config())
    assert asked == ["mine"]


def test_the_ablation_has_a_column_an_arm_with_its_numbers_over_all_scenes(
    ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = tuple(
        Arm((fds_on, "✓", "present", method), method)
        for fds_on, method in (("✗", "fake_maps"), ("✓", "fake_maps+fds"), ("✗", "fake_pixels:gain=0.5"))
    )
    monkeypatch.setattr(of_methods, "FDS", Ablation("fds", "", ("FDS",), arms))
    beyond = request(metrics=("FakeMSE",), scenes=2)
    sighted = beyond.frame[beyond.frame["method"] != "pure_noise"]
    asked = replace(beyond, frame=sighted, methods=("fake_maps", "fake_maps+fds"))  # named: not read again
    (drawing,) = draw_figure("ablation", asked)
    shown = panels(drawing.figure)
    headings = ["original", "labels", "fake_maps\nFDS ✗\nnoisy training ✓", "fake_maps+fds\nFDS ✓\nnoisy training ✓"]
    assert list(shown) == [f" | {heading}{second}" for second in ("", "'") for heading in headings]
    assert np.array_equal(shown[f" | {headings[3]}'"], cached("fake_maps+fds", 10, 1))
    rows = asked.frame
    rows = rows[(rows["scene"] == "all") & (rows["metric"] == "FakeMSE") & (rows["psnr"] == 10)]
    texts = [text.get_text() for text in drawing.figure.texts]
    for method in ("fake_maps", "fake_maps+fds"):
        value = rows[rows["method"] == method]["value"].item()
        assert any(text.startswith(f"FakeMSE {value:.3f} [") for text in texts)
    assert "Not in these results: fake_pixels:gain=0.5" in notes(drawing.figure)
    (other,) = draw_figure("ablation", beyond)  # these grey pictures are farther from the scenes than noise is
    assert [text.get_text() for text in other.figure.texts].count("FakeMSE noise") == 2
    with theme():
        check_layout(drawing.figure)


def test_an_ablation_without_arms_names_its_command(ran: Path) -> None:
    with pytest.raises(UsageError, match="`bench ablate fds --out o` computes them"):
        draw_figure("ablation", request())


def test_compression_gives_bits_of_real_files_and_what_is_left_of_the_content(ran: Path) -> None:
    (drawing,) = draw_figure("compression", request())
    shown, truth = panels(drawing.figure), scene(0)
    rows = list(dict.fromkeys(name.split(" | ")[0] for name in shown))
    assert rows[:2] == ["image, JPEG", "image, AVIF"]
    all_maps, one = rows[2:]
    assert np.array_equal(shown["image, JPEG | lossless"], truth.image)
    assert np.array_equal(shown[f"{all_maps} | lossless"], paint_labels(truth.labels, CITYSCAPES))
    label = CITYSCAPES.names.index(one.split("`")[1])
    assert np.array_equal(shown[f"{one} | lossless"][..., 0] == 255, truth.labels == label)
    texts = [text.get_text() for text in drawing.figure.texts]
    for quality in maps.QUALITIES:
        buffer = io.BytesIO()
        Image.fromarray(truth.image).save(buffer, "JPEG", quality=quality)
        assert f"{8 * len(buffer.getvalue()) / truth.labels.size:.2f} bit/pixel" in texts
        with Image.open(buffer) as decoded:
            pixels = np.array(decoded.convert("RGB"))
        assert np.array_equal(shown[f"image, JPEG | quality {quality}"], pixels)
        assert f"{maps.peak_snr(pixels, truth.image):.1f} dB" in texts
    with theme():
        check_layout(drawing.figure)


def test_maps_survive_what_the_image_does_not() -> None:
    squares = np.zeros((2, 32, 32), dtype=np.float32)
    squares[0, 8:24, 8:24] = 1
    squares[1] = 1 - squares[0]
    sizes = [maps.coded_maps(squares, quality).bits for quality in (90, 25, 5)]
    assert sizes == sorted(sizes, reverse=True)
    assert np.array_equal(maps.coded_maps(squares, 25).decoded > 0.5, squares > 0.5)
    lossless = maps.coded_maps(squares, None)
    assert np.array_equal(lossless.decoded, squares)
    assert maps.peak_snr(np.full((2, 2), 10), np.full((2, 2), 20)) == pytest.approx(10 * np.log10(255**2 / 100))


def test_fds_shows_maps_before_and_behind_the_block_with_the_share_that_is_right(ran: Path) -> None:
    (drawing,) = draw_figure("fds", request())
    shown, truth = panels(drawing.figure), scene(0)
    labels = paint_labels(truth.labels, CITYSCAPES)
    assert np.array_equal(shown["strongest class | 100 dB"], labels)
    texts = [text.get_text() for text in drawing.figure.texts]
    for name in ("strongest class | 10 dB", "strongest class | 10 dB'"):
        right = 100 * (shown[name] == labels).all(axis=2).mean()
        assert f"{right:.1f} % right" in texts
    before, behind = (shown[f"strongest class | 10 dB{end}"] for end in ("", "'"))
    assert (behind == labels).all(axis=2).mean() > (before == labels).all(axis=2).mean()
    assert "Maps as sent by fake_maps+fds, FDS pooling avg-max" in notes(drawing.figure)
    with theme():
        check_layout(drawing.figure)


def test_fds_without_a_method_that_has_the_block_names_the_command(ran: Path) -> None:
    with pytest.raises(UsageError, match=r"with gesco or a method\+fds among its --methods"):
        draw_figure("fds", request(methods=("fake_pixels",)))


def test_the_class_shown_is_a_thing_where_there_is_one() -> None:
    road, car, sky = 7, 26, 23
    assert maps.shown_class(np.array([[road, road, road, car]]), CITYSCAPES) == car
    assert maps.shown_class(np.array([[road, road, sky]]), CITYSCAPES) == road


def test_rows_of_pictures_have_the_methods_that_are_no_variants(ran: Path) -> None:
    (part,) = parts(request())
    assert main_methods(part) == ["fake_pixels", "fake_maps"]
    (part,) = parts(request(methods=("fake_maps+fds",)))
    assert main_methods(part) == ["fake_maps+fds"]


def test_a_grid_makes_room_for_its_words() -> None:
    wide = "a caption that is much wider than the picture above it"
    panel = Panel(np.zeros((8, 8, 3), dtype=np.uint8), (wide,))
    with theme():
        check_layout(
            draw_grid(
                "t", ["one", "two\nlines"], [PanelRow("a label", (panel, None)), PanelRow("b", (panel, panel))], []
            )
        )
