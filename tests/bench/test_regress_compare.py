"""`bench regress` finds the changes that are there and raises no alarm over chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from regress_frames import cell, compared, limits, run_frame, scene_ids, set_frame, sides, verdicts
from scipy import stats

from bench.api.errors import UsageError
from bench.config import RegressSection
from bench.regress.compare import Sides, compare
from bench.regress.model import Basis, thresholds
from metrics.stats.significance import flips_for, holm, sign_flip_p, smallest_p, standard_error, t_p

SCENES = 24


def noisy(rng: np.random.Generator, methods: int, scenes: int = SCENES, noise: float = 0.05) -> dict[str, np.ndarray]:
    """Two runs' ingredients: what a scene is worth under a method, plus the seed's noise, which is skewed."""
    worth = np.random.default_rng(5).normal(0.5, 0.1, (methods, scenes))
    return {f"m{k}": worth[k] + noise * (rng.exponential(1, scenes) - 1) for k in range(methods)}


# --- the statistics by themselves


def test_sign_flips_agree_with_scipys_exact_test() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(0.3, 1, (4, 10))
    found = sign_flip_p(differences, 20_000)
    for row, p in zip(differences, found, strict=True):
        exact = stats.permutation_test(
            (row,), lambda x, axis: x.sum(axis=axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert p == pytest.approx(exact.pvalue, abs=4 * np.sqrt(exact.pvalue / 20_000) + 1e-4)


def test_sign_flips_of_nothing_and_of_undefined_scenes() -> None:
    same, single = np.zeros(10), np.full(10, np.nan)
    single[:9] = 1.0
    found = sign_flip_p(np.stack([same, single]), 40_000)
    assert found[0] == 1
    assert found[1] == pytest.approx(smallest_p(9), rel=0.25)  # the tenth scene says nothing


def test_flips_resolve_the_smallest_p_that_the_correction_asks_for() -> None:
    assert 1 / (flips_for(490, 0.05) + 1) < 0.05 / 490 / 9


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


# --- false alarms


def test_false_alarms_of_a_family_stay_below_the_nominal_rate() -> None:
    """300 pairs of unchanged runs of 12 comparisons each, other noise on both sides, no floor to help: at most 5 % of
    the reports may hold any verdict. (Binomial: 24 or more of 300 at a true 5 % have a chance of 2 %.)"""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(300):
        a, b = noisy(rng, 12), noisy(rng, 12)
        p = sign_flip_p(np.stack([b[m] - a[m] for m in a]), flips_for(12, 0.05))
        alarms += bool((holm(p) <= 0.05).any())
    assert 1 <= alarms <= 23  # that there are some shows that the noise is part of what is simulated


def test_whole_reports_over_unchanged_runs_are_silent() -> None:
    rng = np.random.default_rng(11)
    found = [verdicts(compare(sides(run_frame(noisy(rng, 6)), run_frame(noisy(rng, 6)), SCENES), limits()))
             for _ in range(4)]  # fmt: skip
    assert {v for report in found for v in report.values()} == {"same"}


def ratio(error: np.ndarray, power: np.ndarray) -> tuple[float, np.ndarray]:
    """A score that is no mean (a ratio of sums) and what each scene contributes to it."""
    value, rest = error.sum() / power.sum(), (error.sum() - error) / (power.sum() - power)
    return float(value), (len(error) - 1) * (value - rest)


@pytest.mark.parametrize("scenes", [16, 50])
def test_false_alarms_of_scores_that_are_no_means_stay_below_the_nominal_rate(scenes: int) -> None:
    rng = np.random.default_rng(3)
    p = []
    for _ in range(1000):
        power = rng.lognormal(0, 0.5, scenes)
        (a, of_a), (b, of_b) = (ratio(power * rng.gamma(4, 0.1, scenes), power) for _ in range(2))
        p.append(float(t_p(np.array(b - a), np.array(standard_error(of_b - of_a)), scenes)))
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.065  # 0.05 and two standard errors of 1000 tries


# --- known effects


@pytest.mark.parametrize(("effect", "better"), [(-0.03, False), (0.03, True), (-0.03, True), (0.03, False)])
def test_a_known_effect_is_found_and_named(effect: float, better: bool) -> None:
    """A change three floors wide in one of six cells, under other noise: that cell, and no other."""
    rng = np.random.default_rng(2)
    old, new = noisy(rng, 6, noise=0.01), noisy(rng, 6, noise=0.01)
    new["m3"] = new["m3"] + effect
    frames = [run_frame(x, higher_is_better=better) for x in (old, new)]
    found = compared(*frames, SCENES, limits(X=0.01))
    told = {c.cell.method: str(c.verdict) for c in found}
    expected = "better" if (effect > 0) == better else "worse"
    assert told == {**dict.fromkeys(old, "same"), "m3": expected}
    (hit,) = [c for c in found if c.cell.method == "m3"]
    assert hit.change == pytest.approx(effect, abs=0.01)
    assert hit.low < effect < hit.high  # type: ignore[operator]
    assert hit.p is not None
    assert hit.p < 0.01
    assert hit.basis is Basis.SIGNS


@pytest.mark.parametrize(("effect", "least", "most"), [(0.005, 0, 0), (0.02, 39, 40)])
def test_power_around_the_floor(effect: float, least: int, most: int) -> None:
    """40 changes of one size behind the same noise, corrected as 40 comparisons: twice the floor is found nearly always
    and half of it never."""
    rng = np.random.default_rng(4)
    old = noisy(rng, 40)
    new = {m: v - effect + rng.normal(0, 0.01, SCENES) for m, v in old.items()}
    found = [c.verdict for c in compared(run_frame(old), run_frame(new), SCENES, limits(X=0.01))]
    assert least <= found.count("worse") <= most  # type: ignore[arg-type]
    assert set(found) <= {"worse", "same"}


def test_a_real_change_below_the_floor_is_the_same() -> None:
    values = np.random.default_rng(6).normal(0.5, 0.1, SCENES)
    (made,) = compared(run_frame({"m": values}), run_frame({"m": values - 0.009}), SCENES, limits(X=0.01))
    assert made.verdict == "same"
    assert made.p is not None
    assert made.p < 0.001
    (made,) = compared(run_frame({"m": values}), run_frame({"m": values - 0.011}), SCENES, limits(X=0.01))
    assert made.verdict == "worse"


def test_pairing_by_scene_not_by_row() -> None:
    """Shuffled rows change nothing, and a change far below the spread over scenes is found."""
    values = np.random.default_rng(8).normal(0.5, 0.3, SCENES)
    shuffled = run_frame({"m": values - 0.02}).sample(frac=1, random_state=0)
    (made,) = compared(run_frame({"m": values}), shuffled, SCENES)
    assert made.verdict == "worse"
    assert made.error == pytest.approx(0, abs=1e-9)


def test_the_first_scenes_alone_decide_where_fewer_are_asked_for() -> None:
    values = np.random.default_rng(9).normal(0.5, 0.1, 40)
    late = values - np.where(np.arange(40) < 20, 0.0, 0.5)
    old, new = run_frame({"m": values}), run_frame({"m": late})
    assert [c.verdict for c in compared(old, new, 20)] == ["same"]
    assert [c.verdict for c in compared(old, new, 40)] == ["worse"]
    assert compared(old, new, 20)[0].baseline == pytest.approx(values[:20].mean())


def test_seeds_are_averaged_scene_by_scene() -> None:
    values = np.random.default_rng(10).normal(0.5, 0.1, SCENES)
    noise = np.random.default_rng(11).normal(0, 0.2, SCENES)
    old = run_frame({"m": values})
    new = pd.concat([run_frame({"m": values + noise}, seed=1), run_frame({"m": values - noise - 0.04}, seed=2)])
    (made,) = compared(old, new, SCENES)
    assert made.verdict == "worse"
    assert made.change == pytest.approx(-0.02)


# --- scores that are no means


def test_contributions_decide_where_a_score_is_no_mean() -> None:
    rng = np.random.default_rng(12)
    power, gain = rng.lognormal(0, 0.5, 60), rng.gamma(4, 0.1, 60)
    (a, of_a), (b, of_b) = ratio(power * gain, power), ratio(power * (gain - 0.03) + 0.001 * rng.normal(size=60), power)
    old, new = (set_frame({"m": v}, 60, {"m": c}, metric="mIoU") for v, c in ((a, of_a), (b, of_b)))
    (made,) = compared(old, new, 60)
    assert (made.verdict, made.basis) == ("worse", Basis.CONTRIBUTIONS)
    assert made.change == pytest.approx(-0.03, abs=1e-3)
    (made,) = compared(old, new, 59)  # what they contribute over 59 scenes nobody knows
    assert made.verdict == "untested"
    assert "over 60 scenes as a whole" in made.note


def test_scores_that_are_no_means_are_tested_on_few_scenes_too_and_refused_on_too_few() -> None:
    rng = np.random.default_rng(0)
    for scenes in (12, 5):
        one, other = rng.normal(0, 0.01, (2, scenes))
        old, new = set_frame({"m": 0.5}, scenes, {"m": one}), set_frame({"m": 0.1}, scenes, {"m": other})
        if scenes == 12:
            assert [c.verdict for c in compared(old, new, scenes)] == ["worse"]
        else:
            with pytest.raises(UsageError, match=r"5 scenes .* cannot show any change among 1 comparisons"):
                compared(old, new, scenes)


def test_a_score_under_another_protocol_is_not_compared() -> None:
    """KID's estimator, for one, is another one than in earlier results."""
    kept = np.random.default_rng(0).normal(0, 0.001, 60)
    old = set_frame({"m": 0.5}, 60, {"m": kept}, metric="KID[lite0]", protocol="efficientnet-lite0")
    new = set_frame({"m": 0.4}, 60, {"m": kept}, metric="KID[lite0]", protocol="efficientnet-lite0|unbiased")
    (made,) = compared(old, new, 60)
    assert made.verdict == "untested"
    assert made.note == "the baseline's was measured under another protocol"


