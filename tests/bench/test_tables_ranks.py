"""Ranks in tables: 1 + the number of methods shown to be better, all pairs of a table one family, and their basis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from table_frames import at10, frame, noise, per_scene, with_contributions

from bench.results.ranking import explained, rank
from bench.results.scores import Score, measured
from bench.tables import metric_tables
from bench.tables.build import arms_tables
from metrics.stats.significance import (
    contributions_of_mean,
    fewest_scenes,
    half_width,
    holm,
    smallest_p,
    standard_error,
    t_p,
)

RNG = np.random.default_rng(3)
SCENES = RNG.normal(0.5, 0.2, 40)
JITTER = RNG.normal(0, 0.002, (8, 40))


def ranks(rows: pd.DataFrame, metric: str = "mIoU") -> dict[str, int | None]:
    (table,) = metric_tables(rows, metric)
    return {row.method: e.rank for row in table.rows if (e := row.scores[0])}


def caption(rows: pd.DataFrame, metric: str = "mIoU") -> str:
    return metric_tables(rows, metric)[0].caption


def mean_of(values: np.ndarray, order: object = None) -> Score:
    kept = contributions_of_mean(values)
    assert kept is not None
    return Score(float(np.nanmean(values)), None, standard_error(kept), len(values), kept, order)


# --- the statistics by themselves


def test_contributions_of_a_mean_have_its_standard_error() -> None:
    kept = contributions_of_mean(SCENES)
    assert kept is not None
    assert kept.sum() == pytest.approx(0, abs=1e-12)
    assert standard_error(kept) == pytest.approx(stats.sem(SCENES))


def test_an_undefined_scene_contributes_nothing_and_costs_no_certainty() -> None:
    some = np.where(np.arange(40) % 4, SCENES, np.nan)
    kept = contributions_of_mean(some)
    assert kept is not None
    assert (kept[::4] == 0).all()
    assert standard_error(kept) == pytest.approx(stats.sem(some[np.isfinite(some)]))
    assert contributions_of_mean(np.array([1.0, np.nan])) is None


def test_the_paired_test_is_students() -> None:
    """Against scipy, from contributions alone."""
    other = SCENES + RNG.normal(0.01, 0.05, 40)
    difference = contributions_of_mean(SCENES - other)
    assert difference is not None
    p = t_p(np.array(SCENES.mean() - other.mean()), np.array(standard_error(difference)), 40)
    assert float(p) == pytest.approx(stats.ttest_rel(SCENES, other).pvalue)
    assert half_width(stats.sem(SCENES), 40) == pytest.approx(stats.t.ppf(0.975, 39) * stats.sem(SCENES))


def test_no_p_is_smaller_than_that_of_all_scenes_agreeing() -> None:
    assert t_p(np.array([1.0, 0.0]), np.array([0.0, 0.0]), 10).tolist() == [2.0**-9, 1.0]
    assert smallest_p(fewest_scenes(637)) <= 0.05 / 637 < smallest_p(fewest_scenes(637) - 1)
    assert fewest_scenes(1) == 6


def test_a_pair_of_two_kinds_of_scores_is_compared_as_if_independent() -> None:
    a, b = mean_of(SCENES), Score(0.3, None, 0.03, 40)
    (places,) = rank([[a, b]], [True]).ranks
    assert places == (1, 2)
    found = rank([[a, b]], [True])
    assert (found.paired, found.independent) == (False, True)
    assert rank([[a, Score(0.45, None, 0.03, 40)]], [True]).ranks == ((1, 1),)
    apart = mean_of(SCENES + 0.01, order=("other", "scenes"))
    assert rank([[mean_of(SCENES), apart]], [True]).ranks == ((1, 1),)  # paired, the shift would be shown
    assert rank([[mean_of(SCENES), mean_of(SCENES + 0.01)]], [True]).ranks == ((2, 1),)


# --- ranks


def test_the_test_is_paired() -> None:
    """A shift far smaller than the spread over scenes is shown when every scene shifts, not when scenes mix."""
    shifted = per_scene({"a": SCENES + 0.01, "b": SCENES + JITTER[0]}, metric="LPIPS")
    mixed = per_scene({"a": RNG.permutation(SCENES) + 0.01, "b": SCENES}, metric="LPIPS")
    assert ranks(shifted, "LPIPS") == {"a": 1, "b": 2}
    assert ranks(mixed, "LPIPS") == {"a": 1, "b": 1}


def test_a_rank_counts_the_methods_shown_to_be_better() -> None:
    values = {"d": SCENES - 0.2, "a": SCENES, "c": SCENES - 0.1, "b": SCENES}
    rows = per_scene({m: v + JITTER[k] for k, (m, v) in enumerate(values.items())}, metric="LPIPS")
    assert ranks(rows, "LPIPS") == {"a": 1, "b": 1, "c": 3, "d": 4}
    lower = per_scene({"d": SCENES - 0.2, "a": SCENES}, metric="LPIPS", higher_is_better=False)
    assert ranks(lower, "LPIPS") == {"d": 1, "a": 2}


def test_equal_ranks_are_not_said_to_be_ties() -> None:
    """a is better than c, b is not shown to be better than c nor worse than a: 1, 1, 2, which no tie explains."""
    noisy = np.random.default_rng(0).normal(0, 0.4, 40)
    rows = per_scene({"a": SCENES + 0.02, "b": SCENES + 0.01 + noisy - noisy.mean(), "c": SCENES}, metric="X")
    assert ranks(rows, "X") == {"a": 1, "b": 1, "c": 2}
    told = caption(rows, "X")
    assert (
        "Rank (in parentheses): 1 + the number of methods shown to be better, at 95% for all 3 pairs together" in told
    )
    assert "Student's t of paired differences over scenes. Equal ranks do not mean equal methods." in told
    assert "share a rank" not in told


def test_the_family_is_every_pair_of_the_table() -> None:
    """A difference that one column alone would show is not shown among six columns of five methods."""
    rng = np.random.default_rng(11)
    better = SCENES + rng.normal(0.1, 0.2, 40)
    p = stats.ttest_rel(better, SCENES).pvalue
    assert 0.05 / 60 < p < 0.05
    two = per_scene({"a": better, "b": SCENES}, metric="X")
    assert ranks(two, "X") == {"a": 1, "b": 2}
    others = {f"m{k}": SCENES + rng.normal(0, 0.2, 40) for k in range(3)}
    many = [per_scene({"a": better, "b": SCENES, **others}, metric="X").assign(psnr=float(p)) for p in range(6)]
    table = pd.concat(many)
    assert {e.rank for row in metric_tables(table, "X")[0].rows for e in row.scores if e} == {1}
    assert "for all 60 pairs together (Holm)" in caption(table, "X")


def test_metrics_side_by_side_are_one_family_too() -> None:
    rows = pd.concat([per_scene({"a": SCENES, "b": SCENES - 0.1, "c": SCENES}, metric=m) for m in ("X", "LPIPS")])
    (table,) = arms_tables(rows, ("method",), None, ("X", "LPIPS"), 10.0)
    assert "for all 6 pairs together" in table.caption


def test_seeds_are_averaged_scene_by_scene() -> None:
    up = np.where(np.arange(40) % 2, 0.3, -0.3)
    a = [per_scene({"a": SCENES + up}, seed=0, metric="X"), per_scene({"a": SCENES - up + 0.02}, seed=1, metric="X")]
    b = [per_scene({"b": SCENES}, seed=s, metric="X") for s in (0, 1)]
    assert ranks(pd.concat([a[0], b[0]]), "X") == {"a": 1, "b": 1}
    both = pd.concat([*a, *b])
    assert ranks(both, "X") == {"a": 1, "b": 2}
    entry = measured(both, "X").scores["awgn-paper-peak", "a", 10.0]
    assert entry.std == pytest.approx(SCENES.std(ddof=1))
    assert entry.stderr == pytest.approx(stats.sem(SCENES))


def test_kept_contributions_decide_where_a_score_is_no_mean() -> None:
    base = SCENES - SCENES.mean()
    rows = at10({"a": 0.5, "b": 0.49, "c": 0.3})
    clear = with_contributions(rows, {"a": base + JITTER[0], "b": base + JITTER[1], "c": base + JITTER[2]})
    assert ranks(clear) == {"a": 1, "b": 2, "c": 3}
    assert "paired differences over scenes" in caption(clear)
    blurred = with_contributions(rows, {"a": base + RNG.normal(0, 0.1, 40), "b": base, "c": base})
    assert ranks(blurred) == {"a": 1, "b": 1, "c": 3}
    entry = measured(clear, "mIoU").scores["awgn-paper-peak", "b", 10.0]
    assert entry.stderr == pytest.approx(standard_error(base + JITTER[1]))


def test_contributions_of_seeds_are_averaged_scene_by_scene() -> None:
    base, wave = SCENES - SCENES.mean(), np.where(np.arange(40) % 2, 0.5, -0.5)
    seeds = [with_contributions(at10({"a": 0.5, "b": 0.48}).assign(seed=s), {"a": base + x, "b": base})
             for s, x in ((0, wave), (1, -wave))]  # fmt: skip
    assert ranks(seeds[0]) == {"a": 1, "b": 1}
    assert ranks(pd.concat(seeds)) == {"a": 1, "b": 2}


def test_contributions_of_another_number_of_scenes_are_not_used() -> None:
    rows = with_contributions(at10({"a": 0.5, "b": 0.3}), {"a": JITTER[0], "b": JITTER[1]}).assign(scenes=32)
    assert ranks(rows) == {"a": None, "b": None}
    assert "No ranks: nothing in these results tells differences from chance." in caption(rows)


def test_per_scene_values_whose_mean_is_another_number_are_not_used() -> None:
    rows = per_scene({"a": SCENES, "b": SCENES + 0.1}, metric="X")
    rows.loc[rows["scene"] == "all", "value"] += 0.1
    assert ranks(rows, "X") == {"a": None, "b": None}


def test_standard_errors_decide_where_scenes_cannot_be_paired() -> None:
    values = {"a": 10.0, "b": 10.5, "c": 12.0}
    rows = at10(values, stderr=0.3, metric="FID[x]", higher_is_better=False)
    assert ranks(rows, "FID") == {"a": 1, "b": 1, "c": 3}
    assert "standard errors as if independent" in caption(rows, "FID")


def test_printed_values_alone_make_no_ranks() -> None:
    rows = at10({"a": 0.5, "b": 0.4})
    assert ranks(rows) == {"a": None, "b": None}
    assert "*" not in caption(rows)


def test_a_missing_scene_is_compared_as_if_independent() -> None:
    rows = per_scene({"a": SCENES, "b": SCENES + 0.01}, metric="X")
    rows = rows[~((rows["method"] == "b") & (rows["scene"] == "s03"))]
    rows.loc[(rows["method"] == "b") & (rows["scene"] == "all"), "value"] = np.delete(SCENES + 0.01, 3).mean()
    assert ranks(rows, "X") == {"a": 1, "b": 1}
    assert "as if independent" in caption(rows, "X")


def test_few_scenes_claim_no_ranks_and_say_why() -> None:
    """All five differences have one sign in 1 of 16 pairs of equal methods, whatever their sizes."""
    five, six = (per_scene({"a": SCENES[:n], "b": SCENES[:n] - 0.1}, metric="X") for n in (5, 6))
    assert ranks(five, "X") == {"a": None, "b": None}
    assert "No ranks: 5 scenes cannot show any difference among 1 pair, however large; 6 can." in caption(five, "X")
    assert ranks(six, "X") == {"a": 1, "b": 2}
    many = {f"m{k:02d}": SCENES[:11] - 0.1 * k for k in range(14)}
    assert set(ranks(per_scene(many, metric="X"), "X").values()) == {None}
    assert "11 scenes cannot show any difference among 91 pairs, however large; 12 can." in caption(
        per_scene(many, metric="X"), "X"
    )


def test_noise_and_undefined_values_take_no_part() -> None:
    values = {"a": SCENES, "b": SCENES - 0.1, "lost": SCENES - 0.45}
    rows = pd.concat([per_scene(values, metric="X"), noise(0.1, metric="X")])
    assert ranks(rows, "X") == {"a": 1, "b": 2, "lost": None}
    assert "for all 1 pair together" in caption(rows, "X")
    found = rank([[mean_of(SCENES), None, Score(float("nan"), None, 0.1, 40), mean_of(SCENES - 0.1)]], [True])
    assert found.ranks == ((1, None, None, 2),)


def test_rounding_is_no_difference() -> None:
    same = mean_of(SCENES)
    again = Score(same.value * (1 + 1e-13), None, same.stderr, 40, same.contributions)
    assert rank([[same, again]], [True]).ranks == ((1, 1),)


def test_columns_are_ranked_each_on_their_own() -> None:
    rows = frame({("a", 10.0, 0): (0.5, 0.01), ("b", 10.0, 0): (0.1, 0.01), ("a", 5.0, 0): (0.2, 0.01)})
    (table,) = metric_tables(rows, "mIoU")
    assert [[e and e.rank for e in row.scores] for row in table.rows] == [[1, None], [2, None]]


def test_all_pairs_at_once_are_tested_as_one_pair_is() -> None:
    scores = [mean_of(SCENES + shift + JITTER[k]) for k, shift in enumerate(np.linspace(0, 0.004, 8))]
    found = rank([scores], [True])
    pairs = [(i, j) for i in range(8) for j in range(i + 1, 8)]
    values = [s.value + s.contributions for s in scores if s.contributions is not None]
    shown = holm(np.array([stats.ttest_rel(values[i], values[j]).pvalue for i, j in pairs])) <= 0.05
    worse = [0] * 8
    for (i, j), apart in zip(pairs, shown, strict=True):
        worse[i if scores[i].value < scores[j].value else j] += bool(apart)
    assert found.ranks[0] == tuple(1 + n for n in worse)
    assert 1 < len(set(worse)) < 8
    assert "28 pairs" in explained(found)


# --- what neither ± nor ranks know


def test_a_method_of_one_training_says_that_another_ones_numbers_are_unknown() -> None:
    said = "Another training is in neither ± nor ranks: how far it moves a number is unknown."
    assert said in caption(per_scene({"oasis": SCENES, "sdm": SCENES + JITTER[0]}))


def test_trainings_of_one_method_say_how_far_another_moves_its_numbers() -> None:
    rows = per_scene({"oasis": SCENES, "oasis:weights=seed1": SCENES + 0.02, "sdm": SCENES + JITTER[0]})
    said = "Standard deviation over trainings, by column: oasis (2 trainings) 0.014. Of the others it is unknown."
    assert said in caption(rows)
    short = [one.short for one in metric_tables(rows, "mIoU")[0].sentences if "over trainings" in one]
    assert short == [said]


def test_a_method_behind_the_block_is_no_other_training_of_the_one_without() -> None:
    rows = per_scene({"oasis": SCENES, "oasis+fds:weights=seed1": SCENES + 0.02})
    assert "how far it moves a number is unknown" in caption(rows)
