"""A metric whose scores are not all better the same way: every row of the results, and every table, has its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bench_fakes
import pytest
from conftest import Answer
from table_frames import all_rows

from bench.api.metric import Score
from bench.api.scores import ScoreInfo
from bench.results.schema import WHOLE_SET
from bench.tables import metric_tables

Cli = Callable[..., Answer]
RUN = ("run", "--methods", "fake_pixels", "--psnr", "100,10", "--metrics", "FakeBothWays", "--out", "out")


def test_rows_and_tables_have_the_direction_of_their_score(cli: Cli, fakes: Path) -> None:
    answer = cli(*RUN)
    assert answer.code == 0, answer.err
    rows = all_rows(fakes / "out")
    for name, better in (("FakeError", False), ("FakePSNR", True), ("bits", False)):
        of_it = rows[rows["metric"] == name]
        assert {scene == WHOLE_SET for scene in of_it["scene"]} == {True, False}  # set-level and per scene
        assert of_it["higher_is_better"].eq(better).all()
    error, psnr = (metric_tables(rows, name)[0].label_headings[0] for name in ("FakeError", "FakePSNR"))
    assert (error, psnr) == ("FakeError ↓", "FakePSNR ↑")


def test_a_score_that_is_not_declared_or_is_no_mean_fails_its_metric(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_fakes.FakeBothWays, "scores", (ScoreInfo("FakePSNR", True, scenes="FakePSNR"),))
    answer = cli(*RUN, "--backend", "sequential")
    assert answer.code == 1
    assert "FakeBothWays gave FakeError, which is not among the `scores` that its class declares" in answer.err
    monkeypatch.setattr(bench_fakes.FakeBothWays, "scores", (ScoreInfo("Fake*", False, scenes="FakePSNR"),))
    monkeypatch.setattr(bench_fakes.FakeBothWays, "summarise", lambda self, measured: [Score("FakePSNR", 0.5, None, 2)])
    answer = cli(*RUN, "--backend", "sequential")
    assert answer.code == 1
    assert "FakeBothWays gave FakePSNR = 0.5, which is not the mean of its scenes' values" in answer.err
