"""The board: what is compared with what, intervals, and ranks across results and submissions."""

from __future__ import annotations

from pathlib import Path

import leaderboard_fakes as fakes_
import numpy as np
import pandas as pd
import pytest

from bench.bootstrap import DRAWS, draws_of_mean, tell_apart
from bench.errors import UsageError
from bench.leaderboard.board import Board, Run, View, build_board, read_runs
from bench.leaderboard.ranking import Score, ranks
from bench.leaderboard.submission import Submission
from bench.results import read_results
from bench.tables import metric_tables
from bench.tables.measured import Basis

COMMITTED = Path(__file__).parents[2] / "results"


def run_of(methods: tuple[str, ...] = fakes_.METHODS, scenes: int = 12, folder: str = "a") -> Run:
    return Run(Path(folder), fakes_.rows_of(methods, scenes), fakes_.facts_of(methods, scenes))


def view(board: Board, metric: str, **other: object) -> View:
    (found,) = [
        v for v in board.views if v.metric == metric and all(getattr(v, key) == value for key, value in other.items())
    ]
    return found


def at(view: View, method: str, psnr: float = 10.0) -> tuple[float, float | None, float | None, int | None]:
    placed = view.rows[method][view.psnrs.index(psnr)]
    assert placed is not None
    return placed.score.value, placed.score.low, placed.score.high, placed.rank


def test_ranks_of_the_committed_results_are_those_of_the_tables() -> None:
    frame, _ = read_results(COMMITTED, full=True)
    whole = frame[frame["metric"].isin(["mIoU", "LPIPS", "KID[lite0]", "bits"])]
    board = build_board([Run(COMMITTED, whole, read_runs([COMMITTED])[0].facts)], [])
    for one in board.views:
        (table,) = metric_tables(whole, one.metric)
        for row in table.rows:
            assert [p and p.rank for p in one.rows[row.method]] == [e and e.rank for e in row.entries], one.metric
            assert [p and p.score.value for p in one.rows[row.method]] == [e and e.value for e in row.entries]
            assert [p and p.score.noise for p in one.rows[row.method]] == [e and e.noise for e in row.entries]


def test_intervals_are_the_quantiles_of_the_draws() -> None:
    run = run_of()
    value, low, high, _ = at(view(build_board([run], []), "mIoU"), "spade")
    rows = run.frame[(run.frame["method"] == "spade") & (run.frame["metric"] == "mIoU") & (run.frame["psnr"] == 10)]
    assert [low, high] == pytest.approx(list(np.quantile(rows["draws"].iloc[0], [0.025, 0.975])))
    assert low < value < high
    value, low, high, _ = at(view(build_board([run], []), "FID[lite0]"), "spade")
    fid = run.frame[
        (run.frame["method"] == "spade") & (run.frame["metric"] == "FID[lite0]") & (run.frame["psnr"] == 10)
    ]
    spread = fid["std"].iloc[0]  # a distance between sets: its ± is its standard error
    assert [low, high] == pytest.approx([value - 1.96 * spread, value + 1.96 * spread], rel=1e-3)
    assert at(view(build_board([run], []), "seconds"), "spade")[1:3] == (None, None)


def test_costs_of_the_machine_have_no_rank_and_noise_has_none() -> None:
    board = build_board([run_of()], [])
    assert at(view(board, "seconds"), "spade")[3] is None
    lpips = view(board, "LPIPS")
    assert lpips.reference == 0.6
    noise = [p for row in lpips.rows.values() for p in row if p and p.score.value >= 0.6]
    assert noise
    assert all(p.score.noise and p.rank is None for p in noise)


def test_a_submission_with_draws_is_paired_with_the_results() -> None:
    """Shifted by far less than the intervals' width, but in every scene: only a paired comparison tells it apart."""
    data = fakes_.submission()
    own = fakes_.value_of("mIoU", 3, 10.0, 12)
    data["results"] = [row for row in data["results"] if row["metric"] == "mIoU" and row["psnr"] == 10]
    data["results"][0] |= {"value": own.mean() + 0.002, "draws": list(draws_of_mean(own + 0.002))}
    found = view(build_board([run_of()], [Submission(data)]), "mIoU")
    value, low, _, rank = at(found, "their-method")
    best, _, best_high, best_rank = at(found, "gesco-nofds")
    assert (rank, best_rank) == (1, 2)
    assert low is not None
    assert best_high is not None
    assert low < best < value < best_high


