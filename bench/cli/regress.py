"""`bench regress`: has anything become worse than in a baseline?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.api.errors import BenchError, DataError, MethodError, MetricError, UsageError, storage_message
from bench.api.terminal import say
from bench.cli.options import (
    ConfigOption,
    DeviceOption,
    JobsOption,
    configured,
    integers,
    kept_on_interrupt,
    names,
    numbers,
)

if TYPE_CHECKING:
    from bench.config import Config
    from bench.regress.rerun import Asked, Rerun
    from bench.regress.run import Finished

OUT = Path("results/local/regress")
#: Columns of the table where no terminal says how many it has: logs of CI systems are wide.
PIPED_WIDTH = 140


def regress(
    baseline: Annotated[Path, typer.Option(help="Folder with the results of a run to compare with.")],
    methods: Annotated[str | None, typer.Option(help="Specs, comma-separated; without it the baseline's.")] = None,
    psnr: Annotated[str | None, typer.Option(help="PSNRs in dB, comma-separated; without it the baseline's.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Data sets; without it the baseline's.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Metrics; without it the baseline's.")] = None,
    scenes: Annotated[int | None, typer.Option(min=1, help="The first so many scenes; without it all.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, comma-separated; without it the baseline's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the reports and the rerun's cache.")] = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    summary: Annotated[
        Path | None, typer.Option(envvar="GITHUB_STEP_SUMMARY", help="A file that the Markdown report is appended to.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Rerun cells of a baseline with the code as it is and compare scene by scene.

    A metric of a cell is worse (or better) where its change is told from chance, corrected for the number of
    comparisons, and reaches the metric's floor. Time, memory and bits only warn. Floors: [regress] in bench.toml.

    Writes report.md, report.json, junit.xml and, after a regression, worst-scenes.png into OUT. Exit code 0: nothing
    got worse; 1: something did, or crashed; 2: there is nothing sound to compare with, or nothing could be tested, and
    why.

    Example: bench regress --baseline results --methods spade,gesco --psnr 10,1 --scenes 50
    """
    from bench.api.files import check_folder
    from bench.regress.rerun import Asked

    try:
        with kept_on_interrupt(UsageError):
            settings = configured(config, {"out": check_folder(out or OUT, "--out"), "device": device, "jobs": jobs})
            levels = _chosen(psnr, lambda text: numbers(text, "--psnr"))
            noise = None if seeds is None else integers(seeds, "--seeds")
            asked = Asked(_chosen(datasets), _chosen(methods), levels, _chosen(metrics), scenes, noise)
            finished = _compared(baseline, asked, settings)
            _write(finished, settings.run.out, summary)
    except (BenchError, DataError, MethodError, MetricError) as error:
        # 1 is for regressions alone, so everything else that is meant for people leaves with 2
        raise (error if isinstance(error, UsageError) else UsageError(str(error))) from None
    except OSError as error:
        if (message := storage_message(error)) is None:
            raise
        raise UsageError(message) from None
    if finished.report.regressed:
        raise typer.Exit(1)
    if finished.report.tested_nothing:
        raise UsageError(
            "nothing of this could be tested, so nothing is known about regressions (the reasons are in the report); "
            "name metrics that have values by scene (--metrics), or compare over all scenes of the baseline"
        )


def _chosen(text: str | None, read: Callable[[str], Any] = names) -> Any:
    """What was named; None, which is everything, for nothing and for `all`."""
    return None if text is None or text.casefold() == "all" else read(text)


def _compared(baseline: Path, asked: Asked, settings: Config) -> Finished:
    from rich.console import Console

    from bench.regress.run import run_regression
    from bench.run.progress import RunProgress

    def tell(rerun: Rerun) -> None:
        scenes = " and ".join(f"{len(ids)} scenes of {dataset}" for dataset, ids in rerun.ids.items())
        say(f"rerunning {len(rerun.plan.cells)} cells over {scenes}", err=True)

    console = Console(stderr=True)
    return run_regression(baseline, asked, settings, RunProgress(console), tell)


def _write(finished: Finished, out: Path, summary: Path | None) -> None:
    from rich.console import Console

    from bench.api.files import write_atomically
    from bench.regress.reports import as_json, as_junit, as_markdown, print_report
    from bench.regress.worst import write_worst_scenes

    report, text = finished.report, as_markdown(finished.report)
    sheet = out / "worst-scenes.png"
    made = write_worst_scenes(report, finished.baseline, finished.run, sheet)
    write_atomically(out / "report.md", text.encode())
    write_atomically(out / "junit.xml", as_junit(report))
    write_atomically(out / "report.json", as_json(report).encode())
    if summary is not None:
        try:
            with summary.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"cannot append the summary to {summary}: {error.strerror}") from None
    print_report(report, Console(width=None if sys.stdout.isatty() else PIPED_WIDTH))
    files = ["report.md", "report.json", "junit.xml", *(["worst-scenes.png"] if made else [])]
    say(f"reports: {', '.join(str(out / name) for name in files)}", err=True)
