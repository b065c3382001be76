"""Anyone's code fails alone: whatever a plug-in does costs its own cells, is named, and leaves with exit code 1."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bench_fakes
import pytest
from conftest import Answer, manifests

from bench.api.errors import MethodFault, MetricFault
from bench.api.metric import Score
from bench.api.registry import METHODS, METRICS
from bench.api.scores import ScoreInfo
from bench.config import RunSection
from bench.run.process import Ended, WorkerProcess
from bench.run.trial import Trial

Cli = Callable[..., Answer]
Start = Callable[..., "subprocess.Popen[str]"]
APART = ("--backend", "loky", "--jobs", "1")


def run(*methods: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    return ("run", "--methods", ",".join(methods), "--psnr", "10", "--scenes", "2", "--out", "o", *more)


def table(cli: Cli, metric: str = "FakeMSE") -> str:
    answer = cli("table", metric, "--out", "o", "--format", "csv")
    assert answer.code == 0, answer.err
    return answer.out


def fail_alone(cli: Cli, answer: Answer, expected: dict[str, str]) -> None:
    """Each failure is named with its reason in one line, and no other; the sound method is in the table."""
    assert answer.code == 1, answer.out + answer.err
    told = sorted(line for line in answer.err.splitlines() if line.startswith("failed: "))
    assert len(told) == len(expected), answer.err
    for line, (what, why) in zip(told, sorted(expected.items()), strict=True):
        assert line.startswith(f"failed: {what}")
        assert why in line
    assert "Traceback (most recent" not in answer.err
    assert "fake_pixels" in table(cli)
    assert "fake_hostile" not in table(cli)


EXIT = "it ended its worker process, with exit code 0"


def test_a_method_that_ends_its_process_costs_its_own_cell_only(cli: Cli, fakes: Path) -> None:
    answer = cli(*run("fake_hostile:deed=exit", "fake_pixels", more=APART))
    fail_alone(cli, answer, {"fake_hostile:deed=exit on streets": EXIT})
    assert "2 cells: 1 computed" in answer.out
    assert list((fakes / "o" / "tmp").iterdir()) == []


@pytest.mark.slow
def test_methods_that_end_their_process_in_any_way_and_place_cost_their_own_cells_only(cli: Cli, fakes: Path) -> None:
    """While they run, while they are built, and while they are asked who they are."""
    expected = {
        "fake_hostile:deed=exit on streets": EXIT,
        "fake_hostile:deed=killed on streets": "its worker process was killed by signal 9 (SIGKILL), most likely for",
        "fake_hostile:deed=interrupt on streets": "it raised KeyboardInterrupt",
        "fake_hostile:at=built:deed=exit on streets": f"cannot be imported and built: {EXIT}",
        "fake_hostile:at=identity:deed=exit on streets": f"cannot be imported and built: {EXIT}",
    }
    specs = [what.partition(" on ")[0] for what in expected]
    fail_alone(cli, cli(*run(*specs, "fake_pixels", more=("--backend", "loky", "--jobs", "2"))), expected)
    assert list((fakes / "o" / "tmp").iterdir()) == []


@pytest.mark.slow
def test_what_hangs_is_ended_after_the_time_limit_and_the_others_run(cli: Cli) -> None:
    over = "it took longer than the time limit of 20 s and was ended"
    specs = ("fake_hostile:deed=hang", "fake_hostile:at=built:deed=hang")
    answer = cli(*run(*specs, "fake_pixels", more=(*APART, "--time-limit", "20")))
    fail_alone(cli, answer, {f"{spec} on streets": over for spec in specs})


@pytest.mark.parametrize("place", ["built", "identity"])
@pytest.mark.parametrize("deed", ["raise", "sysexit"])
def test_a_constructor_or_identity_that_raises_costs_its_method_only(cli: Cli, place: str, deed: str) -> None:
    why = {"raise": "RuntimeError: its own trouble", "sysexit": "SystemExit: 0"}
    spec = f"fake_hostile:at={place}:deed={deed}"
    fail_alone(cli, cli(*run(spec, "fake_pixels")), {f"{spec} on streets": why[deed]})


def test_an_identity_that_is_no_json_costs_its_method_only(cli: Cli) -> None:
    answer = cli(*run("fake_hostile:deed=set", "fake_pixels"))
    fail_alone(cli, answer, {"fake_hostile:deed=set on streets": "identity() is not JSON data"})


def test_an_identity_with_a_tuple_is_found_again_in_the_cache(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = bench_fakes.FakePixels.identity
    monkeypatch.setattr(bench_fakes.FakePixels, "identity", lambda self: {**identity(self), "levels": (1, 2)})
    assert cli(*run("fake_pixels")).code == 0
    assert "fake_pixels" in table(cli)
    assert "0 computed, 1 from the cache" in cli(*run("fake_pixels")).out


@pytest.mark.parametrize("deed", ["permission", "full"])
@pytest.mark.parametrize("place", ["sent", "received"])
def test_a_methods_own_storage_error_is_not_taken_for_the_harness_s(cli: Cli, place: str, deed: str) -> None:
    spec = f"fake_hostile:at={place}:deed={deed}"
    why = {"permission": "PermissionError: [Errno 13]", "full": "OSError: [Errno 28]"}
    fail_alone(cli, cli(*run(spec, "fake_pixels")), {f"{spec} on streets": why[deed]})


def test_nothing_left_to_run_is_a_failure_not_a_wrong_request(cli: Cli) -> None:
    answer = cli(*run("fake_hostile:at=built"))
    assert answer.code == 1
    assert "nothing can run: fake_hostile:at=built on streets" in answer.err
    assert "RuntimeError: its own trouble" in answer.err


def test_a_metric_that_ends_its_process_costs_neither_pictures_nor_other_metrics(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_FAKE_METRIC", "measured:exit")
    answer = cli(*run("fake_pixels", more=("--metrics", "FakeLate,FakeHostile,FakeMSE", *APART)))
    assert answer.code == 1
    assert "1 computed" in answer.out
    assert "left out: FakeLate: these scenes lack what it needs" in answer.err
    told = [line for line in answer.err.splitlines() if line.startswith("failed: ")]
    assert len(told) == 2, answer.err  # the cell's, and that of the reference of pure noise
    assert all("FakeHostile of " in line and EXIT in line for line in told)
    assert "fake_pixels" in table(cli)
    assert list((fakes / "o" / "tmp").iterdir()) == []


@pytest.mark.parametrize("place", ["built", "identity", "measured", "summarised", "scenes"])
@pytest.mark.parametrize("deed", ["raise", "sysexit"])
def test_a_metric_that_raises_costs_no_other_metric(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, place: str, deed: str
) -> None:
    monkeypatch.setenv("BENCH_FAKE_METRIC", f"{place}:{deed}")
    answer = cli(*run("fake_pixels", more=("--metrics", "FakeHostile,FakeMSE")))
    assert answer.code == 1
    assert {"raise": "RuntimeError: its own trouble", "sysexit": "SystemExit: 0"}[deed] in answer.err
    assert "failed: FakeHostile" in answer.err
    assert "fake_pixels" in table(cli)


@pytest.mark.parametrize(("name", "giver"), [("FakeMSE", "FakeMSE"), ("bits", "the harness")])
def test_a_metric_that_takes_the_name_of_another_score_fails_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, giver: str
) -> None:
    monkeypatch.setattr(bench_fakes.FakeRatio, "scores", (ScoreInfo(name, False),))
    monkeypatch.setattr(bench_fakes.FakeRatio, "summarise", lambda self, measured: [Score(name, 0.5, None, 2)])
    monkeypatch.setattr(bench_fakes.FakeRatio, "resampled", classmethod(lambda cls, measured, counts: {}))
    monkeypatch.setattr(bench_fakes.FakeRatio, "scores", (ScoreInfo(name, False),))
    for _ in range(2):  # from the cache, too
        answer = cli(*run("fake_pixels", more=("--metrics", "FakeMSE,FakeRatio")))
        assert answer.code == 1
        assert answer.err.count("failed: ") == 1
        assert f"failed: FakeRatio: its score '{name}' has the name of one that {giver} gives" in answer.err
        assert "fake_pixels" in table(cli)


def test_the_doctor_names_plug_ins_that_break(cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_fakes.FakePixels, "weights_digest", lambda self: bench_fakes._misdeed("sysexit"))
    monkeypatch.setenv("BENCH_FAKE_METRIC", "identity:raise")
    answer = cli("doctor")
    assert "fake_pixels: fake_pixels cannot be told from others: SystemExit: 0" in answer.out
    assert "FakeHostile: FakeHostile cannot be told from others: RuntimeError: its own trouble" in answer.out


def test_a_time_limit_needs_workers_that_can_be_ended(cli: Cli) -> None:
    answer = cli(*run("fake_pixels", more=("--time-limit", "5")))
    assert answer.code == 2
    assert "a time limit needs the backend loky" in answer.err


def test_a_time_limit_stands_in_bench_toml_too(cli: Cli, fakes: Path) -> None:
    toml = fakes / "bench.toml"
    toml.write_text(toml.read_text().replace("jobs = 1", "jobs = 1\ntime_limit = 5"))
    assert "a time limit needs the backend loky" in cli(*run("fake_pixels")).err
    toml.write_text(toml.read_text().replace("time_limit = 5", "time_limit = 0"))
    answer = cli(*run("fake_pixels"))
    assert answer.code == 2
    assert "run.time_limit" in answer.err


def test_an_interrupt_keeps_finished_cells_and_ends_the_workers(start: Start, fakes: Path) -> None:
    process = start(*run("fake_pixels", "fake_hostile:deed=hang", more=("--backend", "loky", "--jobs", "2")))
    try:
        while not any("/fake_pixels/" in name for name in manifests(fakes / "o")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        _, err = process.communicate(timeout=3000)  # before the hour is over that the worker hangs: it was killed
    finally:
        process.kill()
    assert process.returncode == 1
    assert err.strip().splitlines()[-1].startswith("error: interrupted; finished cells are kept")
    assert "Traceback" not in err
    assert list((fakes / "o" / "tmp").iterdir()) == []


def test_what_a_method_prints_is_not_in_the_answer(cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = bench_fakes.FakePixels.receive

    def chatty(self: bench_fakes.FakePixels, *arguments: object) -> object:
        print("chatter")
        return receive(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench_fakes.FakePixels, "receive", chatty)
    answer = cli(*run("fake_pixels"))
    assert answer.code == 0
    assert "chatter" in answer.err
    assert "chatter" not in answer.out


def test_a_worker_process_is_replaced_after_it_ended(fakes: Path) -> None:
    worker = WorkerProcess()
    try:
        first = worker.call(os.getpid)
        assert worker.call(os.getpid) == first != os.getpid()
        with pytest.raises(Ended, match="with exit code 7"):
            worker.call(os._exit, 7)
        assert worker.call(os.getpid) not in (first, os.getpid())
        with pytest.raises(ValueError, match="invalid literal"):
            worker.call(int, "x")
        with pytest.raises(Ended, match="it raised KeyboardInterrupt"):
            worker.call(bench_fakes._misdeed, "interrupt")  # no interrupt of ours
    finally:
        worker.close()


def test_a_worker_process_is_closed_quietly_as_soon_as_it_has_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    for _ in range(20):
        worker = WorkerProcess()
        worker.call(os.getpid)
        worker.start(time.sleep, 3600)
        worker.close()
    assert failed == []


def test_a_call_over_its_time_limit_is_ended_and_the_start_of_its_process_does_not_count() -> None:
    worker = WorkerProcess(0.5)
    try:
        with pytest.raises(Ended, match=r"it took longer than the time limit of 0\.5 s and was ended"):
            worker.call(time.sleep, 3600)
    finally:
        worker.close()


def test_a_plug_in_is_tried_in_a_process_of_its_own_and_a_method_of_ours_is_not() -> None:
    with Trial(RunSection()) as trial:
        with pytest.raises(MethodFault, match="'theirs' cannot be imported and built: it ended its worker process"):
            trial(METHODS, "theirs", os._exit, 0)
        with pytest.raises(MetricFault, match="'theirs' cannot be imported and built"):
            trial(METRICS, "theirs", os._exit, 0)
        assert trial(METHODS, "theirs", os.getpid) != os.getpid() == trial(METHODS, "gesco", os.getpid)
        assert trial(METRICS, "mIoU", os.getpid) == os.getpid()
    with Trial(RunSection(backend="sequential")) as trial:
        assert trial(METHODS, "theirs", os.getpid) == os.getpid()


def test_work_below_pytorch_has_one_thread_a_worker_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    worker = WorkerProcess()
    try:
        assert worker.call(os.getenv, "MKL_NUM_THREADS") == "1"
        assert worker.call(os.getenv, "OMP_NUM_THREADS") == "3"
    finally:
        worker.close()