def test_a_submission_without_draws_does_not_take_the_others_ties_away() -> None:
    data = fakes_.submission()
    for row in data["results"]:
        row.pop("draws", None)
        row.pop("per_scene", None)
    alone = view(build_board([run_of()], []), "mIoU")
    both = view(build_board([run_of()], [Submission(data)]), "mIoU")
    for method in fakes_.METHODS:
        one, other = at(alone, method), at(both, method)
        assert one[:3] == other[:3]
        assert one[3] is not None
        assert other[3] == one[3] + 1  # the submission, which is better, stands before all of them
    assert "stated 95 % intervals" in both.note
    assert "stated" not in alone.note


def test_a_stated_interval_asks_for_a_larger_difference_than_a_paired_one() -> None:
    data = fakes_.submission()
    own = fakes_.value_of("mIoU", 3, 10.0, 12)
    data["results"] = [row for row in data["results"] if row["metric"] == "mIoU" and row["psnr"] == 10]
    row = data["results"][0]
    row.pop("draws")
    row |= {"value": own.mean() + 0.002, "interval": [own.mean() - 0.02, own.mean() + 0.024]}
    found = view(build_board([run_of()], [Submission(data)]), "mIoU")
    assert at(found, "their-method")[3] == at(found, "gesco-nofds")[3] == 1
    assert at(found, "their-method")[1:3] == pytest.approx((own.mean() - 0.02, own.mean() + 0.024))


@pytest.mark.parametrize("change", [{"protocol": "another"}, {"channel": "awgn-eq1-peak"}, {"size": "32x64"}])
def test_what_cannot_be_compared_has_a_view_of_its_own(change: dict[str, str]) -> None:
    data = fakes_.submission()
    data["results"] = [{**row, **change} for row in data["results"] if row["metric"] == "FID[lite0]"]
    board = build_board([run_of()], [Submission(data)])
    apart, own = (v for v in sorted((v for v in board.views if v.metric == "FID[lite0]"), key=lambda v: len(v.rows)))
    assert list(apart.rows) == ["their-method"]
    assert "their-method" not in own.rows


def test_another_number_of_scenes_is_another_track() -> None:
    board = build_board([run_of()], [Submission(fakes_.submission(scenes=7))])
    assert [track.scenes for track in board.tracks] == [12, 7]


def test_runs_are_put_together_and_the_first_ones_numbers_count(caplog: pytest.LogCaptureFixture) -> None:
    first, second = run_of(("spade", "gesco")), run_of(("gesco", "oasis"), folder="b")
    board = build_board([first, second], [])
    assert board.methods == ("spade", "gesco", "oasis")
    assert at(view(board, "mIoU"), "gesco")[0] == at(view(build_board([first], []), "mIoU"), "gesco")[0]
    assert "the same cells of gesco" in caplog.text
    facts = {**second.facts, "datasets": {"streets": {**second.facts["datasets"]["streets"], "fingerprint": "other"}}}
    with pytest.raises(UsageError, match="the scenes of the results in b"):
        build_board([first, Run(Path("b"), second.frame, facts)], [])


def test_the_ceiling_is_what_the_originals_score() -> None:
    run = run_of()
    rows = run.frame[run.frame["metric"] == "mIoU"].assign(metric="mIoU[original]", value=0.856, draws=None)
    board = build_board([Run(run.folder, pd.concat([run.frame, rows]), run.facts)], [])
    assert view(board, "mIoU").ceiling == pytest.approx(0.856)
    assert view(board, "LPIPS").ceiling is None
    assert [v for v in board.views if "original" in v.metric] == []


def test_all_pairs_at_once_are_told_apart_as_one_pair_is() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.normal(0.5, 0.1, 20)
    draws = [draws_of_mean(scenes + rng.normal(shift, 0.02, 20)) for shift in np.linspace(0, 0.05, 8)]
    draws[3][:5] = np.nan
    scores = [Score(float(np.nanmean(d)), basis=Basis.SETS, draws=d) for d in draws]
    expected = [1 + sum(tell_apart(other, own) == 1 for other in draws if other is not own) for own in draws]
    assert ranks(scores, True, 3) == expected
    assert len(set(expected)) > 3
    assert len(expected) > len(set(expected))


def test_undefined_and_missing_scores_have_no_rank() -> None:
    scores = [Score(0.5), None, Score(float("nan")), Score(0.4), Score(0.9, noise=True)]
    assert ranks(scores, True, 3) == [1, None, None, 2, None]
    assert ranks([Score(0.5), None], True, 3) == [None, None]
    proxy = Score(0.5, basis=Basis.PROXY, draws=np.full(DRAWS, 0.5))
    assert ranks([proxy, Score(0.4, basis=Basis.SETS, draws=np.full(DRAWS, 0.6))], True, 3) == [1, 2]
