"""Ranks with ties: what the scenes cannot tell apart shares a rank, and the caption says what the ranks rest on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from table_frames import at10, frame, per_scene, with_draws

from bench.bootstrap import DRAWS, draws_of_mean, scene_counts, tell_apart
from bench.tables import metric_tables

RNG = np.random.default_rng(3)
SCENES = RNG.normal(0.5, 0.2, 40)


def ranks(rows: pd.DataFrame, metric: str = "mIoU") -> dict[str, int | None]:
    (table,) = metric_tables(rows, metric)
    return {row.method: e.rank for row in table.rows if (e := row.entries[0])}


def caption(rows: pd.DataFrame, metric: str = "mIoU") -> str:
    return metric_tables(rows, metric)[0].caption


def test_resamples_hold_as_many_scenes_as_there_are_and_are_always_the_same() -> None:
    counts = scene_counts(7)
    assert counts.shape == (DRAWS, 7)
    assert (counts.sum(axis=1) == 7).all()
    scene_counts.cache_clear()
    assert (scene_counts(7) == counts).all()
    assert counts.std(axis=0).min() > 0.8  # resampled with replacement: each scene's count has a variance of 6/7


def test_draws_of_a_mean_spread_like_its_standard_error() -> None:
    draws = draws_of_mean(SCENES)
    assert draws.mean() == pytest.approx(SCENES.mean(), abs=0.01)
    assert draws.std() == pytest.approx(SCENES.std() / np.sqrt(len(SCENES)), rel=0.1)


def test_an_undefined_scene_is_left_out_of_every_draw() -> None:
    draws = draws_of_mean(np.array([1.0, np.nan, 1.0]))
    only_undefined = scene_counts(3)[:, 1] == 3
    assert 0 < only_undefined.sum() < 100
    assert np.isnan(draws[only_undefined]).all()
    assert (draws[~only_undefined] == 1).all()


def test_the_bootstrap_is_paired() -> None:
    """A shift far smaller than the spread over scenes is told apart when every scene shifts, not when scenes mix."""
    shifted, mixed = SCENES + 0.01, RNG.permutation(SCENES) + 0.01
    assert tell_apart(draws_of_mean(shifted), draws_of_mean(SCENES)) == 1
    assert tell_apart(draws_of_mean(SCENES), draws_of_mean(shifted)) == -1
    assert tell_apart(draws_of_mean(mixed), draws_of_mean(SCENES)) == 0


def test_methods_that_the_scenes_cannot_tell_apart_share_a_rank() -> None:
    rows = per_scene({"low": SCENES - 0.3, "a": SCENES, "b": RNG.permutation(SCENES) + 0.005}, metric="LPIPS")
    assert ranks(rows, "LPIPS") == {"low": 3, "a": 1, "b": 1}
    assert "a paired bootstrap over scenes (95%, 1000 resamples, seed 0)" in caption(rows, "LPIPS")


def test_a_rank_counts_the_methods_that_are_better() -> None:
    rows = per_scene({"d": SCENES - 0.2, "a": SCENES, "c": SCENES - 0.1, "b": SCENES}, metric="LPIPS")
    assert ranks(rows, "LPIPS") == {"a": 1, "b": 1, "c": 3, "d": 4}
    lower = per_scene({"d": SCENES - 0.2, "a": SCENES}, metric="LPIPS", higher_is_better=False)
    assert ranks(lower, "LPIPS") == {"d": 1, "a": 2}


def test_seeds_are_averaged_scene_by_scene() -> None:
    up = np.where(np.arange(40) % 2, 0.3, -0.3)
    a = [per_scene({"a": SCENES + up}, seed=0, metric="X"), per_scene({"a": SCENES - up + 0.02}, seed=1, metric="X")]
    b = [per_scene({"b": SCENES}, seed=s, metric="X") for s in (0, 1)]
    assert ranks(pd.concat([a[0], b[0]]), "X") == {"a": 1, "b": 1}
    assert ranks(pd.concat([*a, *b]), "X") == {"a": 1, "b": 2}


def test_kept_draws_decide_where_there_are_any() -> None:
    base = draws_of_mean(SCENES)
    rows = at10({"a": 0.5, "b": 0.49, "c": 0.3})
    clear = with_draws(rows, {"a": base + 0.01, "b": base, "c": base - 0.2})
    assert ranks(clear) == {"a": 1, "b": 2, "c": 3}
    assert "a paired bootstrap over scenes of the score itself" in caption(clear)
    blurred = with_draws(rows, {"a": base + RNG.normal(0.01, 0.1, DRAWS), "b": base, "c": base - 0.2})
    assert ranks(blurred) == {"a": 1, "b": 1, "c": 3}


def test_without_draws_miou_falls_back_on_per_scene_values_and_says_so() -> None:
    scenes = per_scene({"a": SCENES, "b": RNG.permutation(SCENES)}, metric="mIoU[scene]")
    rows = pd.concat([at10({"a": 0.8, "b": 0.7}), scenes[scenes["scene"] != "all"]])
    assert ranks(rows) == {"a": 1, "b": 1}
    assert "of the per-scene values (mIoU[scene]), because these results hold no draws" in caption(rows)


def test_per_scene_values_whose_mean_is_another_number_are_not_used() -> None:
    rows = per_scene({"a": SCENES, "b": RNG.permutation(SCENES)}, metric="X")
    rows.loc[rows["scene"] == "all", "value"] += 0.1
    rows.loc[(rows["scene"] == "all") & (rows["method"] == "a"), "value"] += 0.1
    assert ranks(rows, "X") == {"a": 1, "b": 2}
    assert "no ties are known" in caption(rows, "X")


def test_a_distance_between_sets_is_told_apart_by_its_own_spread() -> None:
    values = {"a": 10.0, "b": 10.5, "c": 12.0}
    rows = at10(values, std=0.3, metric="FID[x]", higher_is_better=False)
    assert ranks(rows, "FID") == {"a": 1, "b": 1, "c": 3}
    assert "independent normal distributions" in caption(rows, "FID")
    assert "at 95%" in caption(rows, "FID")
    bare = at10(values, metric="FID[x]", higher_is_better=False)
    assert ranks(bare, "FID") == {"a": 1, "b": 2, "c": 3}
    assert "no ties are known" in caption(bare, "FID")


def test_equal_printed_values_tie_where_nothing_else_is_known() -> None:
    assert ranks(at10({"a": 0.50001, "b": 0.50002, "c": 0.4})) == {"a": 1, "b": 1, "c": 3}


def test_a_missing_scene_makes_no_ties_up() -> None:
    rows = per_scene({"a": SCENES, "b": SCENES}, metric="X")
    rows = rows[~((rows["method"] == "b") & (rows["scene"] == "s03"))]
    assert "no ties are known" in caption(rows, "X")


def test_five_scenes_tell_nothing_apart() -> None:
    """All five differences have one sign in 1 of 16 pairs of equal methods, and then every resample has it."""
    five, six = ({"a": SCENES[:n], "b": SCENES[:n] - 0.1} for n in (5, 6))
    assert "no ties are known (a bootstrap takes per-scene values of 6 scenes or more)" in caption(
        per_scene(five, metric="X"), "X"
    )
    assert "a paired bootstrap over scenes" in caption(per_scene(six, metric="X"), "X")


def test_columns_are_ranked_each_on_their_own() -> None:
    (table,) = metric_tables(
        frame({("a", 10.0, 0): (0.5, None), ("b", 10.0, 0): (0.1, None), ("a", 5.0, 0): (0.2, None)}), "mIoU"
    )
    assert [[e and e.rank for e in row.entries] for row in table.rows] == [[1, None], [2, None]]
