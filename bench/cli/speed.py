"""`bench speed`: how fast sampling, training and the whole way are, and what fewer sampling steps cost in quality."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.api.terminal import say
from bench.cli.options import integers, names, numbers, print_page

app = typer.Typer(help="Measure speed, and quality against the number of sampling steps.", no_args_is_help=True)

SizeOption = Annotated[str, typer.Option("--size", help="paper (256x512, 654 M parameters) or small (any machine).")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto (a GPU, else the CPU), cpu, cuda, cuda:N.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 takes all cores.")]
FolderOption = Annotated[Path, typer.Option("--out", help="Folder of the JSON file and the Markdown table.")]
RepeatsOption = Annotated[
    int | None, typer.Option("--repeats", min=1, help="Counted runs of each variant; without it the size's.")
]
OUT = Path("results/local/performance")


@app.command()
def sampling(
    size: SizeOption = "small",
    steps: Annotated[int | None, typer.Option(min=2, help="Sampling steps a run; without it the size's.")] = None,
    repeats: RepeatsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    out: FolderOption = OUT,
) -> None:
    """Time a guided sampling step: the published way against ours, batch 1, 4 and 8, in one process in turn.

    Example: bench speed sampling --size paper --device cuda
    """
    from bench.speed.sampling import measure_sampling

    _measure("sampling", measure_sampling, size, steps, repeats, device, threads, out)


@app.command()
def training(
    size: SizeOption = "small",
    steps: Annotated[int | None, typer.Option(min=1, help="Updates a run; without it the size's.")] = None,
    repeats: RepeatsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    out: FolderOption = OUT,
) -> None:
    """Time a training step of GESCO at batch 4: a plain loop against ours, in one process in turn.

    Example: bench speed training --size paper --device cuda
    """
    from bench.speed.training import measure_training

    _measure("training", measure_training, size, steps, repeats, device, threads, out)


def _measure(
    kind: str,
    measure: Callable[..., dict[str, Any]],
    name: str,
    steps: int | None,
    repeats: int | None,
    device: str,
    threads: int,
    out: Path,
) -> None:
    import torch

    from bench.api.device import cores, torch_device
    from bench.api.files import check_folder
    from bench.speed.report import as_markdown, provenance, write_report
    from bench.speed.timing import named_size

    size = named_size(name)
    steps = steps or (size.steps if kind == "sampling" else size.updates)
    check_folder(out, "--out")
    where = torch_device(device)
    torch.set_num_threads(threads or cores())
    facts = provenance(size, where)
    measured = measure(size, where, steps, repeats or size.repeats, lambda line: say(line, err=True))
    files = write_report(kind, measured, facts, out)
    print_page(as_markdown(kind, measured, facts))
    for path in files:
        say(path)


@app.command()
def quality(
    method: Annotated[str, typer.Option(help="A diffusion method's spec: gesco, gesco-nofds, sdm.")] = "gesco",
    samplers: Annotated[str, typer.Option(help="Samplers, comma-separated, or all.")] = "all",
    steps: Annotated[str, typer.Option(help="Numbers of steps, comma-separated.")] = "5,10,15,25,50,100,250,1000",
    max_steps: Annotated[int, typer.Option(min=2, help="Leave out larger numbers of steps.")] = 1000,
    psnr: Annotated[str, typer.Option(help="PSNRs in dB, comma-separated.")] = "100,10",
    scenes: Annotated[int, typer.Option(min=2, help="Scenes a row, where --budget allows.")] = 200,
    budget: Annotated[
        int, typer.Option(min=1, help="Network steps a row and PSNR: rows of many steps get fewer scenes, at least 8.")
    ] = 1_000_000,
    equal_scenes: Annotated[
        int, typer.Option(min=0, help="Measure once more on so many scenes, with the reference, for the 2 % verdict.")
    ] = 0,
    dataset: Annotated[str, typer.Option(help="The data set.")] = "streets",
    split: Annotated[str, typer.Option(help="train, val, test, or auto.")] = "auto",
    device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option(help="Workers; 0 is one a GPU or one a CPU core.")] = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Scenes a method gets at once.")] = 8,
    out: Annotated[Path, typer.Option("--out", help="Folder for cache, table and plot.")] = Path("results/local/steps"),
) -> None:
    """Measure mIoU, LPIPS and FID for every sampler and number of steps: a table and a plot.

    Finished rows are cached: the same command with a larger --budget or --max-steps adds to them.

    Example: bench speed quality --samplers ddim,dpmpp --steps 5,10,25 --scenes 50
    """
    from bench.api.files import check_folder
    from bench.speed.quality import QualityRequest, measure_quality

    check_folder(out, "--out")
    request = QualityRequest(
        method=method,
        samplers=None if samplers == "all" else names(samplers),
        steps=tuple(n for n in integers(steps, "--steps") if n <= max_steps),
        psnrs=numbers(psnr, "--psnr"),
        scenes=scenes,
        budget=budget,
        equal_scenes=equal_scenes,
        dataset=dataset,
        split=split,
        device=device,
        jobs=jobs,
        batch_size=batch_size,
        out=out,
    )
    text, files = measure_quality(request, lambda line: say(line, err=True))
    print_page(text)
    for path in files:
        say(path)


@app.command()
def pipeline(
    methods: Annotated[str, typer.Option(help="Specs, comma-separated.")] = "gesco,oasis,full_image",
    metrics: Annotated[str, typer.Option(help="Metrics, comma-separated, or all.")] = "all",
    dataset: Annotated[str, typer.Option(help="The data set.")] = "streets",
    psnr: Annotated[float, typer.Option(help="The PSNR in dB.")] = 10.0,
    scenes: Annotated[int, typer.Option(min=2, help="Scenes of a batch.")] = 8,
    anchors: Annotated[
        bool, typer.Option("--anchors/--no-anchors", help="Time the published samplers, pytorch-fid, torch-fidelity.")
    ] = True,
    device: DeviceOption = "auto",
    out: FolderOption = OUT,
) -> None:
    """Time the whole way of a scene on one thread, stage by stage: render, send, channel, receive, each metric.

    Example: bench speed pipeline --methods oasis --device cpu
    """
    from bench.api.files import check_folder
    from bench.speed.pipeline import as_markdown, measure_pipeline, write_pipeline

    check_folder(out, "--out")
    report = partial(say, err=True)
    measured = measure_pipeline(names(methods), names(metrics), dataset, psnr, scenes, device, anchors, report)
    files = write_pipeline(measured, out)
    print_page(as_markdown(measured))
    for path in files:
        say(path)
