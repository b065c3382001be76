"""The paper's values as data: the CSV files beside this module, one a table, one number a row (README.md there)."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.api.errors import BenchError
from bench.api.scenes import facts_of
from bench.api.scores import score_info

FOLDER = Path(__file__).parent
#: The paper prints FID divided by ten (its heading says ten times FID).
SCALED = {"FID/10": ("FID", 10.0)}

#: (method, PSNR), PSNR None for what does not depend on the channel.
Place = tuple[str, float | None]


@dataclass(frozen=True)
class PaperValue:
    """One cell of the paper: what it prints (a number in the metric's own unit, or `noise`, or `-`)."""

    text: str
    value: float | None
    std: float | None


def _number(text: str, file: Path, line: int) -> float | None:
    try:
        return float(text) if text not in ("", "-", "noise") else None
    except ValueError:
        raise BenchError(f"{file}, line {line}: '{text}' is neither a number nor 'noise' nor '-'") from None


@lru_cache(maxsize=1)
def _everything(folder: Path) -> list[tuple[str, str, str, Place, PaperValue]]:
    found = []
    for file in sorted(folder.glob("*.csv")):
        reader = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
        for row in reader:
            metric, factor = SCALED.get(row["metric"], (row["metric"], 1.0))
            value, std, psnr = (_number(row[column], file, reader.line_num) for column in ("value", "std", "psnr"))
            paper = PaperValue(row["value"], value and value * factor, std and std * factor)
            found.append((row["table"], row["dataset"], metric, (row["method"], psnr), paper))
    return found


def paper_values(dataset: str, metric: str, tables: Collection[str]) -> dict[Place, PaperValue]:
    """What the paper has of a metric (`mIoU[judge]`: of mIoU) in some of its tables ("1" to "5", "text 4.2")."""
    counterpart = facts_of(dataset).counterpart
    return {
        place: value
        for table, of, name, place, value in _everything(FOLDER)
        if of == counterpart and name == score_info(metric).published and table in tables
    }