def test_per_scene_values_that_are_not_the_scores_do_not_decide() -> None:
    """A score that is no mean of the per-scene values of its name is not tested by them."""
    values = np.linspace(0, 1, SCENES)
    old, new = run_frame({"m": values}), run_frame({"m": values - 0.2})
    for frame in (old, new):
        frame.loc[frame["scene"] == "all", "value"] += 0.3
    (made,) = compared(old, new, SCENES)
    assert made.verdict == "untested"


def test_per_scene_values_stand_alone_where_there_is_no_score() -> None:
    values = np.linspace(0, 1, SCENES)
    old, new = (run_frame({"m": v}, metric="mIoU[scene]", alone=True) for v in (values, values - 0.02))
    (made,) = compared(old, new, SCENES)
    assert (made.verdict, made.metric) == ("worse", "mIoU[scene]")


def test_standard_errors_decide_where_scenes_cannot_be_paired_and_spreads_never_do() -> None:
    def pair(metric: str, **spread: float) -> list[str]:
        old, new = (set_frame({"m": v}, 30, metric=metric, higher_is_better=False, **spread) for v in (0.2, 0.5))
        return [str(c.verdict) for c in compared(old, new, 30)]

    assert pair("KID[lite0]", stderr=0.01) == ["worse"]
    assert pair("KID[lite0]", stderr=0.2) == ["same"]
    assert pair("KID[lite0]", std=0.01) == ["untested"]
    assert pair("other", stderr=0.01) == ["worse"]


