"""How long a run will take, from what the cache knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.config import Config, RunSection
from bench.run.plan import Plan, make_plan
from bench.run.progress import GUESS_METRIC_SECONDS_A_SCENE, GUESS_SECONDS_A_SCENE, Estimate, History, total


@pytest.fixture(scope="module")
def plan() -> Plan:
    run = RunSection(methods=("full_image",), scenes=4, metrics=("mIoU", "LPIPS"), psnr=(10.0,))
    return make_plan(Config(run=run))


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def test_metrics_count_as_long_as_they_took(plan: Plan, tmp_path: Path) -> None:
    (cell,), metrics = plan.cells, plan.metrics["streets"]
    guess = 4 * (GUESS_SECONDS_A_SCENE + 2 * GUESS_METRIC_SECONDS_A_SCENE)
    assert History(tmp_path).estimate(cell, True, metrics) == Estimate(pytest.approx(guess), False)
    # another method's cell, of twice as many scenes, tells how long mIoU takes; one of another size tells nothing
    key = {**cell.key, "scenes": list("abcdefgh")}
    write(tmp_path / "metrics/streets/other/leaf/mIoU-1/manifest.json", {"key": {"cell": key}, "seconds": 24.0})
    big = {**key, "size": [256, 512]}
    write(tmp_path / "metrics/streets/other/leaf/mIoU-2/manifest.json", {"key": {"cell": big}, "seconds": 999.0})
    history = History(tmp_path)
    assert history.estimate(cell, False, metrics[:1]) == Estimate(pytest.approx(12.0), True)
    assert history.estimate(cell, False, metrics).seconds == pytest.approx(12.0 + 4 * GUESS_METRIC_SECONDS_A_SCENE)
    assert history.estimate(cell, True, metrics[:1]) == Estimate(pytest.approx(12.0 + 4 * GUESS_SECONDS_A_SCENE), False)


def test_a_cell_of_the_method_tells_its_seconds_and_damage_tells_nothing(plan: Plan, tmp_path: Path) -> None:
    (cell,) = plan.cells
    folder = (tmp_path / "cells" / cell.name).parent
    write(folder / "a/manifest.json", {"key": cell.key, "seconds": 2.0})
    write(folder / "b/manifest.json", ["damaged"])
    assert History(tmp_path).estimate(cell) == Estimate(pytest.approx(2.0), True)
    assert total([Estimate(3.0, True), Estimate(5.0, False)], 4) == (5.0, 1)
