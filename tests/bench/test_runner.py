"""The sweep: bit-identical however it is run, resumable after any kill, safe to run twice at once."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bench_fakes
import numpy as np
import pytest
import torch
from conftest import Answer, manifests, pictures
from PIL import Image
from table_frames import all_rows

from bench.api.method import Received, Transmission
from bench.api.scenes import Scene
from bench.run.worker import WORKER
from metrics.fid import FrechetLite0

Cli = Callable[..., Answer]
Start = Callable[..., "subprocess.Popen[str]"]
NETWORK = ("run", "--methods", "fake_network", "--psnr", "100,10", "--seeds", "0,1")


def decoded(out: Path) -> dict[str, np.ndarray]:
    return {name: np.array(Image.open(io.BytesIO(data)), dtype=int) for name, data in pictures(out).items()}


def running(group: int) -> bool:
    """Whether a process group has a living process."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in listed.splitlines()]
    return any(int(pgid) == group and not state.startswith("Z") for pgid, state in found)


def table(cli: Cli, out: str) -> str:
    answer = cli("table", "FakeMSE", "--out", out, "--format", "csv")
    assert answer.code == 0, answer.err
    return answer.out


def test_pictures_are_bit_identical_for_any_jobs_backend_and_order(cli: Cli, fakes: Path) -> None:
    assert cli(*NETWORK, "--out", "one").code == 0
    two = cli(*NETWORK, "--out", "two", "--jobs", "2", "--backend", "loky")
    assert two.code == 0, two.err
    assert cli(*NETWORK, "--out", "threads", "--jobs", "3", "--backend", "threading").code == 0
    turned = ("run", "--methods", "fake_network", "--psnr", "10", "--seeds", "1,0")
    assert cli(*turned, "--out", "turned").code == 0
    one = pictures(fakes / "one")
    assert len(one) == 4 * 3
    assert pictures(fakes / "two") == one
    assert pictures(fakes / "threads") == one
    part = pictures(fakes / "turned")
    assert part == {name: one[name] for name in part}
    assert len(part) == 2 * 3
    assert table(cli, "one") == table(cli, "two")