# --- what is not there


def test_new_missing_and_undefined() -> None:
    values = np.linspace(0, 1, SCENES)
    old = run_frame({"both": values, "gone": values, "broken": values})
    new = run_frame({"both": values, "added": values, "broken": values})
    new.loc[(new["method"] == "broken") & (new["scene"] == "all"), "value"] = np.nan
    new.loc[new["method"] == "broken", "value"] = np.nan
    found, family = compare(sides(old, new, SCENES, {cell("gone"): "it is not installed"}), limits())
    told = {c.cell.method: c for c in found}
    assert {m: str(c.verdict) for m, c in told.items()} == {
        "both": "same", "added": "new", "gone": "missing", "broken": "missing",
    }  # fmt: skip
    assert family == 1
    assert not told["gone"].failed
    assert told["gone"].note == "it is not installed"
    assert told["gone"].baseline == pytest.approx(0.5)
    assert told["broken"].failed  # it was run and came to nothing
    assert told["added"].rerun == pytest.approx(0.5)


def test_a_metric_that_fails_for_one_cell_fails_the_report_and_one_nobody_has_is_missing() -> None:
    values = np.linspace(0, 1, SCENES)
    old = pd.concat([run_frame({"a": values, "b": values}, metric=m) for m in ("X", "Y")])
    new = pd.concat([run_frame({"a": values, "b": values}), run_frame({"a": values}, metric="Y")])
    made = sides(old, new, SCENES)
    (lost,) = [c for c in compare(made, limits())[0] if c.verdict == "missing"]
    assert (lost.cell.method, lost.metric, lost.failed) == ("b", "Y", True)
    without = Sides(old, new[new["metric"] == "X"], made.ids, made.cells, {}, True)
    assert [c.failed for c in compare(without, limits())[0] if c.verdict == "missing"] == [False, False]
    asked = Sides(old, new[new["metric"] == "X"], made.ids, made.cells, {}, False)
    assert {c.metric for c in compare(asked, limits())[0]} == {"X"}


