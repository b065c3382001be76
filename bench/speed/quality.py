"""`bench speed quality`: mIoU, LPIPS, FID and seconds for every sampler and number of steps, on the runner's cells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console

from bench.api.errors import BenchError, MethodError, UsageError, known_name
from bench.api.files import write_files
from bench.api.provenance import code_provenance, command_line, commit_in_words, device_names
from bench.api.registry import METHODS
from bench.api.scores import score_info
from bench.api.specs import parse_spec
from bench.config import Config, RunSection
from bench.results.files import computed_at
from bench.results.rows import tidy_rows
from bench.results.schema import WHOLE_SET
from bench.run.plan import make_plan
from bench.run.progress import RunProgress
from bench.run.runner import run_plan, write_failures
from bench.speed.report import blank_figure, png
from bench.speed.timing import seconds_alone
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.samplers import SAMPLERS, sampler_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Scenes of a row at least, whatever the budget: below that a number says nothing.
FEWEST_SCENES = 8
#: The table's columns. KID is beside FID because it is not biased by the number of scenes, which differs between rows.
METRICS = ("mIoU", "LPIPS", "FID[lite0]", "KID[lite0]")
#: By sampler, so that lines can be told apart without colours.
MARKERS = "osD^vPh*"
PLOTTED = ("mIoU", "LPIPS", "FID[lite0]", "seconds")
#: What every row is compared with: the paper's sampler at its T.
REFERENCE = ("ancestral", 1000)


@dataclass(frozen=True)
class QualityRequest:
    """What to measure. `samplers` None is all of them; a row of n steps gets at most `budget` / n scenes.

    With `equal_scenes` > 0 every row that the budget allows so many is measured on so many scenes once more, and beside
    them the reference: FID compares only between equally many scenes.
    """

    method: str
    samplers: tuple[str, ...] | None
    steps: tuple[int, ...]
    psnrs: tuple[float, ...]
    scenes: int
    budget: int
    equal_scenes: int
    dataset: str
    split: str
    device: str
    jobs: int
    batch_size: int
    out: Path


def _check(request: QualityRequest) -> tuple[str, ...]:
    """The samplers to run; UsageError for a method without them, an unknown sampler or no steps at all."""
    try:
        spec = parse_spec(request.method)
        cls = METHODS.load(spec.name)
    except MethodError as error:
        raise UsageError(str(error)) from None
    if not issubclass(cls, DiffusionMethod):
        raise UsageError(f"'{spec.name}' is no diffusion method and has no steps; try --method gesco or sdm")
    if "sampler" in spec.options or "steps" in spec.options:
        raise UsageError(f"'{request.method}' fixes sampler or steps; name them with --samplers and --steps")
    chosen = tuple(known_name(sampler_name(sampler), SAMPLERS, "sampler") for sampler in request.samplers or ())
    if not request.steps:
        raise UsageError("no number of steps is left: check --steps and --max-steps")
    return chosen or tuple(name for name, sampler in SAMPLERS.items() if not sampler.reproduces)


def scenes_of(request: QualityRequest, steps: int) -> int:
    """Scenes of a row of so many steps."""
    return min(request.scenes, max(FEWEST_SCENES, request.budget // steps))


def measure_quality(request: QualityRequest, report: Callable[[str], None]) -> tuple[str, list[Path]]:
    """Run what is not cached; write table and plot anew after every number of steps; the text and the files.

    So a run cut short leaves what it has. BenchError where a cell failed, after everything else is written.
    """
    samplers = _check(request)
    done = _Done()
    text = ""
    files: list[Path] = []
    # equal numbers of scenes together, few steps first, so that the first rows are there soon
    for steps in sorted(request.steps):
        done.add(request, samplers, steps, scenes_of(request, steps), report)
        table = quality_table(done.rows())
        text, files = _publish(table, table, request, samplers, done)
    if request.equal_scenes:
        equal = _Done(failures=done.failures, commits=done.commits)
        for steps in sorted(s for s in request.steps if s * request.equal_scenes <= request.budget):
            equal.add(request, samplers, steps, request.equal_scenes, report)
        equal.add(request, REFERENCE[:1], REFERENCE[1], request.equal_scenes, report)
        done.notes += equal.notes
        text, files = _publish(table, quality_table(equal.rows()), request, samplers, done)
    if done.failures:
        what, why, _ = done.failures[0]
        raise BenchError(f"{len(done.failures)} failure(s), the rest is in {files[0]}: {what}: {why}")
    return text, files


@dataclass
class _Done:
    """What was measured so far."""

    frames: list[pd.DataFrame] = field(default_factory=list)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    devices: tuple[str, ...] = ()

    def add(
        self, request: QualityRequest, samplers: tuple[str, ...], steps: int, scenes: int, report: Callable[[str], None]
    ) -> None:
        """Compute or find the rows of a number of steps; then time each method with nothing beside it."""
        config = Config(
            run=RunSection(
                methods=tuple(f"{request.method}:sampler={s}:steps={steps}" for s in samplers),
                datasets=(request.dataset,),
                psnr=request.psnrs,
                scenes=scenes,
                metrics=("mIoU", "LPIPS", "FID[lite0]"),
                split=request.split,
                device=request.device,
                jobs=request.jobs,
                batch_size=request.batch_size,
                out=request.out,
            )
        )
        plan = make_plan(config)
        self.devices = plan.devices.names
        report(f"{steps} steps, {len(plan.cells[0].scenes.ids)} scenes")
        progress = RunProgress(Console(stderr=True))
        run = run_plan(plan, request.out, request.jobs, request.batch_size, "loky", progress)
        self.failures += run.failures
        self.notes += run.notes
        write_failures(self.failures, request.out)
        rows = tidy_rows(run.states)
        options = {cell.method.spec: cell.method.identity["options"] for cell in plan.cells}
        rows["sampler"] = [options[m]["sampler"] for m in rows["method"]]
        rows["steps"] = [options[m]["steps"] for m in rows["method"]]
        drawn = {state.cell.method.spec: state.cell for state in run.states if state.pictures is not None}
        for spec, cell in drawn.items():
            seconds = seconds_alone(cell, request.batch_size, plan.devices.names[0], request.out)
            rows.loc[(rows["method"] == spec) & (rows["metric"] == "seconds"), "value"] = seconds
        self.commits += computed_at(run.states)
        self.frames.append(rows[rows["scene"] == WHOLE_SET])

    def rows(self) -> pd.DataFrame:
        return pd.concat(self.frames, ignore_index=True)


def quality_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a PSNR, sampler and number of steps: scenes, the metrics, seconds a scene.

    `rows` are tidy rows about whole sets with the columns `sampler` and `steps`. PSNRs fall, samplers stay in order,
    steps rise.
    """
    wanted = rows[rows["metric"].isin([*METRICS, "seconds"])]
    keys = ["psnr", "sampler", "steps"]
    table = wanted.pivot_table(index=keys, columns="metric", values="value", aggfunc="mean", dropna=False)
    table = table.reindex(columns=[*METRICS, "seconds"]).dropna(how="all")
    table.insert(0, "scenes", wanted.groupby(keys)["scenes"].max().reindex(table.index))
    table = table.reset_index()
    order = {name: k for k, name in enumerate(dict.fromkeys(rows["sampler"]))}
    return table.sort_values(keys, key=lambda c: -c if c.name == "psnr" else c.map(order) if c.name == "sampler" else c)


