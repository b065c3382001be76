"""Figures of numbers: what is drawn is what the results hold, methods can be told apart, nothing is clipped."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import Answer
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats
from table_frames import frame, noise, per_scene, with_contributions

from bench.api.errors import UsageError
from bench.figures import FIGURES, check_formats, draw_figure, find_figures, save
from bench.figures.style import PAPER_LINE, Drawing, as_bytes, families, looks, text_width, theme, wrapped
from bench.results.published import FOLDER
from bench.results.request import Request, read_request, select

ROOT = Path(__file__).parents[2]
FACTS = {"cells_computed_at": ["0123456789abcdef+changes"], "devices": ["cpu"], "cpu": "Abacus 3", "jobs": 2}
Cli = Callable[..., Answer]


def request(rows: pd.DataFrame, **choices: Any) -> Request:
    """The rows as a run's results."""
    return select(Request(Path("o"), rows, FACTS, Path("o/plots"), **choices))


def only(figure: str, rows: pd.DataFrame, **choices: Any) -> Figure:
    """The only drawing of a figure."""
    (drawing,) = draw_figure(figure, request(rows, **choices))
    return drawing.figure


def artists(figure: Figure, kind: str) -> Iterator[tuple[str, Any, Any]]:
    """(method, axes, artist) of everything that was drawn as `kind` (curve, band, paper, point, bar, context)."""
    for axis in figure.axes:
        for artist in [*axis.lines, *axis.collections]:
            name, _, method = (artist.get_gid() or "").partition(" ")
            if name == kind:
                yield method, axis, artist


def notes(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.texts if t.get_gid() == "notes").replace("\n", " ")


def ticks(axis: Any) -> list[str]:
    return axis.xaxis.get_major_formatter().format_ticks(axis.get_xticks())


@pytest.fixture(scope="module")
def committed() -> Request:
    """The results of the repository on `streets`."""
    whole = read_request(ROOT / "results", Path("unused"))
    return dataclasses.replace(whole, frame=whole.frame[whole.frame["dataset"] == "streets"])


@pytest.fixture(scope="module")
def drawn(committed: Request) -> dict[str, list[Drawing]]:
    """The figures of numbers of the repository's results."""
    return {name: draw_figure(name, committed) for name in ("psnr", "bits")}


def whole_set(rows: pd.DataFrame, metric: str) -> dict[tuple[str, str], float]:
    """(method, PSNR as printed) -> the value in the results, looked up without any code of the project."""
    found = rows[(rows["scene"] == "all") & (rows["metric"] == metric) & rows["psnr"].notna()]
    return {(m, f"{p:g}"): v for m, p, v in zip(found["method"], found["psnr"], found["value"], strict=True)}


def test_every_curve_of_the_committed_results_is_their_numbers_within_its_band(
    committed: Request, drawn: dict[str, list[Drawing]]
) -> None:
    drawings = drawn["psnr"]
    assert [d.stem.rpartition("-")[2] for d in drawings] == ["mIoU", "LPIPS", "FID[lite0]"]
    for drawing in drawings:
        metric = drawing.stem.rpartition("-")[2]
        values = whole_set(committed.frame, metric)
        shown = {}
        for method, axis, line in artists(drawing.figure, "curve"):
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
                shown[method, ticks(axis)[x]] = y
        assert shown == values
        bands = {m: a for m, _, a in artists(drawing.figure, "band")}
        assert set(bands) == {m for m, _ in values}
        for method, _, line in artists(drawing.figure, "curve"):
            if method in bands:
                outline = bands[method].get_paths()[0].vertices
                for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
                    low, high = np.quantile(outline[np.isclose(outline[:, 0], x), 1], [0, 1])
                    # what scenes contribute to a distance of equal sets is 0 but for rounding
                    assert low - 1e-9 <= y <= high + 1e-9


