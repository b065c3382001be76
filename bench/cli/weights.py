"""`bench weights`: import the authors' checkpoints, list what is installed and what is lacking, verify it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.api.errors import UsageError
from bench.api.terminal import say

if TYPE_CHECKING:
    from bench.checkpoints.inventory import Item

app = typer.Typer(no_args_is_help=True, help="Import, list and verify the authors' checkpoints.")

WeightsDir = Annotated[
    Path | None, typer.Option("--weights-dir", help="The folder; without it the user's, where `bench run` looks.")
]


#: States of files whose note says how they are used, not where they are published.
NOTED = ("own", "unused")


class Format(StrEnum):
    """How a list is written."""

    text = "text"
    json = "json"


@app.command("import")
def import_checkpoint(
    method: Annotated[str, typer.Argument(help="A method or an evaluator, for example spade or drn_d_105.")],
    file: Annotated[Path, typer.Argument(help="The authors' file as downloaded: a checkpoint, a zip or a tar.")],
    dataset: Annotated[str, typer.Option(help="cityscapes or coco_stuff.")],
    weights_dir: WeightsDir = None,
    key: Annotated[
        str | None, typer.Option(help="Which state dict is meant, where the checkpoint holds several: ema.")
    ] = None,
) -> None:
    """Check the authors' checkpoint of METHOD, key by key, and install it. Nothing in the file is executed.

    For example: bench weights import spade checkpoints.tar.gz --dataset cityscapes
    """
    from bench.api.weights import MANIFEST, read_record, user_weights_dir
    from bench.checkpoints.catalogue import load_catalogue
    from bench.checkpoints.importing import import_weights, remarks

    path = import_weights(file, method, dataset, weights_dir or user_weights_dir(), load_catalogue(), key)
    say(f"wrote {path}")
    for remark in remarks(read_record(path, MANIFEST)):
        say(f"note: {remark}")


@app.command("list")
def list_weights(
    format: Annotated[Format, typer.Option(help="text or json.", case_sensitive=False)] = Format.text,
    weights_dir: WeightsDir = None,
) -> None:
    """Every network: installed, packaged, own (and how to name it), unused or missing.

    For what is missing, where its authors publish it and what to type.
    """
    from bench.checkpoints.catalogue import load_catalogue
    from bench.checkpoints.inventory import inventory

    items = inventory(load_catalogue(), _folder(weights_dir))
    if format is Format.json:
        typer.echo(json.dumps([vars(item) for item in items], indent=2))
        return
    for item in items:
        say("\n".join(_lines(item)))


@app.command("verify")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="Methods, evaluators or files; without any, all.")] = None,
    weights_dir: WeightsDir = None,
) -> None:
    """Re-read every weights file: digest, rows, finite values. Exit code 1 if there is a problem."""
    from bench.checkpoints.catalogue import load_catalogue
    from bench.checkpoints.inventory import verify

    damaged = count = 0
    for one in verify(load_catalogue(), names or (), _folder(weights_dir)):
        count += 1
        damaged += bool(one.problems)
        remarks = f" ({'; '.join(one.notes)})" if one.notes else ""
        say(f"{'BAD ' if one.problems else 'ok  '} {one.path}{remarks}")
        for problem in one.problems:
            say(f"       {problem}")
    say(f"{count} file{'' if count == 1 else 's'}, {damaged} with problems")
    if damaged:
        raise typer.Exit(1)


def _folder(weights_dir: Path | None) -> Path | None:
    """The folder named; UsageError where there is none."""
    if weights_dir is not None and not weights_dir.is_dir():
        raise UsageError(f"--weights-dir: {weights_dir} is {'no folder' if weights_dir.exists() else 'not there'}")
    return weights_dir


def _lines(item: Item) -> list[str]:
    """One item as text: a line of facts, and lines on how to get it where it is missing."""
    size = "x".join(map(str, item.size)) if item.size else ""
    head = f"{item.state:<10}{item.name:<16}{item.dataset or '':<12}{size:<9}"
    if item.state != "missing":
        digest = f"  sha256 {item.sha256[:12]}" if item.sha256 else ""
        facts = "; ".join(filter(None, [item.source, item.licence, item.note if item.state in NOTED else None]))
        return [f"{head}{item.path}{digest}", *([f"          {facts}"] if facts else [])]
    lines = [f"{head}{item.licence}" if item.command else f"{head}no public checkpoint"]
    if item.note:
        lines.append(f"          {item.note}")
    if item.command:
        if item.page:
            lines.append(f"          {item.page}" + (f" -> {item.download}" if item.download else ""))
        lines.append(f"          {item.command}")
    return lines