def against_reference(table: pd.DataFrame) -> list[str]:
    """For each PSNR, which rows are within 2 % of the reference's mIoU and FID[lite0], the cheapest first.

    Nothing is said of rows with another number of scenes.
    """
    lines = []
    for psnr, rows in table.groupby("psnr", sort=False):
        found = rows[(rows["sampler"] == REFERENCE[0]) & (rows["steps"] == REFERENCE[1])]
        if found.empty:
            lines.append(
                f"PSNR {psnr:g}: {REFERENCE[0]} with {REFERENCE[1]} steps was not run, so nothing is compared."
            )
            continue
        reference = found.iloc[0]
        equal = rows[(rows["scenes"] == reference["scenes"]) & (rows["steps"] < REFERENCE[1])]
        near = equal[
            (equal["mIoU"] >= 0.98 * reference["mIoU"]) & (equal["FID[lite0]"] <= 1.02 * reference["FID[lite0]"])
        ].sort_values("steps")
        told = ", ".join(f"{row.sampler} {row.steps}" for row in near.itertuples()) or "none"
        lines.append(
            f"PSNR {psnr:g}, {int(reference['scenes'])} scenes: within 2 % of {REFERENCE[0]} {REFERENCE[1]} in mIoU "
            f"and FID[lite0], or better: {told}."
        )
    return lines


