"""`bench train`: train a method, or a network that metrics ask, from scratch or from where it stopped."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.api.errors import UsageError, known_name
from bench.api.registry import METHODS
from bench.api.terminal import say
from bench.cli.options import ConfigOption

WHAT = (
    "A method, or a network that metrics ask: segmenter, detector (where classes are things) or depth (where there "
    "are depth maps). On a data set for which none is known the metric asks it from then on."
)


def train(
    method: Annotated[str, typer.Argument(help=WHAT)],
    dataset: Annotated[str, typer.Option(help="Data set to train on: a name, or folder:PATH.")] = "streets",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; without it the recipe's.")] = None,
    scenes: Annotated[
        int | None,
        typer.Option(min=1, help="Scenes of the train split to use; without it all, or 6000 of rendered ones."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Checkpoints and logs; without it runs/train/METHOD-DATASET.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the weights are called, in METHOD:weights=NAME; without it `own`.")
    ] = None,
    weights_dir: Annotated[
        Path | None, typer.Option(help="The folder of the weights; without it one called NAME among the user's.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="What gesco_fast and sdm_fast learn from: weights of gesco or sdm, the file or its folder; without "
            "it those that ship."
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Root of a data set that is not embedded.")] = None,
    profile: Annotated[str, typer.Option(help="embedded or paper.")] = "embedded",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; auto takes a GPU where there is one.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, data order and noise.")] = 0,
    time_limit: Annotated[
        float | None, typer.Option(min=1, help="Stop with a checkpoint after so many seconds.")
    ] = None,
    sample_every: Annotated[
        int | None, typer.Option(min=0, help="Steps between sample sheets, 0: none; without it 1000, paper 5000.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints; without it 250, paper 2500.")
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(min=0, help="Steps between validation losses, 0: none; without it 250 (rendered: 0), paper 2500."),
    ] = None,
    early_stop: Annotated[
        int, typer.Option(min=0, help="End after so many validations without a lower loss; the best network is kept.")
    ] = 0,
    precision: Annotated[
        str | None, typer.Option(help="auto (bfloat16 on a GPU, else float32), float32, bfloat16 or float16.")
    ] = None,
    checkpoint_gradients: Annotated[
        bool | None,
        typer.Option("--checkpoint-gradients/--keep-activations", help="Diffusion: less memory, a third slower."),
    ] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Diffusion: fuse the passes; without it yes on a GPU.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Set a field of the recipe; may be repeated.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Train METHOD on a data set; the same command continues an interrupted training exactly where it stopped.

    Example: bench train gesco --dataset streets --time-limit 3600

    Several GPUs: torchrun --nproc-per-node 4 -m bench train gesco --dataset cityscapes --profile paper --root DIR
    """
    import torch

    from bench.api.device import cores, torch_device
    from bench.api.files import check_folder
    from bench.api.scenes import facts_of
    from bench.api.training.distributed import process_group, rank_device, ranks
    from bench.config import DataSection, TrainSection, load_config
    from bench.data.own import SCHEME
    from bench.data.registry import known_dataset, open_dataset
    from bench.train.destination import destination
    from bench.train.request import TrainingRequest, train_target
    from metrics.evaluators.embedded import SPECS

    settings = load_config(config)
    dataset = known_dataset(dataset, settings.data)
    if method.casefold() == "judge":
        raise UsageError(f"the judge is called segmenter now: bench train segmenter --dataset {dataset}")
    method = known_name(method, [*METHODS.names(), *SPECS], "method")
    called = Path(dataset.removeprefix(SCHEME)).name
    where = check_folder(out or Path("runs/train") / "-".join(filter(None, (method, called, name))), "--out")
    data = settings.data.get(dataset, DataSection())
    section = settings.train.get(method, TrainSection())
    here = ranks()
    threads = threads or max(1, cores() // here.local_world)
    torch.set_num_threads(threads)
    chosen = rank_device(torch_device(device), here)
    request = TrainingRequest(
        target=method,
        source=open_dataset(dataset, root, data.size, data.root, data.resize),
        scenes=scenes,
        out=where,
        to=destination(name, weights_dir),
        profile=profile,
        device=chosen,
        seed=seed,
        steps=steps,
        jobs=threads,
        time_limit=time_limit,
        sample_every=sample_every,
        checkpoint_every=checkpoint_every,
        validate_every=section.validate_every if validate_every is None else validate_every,
        early_stop=early_stop,
        precision=_precision(precision or section.precision),
        checkpoint_gradients=section.checkpoint_gradients if checkpoint_gradients is None else checkpoint_gradients,
        compiled=section.compile if compiled is None else compiled,
        options={**section.options, **_options(option or []), **({"teacher": str(teacher)} if teacher else {})},
    )
    with process_group(chosen):
        path = train_target(request, say)
    if not here.first:
        return
    if path is None:
        say(f"not finished; run the same command again to continue from {request.out / 'checkpoint.pt'}")
        return
    say(f"wrote {path}")
    if method in SPECS:
        metric, called = SPECS[method]["streets"].metric, request.source.name
        if name or weights_dir or facts_of(called).evaluators.get(method):
            say(f"to use it, in bench.toml: {request.to.to_evaluate(metric, called)}")
        else:
            say(f"{metric} asks it on {called} from now on")
    else:
        named = dataset if dataset.startswith(SCHEME) else request.source.name
        say(f"to use it: {request.to.to_use(method, named)}")


def _options(texts: list[str]) -> dict[str, Any]:
    """`["width=64"]` -> {"width": "64"}; the method reads the values."""
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--option '{text}' has no value; write for example --option batch_size=2")
        options[key.strip()] = value.strip()
    return options


def _precision(text: str) -> Any:
    """`text` where it names a precision; UsageError otherwise."""
    from bench.api.training.update import PRECISIONS

    return known_name(text, PRECISIONS, "precision")
