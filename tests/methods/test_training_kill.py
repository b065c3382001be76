"""kill -9 in the middle of a training: what is resumed equals what was never interrupted, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from bench.train.trainer import train
from tests.methods.tiny_training import TinyScenes, run_in, scalars, state_of, tiny_gesco

ROOT = Path(__file__).parents[2]


def test_a_killed_training_has_the_loss_curve_of_an_uninterrupted_one(tmp_path: Path) -> None:
    """Log lines every two steps and checkpoints every five: the kill and the checkpoint fall into half-full windows."""
    script = str(Path(__file__).with_name("killed_training.py"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, script, str(tmp_path / "killed"), "13"], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["step"] == 10

    time.sleep(1.1)  # TensorBoard reads its files in the order of their names, which begin with whole seconds
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    resumed, whole = tiny_gesco(seed=9), tiny_gesco()
    try:
        train(resumed, TinyScenes(), run_in(tmp_path / "killed", log_every=2), {}, lambda line: None)
        train(whole, TinyScenes(), run_in(tmp_path / "whole", log_every=2), {}, lambda line: None)
    finally:
        torch.set_num_threads(threads)
    expected, found = state_of(whole), state_of(resumed)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    curves = [scalars(tmp_path / name) for name in ("killed", "whole")]
    assert curves[0] == curves[1]
    assert [step for step, _ in curves[0]["loss"]] == list(range(2, 21, 2))
