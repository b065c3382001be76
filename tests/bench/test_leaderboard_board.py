"""The board: what is compared with what, intervals, and ranks across results and submissions."""

from __future__ import annotations

import copy
from pathlib import Path

import leaderboard_fakes as fakes_
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.api.errors import UsageError
from bench.leaderboard.board import Board, Run, View, build_board, read_runs
from bench.leaderboard.load import board_data, set_data
from bench.leaderboard.methods import about_methods
from bench.leaderboard.site import site_facts
from bench.leaderboard.submission import Submission
from bench.results.files import read_results
from bench.results.scores import measured
from bench.tables import metric_tables

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
    return placed.value, *(placed.interval or (None, None)), placed.rank


def test_ranks_of_the_committed_results_are_those_of_the_tables() -> None:
    frame, _ = read_results(COMMITTED)
    whole = frame[frame["metric"].isin(["mIoU", "LPIPS", "KID[lite0]", "bits"])]
    board = build_board([Run(COMMITTED, whole, read_runs([COMMITTED])[0].facts)], [])
    for one in board.views:
        tables = {f"{t.scenes.dataset}-{t.scenes.split}-{t.scenes.size}": t for t in metric_tables(whole, one.metric)}
        table = tables[one.track.rpartition("-")[0]]
        for row in table.rows:
            assert [p and p.rank for p in one.rows[row.method]] == [e and e.rank for e in row.scores], one.metric
            assert [p and p.value for p in one.rows[row.method]] == [e and e.value for e in row.scores]
            assert [p and p.noise for p in one.rows[row.method]] == [e and e.noise for e in row.scores]


def test_intervals_are_students_with_the_standard_error() -> None:
    run = run_of()
    board = build_board([run], [])
    for metric in ("mIoU", "LPIPS", "FID[lite0]", "bits"):
        value, low, high, _ = at(view(board, metric), "spade")
        rows = run.frame[(run.frame["method"] == "spade") & (run.frame["metric"] == metric) & (run.frame["psnr"] == 10)]
        half = stats.t.ppf(0.975, 11) * rows[rows["scene"] == "all"]["stderr"].iloc[0]
        assert [low, high] == pytest.approx([value - half, value + half], rel=1e-6)
    assert at(view(board, "seconds"), "spade")[1:3] == (None, None)


def test_intervals_end_where_the_metric_does() -> None:
    run = run_of()
    rows = run.frame.assign(value=run.frame["value"].where(run.frame["metric"] != "mIoU", 0.999))
    _, low, high, _ = at(view(build_board([Run(run.folder, rows, run.facts)], []), "mIoU"), "spade")
    assert high == 1.0
    assert low is not None
    assert low < 0.999


def test_the_site_says_how_far_the_mean_snr_is_below_the_peak() -> None:
    board = build_board([run_of()], [Submission(fakes_.submission())])
    (means,) = board.means.values()
    assert means == {"7.4 dB lower": list(fakes_.METHODS), "unknown": ["their-method"]}
    assert board.levels["awgn-paper-peak", 10.0] == pytest.approx(8.874, abs=1e-3)
    (one,) = board_data(board, about_methods(board))["sets"]
    assert one["levels"] == {"100": "∞", "10": "8.9", "1": "0.9"}
    shown = set_data(board, board.tracks[0].key, "awgn-paper-peak")
    assert shown["means"] == [["7.4 dB lower", list(fakes_.METHODS)], ["unknown", ["their-method"]]]
    assert shown["side"] == "Side information is free of error and counted in bytes."


def test_costs_of_the_machine_have_no_rank_and_noise_has_none() -> None:
    board = build_board([run_of()], [])
    assert at(view(board, "seconds"), "spade")[3] is None
    lpips = view(board, "LPIPS")
    assert lpips.reference == 0.6
    noise = [p for row in lpips.rows.values() for p in row if p and p.value >= 0.6]
    assert noise
    assert all(p.noise and p.rank is None for p in noise)