def test_the_papers_curves_are_those_of_its_tables_and_dashed(drawn: dict[str, list[Drawing]]) -> None:
    by_metric = {d.stem.rpartition("-")[2]: d.figure for d in drawn["psnr"]}
    for metric, table in (("mIoU", "table1"), ("LPIPS", "table2")):
        with (FOLDER / f"{table}.csv").open() as file:
            rows = [r for r in csv.DictReader(file) if r["value"] not in ("-", "noise")]
        expected = {(r["method"], r["psnr"]): float(r["value"]) for r in rows if r["metric"] == metric}
        shown = {}
        for method, axis, line in artists(by_metric[metric], "paper"):
            assert line.get_linestyle() == "--"
            shown |= {(method, ticks(axis)[x]): y for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
        assert shown == expected
        assert "`streets` is not Cityscapes" in notes(by_metric[metric])
    assert not list(artists(by_metric["FID[lite0]"], "paper"))  # the paper's FID is another distance
    assert "is another distance than FID[lite0]" in notes(by_metric["FID[lite0]"])


def test_many_methods_get_a_panel_a_family_with_the_others_in_grey(drawn: dict[str, list[Drawing]]) -> None:
    figure = drawn["psnr"][0].figure
    shown: dict[Any, set[str]] = {}
    for method, axis, _ in artists(figure, "curve"):
        shown.setdefault(axis, set()).add(method)
    assert {"gesco", "gesco-nofds", "gesco_fdstrain"} in shown.values()
    assert {"oasis", "oasis+fds"} in shown.values()
    for axis, members in shown.items():
        grey = {m for m, a, _ in artists(figure, "context") if a is axis}
        assert (len(members | grey), members & grey) == (14, set())


def test_further_trainings_are_a_bar_from_the_lowest_to_the_highest_at_one_curve() -> None:
    seeds = read_request(ROOT / "results" / "seeds", Path("unused"), metrics=("mIoU",))
    figure = only("psnr", seeds.frame, metrics=("mIoU",))
    assert [method for method, _, _ in artists(figure, "curve")] == ["oasis"]
    values = whole_set(seeds.frame, "mIoU")
    bars = {place: artist.get_segments()[0][:, 1].tolist() for place, _, artist in artists(figure, "trainings")}
    assert sorted(bars) == sorted(f"oasis {psnr}" for psnr in (100, 30, 20, 15, 10, 5, 1))
    for place, ends in bars.items():
        own = [values[f"oasis{weights}", place.split()[1]] for weights in ("", ":weights=seed1", ":weights=seed2")]
        assert ends == pytest.approx([min(own), max(own)])
    assert "several trainings, oasis (3)." in notes(figure)


def test_one_training_a_method_is_said_to_be_one(committed: Request) -> None:
    figure = only("psnr", committed.frame, methods=("spade", "gesco"), metrics=("mIoU",))
    assert not list(artists(figure, "trainings"))
    assert "How far another training moves a curve is unknown." in notes(figure)


def test_chosen_methods_share_panels_in_the_order_chosen(committed: Request) -> None:
    chosen = select(Request(Path("o"), committed.frame, committed.facts, Path("x"), methods=("smis", "gesco")))
    (drawing,) = draw_figure("psnr", chosen)
    for axis in drawing.figure.axes:
        assert [m for m, a, _ in artists(drawing.figure, "curve") if a is axis] == ["smis", "gesco"]
    assert [a.get_ylabel() for a in drawing.figure.axes] == ["mIoU ↑", "LPIPS ↓", "FID[lite0] ↓"]
    labels = [t.get_text() for t in drawing.figure.legends[0].get_texts()]
    assert labels == ["smis", "gesco", "the paper's values"]


def test_the_band_is_students_interval_of_the_contributions() -> None:
    kept = np.linspace(-0.1, 0.1, 20)
    rows = with_contributions(frame({("spade", 10.0, 0): (0.5, None)}), {"spade": kept})
    half = stats.t.ppf(0.975, 19) * stats.sem(kept)
    figure = only("psnr", rows)
    ((_, _, band),) = artists(figure, "band")
    heights = band.get_paths()[0].vertices[:, 1]
    assert [heights.min(), heights.max()] == pytest.approx([0.5 - half, 0.5 + half])
    ((_, _, bar),) = artists(figure, "bar")  # a band of one PSNR has no width
    assert bar.get_segments()[0][:, 1] == pytest.approx([0.5 - half, 0.5 + half])


def test_the_band_of_a_score_with_a_standard_error_alone_is_as_wide_as_that_says() -> None:
    rows = frame({("spade", 10.0, 0): (0.5, 0.1)}, metric="KID[lite0]")
    ((_, _, band),) = artists(only("psnr", rows, metrics=("KID",)), "band")
    heights = band.get_paths()[0].vertices[:, 1]
    half = stats.t.ppf(0.975, 31) * 0.1
    assert [heights.min(), heights.max()] == pytest.approx([0.5 - half, 0.5 + half], abs=1e-4)


def test_one_scene_has_no_band_and_the_notes_say_so() -> None:
    figure = only("psnr", per_scene({"spade": [0.5]}, metric="LPIPS"), metrics=("LPIPS",))
    assert [list(line.get_ydata()) for _, _, line in artists(figure, "curve")] == [[pytest.approx(0.5)]]
    assert not list(artists(figure, "band"))
    assert "No interval" in notes(figure)


def test_undefined_values_are_left_out_of_a_curve_and_the_rest_keeps_its_place() -> None:
    values = {("spade", 20.0, 0): (0.7, None), ("spade", 10.0, 0): (math.nan, None), ("spade", 1.0, 0): (0.1, None)}
    figure = only("psnr", frame(values))
    ((_, axis, line),) = artists(figure, "curve")
    assert (list(line.get_xdata()), list(line.get_ydata()), ticks(axis)) == ([0, 2], [0.1, 0.7], ["1", "10", "20"])


def test_without_a_choice_every_variant_of_fid_is_drawn() -> None:
    names = ("FID[lite0]", "FID[inception]")
    both = [frame({("spade", 10.0, 0): (9.0, None)}, metric=name, higher_is_better=False) for name in names]
    figure = only("psnr", pd.concat([*both, frame({("spade", 10.0, 0): (0.5, None)})]))
    assert [axis.get_ylabel() for axis in figure.axes] == ["mIoU ↑", "FID[inception] ↓", "FID[lite0] ↓"]
    figure = only("psnr", pd.concat(both), metrics=("fid",))
    assert [axis.get_ylabel() for axis in figure.axes] == ["FID[inception] ↓", "FID[lite0] ↓"]


def test_pure_noise_is_a_dotted_line_at_its_value() -> None:
    figure = only("psnr", pd.concat([frame({("spade", 10.0, 0): (0.5, None)}), noise(0.03)]))
    (line,) = [line for line in figure.axes[0].lines if line.get_gid() == "pure noise"]
    assert (list(line.get_ydata()), line.get_linestyle()) == ([0.03, 0.03], ":")
    assert "Dotted: pure noise (mIoU 0.03)" in notes(figure)


def test_each_data_set_and_channel_has_a_figure_of_its_own() -> None:
    one = frame({("spade", 10.0, 0): (0.5, None)})
    other = frame({("spade", 10.0, 0): (0.6, None)}, channel="awgn-eq1-peak")
    third = frame({("spade", 10.0, 0): (0.7, None)}, dataset="stuff", size="64x64")
    found = {d.stem: d.figure for d in draw_figure("psnr", request(pd.concat([one, other, third])))}
    drawn = {stem: list(next(artists(figure, "curve"))[2].get_ydata()) for stem, figure in found.items()}
    assert drawn == {
        "psnr-streets-test-64x128-32-awgn-paper-peak": [0.5],
        "psnr-streets-test-64x128-32-awgn-eq1-peak": [0.6],
        "psnr-stuff-test-64x64-32-awgn-paper-peak": [0.7],
    }


def test_what_one_data_set_of_a_folder_lacks_does_not_keep_another_from_being_drawn() -> None:
    """PSNRs, metrics and scenes are chosen for those that have them; what none has is an error."""
    many = frame({("spade", p, 0): (0.5, None) for p in (10.0, 1.0)})
    one = frame({("spade", 10.0, 0): (0.7, None)}, dataset="stuff", size="64x64")
    only_here = frame({("spade", 10.0, 0): (0.2, None)}, metric="AP50")
    whole = request(pd.concat([many, one, only_here]))
    for choice, sets in (({"psnrs": (1.0,)}, 1), ({"psnrs": (10.0, 1.0)}, 2), ({"metrics": ("AP50",)}, 1),
                         ({"metrics": ("mIoU", "AP50")}, 2)):  # fmt: skip
        assert len(draw_figure("psnr", dataclasses.replace(whole, **choice))) == sets, choice
    for choice in ({"psnrs": (5.0,)}, {"metrics": ("AP5",)}):
        with pytest.raises(UsageError):
            draw_figure("psnr", dataclasses.replace(whole, **choice))


def test_costs_and_quality_stand_at_their_numbers(committed: Request, drawn: dict[str, list[Drawing]]) -> None:
    (drawing,), costs = drawn["bits"], ("bits", "channel_uses")
    assert len(drawing.figure.axes) == len(costs)
    quality = whole_set(committed.frame, "mIoU")
    for axis, cost in zip(drawing.figure.axes, costs, strict=True):
        spent = whole_set(committed.frame, cost)
        shown = {m: (p.get_xdata()[0], p.get_ydata()[0]) for m, a, p in artists(drawing.figure, "point") if a is axis}
        assert shown == {m: (spent[m, "10"], quality[m, "10"]) for m, psnr in quality if psnr == "10"}
        assert axis.get_xscale() == "log"
        for method, where, bar in artists(drawing.figure, "bar"):
            if where is axis:
                low, high = bar.get_ydata()
                assert low <= shown[method][1] <= high
        (line,) = (line for line in axis.lines if line.get_gid() == "frontier")
        best = [max(y for x, y in shown.values() if x <= cost) for cost in line.get_xdata()]
        assert list(line.get_ydata()) == best
        assert max(best) == max(y for _, y in shown.values())


def test_marks_of_costs_do_not_hide_each_other(drawn: dict[str, list[Drawing]]) -> None:
    figure = drawn["bits"][0].figure
    points = 72 / figure.dpi
    for axis in figure.axes:
        places = [
            points * line.get_transform().transform((line.get_xdata()[0], line.get_ydata()[0]))
            for _, where, line in artists(figure, "point") if where is axis
        ]  # fmt: skip
        assert len(places) > 10
        for number, one in enumerate(places):
            assert all(np.abs(one - other).max() > 4 for other in places[:number])


def test_costs_at_several_psnrs_and_metrics_have_a_row_each(committed: Request) -> None:
    chosen = Request(
        Path("o"), committed.frame, committed.facts, Path("x"), metrics=("LPIPS", "KID"), psnrs=(10.0, 1.0)
    )
    (drawing,) = draw_figure("bits", chosen)
    labels = [a.get_ylabel() for a in drawing.figure.axes if a.get_ylabel()]
    assert labels == ["LPIPS ↓ at 10 dB", "LPIPS ↓ at 1 dB", "KID[lite0] ↓ at 10 dB", "KID[lite0] ↓ at 1 dB"]
    assert drawing.stem.endswith("-LPIPS-KID[lite0]@10-1")


def test_seconds_are_those_of_bench_speed_and_name_their_machine(tmp_path: Path) -> None:
    values = (("mIoU", {"spade": 0.5, "gesco": 0.6}), ("seconds", {"spade": 77.0, "gesco": 99.0}))
    rows = pd.concat(
        [frame({(m, 10.0, 0): (v, None)}, metric=metric) for metric, own in values for m, v in own.items()]
    )
    asked = dataclasses.replace(request(rows), folder=tmp_path)
    with pytest.raises(
        UsageError, match=r"seconds of a sweep are not speed: `bench speed pipeline --methods spade,gesco"
    ):
        draw_figure("seconds", asked)
    stages = {"render": 5.0, "send": 0.25, "channel": 0.25, "receive": 0.5, "mIoU": 7.0}
    told = {
        "rows": [{"method": "spade", "stage": stage, "seconds": seconds} for stage, seconds in stages.items()],
        "scenes": 8, "provenance": {"device": "cpu", "cpu": "Abacus 3"},
    }  # fmt: skip
    (tmp_path / "performance").mkdir()
    file = tmp_path / "performance" / "pipeline-streets-cpu.json"
    file.write_text(json.dumps(told))
    (drawing,) = draw_figure("seconds", asked)
    ((method, _, mark),) = artists(drawing.figure, "point")
    assert (method, mark.get_xdata()[0], mark.get_ydata()[0]) == ("spade", 1.0, 0.5)
    assert "Time measured alone on cpu (Abacus 3). Not timed: gesco." in notes(drawing.figure)
    file.write_text("{}")
    with pytest.raises(UsageError, match=r"pipeline-streets-cpu\.json is not what `bench speed pipeline` writes"):
        draw_figure("seconds", asked)


def test_every_figure_says_where_its_numbers_come_from(committed: Request, drawn: dict[str, list[Drawing]]) -> None:
    scenes = f"{committed.frame['scenes'].max()} scenes"
    drawn_at = [commit[:8] for commit in committed.facts["cells_computed_at"]]
    for name, (first, *_) in drawn.items():
        said = notes(first.figure)
        assert re.search(rf"gesco-bench ({'|'.join(drawn_at)})", said), name
        for word in ("streets test at 64x128", scenes, "seeds 0", "paper calibr",
                     "judge=streets-v1@64x128"):  # fmt: skip
            assert word in said, (name, word)


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("psnr", {"methods": ("gessco",)}, "unknown method 'gessco' of the results in o; did you mean 'gesco'?"),
    ("psnr", {"metrics": ("mIuO",)}, "unknown metric 'mIuO'; did you mean 'mIoU'?"),
    ("psnr", {"psnrs": (12.0,)}, "PSNR 12 was not run on streets-test-64x128-32-awgn-paper-peak, only 10"),
    ("bits", {}, "these results have no bits; `bench run` writes it"),
    ("psnr", {"metrics": ("FID[lite0]",)}, "`bench run --metrics FID[lite0]` computes FID[lite0]"),
]


