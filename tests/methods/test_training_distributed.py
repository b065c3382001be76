"""Two processes train one model: equal on both, exact on resume, and the same as one process with the whole batch.

On the CPU with gloo. What NCCL and `SyncBatchNorm` do on GPUs is PyTorch's; that the trainer runs there is a test
that needs one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.training.batches import rank_order
from bench.api.training.distributed import Ranks, rank_device, ranks
from bench.train.trainer import train
from tests.methods.tiny_training import TinyScenes, TinyTask, run_in, scalars, state_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have trained (see `distributed_training.py`)."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(Path(__file__).with_name("distributed_training.py")), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> list[dict[str, Any]]:
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["tiny", "gesco"])
def test_both_processes_end_with_the_same_networks_and_averages(results: list[dict[str, Any]], name: str) -> None:
    assert same(results[0][name]["whole"], results[1][name]["whole"])


@pytest.mark.parametrize("name", ["tiny", "gesco"])
def test_a_resumed_training_equals_an_uninterrupted_one(results: list[dict[str, Any]], name: str, folder: Path) -> None:
    for result in results:
        assert same(result[name]["whole"], result[name]["parts"])
    assert scalars(folder / f"{name}-whole") == scalars(folder / f"{name}-parts")


def test_each_process_sees_its_own_share_of_the_global_batch(results: list[dict[str, Any]]) -> None:
    for rank, result in enumerate(results):
        expected = [tuple(map(str, rank_order(10, 4, step, 3, rank, 2))) for step in range(6)]
        assert result["seen"] == expected
        assert result["tiny"]["summary"]["images_seen"] == 6 * 4 * 2
        assert result["tiny"]["summary"]["processes"] == 2


def test_two_processes_equal_one_with_both_batches(results: list[dict[str, Any]], tmp_path: Path) -> None:
    alone = TinyTask(noise=0.0)
    alone.networks = {"net": alone.networks["net"][0]}  # type: ignore[index]
    alone.batch_size = 8
    train(alone, TinyScenes(), run_in(tmp_path, 4), {}, lambda line: None)
    for key, value in state_of(alone).items():
        torch.testing.assert_close(results[0]["silent"][key], value, rtol=1e-5, atol=1e-6)


def test_two_machines_that_meet_at_an_address_train_what_one_with_two_processes_does(
    results: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Each is a `torchrun` of its own here, which find each other over the loopback address only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    command += ["--rdzv-backend", "c10d", "--rdzv-id", "test", "--rdzv-endpoint", meeting]
    command += [str(Path(__file__).with_name("two_machines.py")), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    machines = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [machine.communicate()[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    ends = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    for rank, end in enumerate(ends):
        assert end["here"] == {"rank": rank, "world": 2, "local": 0, "local_world": 1}
        assert same(end["state"], results[0]["tiny"]["whole"])


def test_a_loss_that_is_not_finite_on_one_process_stops_all(results: list[dict[str, Any]]) -> None:
    assert results[0]["error"] == results[1]["error"]
    assert "not finite at step 2" in results[0]["error"]


def test_the_first_process_alone_writes(folder: Path) -> None:
    names = {path.name for path in (folder / "gesco-whole").iterdir()}
    assert names == {"checkpoint.pt", "checkpoint.previous.pt", "tensorboard"}
    assert len(list((folder / "gesco-whole" / "tensorboard").iterdir())) == 1
    assert [step for step, _ in scalars(folder / "gesco-whole")["val/loss"]] == [3, 6]


def test_a_checkpoint_of_two_processes_is_not_continued_by_one(folder: Path) -> None:
    with pytest.raises(MethodError, match="processes was 2, now None"):
        train(TinyTask(), TinyScenes(), run_in(folder / "tiny-whole", 6), {}, lambda line: None)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    here = Ranks(rank=1, world=2, local=1, local_world=2)
    assert rank_device(torch.device("cuda:0"), here) == torch.device("cuda:1")
    assert rank_device(torch.device("cpu"), here) == torch.device("cpu")
    with pytest.raises(MethodError, match=r"shows 2 GPU.*--nproc-per-node 2"):
        rank_device(torch.device("cuda:0"), Ranks(rank=3, world=4, local=3, local_world=4))


def test_torchruns_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks() == Ranks(0, 1, 0, 1)
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert ranks() == Ranks(5, 8, 1, 4)
    assert not ranks().first
    monkeypatch.setenv("RANK", "five")
    with pytest.raises(MethodError, match="RANK='five'"):
        ranks()