def test_scenes_undefined_on_a_side_are_left_out_of_both() -> None:
    values = np.linspace(0, 1, SCENES)
    fewer = np.where(np.arange(SCENES) < 4, np.nan, values - 0.02)
    (made,) = compared(run_frame({"m": values}), run_frame({"m": fewer}), SCENES)
    assert made.verdict == "worse"
    assert made.change == pytest.approx(-0.02)
    assert "20 scenes" in made.note


def test_costs_and_scores_of_the_originals_are_no_comparisons() -> None:
    values = np.linspace(0, 1, SCENES)
    frame = pd.concat([run_frame({"m": values}, metric=m) for m in ("bits", "mIoU[original]", "X")])
    assert [c.metric for c in compared(frame, frame, SCENES)] == ["X"]


def test_too_few_scenes_to_find_anything_are_refused() -> None:
    values = {f"m{k}": np.linspace(0, 1, 8) for k in range(10)}
    with pytest.raises(UsageError, match=r"8 scenes .* among 10 comparisons.*compare 9 scenes or more"):
        compared(run_frame(values), run_frame(values), 8)
    few = {m: v for m, v in values.items() if m < "m5"}
    assert len(compared(run_frame(few), run_frame(few), 8)) == 5


def test_floors_come_from_the_configuration_by_full_name_then_family() -> None:
    section = RegressSection(floors={"mIoU": 0.02, "mIoU[judge]": 0.05}, relative_floors={"LPIPS": 0.1})
    limit = thresholds(section)
    assert limit.floor("mIoU", 0.8) == limit.floor("mIoU[scene]", 0.8) == 0.02
    assert limit.floor("mIoU[judge]", 0.8) == 0.05
    assert limit.floor("LPIPS", 0.5) == pytest.approx(0.05)
    assert limit.floor("FID[lite0]", 200) == pytest.approx(6)
    assert limit.floor("of_a_third_party", -10) == pytest.approx(0.2)
    with pytest.raises(UsageError, match="mIoU has a floor and a relative floor"):
        thresholds(RegressSection(floors={"mIoU": 1}, relative_floors={"mIoU": 1}))
    with pytest.raises(UsageError, match="did you mean 'seconds'"):
        thresholds(RegressSection(warn={"second": 2}))


def test_the_ids_of_frames_are_those_of_the_helpers() -> None:
    assert tuple(run_frame({"m": np.zeros(3)}, alone=True)["scene"]) == scene_ids(3)
