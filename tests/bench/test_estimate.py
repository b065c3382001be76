"""How long a run will take, from what the cache knows."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from bench.config import Config, RunSection
from bench.run.execute import Outcome, Task
from bench.run.plan import Plan, make_plan
from bench.run.progress import (
    GUESS_METRIC_SECONDS_A_SCENE,
    GUESS_SECONDS_A_SCENE,
    Estimate,
    Forecast,
    History,
    RunProgress,
    total,
)


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


def test_what_is_left_is_known_from_the_start_and_follows_what_tasks_took() -> None:
    forecast = Forecast({"a": 10.0, "b": 10.0, "c": 10.0, "d": 10.0}, 2)
    assert forecast.seconds_left(0.0) == pytest.approx(20.0)
    assert forecast.seconds_left(5.0) == pytest.approx(15.0)
    forecast.finished("a", 20.0)  # twice as slow as expected; `b` has begun with it, `c` begins now
    assert 15.0 < forecast.seconds_left(20.0) < 35.0
    for name, now in (("b", 20.0), ("c", 40.0)):
        forecast.finished(name, now)
    assert 0.0 < forecast.seconds_left(40.0) < 5.0  # `d` has taken its time and is nearly there
    assert forecast.seconds_left(80.0) > forecast.seconds_left(40.0)  # it is not: nobody knows, and nobody says zero
    forecast.finished("d", 80.0)
    assert forecast.seconds_left(80.0) == 0.0


def test_a_guess_that_is_far_too_low_does_not_stand_until_something_is_finished() -> None:
    forecast = Forecast(dict.fromkeys("abcdefghij", 1.0), 1)
    assert forecast.seconds_left(0.0) == pytest.approx(10.0)
    assert forecast.seconds_left(100.0) > 400.0


@pytest.mark.parametrize(("width", "bar"), [(80, True), (40, False)])
def test_progress_counts_the_cells_asked_for_and_says_both_times_in_words(
    plan: Plan, tmp_path: Path, width: int, bar: bool
) -> None:
    cells = [*plan.cells, *plan.references]
    tasks = [Task(c, (), tmp_path, 1, plan.devices, "run", 0, {}, 60.0) for c in cells]
    times = iter([0.0, *[1.0] * 100])
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None)
    told = RunProgress(console, lambda: next(times))(tasks, (Outcome(c) for c in cells), 1)
    assert [outcome.cell for outcome in told] == cells
    text = re.sub("\x1b\\[[^a-zA-Z]*[a-zA-Z]", "", shown.getvalue())
    assert ("━" in text) == bar
    first, *_, last = re.split("(?=[01] of 1 cells)", re.sub("[\\s━]+", " ", text).strip())[1:]
    assert first.strip() == "0 of 1 cells 1 s so far, about 2 min left"
    assert last.strip() == "1 of 1 cells in 1 s"


def test_progress_without_a_terminal_begins_and_ends_with_a_line(plan: Plan, tmp_path: Path) -> None:
    cells = [*plan.cells, *plan.references]
    tasks = [Task(c, (), tmp_path, 1, plan.devices, "run", 0, {}, 60.0) for c in cells]
    times = iter([0.0, 0.0, 59.0, 59.0, 119.0, 119.0])
    shown = io.StringIO()
    told = RunProgress(Console(file=shown, width=80), lambda: next(times))(tasks, (Outcome(c) for c in cells), 1)
    assert [outcome.cell for outcome in told] == cells
    assert shown.getvalue().splitlines() == [
        "0 of 1 cells, 0 s so far, about 2 min left",
        "1 of 1 cells, 59 s so far, about 60 s left",
        "1 of 1 cells, in 2 min",
    ]


def test_progress_in_a_notebook_is_told_to_it_alone(plan: Plan, tmp_path: Path) -> None:
    tasks = [Task(c, (), tmp_path, 1, plan.devices, "run", 0, {}, 60.0) for c in plan.cells]
    times = iter([0.0, 0.0, 59.0, 59.0])
    shown, calls = io.StringIO(), []
    bar = RunProgress(Console(file=shown), lambda: next(times), lambda: lambda *told: calls.append(told))
    assert len(list(bar(tasks, (Outcome(c) for c in plan.cells), 1))) == 1
    assert calls == [(0, 1, "0 s so far, about 60 s left"), (1, 1, "in 59 s")]
    assert shown.getvalue() == ""
