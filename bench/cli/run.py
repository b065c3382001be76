"""`bench run` and `bench ablate`: sweep methods over data sets and channels; what each part of the system is worth."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.api.errors import UsageError
from bench.api.terminal import say
from bench.cli.options import (
    ConfigOption,
    DeviceOption,
    FormatOption,
    FullOption,
    JobsOption,
    ProtocolOption,
    configured,
    integers,
    kept_on_interrupt,
    names,
    numbers,
    print_sheets,
    toml,
)
from bench.run.ablations import ABLATIONS, find_ablation, plan_ablation
from bench.run.cluster import connected

if TYPE_CHECKING:
    from typing import Unpack

    from bench.config import Config
    from bench.results.compute import Adding, Computed
    from bench.results.request import Request
    from bench.run.cluster.dispatch import Cluster
    from bench.run.plan import Plan

WHAT = f"The question: {', '.join(ABLATIONS)}; fds is the paper's Table 5."
WeightsOption = Annotated[
    Path | None, typer.Option("--weights-dir", help="Weights of your own, for the methods that it has some of.")
]

ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local:N|slurm",
        help="Workers of a Dask scheduler (tcp://HOST:8786), of this machine, or of SLURM.",
    ),
]


def run(
    context: typer.Context,
    methods: Annotated[
        str | None, typer.Option(help="Specs, comma-separated, or all but variants.", show_default=toml("all"))
    ] = None,
    psnr: Annotated[
        str | None,
        typer.Option(help="PSNRs in dB, comma-separated, or all (the paper's seven).", show_default=toml("all")),
    ] = None,
    datasets: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: names of `bench data list`, folder:PATH; or all.", show_default=toml("streets")
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Data root of the (one) data set.")] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test, or auto.", show_default=toml("auto"))] = None,
    scenes: Annotated[int | None, typer.Option(help="Scenes a cell.", show_default=toml("64"))] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, comma-separated.", show_default=toml("0"))] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics, comma-separated, or all.", show_default=toml("all"))
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="KIND[:option=value...]",
            help="The channel, for example awgn:power=average.",
            show_default=toml("awgn"),
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="Of awgn: paper (its list of sigmas) or eq1 (its equation).", show_default=toml("paper")),
    ] = None,
    power: Annotated[str | None, typer.Option(help="Of awgn: peak or average.", show_default=toml("peak"))] = None,
    profile: Annotated[
        str | None, typer.Option(help="embedded, paper, or auto: that of the weights.", show_default=toml("auto"))
    ] = None,
    weights_dir: WeightsOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Scenes a method gets at once.", show_default=toml("8"))
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="joblib's, on this machine: loky, threading, sequential.", show_default=toml("loky")),
    ] = None,
    cluster: ClusterOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the cells to a running scheduler; the same command gathers them.")
    ] = False,
    retries: Annotated[
        int | None, typer.Option(help="Times that a cell whose worker is killed runs again.", show_default=toml("2"))
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit", help="Seconds a cell may take; one that takes longer is ended.", show_default=toml("any")
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for cache, results and plots.", show_default=toml("results/local"))
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan, cache and an estimate; run nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Leave no results of earlier runs in the folder.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write OUT/results.csv too, all rows as text.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte of the cache.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask where nothing is said of what to run.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send scenes with every method over every channel, measure the pictures, print tables and save a plot.

    Without any option it says what it would do and how long that takes, and asks.

    What is in the cache is not computed again; a killed run goes on where it was. Results are added to those that
    earlier runs left in the folder; the newest numbers of a cell count.

    Example: bench run --methods gesco,smis --psnr 10,1 --scenes 8
    """
    settings = configured(
        config,
        {
            "methods": None if methods is None else names(methods),
            "datasets": None if datasets is None else names(datasets),
            "psnr": None if psnr is None else "all" if psnr.casefold() == "all" else numbers(psnr, "--psnr"),
            "scenes": scenes,
            "seeds": None if seeds is None else integers(seeds, "--seeds"),
            "metrics": None if metrics is None else names(metrics),
            "split": split,
            "device": device,
            "jobs": jobs,
            "batch_size": batch_size,
            "backend": None if backend is None else backend.casefold(),
            "cluster": cluster,
            "retries": retries,
            "time_limit": time_limit,
            "profile": profile,
            "weights_dir": weights_dir,
            "out": out,
        },
        channel,
        {"calibration": calibration, "power": power},
    )
    from bench.run.plan import make_plan
    from bench.session import plan_run

    with kept_on_interrupt(), connected(settings) as workers:
        if detach and (workers is None or workers.ours):
            raise UsageError("--detach leaves cells to a running scheduler: name one with --cluster tcp://HOST:8786")
        if dry_run:
            devices = workers.devices(settings.run.device) if workers else None
            _tell_plan(make_plan(settings, root, devices=devices), settings, workers, every_cell=True)
            return
        plan = plan_run(settings, root, workers)
        if all(source and source.name == "DEFAULT" for source in map(context.get_parameter_source, context.params)):
            _tell_plan(plan, settings, workers, every_cell=False)
            _ask()
        if detach and workers and _handed_over(plan, settings, workers):
            return
        computed = computed_and_told(plan, settings, workers, replace=replace, csv=csv, verify=verify)
    with kept_on_interrupt():
        print_summary(plan, computed, settings.run.out)
    tell_failures(computed)


