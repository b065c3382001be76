"""Which results `table`, `plot`, `sheet` and `leaderboard` read where no folder is named."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.files import write_atomically
from bench.api.terminal import say
from bench.results.dataset import RESULTS, is_dataset

if TYPE_CHECKING:
    from bench.config import Config

FALLBACK = Path("results")


def holds_results(folder: Path) -> bool:
    """Whether there are results in a folder, whatever their state."""
    return is_dataset(folder) or (folder / RESULTS).is_file()


def _memory() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("gesco-bench")) / "last-run.json"


def remember(out: Path) -> None:
    """Note `out` as the last run's folder; a home that cannot be written to costs only the convenience."""
    from bench.api.errors import BenchError

    with suppress(BenchError, OSError):
        write_atomically(_memory(), json.dumps({"out": str(out.resolve())}).encode())


def results_folder(named: Path | None, config: Config) -> Path:
    """`named`, else where `bench run` would write from here, else the user's last run, else results/.

    One line on stderr says which it is; the last run may belong to another project.
    """
    folder, why = named or config.run.out, ""
    if named is None and not holds_results(folder):
        folder = FALLBACK
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            last = Path(json.loads(_memory().read_bytes())["out"])
            if last.is_dir():
                folder, why = last, ", the folder of your last run (--out chooses another)"
    if holds_results(folder):  # else an error will name the folder
        say(f"reading the results in {folder}{why}", err=True)
    return folder
