"""`bench merge`: results of several folders in one."""

from pathlib import Path
from typing import Annotated

import typer

from bench.api.terminal import say


def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of results.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to add them to.")],
    csv: Annotated[bool, typer.Option("--csv", help="Write OUT/results.csv too, all rows as text.")] = False,
) -> None:
    """Add the results of other folders to those in OUT, for example of runs on another machine.

    Results of an earlier version (results.parquet) become a data set: `bench merge DIR --out DIR` converts them in
    place. Where two have the same cell the later one's numbers are taken. Pictures stay where they are: copy cells/ and
    metrics/ to have them in OUT's figures too.

    Example: bench merge gpu/results cpu/results --out results/all
    """
    from bench.api.files import check_folder
    from bench.results.files import add_results, whole_results, write_csv
    from bench.results.folder import holds_results
    from bench.results.tidy import count_rows

    check_folder(out, "--out")
    others = [
        whole_results(folder) for folder in folders if folder.resolve() != out.resolve() or not holds_results(out)
    ]
    (frame, _), notes = add_results(others, out)
    for note in notes:
        say(f"note: {note}", err=True)
    if csv:
        write_csv(out)
    say(f"{out}: {count_rows(frame):,} rows of {frame['cell'].nunique()} cells")
