"""A metric whose scores are not all better the same way: every row of the results, and every table, has its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import Answer

from bench.config import load_config
from bench.plan import make_plan
from bench.results import read_results
from bench.rows import WHOLE_SET, tidy_rows
from bench.runner import survey
from bench.tables import metric_tables

Cli = Callable[..., Answer]
RUN = ("run", "--methods", "fake_pixels", "--psnr", "100,10", "--metrics", "FakeBothWays", "--out", "out")


def test_rows_and_tables_have_the_direction_of_their_score(cli: Cli, fakes: Path) -> None:
    answer = cli(*RUN)
    assert answer.code == 0, answer.err
    rows, _ = read_results(fakes / "out", full=True)
    for name, better in (("FakeError", False), ("FakePSNR", True), ("bits", False)):
        of_it = rows[rows["metric"] == name]
        assert {scene == WHOLE_SET for scene in of_it["scene"]} == {True, False}  # set-level and per scene
        assert of_it["higher_is_better"].eq(better).all()
    error, psnr = (metric_tables(rows, name)[0].label_headings[0] for name in ("FakeError", "FakePSNR"))
    assert (error, psnr) == ("FakeError ↓", "FakePSNR ↑")


def test_measurements_of_older_runs_with_one_direction_for_all_are_still_read(cli: Cli, fakes: Path) -> None:
    assert cli(*RUN).code == 0
    config = load_config()
    config = config.model_copy(
        update={"run": config.run.model_copy(update={"metrics": ("FakeBothWays",), "psnr": (100.0, 10.0)})}
    )
    states = survey(make_plan(config), fakes / "out")
    new = tidy_rows(states)
    for state in states:
        for entry in state.scores.values():
            assert entry.manifest["higher_is_better"] == {"FakeError": False, "FakePSNR": True}
            entry.manifest["higher_is_better"] = False
    old = tidy_rows(states)
    assert not old["higher_is_better"].any()
    assert new.drop(columns="higher_is_better").equals(old.drop(columns="higher_is_better"))
    assert len(new[new["metric"] == "FakePSNR"]) == 2 * (1 + 3)