def test_methods_run_on_one_thread_whatever_the_process_had(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    receive = bench_fakes.FakePixels.receive

    def spy(self: bench_fakes.FakePixels, received: Received, rngs: list[torch.Generator]) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return receive(self, received, rngs)

    monkeypatch.setattr(bench_fakes.FakePixels, "receive", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert cli("run", "--psnr", "10", "--out", "o").code == 0
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


def test_a_receiver_gets_symbols_side_information_and_generators_only(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def spy(self: bench_fakes.FakePixels, received: Received, rngs: list[torch.Generator]) -> torch.Tensor:
        seen.extend([received, *rngs])
        return torch.stack(received.symbols).clamp(0, 1)

    monkeypatch.setattr(bench_fakes.FakePixels, "receive", spy)
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    assert type(seen[0]) is Received
    assert set(vars(seen[0])) == {"symbols", "side_info", "snr_db"}
    assert seen[0].snr_db == ()  # for those who ask for it
    assert all(type(rng) is torch.Generator for rng in seen[1:4])
    assert len(seen) == (1 + 3) + (1 + 1)  # one batch, and one scene of it again


BROKEN_PICTURES = {
    "float64": (lambda p: p.double(), "pictures of type torch.float64, not float32"),
    "complex": (lambda p: p.to(torch.complex64), "pictures of type torch.complex64, not float32"),
    "bytes": (lambda p: (p * 255).byte(), "pictures of type torch.uint8, not float32"),
    "0..255": (lambda p: p * 255, "outside [0, 1]"),
    "-1..1": (lambda p: p * 2 - 1, "outside [0, 1]"),
}


@pytest.mark.parametrize("fault", BROKEN_PICTURES)
def test_pictures_are_float32_in_zero_to_one(cli: Cli, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    spoil, message = BROKEN_PICTURES[fault]
    monkeypatch.setattr(
        bench_fakes.FakePixels, "receive", lambda self, received, rngs: spoil(torch.stack(received.symbols).clamp(0, 1))
    )
    answer = cli("run", "--psnr", "10", "--out", "o")
    assert answer.code == 1
    assert message in answer.err


BROKEN_COSTS = {
    "a picture beside the symbols": ({"side_info": ({"picture": 1},) * 3}, "side information that is a dict"),
    "negative bits": ({"bits": (-7,) * 3}, "bits -7; they have to be an integer, 0 or more"),
    "bits that are no number": ({"bits": (True,) * 3}, "bits True"),
    "half a bit": ({"bits": (0.5,) * 3}, "bits 0.5"),
    "symbols in float64": ({"symbols": (torch.zeros(3, 4, 4).double(),) * 3}, "symbols of type torch.float64"),
}


@pytest.mark.parametrize("fault", BROKEN_COSTS)
def test_costs_that_make_no_sense_are_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    changes, message = BROKEN_COSTS[fault]
    send = bench_fakes.FakePixels.send
    monkeypatch.setattr(bench_fakes.FakePixels, "send", lambda self, scene: replace(send(self, scene), **changes))
    answer = cli("run", "--psnr", "10", "--out", "o")
    assert answer.code == 1
    assert message in answer.err


def test_side_information_is_counted_by_the_harness(cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send = bench_fakes.FakePixels.send
    costs = {}
    for extra in (0, 100):

        def sent(self: bench_fakes.FakePixels, scene: Scene, side: bytes = b"x" * extra) -> Transmission:
            return replace(send(self, scene), side_info=(side,) * len(scene))

        monkeypatch.setattr(bench_fakes.FakePixels, "send", sent)
        assert cli("run", "--psnr", "10", "--out", f"o{extra}").code == 0
        rows = all_rows(fakes / f"o{extra}")
        costs[extra] = rows[(rows["metric"] == "bits") & (rows["scene"] == "all")]["value"].item()
    assert costs[100] == costs[0] + 800


def test_another_batch_size_moves_no_pixel_by_more_than_one(cli: Cli, fakes: Path) -> None:
    for size in ("1", "2", "8"):
        assert cli(*NETWORK, "--batch-size", size, "--out", f"b{size}").code == 0
    whole = decoded(fakes / "b8")
    for size in ("1", "2"):
        other = decoded(fakes / f"b{size}")
        assert other.keys() == whole.keys()
        assert max(np.abs(other[name] - whole[name]).max() for name in whole) <= 1


def test_methods_that_send_the_same_meet_the_same_noise(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--methods", "fake_pixels,fake_slow", "--psnr", "10", "--out", "o").code == 0
    found = pictures(fakes / "o")
    first = [data for name, data in found.items() if "/fake_pixels/" in name]
    second = [data for name, data in found.items() if "/fake_slow/" in name]
    assert len(first) == 3
    assert first == second
    assert len(set(first)) == 3


def test_a_kill_loses_no_finished_cell_and_changes_no_number(cli: Cli, start: Start, fakes: Path) -> None:
    sweep = ("run", "--methods", "fake_pixels,fake_slow", "--psnr", "all")
    parallel = ("--backend", "loky", "--jobs", "2")
    out = fakes / "killed"
    process = start(*sweep, *parallel, "--out", "killed", BENCH_FAKE_HALTS_IN=str(out))
    while len(list(fakes.glob("killed-halted-*"))) < 2:  # two slow cells are finished, and both workers in another one
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    while running(process.pid):  # its workers notice and end as well, in the middle of what they do
        time.sleep(0.1)
    process.communicate()
    finished = manifests(out)
    assert 2 <= len(finished) < 14
    resumed = cli(*sweep, "--out", "killed")
    assert resumed.code == 0, resumed.err
    assert "damaged" not in resumed.err
    assert f"{14 - len(finished)} computed, {len(finished)} from the cache" in resumed.out
    after = manifests(out)
    assert {name: after[name] for name in finished} == finished
    assert list((out / "tmp").iterdir()) == []
    assert cli(*sweep, "--out", "whole").code == 0
    assert table(cli, "killed") == table(cli, "whole")
    assert pictures(out) == pictures(fakes / "whole")


def test_two_runs_at_once_into_one_cache_do_no_harm(cli: Cli, start: Start, fakes: Path) -> None:
    sweep = ("run", "--methods", "fake_slow", "--psnr", "all", "--out", "shared")
    both = [start(*sweep, BENCH_FAKE_SECONDS="0.1") for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert not any("damaged" in err or "Traceback" in err for _, err in said)
    assert sum(int(re.search(r"7 cells: (\d) computed", out)[1]) for out, _ in said) == 7  # shared, not doubled
    again = cli(*sweep)
    assert "0 computed, 7 from the cache" in again.out
    assert list((fakes / "shared" / "tmp").iterdir()) == []
    assert cli(*sweep[:-1], "alone").code == 0
    assert table(cli, "shared") == table(cli, "alone")


@pytest.mark.parametrize("which", ["pack.zip", "manifest.json"])
def test_a_flipped_byte_is_reported_and_only_that_cell_computed_again(cli: Cli, fakes: Path, which: str) -> None:
    sweep = ("run", "--psnr", "10,5", "--out", "o")
    assert cli(*sweep).code == 0
    before = pictures(fakes / "o")
    victim = sorted((fakes / "o" / "cells").rglob(which))[0]
    damaged = bytearray(victim.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    victim.write_bytes(damaged)
    again = cli(*sweep)
    assert again.code == 0
    assert "1 computed, 1 from the cache" in again.out
    assert again.err.count("warning: damaged cache entry") == 1
    assert victim.name in again.err
    assert pictures(fakes / "o") == before


def test_a_flipped_byte_in_a_measurement_costs_only_the_measurement(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    before = table(cli, "o")
    victim = next((fakes / "o" / "metrics").rglob("arrays.npz"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"\0\0")
    again = cli("run", "--psnr", "10", "--out", "o")
    assert "0 computed, 1 from the cache" in again.out
    assert "arrays.npz" in again.err
    assert table(cli, "o") == before


def test_another_metric_is_measured_on_the_cached_pictures(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    more = cli("run", "--psnr", "10", "--metrics", "FakeMSE,FakeFID", "--out", "o")
    assert "0 computed, 1 from the cache" in more.out
    assert cli("table", "FakeFID", "--out", "o").code == 0


def test_originals_are_looked_at_once_for_all_runs_into_a_folder_and_scores_stay(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract, looked = FrechetLite0._extract, []

    def counted(metric: FrechetLite0, pictures: torch.Tensor) -> torch.Tensor:
        looked.append(len(pictures))
        return extract(metric, pictures)

    def pictures_looked_at(psnr: str, out: str) -> int:
        WORKER._metrics.clear()  # as in another process
        WORKER.measured.clear()
        looked.clear()
        asked = ("--psnr", psnr, "--scenes", "2", "--metrics", "FID[lite0]", "--out", out)
        assert cli("run", *asked).code == 0
        return sum(looked)

    monkeypatch.setattr(FrechetLite0, "_extract", counted)
    assert pictures_looked_at("10", "o") == 2 + 2 + 2  # the method's, the noise reference's and the originals
    assert pictures_looked_at("1", "o") == 2
    assert pictures_looked_at("1", "fresh") == 2 + 2 + 2
    found = sorted((fakes / "fresh" / "metrics").rglob("arrays.npz"))
    assert len(found) == 2
    for file in found:
        assert (fakes / "o" / file.relative_to(fakes / "fresh")).read_bytes() == file.read_bytes()


def test_one_failing_method_costs_no_other_cell(cli: Cli, fakes: Path) -> None:
    answer = cli("run", "--methods", "fake_faulty,fake_pixels", "--psnr", "10", "--out", "o")
    assert answer.code == 1
    assert "failed: fake_faulty on streets, awgn-paper-peak@10, seed 0: KeyError: 'raise'" in answer.err
    assert "Traceback (most recent" not in answer.err
    assert "KeyError" in (fakes / "o" / "failures.log").read_text()
    assert "fake_pixels" in table(cli, "o")
    assert "fake_faulty" not in table(cli, "o")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("loud", "with amplitude 2; the limit is 1"),
        ("nan", "returned pictures with NaN or infinite values"),
        ("shape", "returned pictures of shape (3, 3, 31, 64), not (3, 3, 32, 64)"),
    ],
)
def test_a_method_that_breaks_the_contract_is_told_how(cli: Cli, fakes: Path, fault: str, told: str) -> None:
    answer = cli("run", "--methods", f"fake_faulty:fault={fault}", "--psnr", "100", "--out", "o")
    assert answer.code == 1
    assert told in answer.err
    assert manifests(fakes / "o") == {}


def test_a_metric_that_cannot_measure_is_named_once_and_left_out(cli: Cli) -> None:
    answer = cli("run", "--metrics", "FakeMisfit,FakeLate,FakeMSE", "--psnr", "10,5", "--out", "o")
    assert answer.code == 0
    assert answer.err.count("no judge for streets") == 1
    assert answer.err.count("these scenes lack what it needs") == 1


def test_a_full_disk_stops_the_run_and_names_the_file(cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    answer = cli("run", "--psnr", "10,5", "--out", "o")
    assert answer.code == 1
    assert "pack.zip: the disk is full; free some space or choose another folder with --out" in answer.err
    assert [line[:6] for line in answer.err.splitlines()] == ["0 of 2", "error:"]
    assert manifests(fakes / "o") == {}
    assert list((fakes / "o" / "tmp").iterdir()) == []


def test_workers_share_the_devices_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import uuid

    from bench.api.device import Devices
    from bench.run.worker import Worker

    devices = Devices("cuda", ("cuda:0", "cuda:1"))
    run_id = f"test-{uuid.uuid4().hex}"
    workers = [Worker() for _ in range(3)]
    given = [worker.device(devices, run_id) for worker in workers]
    assert given == ["cuda:0", "cuda:1", "cuda:0"]
    assert workers[1].device(devices, run_id) == "cuda:1"
