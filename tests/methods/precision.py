"""Write `results/precision.md`: how near every network and every shared step is to the official code.

    python -m tests.methods.precision [--out results/precision.md]

It runs the golden tests (every test file that reports through `golden_helper`) and prints what they measured, so the
page holds the largest differences reached on the machine that ran it. Exit code 1, and no page, if a test fails.
"""

from __future__ import annotations

import argparse
import datetime
import inspect
import os
import platform
import sys
from pathlib import Path

import pytest
import torch

from tests.methods import golden_helper
from tests.methods.golden_helper import Row

ROOT = Path(__file__).parents[2]
HEAD = """# Precision

How far this project's networks and data paths lie from the official code they stand for: the largest absolute
difference to golden arrays that the official code made, with the same inputs and the same synthetic weights (each
tensor a function of its key). *Floor* is the official code's own largest difference between float32 and float64, where
the reference states it; a limit of 0 means bit for bit. Made on {date} with torch {torch}, {threads} CPU thread(s),
{machine}, by `python -m tests.methods.precision`; {count} comparisons.
"""


def golden_files() -> list[str]:
    """The test files that compare through `golden_helper`."""
    files = sorted((ROOT / "tests").glob("*/test_*.py"))
    return [str(path) for path in files if "golden_helper import" in path.read_text(encoding="utf-8")]


class _OnlyComparisons:
    """A pytest plug-in that leaves out the tests of those files that compare nothing with golden arrays."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "check(" in inspect.getsource(item.obj)]  # type: ignore[attr-defined]


def measure() -> list[Row]:
    """Run the golden tests here, in this process, and return what they compared; SystemExit if one fails."""
    torch.set_num_threads(1)  # with one thread a sum has one order
    golden_helper.ROWS.clear()
    code = pytest.main(["-q", "--slow", f"--rootdir={ROOT}", *golden_files()], plugins=[_OnlyComparisons()])
    if code != pytest.ExitCode.OK:
        sys.exit("the golden tests did not pass: no page was written")
    return list(golden_helper.ROWS)


def page(rows: list[Row]) -> str:
    """The rows as Markdown: networks in the order of their names, one table each."""
    text = HEAD.format(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        machine=platform.machine(),
        count=len(rows),
    )
    for network in sorted({row.network for row in rows}, key=str.lower):
        text += f"\n## {network}\n\n| case | quantity | difference | floor | limit | |\n|---|---|--:|--:|--:|---|\n"
        for row in sorted({row for row in rows if row.network == network}, key=lambda row: (row.case, row.quantity)):
            floor = "" if row.floor is None else f"{row.floor:.1e}"
            cells = [row.case, row.quantity, _short(row.reached), floor, _short(row.limit)]
            text += f"| {' | '.join(cells)} | {'pass' if row.passed else 'FAIL'} |\n"
    return text


def _short(number: float) -> str:
    return "0" if number == 0 else f"{number:.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the precision page from the golden tests.")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "precision.md")
    out: Path = parser.parse_args().out
    text = page(measure())
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
