"""`bench merge`: results of several folders in one."""

from pathlib import Path
from typing import Annotated

import typer

from bench.api.terminal import say


def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of results.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to add them to.")],
) -> None:
    """Add the results of other folders to those in OUT, for example of runs on another machine.

    Where two have the same cell the later one's numbers are taken. Pictures stay where they are: copy cells/ and
    metrics/ to have them in OUT's figures too.

    Example: bench merge gpu/results cpu/results --out results/all
    """
    from bench.api.files import check_folder
    from bench.results.files import add_results, whole_results

    check_folder(out, "--out")
    (frame, _), notes = add_results([whole_results(folder) for folder in folders], out)
    for note in notes:
        say(f"note: {note}", err=True)
    say(f"{out}: {len(frame):,} rows of {frame['cell'].nunique()} cells")
