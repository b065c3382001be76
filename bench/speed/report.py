"""What `bench speed` measured, as JSON with its provenance and as a Markdown table."""

from __future__ import annotations

import datetime
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench.api.files import write_files
from bench.api.provenance import code_provenance, command_line, commit_in_words, device_names

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from bench.speed.timing import Size

SCHEMA = 1
#: The style sheet of all figures.
STYLE = Path(__file__).parents[1] / "figures.mplstyle"
#: Updates behind a point of the thick loss curves: single losses jump with the timesteps drawn.
SMOOTHED = 10


def provenance(size: Size, device: torch.device) -> dict[str, Any]:
    """What a reader has to know to trust or repeat the numbers."""
    return {"size": size.name, "picture": [size.height, size.width], **circumstances(device)}


def circumstances(device: torch.device) -> dict[str, Any]:
    """By what code, on what machine and when something was measured."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "schema": SCHEMA,
        **code_provenance(),
        "device": device_names((str(device),))[0],
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,  # type: ignore[no-untyped-call]
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load_before": load,
        "command": command_line(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _gib(value: int | None) -> str:
    return "not measured" if value is None else f"{value / 2**30:.2f}"


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def _spread(row: dict[str, Any]) -> str:
    return f"{row['ms_per_step']:.1f} ({row['ms_per_step_min']:.1f} to {row['ms_per_step_max']:.1f})"


def _told(steps: str, row: dict[str, Any]) -> str:
    return f"{row['s_per_image'][steps]:.2f}"


def _columns(kind: str, told: Sequence[str]) -> dict[str, Callable[[dict[str, Any]], str]]:
    """Heading -> cell of a row; `told` are the numbers of steps that seconds are told of."""
    gib = {"peak GiB": lambda row: _gib(row["peak_memory_bytes"])}
    if kind == "training":
        return {
            "loop": lambda row: row["variant"],
            "batch": lambda row: str(row["batch"]),
            "ms a step": _spread,
            "images a second": lambda row: f"{row['images_per_second']:.2f}",
            **gib,
            "mean loss ± standard error": lambda row: _with_error(row["loss"], row["loss_error"]),
            "warm-up s": lambda row: f"{row['warm_up_seconds']:.0f}",
        }
    return {
        "way": lambda row: row["variant"],
        "precision": lambda row: row["precision"],
        "ms a guided step": _spread,
        "ms a step and image": lambda row: f"{row['ms_per_step_and_image']:.1f}",
        **{f"s an image, {n} steps": partial(_told, n) for n in told},
        **gib,
        "share of the matmul peak": lambda row: f"{100 * row['share_of_matmul_peak']:.0f} %",
    }


#: Heading -> cell of a student's row.
_STUDENT_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "student": lambda row: row["student"],
    "ms an image": lambda row: (
        f"{row['ms_per_image']:.1f} ({row['ms_per_image_min']:.1f} to {row['ms_per_image_max']:.1f})"
    ),
    "images a second": lambda row: f"{row['images_per_second']:.1f}",
    "peak GiB": lambda row: _gib(row["peak_memory_bytes"]),
    "GFLOP an image": lambda row: f"{row['gflop_per_image']:,.1f}",
}


def _table(columns: Mapping[str, Callable[[dict[str, Any]], str]], rows: Sequence[dict[str, Any]]) -> str:
    cells = [list(columns), ["---", *["---:"] * (len(columns) - 1)]]
    cells += [[cell(row) for cell in columns.values()] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def as_markdown(kind: str, measured: dict[str, Any], facts: dict[str, Any]) -> str:
    """The table of a measurement, its ratios, and a paragraph on where it comes from."""
    rows = measured["rows"]
    columns = _columns(kind, list(rows[0].get("s_per_image", ())))
    table = _table(columns, rows)
    ratios = "; ".join(f"{name}: {value:.2f} times as fast" for name, value in measured["ratios"].items())
    lines = [f"# Speed of {kind}, size {facts['size']}", "", table, "", f"{ratios}.", ""]
    if kind == "sampling":
        errors = ", ".join(f"{name} {value:.1e}" for name, value in measured["relative_error_against_float32"].items())
        lines += [
            "Seconds an image are what is prepared once plus the steps, from the median step. Relative error of one "
            f"guided evaluation against the published way in float32: {errors}.",
            "",
            "Students, whole pictures without guidance, in turn:",
            "",
            _table(_STUDENT_COLUMNS, measured["students"]),
            "",
        ]
    lines += [f"Left out: {left}\n" for left in measured.get("left_out", ())]
    height, width = facts["picture"]
    load = "unknown" if facts["load_before"] is None else f"{facts['load_before']:.1f}"
    lines += [
        f"{height}x{width}, 36 map channels, seeded weights; {facts['device']} ({facts['cpu']}), {facts['threads']} "
        f"CPU thread(s) of {facts['cores']} cores, load {load} before the run; torch "
        f"{facts['packages'].get('torch')}, commit {commit_in_words(facts)}. Medians of "
        f"{measured['repeats']} interleaved runs of {measured['steps_timed']} steps after a warm-up (fastest to "
        f"slowest). `{facts['command']}`, {facts['date']}."
    ]
    return "\n".join(lines) + "\n"


def plot_losses(losses: Mapping[str, Sequence[float]]) -> bytes:
    """A PNG: the loss of every update of each loop, thin, and its mean over the `SMOOTHED` updates before, thick."""
    import pandas as pd

    with blank_figure(1, 1, (6.4, 3.2)) as (figure, axes):
        axis = axes[0, 0]
        for (name, values), dash in zip(losses.items(), itertools.cycle(("-", "--"))):
            series = pd.Series(values, index=range(1, len(values) + 1))
            (line,) = axis.plot(series.rolling(SMOOTHED, min_periods=1).mean(), dash, linewidth=1.8, label=name)
            axis.plot(series, linewidth=0.6, alpha=0.4, color=line.get_color())
        axis.set_xlabel("update")
        axis.set_ylabel("loss")
        axis.legend()
        return png(figure)


@contextmanager
def blank_figure(rows: int, columns: int, inches: tuple[float, float]) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure in the style of all figures, to be drawn and saved within, and its axes (rows, columns)."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(STYLE):
        figure = Figure(figsize=inches)
        yield figure, figure.subplots(rows, columns, squeeze=False)


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140)
    return buffer.getvalue()


def write_report(kind: str, measured: dict[str, Any], facts: dict[str, Any], out: Path) -> list[Path]:
    """Write OUT/KIND-SIZE-DEVICE.json and .md, for training also .png, the loss curves; the files made."""
    stem = f"{kind}-{facts['size']}-{'cpu' if facts['device'] == 'cpu' else 'cuda'}"
    text = json.dumps({"kind": kind, **measured, "provenance": facts}, indent=1, allow_nan=False) + "\n"
    contents = {"json": text.encode(), "md": as_markdown(kind, measured, facts).encode()}
    if kind == "training":
        contents["png"] = plot_losses(measured["losses"])
    return write_files(out, {f"{stem}.{suffix}": data for suffix, data in contents.items()})