def ablate(
    what: Annotated[str, typer.Argument(help=WHAT)],
    psnr: Annotated[float, typer.Option(help="PSNR in dB of the channel; the paper's Table 5 is at 10.")] = 10.0,
    dataset: Annotated[
        str | None, typer.Option(help="The data set; without it those of bench.toml.", show_default=toml("streets"))
    ] = None,
    scenes: Annotated[int | None, typer.Option(help="Scenes a cell.", show_default=toml("64"))] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, comma-separated.", show_default=toml("0"))] = None,
    weights_dir: WeightsOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of a run: its cache is used, and added to.", show_default=toml("results/local")),
    ] = None,
    style: FormatOption = "text",
    published: Annotated[bool, typer.Option("--published", help="The paper's values beside ours, and Δ.")] = False,
    full: FullOption = False,
    protocol: ProtocolOption = False,
    cluster: ClusterOption = None,
    config: ConfigOption = None,
) -> None:
    """Compute an ablation and print its table. Cells that `bench run` has in the same folder are not computed again.

    Example: bench ablate fds --psnr 10 --scenes 32 --published
    """
    from bench.api.files import check_folder
    from bench.results.files import read_results
    from bench.tables import as_sheets, check_format
    from bench.tables.named import ablation_tables

    ablation = find_ablation(what)
    style = check_format(style)
    settings = configured(
        config,
        {
            "psnr": (psnr,),
            "datasets": None if dataset is None else (dataset,),
            "scenes": scenes,
            "seeds": None if seeds is None else integers(seeds, "--seeds"),
            "weights_dir": weights_dir,
            "device": device,
            "jobs": jobs,
            "cluster": cluster,
            "out": out,
        },
    )
    folder = check_folder(settings.run.out, "--out")
    with connected(settings) as workers:
        plan = plan_ablation(ablation, settings, workers.devices(settings.run.device) if workers else None)
        computed = computed_and_told(plan, settings, workers, ablation=ablation.name)
    tables = ablation_tables(read_results(folder, ablation.name)[0], ablation, psnr)
    print_sheets(as_sheets(tables, published), style, full, protocol, hint=True)
    say(f"results: {folder}; `bench table {ablation.name} --out {folder}` prints them again", err=True)
    tell_failures(computed)


def computed_and_told(
    plan: Plan,
    settings: Config,
    cluster: Cluster | None = None,
    **how: Unpack[Adding],
) -> Computed:
    """What a plan came to, its folder remembered; lines about what is left out or changed go to stderr."""
    from rich.console import Console

    from bench.run.progress import RunProgress
    from bench.session import carry_out

    with kept_on_interrupt():
        return carry_out(plan, settings, _say, RunProgress(Console(stderr=True)), cluster, **how)


def _handed_over(plan: Plan, settings: Config, cluster: Cluster) -> bool:
    """Whether cells were missing and have been left to the cluster, which a line on stdout then says."""
    from bench.run.runner import leave_to

    count = leave_to(cluster, plan, settings.run)
    if count:
        say(
            f"{count} cells and references are left to {cluster.where}. The same command gathers them when they are "
            f"done; without --detach it waits for them. {cluster.start()}"
        )
    return bool(count)


def tell_failures(computed: Computed) -> None:
    """BenchError where anything failed, after a line on each failure."""
    from bench.session import refuse_failures

    refuse_failures(computed, _say)


def _say(line: str) -> None:
    say(line, err=True)


def _ask() -> None:
    """Go on only if somebody at a terminal says so; UsageError, with what to type, where nobody can."""
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing was started, because nothing was said of what to run: `bench run --yes` does all of the above, "
            "`bench run --methods gesco,smis --psnr 10,1 --scenes 8` takes a minute"
        )
    if not typer.confirm("Start?", default=True):
        raise typer.Exit


