"""`bench run`: sweep methods over data sets and channels."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.api.errors import BenchError
from bench.cli.options import ConfigOption, configured, integers, names, numbers

if TYPE_CHECKING:
    from bench.config import Config
    from bench.results.request import Request
    from bench.run.plan import Plan
    from bench.run.runner import RunReport


def run(
    methods: Annotated[str | None, typer.Option(help="Specs, comma-separated, or all but variants.")] = None,
    psnr: Annotated[str | None, typer.Option(help="PSNRs in dB, comma-separated, or all (the paper's seven).")] = None,
    datasets: Annotated[str | None, typer.Option(help="streets, cityscapes, coco_stuff, camvid, or all.")] = None,
    root: Annotated[Path | None, typer.Option(help="Data root of the (one) data set.")] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test, or auto.")] = None,
    scenes: Annotated[int | None, typer.Option(help="Scenes a cell.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, comma-separated.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Metrics, comma-separated, or all.")] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="KIND[:option=value...]", help="The channel, for example awgn:power=average.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="Of awgn: paper (its list of sigmas) or eq1 (its equation).")
    ] = None,
    power: Annotated[str | None, typer.Option(help="Of awgn: peak or average.")] = None,
    profile: Annotated[str | None, typer.Option(help="embedded, paper, or auto: that of the weights.")] = None,
    weights_dir: Annotated[
        Path | None, typer.Option("--weights-dir", help="Weights of your own, for the methods that it has some of.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto (all GPUs, else CPU), cpu, cuda, cuda:N.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Workers; 0 is one a GPU or one a CPU core.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Scenes a method gets at once.")] = None,
    backend: Annotated[str | None, typer.Option(help="joblib's: loky, threading, sequential, dask, ray.")] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", help="Seconds a cell may take; one that takes longer is ended.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for cache, results and plots.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan, cache and an estimate; run nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Leave no results of earlier runs in the folder.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send scenes with every method over every channel, measure the pictures, print tables and save a plot.

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
            "backend": backend,
            "time_limit": time_limit,
            "profile": profile,
            "weights_dir": weights_dir,
            "out": out,
        },
        channel,
        {"calibration": calibration, "power": power},
    )
    from bench.api.files import check_folder
    from bench.results.files import earlier_results
    from bench.run.plan import make_plan

    if not dry_run:
        check_folder(settings.run.out, "--out")
        if not replace:
            earlier_results(settings.run.out)  # what cannot be added to is told before anything is computed
    plan = make_plan(settings, root)
    if dry_run:
        _dry_run(plan, settings)
        return
    try:
        _run(plan, settings, replace)
    except KeyboardInterrupt:
        raise BenchError("interrupted; finished cells are kept, the same command goes on from there") from None


def _dry_run(plan: Plan, settings: Config) -> None:
    from bench.run.progress import GUESS_SECONDS_A_SCENE, History, in_words, total
    from bench.run.runner import survey, worker_count

    out = settings.run.out
    history = History(out)
    estimates, to_draw = [], 0
    for state in survey(plan, out):
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
        typer.echo(f"{state.cell.title}: {what}")
    workers = worker_count(plan, settings.run.jobs)
    seconds, guesses = total(estimates, workers)
    for line in plan.left_out:
        typer.echo(f"left out: {line}")
    scene_sets = {cell.scenes.dataset: cell.scenes for cell in plan.cells}
    for name, scenes in scene_sets.items():
        typer.echo(f"{name}: {len(scenes.ids)} scenes of split {scenes.split} at {scenes.size[0]}x{scenes.size[1]}")
    typer.echo(
        f"{len(plan.cells)} cells, {len(plan.cells) - to_draw} cached; on {workers} worker(s) about {in_words(seconds)}"
    )
    if guesses:
        typer.echo(
            f"{guesses} of these estimates are guesses of {GUESS_SECONDS_A_SCENE:g} s a scene: no cell of that method "
            "has been computed here yet"
        )


def _run(plan: Plan, settings: Config, replace: bool) -> None:
    from rich.console import Console

    from bench.results.compute import compute
    from bench.results.folder import remember
    from bench.results.merge import view
    from bench.run.progress import RunProgress

    for line in plan.left_out:
        typer.echo(f"left out: {line}", err=True)
    computed = compute(plan, settings, RunProgress(Console(stderr=True)), replace=replace)
    remember(settings.run.out)
    report, facts = computed.report, computed.results[1]
    for note in computed.changed:
        typer.echo(f"note: {note}", err=True)
    shown = _beside(view(computed.results, None)[0], computed.rows)
    _summary(plan, report, shown, facts, settings.run.out, computed.seconds)
    if report.failures:
        for what, message, _ in report.failures:
            typer.echo(f"failed: {what}: {' '.join(message.split())}", err=True)
        raise BenchError(
            f"{len(report.failures)} failure(s); everything else is done and kept. Tracebacks: {computed.log}. "
            "The same command tries the failed cells again"
        )


def _plots(request: Request) -> list[Path]:
    """The plot of the run's tables. What it was drawn from is kept beside it, so that it is drawn again only where the
    results, or what draws them, are others."""
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
    import pandas as pd

    from bench.api.files import sha256
    from bench.api.provenance import package_version, source_digest
    from bench.api.seeding import digest
    from bench.results.rows import COLUMNS, CONTRIBUTIONS

    rows = pd.util.hash_pandas_object(request.frame[list(COLUMNS)], index=False).to_numpy().tobytes()
    parts = [part.tobytes() if hasattr(part, "tobytes") else b"" for part in request.frame[CONTRIBUTIONS]]
    code = [source_digest("bench/figures", "bench/results"), *map(package_version, ("matplotlib", "seaborn", "pandas"))]
    return digest([sha256(rows), sha256(b"|".join(parts)), request.commit, code])


def _beside(everything: Any, own: Any) -> Any:
    """The rows of the folder's results that stand in one table with the run's own."""
    import pandas as pd

    from bench.results.schema import SCENE_SET

    lists = pd.MultiIndex.from_frame(own[SCENE_SET].drop_duplicates())
    return everything[pd.MultiIndex.from_frame(everything[SCENE_SET]).isin(lists)].reset_index(drop=True)


def _summary(plan: Plan, report: RunReport, frame: Any, facts: dict[str, Any], out: Path, wall: float) -> None:
    from bench.api.names import metric_variants
    from bench.api.scores import shown_always
    from bench.results.request import Request
    from bench.results.scores import of_methods
    from bench.tables import metric_tables, render

    for name, reason in report.skipped.items():
        typer.echo(f"left out: {name}: {reason}", err=True)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    shown = []
    computed = set(of_methods(frame)["metric"])
    for metric in [name for kind in shown_always(computed) for name in metric_variants(kind, computed)]:
        typer.echo("\n" + render(metric_tables(frame, metric)), nl=False)
        shown.append(metric)
    plots = _plots(Request(out, frame, facts, out / "plots")) if shown else []
    cached = len(plan.cells) - report.computed - sum(state.pictures is None for state in report.states)
    typer.echo(f"\n{len(plan.cells)} cells: {report.computed} computed, {cached} from the cache, in {wall:.1f} s")
    if plots:
        typer.echo(f"plot:     {plots[0]}")
    typer.echo(f"results:  {out / 'results.parquet'}, {out / 'results.csv'}, {out / 'provenance.json'}")
    typer.echo(f"pictures: {out / 'cells'}")
    typer.echo(f"next:     bench table bits --out {out};  bench sheet --out {out}")
