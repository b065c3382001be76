"""`bench train`: train a method, or the embedded judge, from scratch or from where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import ConfigOption
from bench.errors import UsageError, nearest


def train(
    method: Annotated[str, typer.Argument(help="A method, or `judge`: the segmentation network behind mIoU.")],
    dataset: Annotated[str, typer.Option(help="Data set to train on.")] = "streets",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; without it the recipe's.")] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes of the train split to use.")] = 6000,
    out: Annotated[Path | None, typer.Option(help="Checkpoints and logs; without it runs/train/METHOD.")] = None,
    weights_dir: Annotated[
        Path | None, typer.Option(help="Where the weights go; without it the folder where `bench run` looks first.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Root of a data set that is not embedded.")] = None,
    profile: Annotated[str, typer.Option(help="embedded or paper.")] = "embedded",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; auto takes a GPU where there is one.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of weights, data order and noise.")] = 0,
    time_limit: Annotated[
        float | None, typer.Option(min=1, help="Stop with a checkpoint after so many seconds.")
    ] = None,
    sample_every: Annotated[int, typer.Option(min=0, help="Write a sample sheet every so many steps; 0: none.")] = 1000,
    config: ConfigOption = None,
) -> None:
    """Train METHOD on a data set; the same command continues an interrupted training exactly where it stopped.

    Example: bench train gesco --dataset streets --time-limit 3600
    """
    import torch

    from bench.config import DataSection, load_config
    from bench.device import cores, torch_device
    from bench.scenes.registry import DATASETS, open_dataset
    from bench.training import TrainingRequest, train_target
    from methods.weights import user_weights_dir

    if dataset not in DATASETS:
        raise UsageError(f"unknown data set '{dataset}'{nearest(dataset, DATASETS)}")
    settings = load_config(config)
    data = settings.data.get(dataset, DataSection())
    torch.set_num_threads(threads or cores())
    request = TrainingRequest(
        target=method,
        source=open_dataset(dataset, root, data.size, data.root, data.resize),
        scenes=scenes,
        out=out or Path("runs/train") / method,
        weights_dir=weights_dir or user_weights_dir(),
        profile=profile,
        device=torch_device(device),
        seed=seed,
        steps=steps,
        jobs=threads or cores(),
        time_limit=time_limit,
        sample_every=sample_every,
    )
    path = train_target(request, lambda line: print(line, flush=True))
    if path is None:
        print(f"not finished; run the same command again to continue from {request.out / 'checkpoint.pt'}")
    else:
        print(f"wrote {path}")