def test_a_submission_with_contributions_is_paired_with_the_results() -> None:
    """Shifted by far less than the intervals' width, but in every scene: only a paired comparison tells it apart."""
    data = fakes_.submission()
    own = fakes_.value_of("mIoU", 3, 10.0, 12)
    data["results"] = [row for row in data["results"] if row["metric"] == "mIoU" and row["psnr"] == 10]
    data["results"][0] |= {"value": own.mean() + 0.002, "contributions": list(own - own.mean())}
    data["results"][0].pop("stderr")
    found = view(build_board([run_of()], [Submission(data)]), "mIoU")
    value, low, _, rank = at(found, "their-method")
    best, _, best_high, best_rank = at(found, "gesco-nofds")
    assert (rank, best_rank) == (1, 2)
    assert low is not None
    assert best_high is not None
    assert low < best < value < best_high


def test_a_submission_that_tells_nothing_has_no_rank_and_takes_none_away() -> None:
    data = fakes_.submission()
    for row in data["results"]:
        for key in ("contributions", "per_scene", "stderr"):
            row.pop(key, None)
    alone = view(build_board([run_of()], []), "mIoU")
    both = view(build_board([run_of()], [Submission(data)]), "mIoU")
    for method in fakes_.METHODS:
        assert at(alone, method) == at(both, method)
        assert at(both, method)[3] is not None
    assert at(both, "their-method")[1:] == (None, None, None)
    assert "one that states none has no rank" in both.note
    assert "submission" not in alone.note


def test_a_stated_standard_error_asks_for_a_larger_difference_than_a_paired_one() -> None:
    data = fakes_.submission()
    own = fakes_.value_of("mIoU", 3, 10.0, 12)
    data["results"] = [row for row in data["results"] if row["metric"] == "mIoU" and row["psnr"] == 10]
    row = data["results"][0]
    row.pop("contributions")
    row |= {"value": own.mean() + 0.002, "stderr": 0.01}
    found = view(build_board([run_of()], [Submission(data)]), "mIoU")
    assert at(found, "their-method")[3] == at(found, "gesco-nofds")[3] == 1
    half = stats.t.ppf(0.975, 11) * 0.01
    assert at(found, "their-method")[1:3] == pytest.approx((own.mean() + 0.002 - half, own.mean() + 0.002 + half))


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
    assert ("12", "scenes of streets") in site_facts(board)  # the seven are among the twelve


def test_runs_are_put_together_and_the_first_ones_numbers_count(caplog: pytest.LogCaptureFixture) -> None:
    first, second = run_of(("spade", "gesco")), run_of(("gesco", "oasis"), folder="b")
    board = build_board([first, second], [])
    assert board.methods == ("spade", "gesco", "oasis")
    assert at(view(board, "mIoU"), "gesco")[0] == at(view(build_board([first], []), "mIoU"), "gesco")[0]
    assert "the same cells of gesco" in caplog.text
    facts = copy.deepcopy(second.facts)
    facts["sets"]["streets/test/64x128/12"]["fingerprint"] = "other"
    with pytest.raises(UsageError, match="the scenes of the results in b"):
        build_board([first, Run(Path("b"), second.frame, facts)], [])


def test_the_ceiling_is_what_the_originals_score() -> None:
    run = run_of()
    rows = run.frame[run.frame["metric"] == "mIoU"].assign(metric="mIoU[original]", value=0.856, contributions=None)
    board = build_board([Run(run.folder, pd.concat([run.frame, rows]), run.facts)], [])
    assert view(board, "mIoU").ceiling == pytest.approx(0.856)
    assert view(board, "LPIPS").ceiling is None
    assert [v for v in board.views if "original" in v.metric] == []


def test_a_view_is_one_family_of_pairs() -> None:
    found = view(build_board([run_of()], []), "mIoU")
    assert "at 95% for all 18 pairs together (Holm)" in found.note  # four methods at three PSNRs
    assert "in parentheses" not in found.note


def test_committed_results_have_the_standard_errors_that_ranks_rest_on() -> None:
    """The committed results, of whichever version: draws of mIoU and the ± of FID, or contributions."""
    frame, _ = read_results(COMMITTED)
    for metric in ("mIoU", "FID[lite0]"):
        found = measured(frame, metric)
        errors = np.array([entry.stderr for entry in found.scores.values()], dtype=float)
        assert np.isfinite(errors).all()
        assert 0 < np.median(errors) < 0.05 * np.median([entry.value for entry in found.scores.values()])
