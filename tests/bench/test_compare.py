"""Two methods side by side: the difference, its interval, the correction, and who is shown to be better."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from table_frames import frame, per_scene

from bench.api.errors import UsageError
from bench.results.compare import differences
from bench.tables import comparison, render_sheets

RNG = np.random.default_rng(5)
SCENES = RNG.uniform(0.2, 0.8, 32)
OTHER = SCENES + RNG.normal(0.03, 0.05, 32)


def test_the_interval_and_p_are_those_of_students_paired_test() -> None:
    (one,) = differences(per_scene({"a": OTHER, "b": SCENES}), "a", "b", ["mIoU"])
    expected = stats.ttest_rel(OTHER, SCENES)
    assert one.value == pytest.approx(OTHER.mean() - SCENES.mean())
    assert one.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert one.p == pytest.approx(expected.pvalue)
    assert (one.paired, one.scenes, one.better) == (True, 32, 0)


def test_the_better_one_follows_the_direction_and_the_order() -> None:
    rows = per_scene({"a": SCENES + 0.1 * OTHER, "b": SCENES}, higher_is_better=False, metric="LPIPS")
    assert [one.better for one in differences(rows, "a", "b")] == [1]
    assert [one.better for one in differences(rows, "b", "a")] == [0]
    assert differences(rows, "b", "a")[0].value == -differences(rows, "a", "b")[0].value


def test_p_is_corrected_for_all_differences_that_were_asked_for() -> None:
    rows = pd.concat([per_scene({"a": OTHER, "b": SCENES}).assign(psnr=float(psnr)) for psnr in (10, 5, 1)])
    alone = differences(rows, "a", "b", psnrs=[5.0])[0].p
    together = differences(rows, "a", "b")
    assert [one.psnr for one in together] == [10, 5, 1]
    assert alone is not None
    assert [one.p for one in together] == pytest.approx([3 * alone] * 3)


def test_scores_without_scenes_in_common_are_compared_as_if_independent() -> None:
    rows = frame({("a", 10.0, 0): (0.5, 0.03), ("b", 10.0, 0): (0.4, 0.04)})
    (one,) = differences(rows, "a", "b")
    assert one.interval == pytest.approx((0.1 - stats.t.ppf(0.975, 31) * 0.05, 0.1 + stats.t.ppf(0.975, 31) * 0.05))
    assert not one.paired
    assert "Not paired" in comparison((rows, {}), "a", "b")[0].caption


def test_what_nothing_tells_from_chance_has_no_interval() -> None:
    rows = frame({("a", 10.0, 0): (0.5, None), ("b", 10.0, 0): (0.4, None)})
    (one,) = differences(rows, "a", "b")
    assert (one.interval, one.p, one.better) == (None, None, None)
    assert "unknown" in render_sheets(comparison((rows, {}), "a", "b"))


def test_a_table_marks_the_better_one_and_csv_has_every_number() -> None:
    rows = per_scene({"a": SCENES + 0.1 * OTHER, "b": SCENES})
    text = render_sheets(comparison((rows, {}), "a", "b", ["mIoU"]))
    assert f"*{(SCENES + 0.1 * OTHER).mean():.3f}" in text
    assert "Paired by scene, Student's t over 32 scenes." in text
    text = render_sheets(comparison((rows, {}), "a", "b"), "csv")
    (record,) = csv.DictReader(io.StringIO(text))
    assert record["better"] == "a"
    assert float(record["difference"]) == pytest.approx(0.1 * OTHER.mean())


@pytest.mark.parametrize(
    ("first", "second", "metrics", "psnrs", "told"),
    [
        ("a", "bb", [], [], "unknown method 'bb' of these results; did you mean .b.."),
        ("a", "a", [], [], "cannot be compared with itself"),
        ("a", "b", ["LPIPS"], [], "unknown metric 'LPIPS'"),
        ("a", "b", [], [7.0], "PSNR 7 was not run of these, only 10"),
    ],
)
def test_what_is_not_there_is_named(first: str, second: str, metrics: list[str], psnrs: list[float], told: str) -> None:
    rows = per_scene({"a": OTHER, "b": SCENES})
    with pytest.raises(UsageError, match=told):
        differences(rows, first, second, metrics, psnrs)
