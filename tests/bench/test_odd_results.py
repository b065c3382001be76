"""One scene, one PSNR, one method, undefined and infinite values: every figure, table and page of them comes out.

Warnings are errors here: a user would see them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import leaderboard_fakes
import pandas as pd
import pytest
from conftest import Answer
from odd_results import ODD
from regress_frames import limits
from rich.console import Console

from bench.api.errors import UsageError
from bench.config import Config, load_config
from bench.figures import FIGURES, draw_figure, save
from bench.figures import methods as of_methods
from bench.leaderboard import site
from bench.regress.compare import Sides, compare, compare_costs
from bench.regress.model import CellName, Report
from bench.regress.reports import as_json, as_junit, as_markdown, print_report
from bench.results.files import write_results
from bench.results.request import Request, read_request, select
from bench.run.ablations import Ablation, Arm
from bench.speed.quality import PLOTTED, plot_quality
from bench.tables import render
from bench.tables.formats import FORMATS
from bench.tables.named import NAMED, named_tables

pytestmark = pytest.mark.filterwarnings("error")
FACTS = {"cells_computed_at": ["0123456789abcdef"], "devices": ["cpu"], "cpu": "Abacus 3", "jobs": 2}
OF_NUMBERS = [kind.name for kind in FIGURES.values() if not kind.pictures]


@pytest.fixture(scope="module", params=ODD)
def rows(request: pytest.FixtureRequest) -> pd.DataFrame:
    return ODD[request.param]()


@pytest.mark.parametrize("figure", OF_NUMBERS)
def test_every_figure_of_numbers_is_drawn(rows: pd.DataFrame, figure: str, tmp_path: Path) -> None:
    timed = [{"method": str(m), "stage": "receive", "seconds": 0.5} for m in rows["method"].unique()]
    told = {"rows": timed, "scenes": 1, "provenance": {"device": "cpu", "cpu": "Abacus 3"}}
    (tmp_path / "performance").mkdir()
    for dataset in rows["dataset"].unique():
        (tmp_path / "performance" / f"pipeline-{dataset}-cpu.json").write_text(json.dumps(told))
    asked = select(Request(tmp_path, rows, FACTS, tmp_path / "plots"))
    made = save(draw_figure(figure, asked), tmp_path, ("png",))
    assert made
    assert all(path.stat().st_size > 1000 for path in made)


@pytest.mark.parametrize(
    "what", [*(word for word in NAMED if word not in ("coco", "ablation")), "mIoU", "FID", "memory"]
)
def test_every_table_is_printed_in_every_format(rows: pd.DataFrame, what: str) -> None:
    tables = named_tables(rows, what, 10.0)
    for style in FORMATS:
        text = render(tables, style)
        assert text
        assert "nan" not in text.lower().replace("\n", " ").split(), "what is undefined is said in words"
    if what == "mIoU":  # the paper has values of it
        assert render(tables, "md", published=True)


def test_the_site_is_built(rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "vega_bundle", lambda: "")  # bundling takes seconds
    methods = [str(m) for m in rows["method"].unique()]
    write_results(rows, leaderboard_fakes.facts_of(methods, int(rows["scenes"].max())), tmp_path / "o")
    index = site.build_site([tmp_path / "o"], tmp_path / "site", Config())
    for data in (tmp_path / "site" / "data").glob("*.json"):
        json.loads(data.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert ">nan" not in index.read_text().lower()


def test_every_report_of_a_regression_is_written(rows: pd.DataFrame) -> None:
    mine = rows[rows["method"] != "pure_noise"]
    ids = tuple(str(s) for s in mine["scene"].unique() if s != "all")
    keys = zip(mine["dataset"], mine["channel"], mine["method"], mine["psnr"], strict=True)
    cells = frozenset(CellName(*key) for key in keys)
    worse = mine.assign(value=mine["value"] * 0.5)
    for old, new in ((mine, worse), (ODD["one scene"](), mine)):
        try:
            compared, family = compare(Sides(old, new, {"streets": ids}, cells, {}, True), limits())
        except UsageError:  # so few scenes show nothing
            assert len(ids) < 14
            continue
        costs = compare_costs(old, new, {"streets": ids}, limits(), ({}, {}))
        sides = {side: {"seeds": [0], "folder": "o", "commit": None, "date": ""} for side in ("baseline", "rerun")}
        report = Report(compared, costs, [], [], [], 0.05, family, {"streets": ids}, sides)
        assert as_markdown(report)
        assert as_junit(report)
        assert json.loads(as_json(report), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        print_report(report, Console(width=140))


def test_a_run_of_one_scene_ends_with_its_plot(cli: Callable[..., Answer], fakes: Path) -> None:
    """The Fréchet distance of one picture is undefined."""
    answer = cli("run", "--scenes", "1", "--psnr", "10", "--metrics", "FID,FakeMSE", "--out", "o")
    assert answer.code == 0, answer.err
    assert "undefined" in answer.out
    assert "plot:     o/plots/psnr-" in answer.out


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_every_figure_of_pictures_is_drawn_of_one_scene_one_psnr_one_method(
    cli: Callable[..., Answer], fakes: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    arms = (Arm(("yes", "no"), "fake_maps+fds"), Arm(("no", "no"), "fake_maps"))
    monkeypatch.setattr(of_methods, "FDS", Ablation("fds", "", ("FDS", "noisy training"), arms))
    monkeypatch.setattr(of_methods, "ABLATION_METRICS", ("FakeMSE",))
    for number, methods in (("1", "fake_maps+fds"), ("2", "fake_maps,fake_maps+fds")):
        run = ("run", "--methods", methods, "--scenes", "1", "--psnr", "10", "--out", f"o{number}")
        assert cli(*run).code == 0
        asked = read_request(Path(f"o{number}"), Path("figures"), config=load_config())
        frame = asked.frame.assign(value=value, std=value)
        undefined = replace(asked, frame=frame, methods=tuple(methods.split(",")))  # named: not read again
        for kind in FIGURES.values():
            if kind.pictures and (kind.name != "ablation" or number == "2"):
                assert save(draw_figure(kind.name, undefined), fakes / "drawn", ("png",))


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1.0])
@pytest.mark.parametrize("steps", [(1000,), (5, 1000)])
def test_steps_against_quality_are_plotted(value: float, steps: tuple[int, ...]) -> None:
    table = pd.DataFrame(
        [{"sampler": "ancestral", "steps": n, "psnr": 10.0, **dict.fromkeys(PLOTTED, value)} for n in steps]
    )
    assert plot_quality(table).startswith(b"\x89PNG")
