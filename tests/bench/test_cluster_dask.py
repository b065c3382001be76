"""A real scheduler, and workers with folders of their own: the same bytes as one machine, whatever is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import Answer, manifests, pictures
from dask_processes import Dask
from table_frames import all_rows

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

Cli = Callable[..., Answer]
Start = Callable[..., "subprocess.Popen[str]"]
SWEEP = (
    "run", "--methods", "fake_network,fake_slow", "--psnr", "100,10,1", "--scenes", "4",
    "--metrics", "FakeMSE,FakeRatio",
)  # fmt: skip
CELLS = 6


@pytest.fixture
def dask(fakes: Path, tmp_path: Path) -> Iterator[Dask]:
    running = Dask(tmp_path / "dask", 2)
    yield running
    running.end()


def rows(out: Path) -> pd.DataFrame:
    """What a run measured, without what it cost."""
    frame = all_rows(out)
    frame = frame[~frame["metric"].isin(["seconds", "memory"])]
    return frame.sort_values(["method", "psnr", "metric", "scene"]).reset_index(drop=True)


def same(cli: Cli, fakes: Path, out: str) -> None:
    """The run in `out` gave what one machine gives, byte for byte."""
    assert cli(*SWEEP, "--out", "alone").code == 0
    assert pictures(fakes / out) == pictures(fakes / "alone")
    assert len(pictures(fakes / out)) == CELLS * 4
    pd.testing.assert_frame_equal(rows(fakes / out), rows(fakes / "alone"), check_exact=True)


def until_cells(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    while len(manifests(out)) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_two_workers_give_what_one_machine_gives_though_one_is_killed(
    cli: Cli, start: Start, fakes: Path, dask: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = start(*SWEEP, "--out", "o", "--cluster", dask.address)
    until_cells(fakes / "o", 1, driver)
    dask.workers[0].kill()
    dask.add()
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    assert f"{CELLS} cells: {CELLS} computed, 0 from the cache" in out
    assert re.search(rf"{CELLS} of {CELLS} cells, in .*, [0-9.]+ scenes/s, [12] workers?, 0 failed", err)
    assert "Traceback" not in err
    same(cli, fakes, "o")
    assert not list((fakes / "o" / "tmp").iterdir())
    assert not list((fakes / "o" / "claims").iterdir())


def test_without_its_scheduler_a_run_ends_with_the_way_on(cli: Cli, start: Start, fakes: Path, dask: Dask) -> None:
    driver = start(*SWEEP, "--out", "o", "--cluster", dask.address, BENCH_FAKE_SECONDS="0.2")
    until_cells(fakes / "o", 1, driver)
    dask.scheduler.kill()
    _, err = driver.communicate()
    assert driver.returncode == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"error: the scheduler at {dask.address} is gone; finished cells are kept. Start it again")
    assert "Traceback" not in err
    assert cli(*SWEEP, "--out", "o").code == 0
    same(cli, fakes, "o")


def test_cells_left_to_the_workers_are_gathered_by_the_same_command(
    cli: Cli, start: Start, fakes: Path, dask: Dask
) -> None:
    command = (*SWEEP, "--out", "o", "--cluster", dask.address, "--detach")
    left = cli(*command)
    assert left.code == 0, left.err
    assert f"{CELLS + 1} cells and references are left to {dask.address}" in left.out
    assert not (fakes / "o" / "rows").exists()
    while len(list((fakes / "o" / "metrics").glob("*/*/*/*/manifest.json"))) < 2 * CELLS + 2:
        time.sleep(0.1)
    gathered = cli(*SWEEP, "--out", "o", "--cluster", dask.address)
    assert gathered.code == 0, gathered.err
    assert f"{CELLS} cells: 0 computed, {CELLS} from the cache" in gathered.out
    same(cli, fakes, "o")


def test_slurm_is_asked_for_workers_as_the_file_says(
    cli: Cli, fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sbatch` is a script here that starts the job at once."""
    tools = tmp_path / "bin"
    tools.mkdir()
    asked = tmp_path / "asked"
    begin = f'cp "$1" {tmp_path}/job\nsetsid bash {tmp_path}/job > {tmp_path}/job.log 2>&1 &'
    texts = {
        "sbatch": f'[ "$1" = --test-only ] && exit\ncat "$1" >> {asked}\n{begin}\necho "Submitted batch job $!"\n',
        "scancel": 'pkill -9 -s "$1"\n',
    }
    for name, text in texts.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    toml = (fakes / "bench.toml").read_text()
    (fakes / "bench.toml").write_text(f'{toml}\n[cluster]\nqueue = "fat"\nwalltime = "00:20:00"\ncores = 2\n')
    answer = cli(*SWEEP, "--out", "o", "--cluster", "slurm", "--jobs", "1")
    assert answer.code == 0, answer.err
    assert {"#SBATCH -p fat", "#SBATCH -t 00:20:00", "#SBATCH --cpus-per-task=2"} <= set(asked.read_text().splitlines())
    same(cli, fakes, "o")


def test_a_job_that_slurm_does_not_take_ends_the_run_with_what_was_asked(
    cli: Cli, fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").write_text("#!/bin/bash\necho 'no such partition' >&2\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (fakes / "bench.toml").write_text(f'{(fakes / "bench.toml").read_text()}\n[cluster]\nqueue = "fat"\n')
    answer = cli(*SWEEP, "--out", "o", "--cluster", "slurm", "--jobs", "1")
    assert answer.code == 1
    last = answer.err.splitlines()[-8:]
    assert "error: SLURM does not take a worker's job: no such partition" in last
    assert "  #SBATCH -p fat" in last
    assert "Traceback" not in answer.err


def test_an_interrupt_stays_one_when_slurm_is_named(tmp_path: Path) -> None:
    program = (
        "import signal\nfrom bench.config import Config\nfrom bench.run.cluster import connected\n"
        "run = Config().run.model_copy(update={'cluster': 'slurm', 'jobs': 1})\n"
        "with connected(Config(run=run)):\n    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    )
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    done = subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "True\n", done.stderr
