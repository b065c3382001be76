"""What each process of `test_training_distributed.py` runs: `torchrun --nproc-per-node 2 THIS_FILE FOLDER`.

Every training is done whole and in two parts; every process writes the states it ends with, for the test to compare.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from bench.api.errors import MethodError
from bench.api.training.distributed import process_group, ranks
from bench.train.trainer import train
from tests.methods.tiny_training import TinyScenes, TinyTask, run_in, state_of, tiny_gesco


def quiet(line: str) -> None:
    """A report that nobody reads."""


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    results: dict[str, object] = {}
    with process_group(torch.device("cpu")) as here:
        for name, make in (("tiny", TinyTask), ("gesco", tiny_gesco)):
            whole, parts = make(), make()
            gesco = name == "gesco"
            settings = {"checkpoint_gradients": gesco, "validate_every": 3 if gesco else 0}
            run = run_in(folder / f"{name}-whole", 6, **settings)
            summary = train(whole, TinyScenes(), run, {}, quiet, TinyScenes(4))
            train(make(), TinyScenes(), run_in(folder / f"{name}-parts", 6, time_limit=0.0, **settings), {}, quiet)
            train(parts, TinyScenes(), run_in(folder / f"{name}-parts", 6, **settings), {}, quiet, TinyScenes(4))
            results[name] = {"whole": state_of(whole), "parts": state_of(parts), "summary": summary}
            if isinstance(whole, TinyTask):
                results["seen"] = whole.seen

        silent = TinyTask(noise=0.0)
        silent.networks = {"net": silent.networks["net"][0]}  # type: ignore[index] # batch norm would see half a batch
        train(silent, TinyScenes(), run_in(folder / "silent", 4), {}, quiet)
        results["silent"] = state_of(silent)

        try:  # a loss that is not finite on one process stops both, at the same step
            train(
                TinyTask(explode_at=2 if here.rank == 1 else None), TinyScenes(), run_in(folder / "nan", 9), {}, quiet
            )
        except MethodError as error:
            results["error"] = str(error)
    torch.save(results, folder / f"rank{ranks().rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
