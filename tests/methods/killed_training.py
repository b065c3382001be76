"""A training that kills itself: `python THIS_FILE FOLDER STEP` sends this process SIGKILL in the middle of STEP."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from bench.api.scenes import Scene
from bench.train.trainer import train
from methods.gesco.task import GescoTask
from tests.methods.tiny_training import TinyScenes, run_in, tiny_gesco


def deadly(step: int) -> GescoTask:
    """The tiny GESCO, which does not survive `step`."""
    task = tiny_gesco()
    original = task.step

    def deadly_step(scene: Scene, generator: torch.Generator, at: int) -> dict[str, float]:
        losses = original(scene, generator, at)
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return losses

    task.step = deadly_step  # type: ignore[method-assign]
    return task


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(deadly(int(sys.argv[2])), TinyScenes(), run_in(Path(sys.argv[1]), log_every=2), {}, lambda line: None)
