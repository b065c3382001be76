"""Which folder `table`, `plot` and `sheet` read when --out is not given: the last run's, remembered for the user."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from bench.cache import write_atomically

FALLBACK = Path("results")


def _memory() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("gesco-bench")) / "last-run.json"


def remember(out: Path) -> None:
    """Note `out` as the last run's folder; a home that cannot be written to costs only the convenience."""
    from bench.errors import BenchError

    with suppress(BenchError, OSError):
        write_atomically(_memory(), json.dumps({"out": str(out.resolve())}).encode())


def results_folder(out: Path | None) -> Path:
    """`out` where given, else the last run's folder where it still exists, else results/."""
    if out is not None:
        return out
    try:
        last = Path(json.loads(_memory().read_bytes())["out"])
    except (OSError, ValueError, KeyError, TypeError):
        return FALLBACK
    return last if last.is_dir() else FALLBACK