def _tell_plan(plan: Plan, settings: Config, cluster: Cluster | None, every_cell: bool) -> None:
    from bench.run.progress import GUESS_SECONDS_A_SCENE, History, in_words, total
    from bench.run.runner import survey, worker_count
    from bench.run.verified import Verified

    out = settings.run.out
    history = History(out)
    estimates, to_draw = [], 0
    for state in survey(plan.cells, plan, Verified(out)):
        missing = state.missing(plan.metrics[state.cell.scenes.dataset])
        estimate = history.estimate(state.cell, state.pictures is None, missing)
        if state.pictures is None or missing:
            estimates.append(estimate)
        if state.pictures is None:
            to_draw += 1
            what = f"to compute, about {in_words(estimate.seconds)}{'' if estimate.measured else ' (a guess)'}"
        else:
            names = ", ".join(m.name for m in missing)
            what = f"cached, to measure: {names}, about {in_words(estimate.seconds)}" if missing else "cached"
        if every_cell:
            say(f"{state.cell.title}: {what}")
    workers = cluster.count() if cluster else worker_count(plan, settings.run.jobs)
    seconds, guesses = total(estimates, workers)
    for line in plan.left_out:
        say(f"left out: {line}")
    methods = list(dict.fromkeys(cell.method.spec for cell in plan.cells))
    levels = dict.fromkeys(f"{cell.channel.psnr:g}" for cell in plan.cells)
    say(f"{len(methods)} method{'s' * (len(methods) != 1)}: {', '.join(methods)}")
    say(f"{plan.cells[0].channel.words}, PSNR {', '.join(levels)} dB")
    scene_sets = {cell.scenes.dataset: cell.scenes for cell in plan.cells}
    for name, scenes in scene_sets.items():
        say(f"{name}: {len(scenes.ids)} scenes of split {scenes.split} at {scenes.size[0]}x{scenes.size[1]}")
    say(
        f"{len(plan.cells)} cells, {len(plan.cells) - to_draw} cached; on {workers} worker(s) about {in_words(seconds)}"
    )
    if guesses:
        say(
            f"{guesses} of these estimates are guesses of {GUESS_SECONDS_A_SCENE:g} s a scene: no cell of that method "
            "has been computed here yet"
        )


def _plots(request: Request) -> list[Path]:
    """The plot of the run's tables, drawn again only where the results, or what draws them, are others."""
    from bench.api.files import file_digest, write_atomically

    record, made_of = request.to / "drawn.json", _made_of(request)
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        told = json.loads(record.read_bytes())
        files = {request.to / name: digest for name, digest in told["files"].items()}
        if files and told["made_of"] == made_of and all(file_digest(path) == files[path] for path in files):
            return list(files)
    from bench.figures import draw_figure, save

    made = save(draw_figure("psnr", request), request.to, ("png", "svg"))
    told = {"made_of": made_of, "files": {path.name: file_digest(path) for path in made}}
    write_atomically(record, json.dumps(told, indent=1).encode())
    return made


def _made_of(request: Request) -> str:
    """A digest of everything that the plot shows: rows, their contributions, commits, and the code that draws."""
    from bench.api.provenance import package_version, source_digest
    from bench.api.seeding import digest
    from bench.results.dataset import content_digest

    code = [source_digest("bench/figures", "bench/results"), *map(package_version, ("matplotlib", "seaborn", "pandas"))]
    return digest([content_digest(request.frame), request.commit, code])


def print_summary(plan: Plan, computed: Computed, out: Path) -> None:
    """The tables of the run's data sets, a plot of them, and where everything lies."""
    import numpy as np

    from bench.api.names import metric_variants
    from bench.api.scores import shown_always
    from bench.results.dataset import Only
    from bench.results.files import whole_results
    from bench.results.merge import set_key, view
    from bench.results.request import Request
    from bench.results.schema import SCENE_SET
    from bench.results.scores import of_methods
    from bench.tables import as_sheets, metric_tables
    from bench.tables.named import chosen_scores

    report = computed.report
    everything, facts = view(whole_results(out, Only(partial(chosen_scores, ()))), None)
    # the rows of the folder's results that stand in one table with the run's own
    own = [set_key(*one) in computed.facts["sets"] for one in everything[SCENE_SET].itertuples(index=False, name=None)]
    frame = everything[np.array(own, dtype=bool)].reset_index(drop=True)
    there = set(of_methods(frame)["metric"])
    shown = [name for kind in shown_always(there) for name in metric_variants(kind, there)]
    for metric in shown:
        say("")
        print_sheets(as_sheets(metric_tables(frame, metric)))
    plots = _plots(Request(out, frame, facts, out / "plots")) if shown else []
    cached = len(plan.cells) - report.computed - sum(state.pictures is None for state in report.states)
    say(f"\n{len(plan.cells)} cells: {report.computed} computed, {cached} from the cache, in {computed.seconds:.1f} s")
    if plots:
        say(f"plot:     {plots[0]}")
    say(f"results:  {out / 'rows'}, {out / 'draws'}")
    say(f"made by:  {out / 'provenance.json'}")
    say(f"pictures: {out / 'cells'}")
    for words in (*(f"table {metric} --full" for metric in shown[:1]), "table bits", "sheet"):
        say(f"next:     bench {words} --out {out}")
