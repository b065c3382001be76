"""Numbers that pages ask for: what packing loses, intervals of differences, and scores of scenes drawn anew."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from scipy import stats

from bench.leaderboard.packed import DRAWS, half_widths, packed, resampled
from bench.results.scores import Score
from metrics.stats.significance import standard_error


def unpacked(data: list[object]) -> np.ndarray:
    low, step, text = data
    words = np.frombuffer(base64.b64decode(str(text)), dtype="<u2").astype(float)
    return np.where(words == 65535, np.nan, float(str(low)) + float(str(step)) * words)


def score(values: np.ndarray) -> Score:
    kept = values - values.mean()
    return Score(float(values.mean()), None, standard_error(kept), len(values), kept, "order")


def test_packing_loses_less_than_a_step_and_keeps_what_is_undefined() -> None:
    numbers = np.random.default_rng(0).normal(5, 100, 1000)
    numbers[[3, 7]] = np.nan, np.inf
    found = unpacked(packed(numbers))
    assert np.isnan(found[[3, 7]]).all()
    known = np.isfinite(numbers)
    assert np.abs(found - numbers)[known].max() <= np.ptp(numbers[known]) / 65534 * 0.51
    assert (unpacked(packed(np.full(4, 2.5))) == 2.5).all()
    assert np.isnan(unpacked(packed(np.full(4, np.nan)))).all()


def test_intervals_are_those_of_paired_differences() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 1, 30)
    values = [shared + rng.normal(0, 0.1, 30) for _ in range(3)]
    column = [score(values[0]), None, score(values[1]), Score(0.5), score(values[2])]
    made = np.full((5, 5), np.nan)
    made[np.triu_indices(5, 1)] = half_widths(column)
    half = stats.t.ppf(0.975, 29) * (values[2] - values[0]).std(ddof=1) / np.sqrt(30)
    assert made[0, 4] == pytest.approx(half)
    assert np.isnan(made[0, 1])
    assert np.isnan(made[0, 3])  # nothing tells how sure it is


def test_draws_spread_as_the_standard_error_and_go_together() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, 400)
    alone = Score(1.0, None, 0.2, 400)
    made = resampled([score(values), score(values + 1), alone, Score(1.0), None])
    assert made.shape == (5, DRAWS)
    assert made[0].std() == pytest.approx(standard_error(values), rel=0.15)
    assert made[0] == pytest.approx(made[1])  # the same scenes are drawn for all
    assert made[2].std() == pytest.approx(0.2, rel=0.15)
    assert (made[3:] == 0).all()