@pytest.mark.parametrize(("figure", "choices", "message"), MISTAKES, ids=[m for _, _, m in MISTAKES])
def test_what_the_results_lack_is_named_with_its_remedy(figure: str, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        draw_figure(figure, request(frame({("gesco", 10.0, 0): (0.5, None)}), **choices))
    assert message in str(caught.value)


def test_empty_results_are_refused_in_words() -> None:
    with pytest.raises(UsageError, match="hold no numbers; run `bench run --out o`"):
        request(frame({}))


def test_unknown_figures_and_formats_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown figure 'stirp'; did you mean 'strip'"):
        find_figures(["stirp"])
    with pytest.raises(UsageError, match="bench plot psnr --metrics mIoU"):
        find_figures(["mIoU"])
    with pytest.raises(UsageError, match="unknown format 'pgn'; did you mean 'png'"):
        check_formats(("pgn",))
    assert [kind.name for kind in find_figures(["bits", "all"])] == ["bits", *(n for n in FIGURES if n != "bits")]


def test_methods_differ_without_colour_too_and_dashes_are_the_papers() -> None:
    specs = [f"{name}{rest}" for name in "abcdefg" for rest in ("", "+fds", "-nofds", ":steps=5")]
    found = looks(specs)
    assert len({(one.marker, str(one.line), one.filling) for one in found.values()}) == len(specs)
    assert not {"--", PAPER_LINE} & {one.line for one in found.values()}


def test_families_gather_variants_under_the_shortest_name() -> None:
    methods = ["gesco_fdstrain", "smis", "gesco", "smis+fds", "gesco:steps=5", "full_image"]
    assert families(methods) == {
        "gesco": ["gesco_fdstrain", "gesco", "gesco:steps=5"],
        "smis": ["smis", "smis+fds"],
        "full_image": ["full_image"],
    }


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    text = "some words and " + "a_very_long_word" * 6
    lines = wrapped(text, 1.5, 6.0)
    assert all(text_width(line, 6.0) <= 1.5 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def check_layout(figure: Figure) -> None:
    """Axes with their labels, texts and legends lie within the figure and not on each other."""
    figure.canvas.draw()
    outer = [t.get_window_extent() for t in figure.texts if t.get_text().strip()]
    outer += [legend.get_window_extent() for legend in figure.legends]
    outer += [axis.get_tightbbox() for axis in figure.axes]
    for box in outer:
        assert figure.bbox.padded(1).containsx(box.x0), box
        assert figure.bbox.padded(1).containsx(box.x1), box
        assert figure.bbox.padded(1).containsy(box.y0), box
        assert figure.bbox.padded(1).containsy(box.y1), box
    for one, other in itertools.combinations(outer, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 2 or down < 2, (one, other)


def test_nothing_is_clipped_or_overlaps(committed: Request, drawn: dict[str, list[Drawing]]) -> None:
    one = select(Request(Path("o"), committed.frame, committed.facts, Path("x"), methods=("gesco",)))
    with theme():
        for name, (first, *_) in drawn.items():
            check_layout(first.figure)
            check_layout(draw_figure(name, one)[0].figure)


def test_files_are_the_same_every_time_and_pdf_fonts_are_embedded_truetype(tmp_path: Path) -> None:
    rows = frame({("spade", 10.0, 0): (0.5, 0.1), ("spade", 1.0, 0): (0.2, 0.1)})
    drawings = draw_figure("psnr", request(rows))
    made = save(drawings, tmp_path, ("png", "svg", "pdf"))
    assert [path.suffix for path in made] == [".png", ".svg", ".pdf"]
    (again,) = draw_figure("psnr", request(rows))
    with theme():
        for path in made[::-1]:  # in another order
            assert path.read_bytes() == as_bytes(again, path.suffix[1:])
    with Image.open(made[0]) as picture:
        assert "gesco-bench 01234567+changes" in picture.info["Description"]
    assert "gesco-bench 01234567+changes" in made[1].read_text()
    pdf = made[2].read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    draw_figure("psnr", request(frame({("spade", 10.0, 0): (0.5, 0.1)})))
    assert dict(matplotlib.rcParams) == before


def test_the_command_draws_metrics_by_name_into_the_folder_asked_for(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "all", "--out", "o").code == 0
    answer = cli("plot", "--metrics", "FakeMSE,bits", "--out", "o", "--to", "f", "--format", "pdf,png")
    assert answer.code == 0, answer.err
    stem = "f/psnr-streets-test-32x64-3-awgn-paper-peak-FakeMSE-bits"
    assert answer.out.splitlines() == [f"{stem}.pdf", f"{stem}.png"]
    with Image.open(f"{stem}.png") as picture:
        assert picture.width > picture.height > 300
    missing = cli("plot", "psnr", "--metrics", "FakeMES", "--out", "o")
    assert (missing.code, "did you mean 'FakeMSE'?" in missing.err) == (2, True)


def test_all_draws_what_it_can_and_names_the_rest(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "10", "--out", "o").code == 0
    answer = cli("plot", "all", "--metrics", "FakeMSE", "--out", "o", "--format", "png")
    assert answer.code == 0, answer.err
    made = {Path(line).name.split("-")[0] for line in answer.out.splitlines()}
    assert made == {"psnr", "bits", "budget", "comparison", "strip", "compression"}
    told = [line for line in answer.err.splitlines() if line.startswith("left out: ")]
    assert [line.split(": ")[1] for line in told] == ["outage", "seconds", "ablation", "fds"]
    assert "`bench ablate fds --out o` computes them" in told[2]
    assert (cli("plot", "ablation", "--out", "o").code, cli("plot", "strip", "--scenes", "0", "--out", "o").code) == (
        2,
        2,
    )
