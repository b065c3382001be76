"""What each process of two machines runs: `torchrun --nnodes 2 --nproc-per-node 1 ... THIS_FILE FOLDER`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import torch

from bench.api.training.distributed import process_group
from bench.train.trainer import train
from tests.methods.tiny_training import TinyScenes, TinyTask, run_in, state_of


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    task = TinyTask()
    with process_group(torch.device("cpu")) as here:
        train(task, TinyScenes(), run_in(folder / "run", 6), {}, lambda line: None, TinyScenes(4))
    torch.save({"state": state_of(task), "here": asdict(here)}, folder / f"rank{here.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