def _markdown_rows(table: pd.DataFrame) -> str:
    infos = [score_info(name) for name in (*METRICS, "seconds")]
    heading = ["PSNR", "sampler", "steps", "scenes", *(info.heading for info in infos)]
    lines = [heading, ["---:", "---", *["---:"] * (len(heading) - 2)]]
    for row in table.to_dict("records"):
        values = [(float(row[info.name]), info.decimals) for info in infos]
        numbers = [f"{value:.{decimals}f}" if math.isfinite(value) else "-" for value, decimals in values]
        lines.append([f"{row['psnr']:g}", row["sampler"], str(row["steps"]), str(int(row["scenes"])), *numbers])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_markdown(table: pd.DataFrame, compared: pd.DataFrame, request: QualityRequest, facts: dict[str, Any]) -> str:
    """The table, what is as good as the reference by the rows of `compared`, and where the numbers come from."""
    parts = [f"# Steps against quality: {request.method} on {request.dataset}", _markdown_rows(table)]
    if compared is not table:
        parts += ["## Against the reference on equally many scenes", _markdown_rows(compared)]
    parts.append("\n".join(f"- {line}" for line in against_reference(compared)))
    pictures = ", ".join(facts["pictures_commits"])
    parts.append(
        "FID is biased by the number of scenes: compare rows with equally many, or KID. Seconds a scene: sender, "
        f"channel and receiver in a batch of {request.batch_size} with nothing beside, on one CPU thread or GPU. "
        f"{', '.join(facts['devices'])} ({facts['cpu']}), commit {commit_in_words(facts)}, "
        f"pictures drawn at {pictures}. `{facts['command']}`"
    )
    return "\n\n".join(parts) + "\n"


def _draw(axis: Axes, table: pd.DataFrame, metric: str) -> None:
    finite = table[np.isfinite(table[metric].astype(float))]
    for number, sampler in enumerate(table["sampler"].drop_duplicates()):
        shown = finite[finite["sampler"] == sampler].sort_values("steps")
        axis.plot(
            shown["steps"],
            shown[metric],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linewidth=1.4,
            label=str(sampler),
        )
    reference = finite[(finite["sampler"] == REFERENCE[0]) & (finite["steps"] == REFERENCE[1])][metric]
    for level in reference:  # one, where it was run; what the others have to reach
        axis.axhline(level, color="0.5", linewidth=0.9, linestyle="--", zorder=0)
    axis.set_xscale("log")
    ticks = sorted(table["steps"].unique())
    axis.set_xticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    if metric == "seconds" and (finite[metric] > 0).any():
        axis.set_yscale("log")
    axis.set_xlabel("steps")
    axis.set_ylabel(score_info(metric).heading)


def plot_quality(table: pd.DataFrame) -> bytes:
    """A PNG: a row of panels a PSNR, a panel a metric, a line a sampler over steps; dashed: the reference."""
    psnrs = list(dict.fromkeys(table["psnr"]))
    inches = 3.6 * len(PLOTTED), 3.0 * len(psnrs)
    with blank_figure(len(psnrs), len(PLOTTED), inches) as (figure, axes):
        for line, psnr in zip(axes, psnrs, strict=True):
            for axis, metric in zip(line, PLOTTED, strict=True):
                _draw(axis, table[table["psnr"] == psnr], metric)
            line[0].set_title(f"PSNR {psnr:g}", loc="left")
        axes[0][0].legend()
        return png(figure)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): None if v != v else v for k, v in row.items()} for row in table.to_dict("records")]  # NaN to null


def _publish(
    table: pd.DataFrame, compared: pd.DataFrame, request: QualityRequest, samplers: tuple[str, ...], done: _Done
) -> tuple[str, list[Path]]:
    """Write the files with where their numbers come from; the Markdown text and their paths."""
    facts = {
        **code_provenance(),
        "request": {**asdict(request), "out": str(request.out)},
        "samplers": list(samplers),
        "devices": device_names(done.devices),
        "pictures_commits": list(dict.fromkeys(done.commits)),
        "notes": list(dict.fromkeys(done.notes)),
        "command": command_line(),
    }
    text = as_markdown(table, compared, request, facts)
    data = {"rows": _records(table), "compared_with_reference": _records(compared), "provenance": facts}
    contents = {
        "steps.md": text.encode(),
        "steps.csv": table.to_csv(index=False).encode(),
        "steps.json": (json.dumps(data, indent=1, allow_nan=False) + "\n").encode(),
        "steps.png": plot_quality(table),
    }
    return text, write_files(request.out, contents)
