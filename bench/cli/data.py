"""`bench data`: list the data sets, verify a data root, describe one's own, write a data set as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.api.terminal import say
from bench.cli.options import ConfigOption

if TYPE_CHECKING:
    from bench.api.scenes import LabelSpace, SceneSource
    from bench.config import Config
    from bench.data.folder import FolderSource

app = typer.Typer(no_args_is_help=True, help="List, verify and export data sets.")

_CORES = os.cpu_count() or 1

Root = Annotated[Path | None, typer.Option(help="The data root; else the environment or bench.toml names it.")]
Jobs = Annotated[int, typer.Option(min=1, help="Workers; the default is one a CPU core.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


@app.command("list")
def list_datasets(config: ConfigOption = None) -> None:
    """Every data set: embedded or where its root was found, scenes a split, size and label ids."""
    from bench.api.errors import DataError
    from bench.api.registry import DATASETS
    from bench.config import load_config
    from bench.data.registry import own_names

    configuration = load_config(config)
    for name in (*DATASETS.names(), *own_names(configuration.data)):
        try:
            facts, *lines = _whereabouts(name, configuration)
        except DataError as error:  # of a package that is broken
            facts, lines = "", [str(error)]
        say(f"{name:<10}  {facts}".rstrip())
        for line in filter(None, lines):
            say(f"  {line}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="The data set, for example cityscapes, or folder:PATH.")],
    root: Root = None,
    split: Annotated[str | None, typer.Option(help="One split; else every split that is there.")] = None,
    jobs: Jobs = _CORES,
    quiet: Quiet = False,
    config: ConfigOption = None,
) -> None:
    """Verify a data root: decode every file and list every problem, which is what would stop a run.

    Exit code 1 if there is one. Notes say what is ignored.
    """
    from bench.data.folder import FolderSource
    from bench.data.folder import check as check_root
    from bench.data.images import printable

    source, split = _open(name, root, None, split, config)
    if not isinstance(source, FolderSource):
        say(f"{name} is rendered by the project: there are no files to check")
        return
    report = check_root(source, split, jobs, progress=not quiet)
    for problem in report.problems:
        say(str(problem))
    for note in report.notes:
        say(f"note: {note}")
    scenes = ", ".join(f"{split} {count}" for split, count in report.scenes.items()) or "none"
    count = len(report.problems)
    found = f"{count} problem{'' if count == 1 else 's'}" if count else "no problem"
    say(f"{source.name} in {printable(str(source.root))}: {found}; complete scenes: {scenes}")
    if report.problems:
        raise typer.Exit(1)


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="The data set, for example streets.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="An empty folder, or an export to continue.")],
    split: Annotated[str, typer.Option(help="The split to write.")],
    limit: Annotated[int | None, typer.Option(min=1, help="The first N scenes; else all.")] = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Height x width; else the usual size.")] = None,
    root: Root = None,
    jobs: Jobs = _CORES,
    quiet: Quiet = False,
    config: ConfigOption = None,
    layout: Annotated[
        str, typer.Option("--format", help="cityscapes: its official layout; folder: a data set of your own, to edit.")
    ] = "cityscapes",
) -> None:
    """Write scenes as files. The same command again continues an export that was stopped.

    For example: bench data export streets /tmp/streets --split val --limit 100 --size 256x512
    """
    from bench.api.errors import known_name
    from bench.api.files import check_folder
    from bench.data.export import export as write_export
    from bench.data.own import SCHEME, export_folder

    layout = known_name(layout, ("cityscapes", "folder"), "format")
    check_folder(destination, "DEST")
    source, chosen = _open(name, root, size, split, config)
    assert chosen is not None
    write = export_folder if layout == "folder" else write_export
    report = write(source, chosen, destination, limit, jobs, progress=not quiet)
    say(f"wrote {report.written} scenes to {destination}; {report.kept} were there already")
    read = f"{SCHEME}{destination}" if layout == "folder" else f"cityscapes --root {destination}"
    say(f"read them with: --datasets {read} --split {chosen}")


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="A folder with SPLIT/images and SPLIT/labels.")],
    jobs: Jobs = _CORES,
    quiet: Quiet = False,
) -> None:
    """Write PATH/classes.toml for pictures and label maps of your own, from the labels that are found.

    Edit names, colours and size in it, then: bench data check folder:PATH
    """
    from bench.data.own import CLASSES, SCHEME
    from bench.data.own import init as describe

    values = describe(path, jobs, progress=not quiet)
    say(f"wrote {path / CLASSES}: {len(values)} classes. Edit names and size, then: bench data check {SCHEME}{path}")


def _open(
    name: str, root: Path | None, size: str | None, split: str | None, config: Path | None
) -> tuple[SceneSource, str | None]:
    """The data set and split behind a command's arguments; UsageError for a name, split or size that does not exist."""
    from bench.api.errors import known_name
    from bench.config import DataSection, load_config
    from bench.data.registry import known_dataset, open_dataset

    sections = load_config(config).data
    name = known_dataset(name, sections)
    section = sections.get(name, DataSection())
    wanted = _parse_size(size) if size is not None else section.size
    source = open_dataset(name, root, wanted, section.root, section.resize)
    return source, None if split is None else known_name(split, source.splits, "split", f" of {name}")


def _parse_size(text: str) -> tuple[int, int]:
    """`256x512` -> (256, 512)."""
    from bench.api.errors import UsageError

    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise UsageError(f"'{text}' is not a size: write height x width, for example 256x512")
    return int(height), int(width)


def _whereabouts(name: str, config: Config) -> tuple[str, str, str]:
    """The size that a data set is read at with its label ids, its scenes a split ("" for none), and where it is."""
    from bench.api.errors import DataError
    from bench.api.registry import DATASETS
    from bench.config import DataSection
    from bench.data.folder import FolderSource
    from bench.data.registry import environment_variable, find_root, open_dataset

    section = config.data.get(name, DataSection())
    if name not in DATASETS.names():
        own = open_dataset(name, None, section.size, section.root)
        assert isinstance(own, FolderSource)
        return _described(own, f"[data.{name}] in bench.toml")
    kind = DATASETS.load(name)
    facts = _facts(section.size or kind.default_size, kind.label_space)
    if not issubclass(kind, FolderSource):
        scenes = ", ".join(f"{split} {len(kind(section.size).ids(split))}" for split in kind.splits)
        where, more = ("embedded: rendered here", " (more with --limit)") if kind.rendered else ("installed", "")
        return facts, f"scenes: {scenes}{more}", where
    root = find_root(name, None, section.root)
    if root is None:
        return facts, "", f"no root: --root, {environment_variable(name)} or bench.toml"
    try:
        return _described(kind(root.path, section.size), root.origin)
    except DataError as error:
        return facts, "", str(error)


def _described(source: FolderSource, origin: str) -> tuple[str, str, str]:
    scenes = ", ".join(_count(source, split) for split in source.available_splits()) or "none"
    return _facts((source.height, source.width), source.label_space), f"scenes: {scenes}", f"{source.root} ({origin})"


def _facts(size: tuple[int, int], labels: LabelSpace) -> str:
    return f"{size[0]}x{size[1]}, {labels.size} label ids, {len(labels.evaluated)} of them scored"


def _count(source: FolderSource, split: str) -> str:
    """Complete scenes of a split, and how many problems keep others from being complete."""
    listing = source.listing(split)
    count = len(listing.problems)
    problems = f" ({count} problem{'' if count == 1 else 's'})" if count else ""
    return f"{split} {len(listing.scenes)}{problems}"
