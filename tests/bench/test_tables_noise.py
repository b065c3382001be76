"""`noise`: the reference is measured once a data set, is no method, and decides what prints as the paper's word."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Answer, manifests, shown
from table_frames import at10, frame, noise

from bench.api.names import PURE_NOISE
from bench.results.files import read_results
from bench.tables import metric_tables, render

Cli = Callable[..., Answer]


@pytest.mark.parametrize(
    ("higher", "reference", "expected"),
    [(True, 0.25, {"good": False, "same": True, "worse": True}), (False, 0.25, {"good": True, "same": True})],
)
def test_at_least_as_bad_as_pure_noise_is_noise(higher: bool, reference: float, expected: dict[str, bool]) -> None:
    values = {"good": 0.5, "same": 0.25, "worse": 0.1}
    rows = pd.concat([at10(values, higher_is_better=higher), noise(reference, higher_is_better=higher)])
    (table,) = metric_tables(rows, "mIoU")
    found = {row.method: row.scores[0].noise for row in table.rows if row.scores[0]}
    assert found == {"worse": False, **expected}


def test_noise_is_printed_as_the_paper_does_and_the_number_stays_in_the_csv() -> None:
    rows = pd.concat([at10({"a": 0.5, "b": 0.1, "c": 0.4}, stderr=0.01), noise(0.2)])
    tables = metric_tables(rows, "mIoU")
    lines = render(tables).splitlines()
    assert [line.split() for line in lines[2:5]] == [["a", "*0.500"], ["b", "noise"], ["c", "0.400"]]
    told = " ".join(" ".join(lines).split())
    assert "at least as far from the real scenes as pictures of pure noise are (mIoU 0.200)" in told
    read = list(csv.DictReader(render(tables, "csv").splitlines()))
    assert [(r["psnr_10_mean"], r["psnr_10_rank"], r["psnr_10_noise"]) for r in read] == [
        ("0.5", "1", "False"), ("0.1", "", "True"), ("0.4", "2", "False"),
    ]  # fmt: skip


def test_a_score_of_the_originals_is_never_noise() -> None:
    """It is the same for every method and for noise."""
    rows = pd.concat([at10({"a": 0.8}, metric="mIoU[original]"), noise(0.8, metric="mIoU[original]")])
    assert "noise" not in render(metric_tables(rows, "mIoU[original]"))


def test_without_a_reference_nothing_is_noise() -> None:
    assert "noise" not in render(metric_tables(frame({("a", 10.0, 0): (0.0, None)}), "mIoU"))


def test_a_run_measures_noise_once_and_shows_it_nowhere(cli: Cli, fakes: Path) -> None:
    sweep = ("run", "--methods", "fake_pixels,fake_pixels:gain=0.0", "--psnr", "100,10", "--seeds", "0,1", "--out", "o")
    answer = cli(*sweep)
    assert answer.code == 0, answer.err
    assert "8 cells: 8 computed" in answer.out
    assert PURE_NOISE not in answer.out
    rows, facts = read_results(fakes / "o")
    reference = rows[rows["method"] == PURE_NOISE]
    assert len(reference) == 1
    assert reference[["metric", "scene", "scenes"]].iloc[0].tolist() == ["FakeMSE", "all", 3]
    assert len(manifests(fakes / "o")) == 8
    assert not any(PURE_NOISE in folder for folder in facts["cell_folders"])
    (folder,) = facts["reference_folders"]
    pixels = np.stack(shown(fakes / "o" / folder)) / 255
    assert pixels.shape == (3, 32, 64, 3)
    assert pixels.mean() == pytest.approx(0.5, abs=0.01)
    assert pixels.var() == pytest.approx(1 / 12, abs=0.002)
    made = (fakes / "o" / folder / "manifest.json").stat().st_mtime_ns
    assert cli("run", "--psnr", "5", "--out", "o").code == 0  # another channel: the same reference
    assert (fakes / "o" / folder / "manifest.json").stat().st_mtime_ns == made
    assert len(list((fakes / "o" / "references").rglob("manifest.json"))) == 1


def test_the_reference_is_what_the_metric_says_of_uniform_noise(cli: Cli, fakes: Path) -> None:
    from bench.config import load_config
    from bench.run.plan import make_plan
    from bench.run.worker import WORKER

    assert cli("run", "--psnr", "100", "--methods", "fake_pixels,fake_pixels:gain=0.0", "--out", "o").code == 0
    rows, _ = read_results(fakes / "o")
    value = rows[rows["method"] == PURE_NOISE].iloc[0]["value"]
    scenes = make_plan(load_config()).cells[0].scenes
    image = WORKER.scene(scenes, scenes.ids).image.double()
    assert value == pytest.approx(float((image.square() - image + 1 / 3).mean()), rel=0.02)  # E (u - x)^2, u uniform
    black = rows[(rows["method"] == "fake_pixels:gain=0.0") & (rows["scene"] == "all") & (rows["metric"] == "FakeMSE")]
    shown = {line.split()[0]: line.split()[1] for line in cli("table", "FakeMSE", "--out", "o").out.splitlines()[2:4]}
    assert (shown["fake_pixels:gain=0.0"] == "noise") == (black.iloc[0]["value"] >= value)
    assert shown["fake_pixels"] != "noise"


def test_a_metric_that_cannot_measure_noise_costs_nothing_but_the_word(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bench_fakes

    from bench.api.errors import MetricError
    from bench.api.metric import Comparison

    measure = bench_fakes.FakeMse.measure

    def picky(self: bench_fakes.FakeMse, comparison: Comparison) -> dict[str, np.ndarray]:
        if float((comparison.generated - comparison.original).abs().mean()) > 0.1:
            raise MetricError("nothing to be seen in these pictures")
        return measure(self, comparison)

    monkeypatch.setattr(bench_fakes.FakeMse, "measure", picky)
    answer = cli("run", "--psnr", "100", "--out", "o")
    assert answer.code == 0, answer.err
    assert "note: FakeMSE cannot measure pure noise" in answer.err
    assert "left out" not in answer.err
    assert cli("table", "FakeMSE", "--out", "o").code == 0


def test_a_reference_is_no_cell_of_the_plan(fakes: Path) -> None:
    from bench.api.errors import UsageError
    from bench.config import load_config
    from bench.run.plan import make_plan

    config = load_config()
    plan = make_plan(config)
    assert [cell.method.spec for cell in plan.cells] == ["fake_pixels"] * 7
    assert [cell.method.spec for cell in plan.references] == [PURE_NOISE]
    asked = config.model_copy(update={"run": config.run.model_copy(update={"methods": (PURE_NOISE,)})})
    with pytest.raises(UsageError, match="unknown method 'pure_noise'"):
        make_plan(asked)
