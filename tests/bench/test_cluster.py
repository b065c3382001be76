"""A cluster's workers, whatever carries the calls: examined, told tasks one by one, replaced when they are lost.

The engine here makes every call at once in this process; a real one is in `test_cluster_dask.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import Answer, manifests, pictures

import bench.run.execute
import bench.run.runner
from bench.api.device import Devices
from bench.api.errors import BenchError
from bench.config import load_config
from bench.results.files import provenance
from bench.run.claims import claim, clean_claims, is_claimed
from bench.run.cluster import there
from bench.run.execute import Outcome, Task, execute
from bench.run.plan import Cell, Plan, make_plan
from bench.run.runner import RunReport, _missing, _tasks, leave_to, run_plan, survey
from bench.run.verified import Verified

Cli = Callable[..., Answer]


class Lost(Exception):
    """What a call answers whose worker has died."""


class Engine:
    """Workers by name. `fate` says what becomes of a worker's tasks: it dies `before` or `after` its first one, and
    another comes that works; it `lies` that it has done them; it is `blind` to the driver's folder. Tasks of a `deadly`
    method end any worker."""

    where = "engine"
    ours = False
    lost: ClassVar[tuple[type[BaseException], ...]] = (Lost,)

    def __init__(self, **fate: str) -> None:
        self.fate, self.begun, self.deadly = dict(fate), 0, ""
        self.left: list[Any] = []
        self.again = 9

    def devices(self, wanted: str) -> Devices:
        return Devices("cpu", ())

    def start(self) -> str:
        return ""

    def count(self) -> int:
        return len(self.fate)

    def workers(self) -> Mapping[str, int]:
        return dict.fromkeys(self.fate, 1)

    def submit(self, worker: str, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(self._call(worker, function, *arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def _call(self, worker: str, function: Any, asked: Any, *_: Any) -> Any:
        fate = self.fate[worker]
        if function is there.examine:
            return there._examined(replace(asked, sign=asked.sign / "x") if fate == "blind" else asked, os.getpid())
        self.begun += 1
        if fate == "lies":
            return Outcome(asked.cell, computed=True)
        deadly = asked.cell.method.spec == self.deadly
        done = None if deadly or fate == "before" else execute(replace(asked, parent=os.getpid()))
        if deadly or fate in ("before", "after"):
            del self.fate[worker]
            self.fate[f"{worker}+"] = "works"
            raise Lost
        return done

    def hand_over(self, workers: Any, function: Any, calls: Any) -> int:
        self.left = [workers, function, calls]
        return self.again

    def close(self) -> None:
        pass


def plan_of(**run: Any) -> Plan:
    config = load_config()
    options = {"psnr": (10.0, 1.0), "methods": ("fake_network", "fake_pixels"), **run}
    return make_plan(config.model_copy(update={"run": config.run.model_copy(update=options)}))


def run(plan: Plan, out: Path, engine: Engine, retries: int = 9) -> RunReport:
    return run_plan(plan, out, 1, 8, "sequential", retries=retries, cluster=engine)


@pytest.fixture
def whole(fakes: Path) -> dict[str, bytes]:
    """The pictures of `plan_of`, made on one machine."""
    assert run_plan(plan_of(), fakes / "whole", 1, 8, "sequential").failures == []
    return pictures(fakes / "whole")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_a_lost_worker_was_at_is_done_once_by_another(fakes: Path, whole: dict[str, bytes], moment: str) -> None:
    engine = Engine(a=moment, b="works")
    report = run(plan_of(), fakes / "o", engine)
    assert report.failures == []
    assert report.computed == 4  # once each, though a worker died when the cell was there already
    assert pictures(fakes / "o") == whole
    assert engine.begun == 5 + 1  # four cells, the reference, and the lost one again
    assert not list((fakes / "o" / "claims").iterdir())
    assert not list((fakes / "o" / "tmp").iterdir())


def test_a_cell_whose_workers_are_all_lost_fails_after_its_retries_and_others_run(fakes: Path) -> None:
    engine = Engine(a="works", b="works")
    engine.deadly = "fake_pixels"
    report = run(plan_of(), fakes / "o", engine, retries=1)
    assert {what.partition(" on ")[0] for what, _, _ in report.failures} == {"fake_pixels"}
    assert all("was lost, as was any that tried it before (--retries)" in message for _, message, _ in report.failures)
    assert engine.begun == 2 * 2 + 2 + 1  # both cells twice, the others and the reference once
    assert report.computed == 2


def test_a_worker_that_sees_another_folder_is_refused_by_name_and_the_others_run(
    fakes: Path, whole: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(plan_of(), fakes / "o", Engine(a="blind", b="works")).failures == []
    assert pictures(fakes / "o") == whole
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("worker a on ")
    assert f"it does not see --out {fakes / 'o'}; there is a folder of that name, but it is another one" in told


def test_a_plan_that_no_worker_can_take_part_in_ends_with_their_reasons(
    fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = bench.run.runner.code_provenance()
    other = {**facts, "source_sha256": "f" * 64}
    monkeypatch.setattr(bench.run.runner, "code_provenance", lambda: other)
    with pytest.raises(BenchError, match="no worker of engine can take part") as error:
        run(plan_of(), fakes / "o", Engine(a="works", b="blind"))
    first, second = error.value.details
    assert "this worker's code is not that of the plan: source ffffffffffff in the plan" in first
    assert "does not see --out" in second
    assert manifests(fakes / "o") == {}


def test_a_worker_without_the_weights_or_the_data_is_refused(fakes: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = replace(plan_of(), references=())
    scenes = replace(plan.cells[0].scenes, root=fakes / "nowhere")
    with pytest.raises(BenchError):
        run(replace(plan, cells=tuple(replace(c, scenes=scenes) for c in plan.cells)), fakes / "o", Engine(a="works"))
    assert f"does not see the data root of streets, {fakes / 'nowhere'}" in caplog.text
    method = replace(plan.cells[0].method, identity={**plan.cells[0].method.identity, "weights_sha256": "1234"})
    with pytest.raises(BenchError):
        run(replace(plan, cells=(replace(plan.cells[0], method=method),)), fakes / "o", Engine(a="works"))
    assert "fake_network is not what was planned: weights_sha256 1234 in the plan" in caplog.text


def test_a_cell_that_was_reported_and_cannot_be_found_is_a_failure_and_not_counted(fakes: Path) -> None:
    report = run(plan_of(), fakes / "o", Engine(a="lies"))
    assert len(report.failures) == 4 + 1  # the reference, too
    assert all("reported it as computed, but it is not in" in message for _, message, _ in report.failures)
    assert report.computed == 0


def test_a_worker_without_a_gpu_is_refused_where_the_plan_is_for_gpus(
    fakes: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_of()
    with pytest.raises(BenchError):
        run(replace(plan, devices=Devices("cuda", ())), fakes / "o", Engine(a="works"))
    assert "device 'cuda' is not visible" in caplog.text


def test_devices_and_provenance_are_the_workers(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {**bench.run.execute.code_provenance(), "cpu": "their processor"}
    monkeypatch.setattr(bench.run.execute, "code_provenance", lambda: theirs)
    plan = replace(plan_of(), devices=Devices("cpu", ()))
    report = run(plan, fakes / "o", Engine(a="works"))
    assert report.failures == []
    for state in report.states:
        assert state.pictures is not None
        assert state.pictures.manifest["provenance"]["cpu"] == "their processor"
    told = provenance(plan, report, 1.0, 1, 8)
    assert (told["devices"], told["cpu"]) == (["cpu"], "their processor")


def test_cells_left_to_the_workers_are_those_that_are_missing(fakes: Path, whole: dict[str, bytes]) -> None:
    engine, config = Engine(a="works", b="blind"), load_config()
    left = config.run.model_copy(update={"out": fakes / "o"})
    assert leave_to(engine, plan_of(), left) == 4 + 1
    workers, function, calls = engine.left
    assert workers == ["a"]
    assert function is there.work_alone
    for task, _ in calls:
        execute(replace(task, parent=os.getpid()))
    assert pictures(fakes / "o") == whole
    assert leave_to(engine, plan_of(), left) == 0


def test_a_cell_left_to_workers_that_are_killed_is_begun_again_as_often_as_its_retries_say(
    fakes: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine, config, begun = Engine(a="works"), load_config(), []

    def killed(task: Task, limit: float | None) -> Outcome:
        begun.append(task.cell.name)
        raise Lost

    monkeypatch.setattr(there, "work", killed)
    engine.again = 1
    leave_to(engine, plan_of(), config.run.model_copy(update={"out": fakes / "o", "retries": 2}))
    (told,) = [record.getMessage() for record in caplog.records]
    assert "at most 1 times" in told
    assert told.endswith("fewer than --retries 2")
    (_, function, ((task, limit), *_)) = engine.left
    for _ in range(3):
        with pytest.raises(Lost):
            function(task, limit)
    function(task, limit)
    assert begun == [task.cell.name] * 3
    assert not list((fakes / "o" / "tmp").iterdir())


# claims


def tasks_of(plan: Plan, out: Path) -> list[Task]:
    return _tasks(_missing(survey(plan.cells, plan, Verified(out)), plan), plan, out, 8, 0)


@pytest.mark.parametrize("other", ["finishes", "dies"])
def test_a_cell_that_another_run_is_at_is_waited_for_and_done_where_that_one_dies(
    fakes: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    plan, out = plan_of(), fakes / "o"
    theirs = plan.cells[1]
    held = claim(theirs, out)
    assert held.__enter__()

    def meanwhile(seconds: float) -> None:
        held.__exit__(None, None, None)
        if other == "finishes":
            execute(next(task for task in tasks_of(plan, out) if task.cell == theirs))

    monkeypatch.setattr(bench.run.runner.time, "sleep", meanwhile)
    report = run_plan(plan, out, 1, 8, "sequential")
    assert report.failures == []
    assert report.computed == {"finishes": 3, "dies": 4}[other]
    assert all(state.pictures is not None and state.scores for state in report.states)
    assert pictures(out) == whole


def test_a_claim_is_one_processs_and_leaves_nothing(fakes: Path) -> None:
    cell, out = plan_of().cells[0], fakes / "o"
    with claim(cell, out) as ours, claim(cell, out) as theirs:
        assert (ours, theirs) == (True, False)
    with claim(cell, out) as again:
        assert again
    assert not list((out / "claims").iterdir())


def test_a_claim_ends_with_its_process_however_that_ends(fakes: Path) -> None:
    cell, out = plan_of().cells[0], fakes / "o"
    (file,) = held_by_nobody(cell, out)
    program = (
        "import filelock, sys, time; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(); time.sleep(3600)"
    )
    with subprocess.Popen([sys.executable, "-uc", program, str(file)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert is_claimed(cell, out)
        other.kill()
    assert file.exists()
    assert not is_claimed(cell, out)
    file.touch()
    clean_claims(out)
    assert not file.exists()


def held_by_nobody(cell: Cell, out: Path) -> list[Path]:
    """The file of a cell's claim."""
    with claim(cell, out):
        return list((out / "claims").iterdir())


# processes


def test_a_cell_over_its_time_limit_is_ended_on_a_worker_too(fakes: Path) -> None:
    plan = plan_of(methods=("fake_hostile:deed=hang",), psnr=(10.0,))
    (task,) = tasks_of(plan, fakes / "o")
    outcome = there.work(task, 20)
    ((what, message, _),) = outcome.failures
    assert what.startswith("fake_hostile:deed=hang on streets")
    assert "it took longer than the time limit of 20 s and was ended" in message


def test_a_killed_process_is_tried_again_and_the_cell_counts_once(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_FAKE_KILLED", str(fakes / "killed"))
    args = ("run", "--methods", "fake_hostile:deed=killed_once", "--psnr", "10", "--out", "o", "--backend", "loky")
    answer = cli(*args)
    assert answer.code == 0, answer.err
    assert "1 cells: 1 computed" in answer.out
    shutil.rmtree(fakes / "o")
    (fakes / "killed").unlink()
    answer = cli(*args, "--retries", "0")
    assert answer.code == 1
    assert "was killed by signal 9 (SIGKILL)" in answer.err
