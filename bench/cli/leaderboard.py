"""`bench leaderboard`: the static site, and submissions to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.api.errors import UsageError
from bench.api.terminal import say
from bench.cli.options import ConfigOption, chosen_results

if TYPE_CHECKING:
    from bench.leaderboard.store import Shelf
    from bench.leaderboard.submission import Submission

app = typer.Typer(no_args_is_help=True, help="Build the leaderboard's site; write, check and add submissions.")

#: Where submissions are kept: the committed results, not the last run's folder.
COMMITTED = Path("results")
ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", help="Folder of results; without it that of bench.toml, the last run's, results/."),
]
ShelfOption = Annotated[Path, typer.Option("--results", help="Folder of the results that submissions stand beside.")]
ScenesOption = Annotated[int, typer.Option("--scenes", min=1, help="Scenes to take pictures of, from the first.")]


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="Folder of the site; an earlier site in it is replaced.")],
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results", help="Folder of results, repeatable; without it that of bench.toml, the last run's, results/."
        ),
    ] = None,
    scenes: ScenesOption = 4,
    repository: Annotated[str | None, typer.Option(help="Web address of the repository, for a link.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a site of the results in a folder: ranking, curves, pictures, a page a method, raw data. It opens from disk.

    For example: bench leaderboard build --results results --out site/
    """
    from bench.api.files import check_folder
    from bench.config import load_config
    from bench.leaderboard.site import build_site
    from bench.results.folder import results_folder

    settings = load_config(config)
    check_folder(out, "--out")
    folders = [results_folder(folder, settings) for folder in results or ()] or [results_folder(None, settings)]
    say(build_site(folders, out, settings, scenes, _say, repository))


@app.command()
def samples(
    out: Annotated[Path, typer.Option("--out", help="Folder to write, for example results/samples.")],
    results: ResultsOption = None,
    scenes: ScenesOption = 4,
    config: ConfigOption = None,
) -> None:
    """Write a small set of pictures of a run's cache, which `build` shows where it lies in RESULTS/samples.

    For example: bench leaderboard samples --results results/local --out results/samples
    """
    from bench.leaderboard.samples import write_samples

    write_samples(chosen_results(results, out, config, "--out", say=_say), scenes)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    say(f"{out}: {size / 1e6:.2f} MB")


@app.command()
def add(file: Annotated[Path, typer.Argument(help="A submission.")], results: ShelfOption = COMMITTED) -> None:
    """Check a submission and put it into RESULTS/submissions, where `build` finds it."""
    from bench.leaderboard.store import Shelf

    shelf = Shelf(results)
    submission, target = shelf.add(file)
    _report(shelf, [submission])
    say(f"wrote {target}")


@app.command()
def check(
    submissions: Annotated[list[Path] | None, typer.Argument(help="Files; without any, all of RESULTS.")] = None,
    results: ShelfOption = COMMITTED,
) -> None:
    """Check submissions: format, values, names, and what they lack beside the results. Exit code 1 if refused."""
    from bench.leaderboard.store import Shelf

    if not submissions and not results.is_dir():
        raise UsageError(f"there is no folder {results}; --results names the folder whose submissions are checked")
    shelf = Shelf(results)
    checked = [shelf.check(file) for file in submissions] if submissions else shelf.read()
    if not checked:
        _say(f"there are no submissions in {results}")
    _report(shelf, checked)


@app.command()
def export(
    method: Annotated[str, typer.Argument(help="A method of the results, as its spec: for example smis+fds.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write; it has to be called NAME.json.")],
    author: Annotated[list[str], typer.Option("--author", help="Repeatable.")],
    licence: Annotated[str, typer.Option(help="Licence of code and weights, for example MIT.")],
    title: Annotated[str | None, typer.Option(help="Name for people; without it the method's own.")] = None,
    paper: Annotated[str | None, typer.Option(help="Address of the paper.")] = None,
    code: Annotated[str | None, typer.Option(help="Address of the code.")] = None,
    results: ResultsOption = None,
) -> None:
    """Write a submission of one method of a run's results. The file's name is the method's name on the leaderboard.

    For example: bench leaderboard export label_paint --out label-paint.json --author "A. Nonymous" --licence MIT
    """
    from bench.api.files import check_file
    from bench.config import load_config
    from bench.leaderboard.store import export_submission
    from bench.results.folder import results_folder

    check_file(out, "--out")
    folder = results_folder(results, load_config())
    left_out = export_submission(
        folder, method, out, authors=author, licence=licence, title=title, paper=paper, code=code
    )
    if left_out:
        _say(f"left out, because no submission may have them: {', '.join(left_out)}")
    say(f"wrote {out}")


@app.command()
def publish(
    results: Annotated[Path, typer.Option("--results", help="Folder of results in this repository.")] = COMMITTED,
    branch: Annotated[str, typer.Option(help="The branch whose pushes are published.")] = "main",
    install: Annotated[
        str | None,
        typer.Option(help="What pip installs there; without it this checkout, else the version that runs here."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the workflow; without it nothing is written.")] = False,
) -> None:
    """Say how this repository would publish its leaderboard on GitHub Pages, and write the workflow that does it.

    For example: bench leaderboard publish --write
    """
    from bench.api.files import write_atomically
    from bench.leaderboard.publish import publication

    made = publication(Path(), results, branch, install)
    say(f"{made.path} ({made.state}) at each push to {branch}:")
    say(f"  installs {made.install}")
    say(f"  builds the site of {results}")
    say(f"  publishes it at {made.address or 'the address that GitHub Pages gives this repository'}")
    if write:
        write_atomically(made.path, made.text.encode())
        say(f"wrote {made.path}; commit and push it")
        say("once, on GitHub: Settings, Pages, Source: GitHub Actions")
    else:
        say("nothing was written; --write does it")


@app.command()
def schema() -> None:
    """Print the JSON schema of submissions."""
    from bench.leaderboard.submission import schema_text

    typer.echo(schema_text(), nl=False)


def _say(line: str) -> None:
    say(line, err=True)


def _report(shelf: Shelf, submissions: list[Submission]) -> None:
    for submission in submissions:
        say(f"ok  {submission.name}: {len(submission.data['results'])} results")
        for line in shelf.gaps(submission):
            say(f"    {line}")
