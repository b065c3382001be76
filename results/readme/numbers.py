"""The numbers that the READMEs quote, read from what is committed: the tables of `bench table`, model cards, and files
of `bench speed`. Every accessor raises where the number is not there, so that no sentence outlives its number."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.results.files import read_results
from bench.results.merge import identity_of
from bench.results.scores import Score
from bench.run.ablations import ABLATIONS, PSNR
from bench.tables import named_tables, render
from bench.tables.model import Column, Table
from bench.tables.named import read_ablation

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
PERFORMANCE = RESULTS / "performance"
#: The PSNRs of the sweep, as the tables have them.
PSNRS = (100, 30, 20, 15, 10, 5, 1)


class Untrue(Exception):
    """A sentence says what the numbers no longer say; it has to be written anew."""


def claim(holds: bool, sentence: str) -> None:
    """Untrue where a sentence does not hold."""
    if not holds:
        raise Untrue(f"the numbers no longer say: {sentence}")


@cache
def _results(ablation: str | None, folder: str = ".") -> tuple[pd.DataFrame, dict[str, Any]]:
    """The committed rows and their provenance: of sweeps, or on the scenes of an ablation."""
    if ablation is None:
        return read_results(RESULTS / folder)
    return read_ablation(RESULTS, ablation, PSNR)


@cache
def table(what: str, dataset: str = "streets", folder: str = ".") -> Table:
    """The table that `bench table WHAT --out results` prints of the committed results, for one data set.

    `folder` is one of other results below the committed ones.
    """
    frame, _ = _results(what if what in ABLATIONS else None, folder)
    found = [one for one in named_tables(frame, what, PSNR) if one.scenes.dataset == dataset]
    if len(found) != 1:
        raise Untrue(f"the committed results have {len(found)} tables {what} of {dataset}, not one")
    return found[0]


def guidance(method: str, dataset: str) -> float:
    """The guidance that a method's committed results were drawn with."""
    identity = identity_of(_results(None)[1], dataset, method)
    if identity is None:
        raise Untrue(f"the provenance does not know {method} on {dataset}")
    return float(identity["options"]["guidance"])


def rows_of(folder: str) -> pd.DataFrame:
    """The committed rows of a folder below the results."""
    return _results(None, folder)[0]


def markdown(what: str, dataset: str = "streets", folder: str = ".") -> str:
    """A table with its caption, as `bench table WHAT --format md` prints it."""
    return render([table(what, dataset, folder)], "md").strip()


def _entry(one: Table, method: str, fits: Callable[[Column], bool], asked: str) -> Score:
    entry = _scores(one, fits).get(method)
    if entry is None:
        raise Untrue(f"the committed results have no {asked}")
    return entry


def _scores(one: Table, fits: Callable[[Column], bool]) -> dict[str, Score]:
    """The scores in the first column that fits, of the methods that have one."""
    places = [k for k, column in enumerate(one.columns) if fits(column)]
    found = ((row.method, row.scores[place]) for place in places[:1] for row in one.rows)
    return {method: score for method, score in found if score is not None}


def entry(metric: str, method: str, psnr: float = 10, dataset: str = "streets") -> Score:
    """A method's score at a PSNR, with its rank."""
    return _entry(table(metric, dataset), method, lambda c: c.psnr == psnr, f"{metric} of {method} at {psnr:g} dB")


def value(metric: str, method: str, psnr: float = 10, dataset: str = "streets") -> float:
    """A method's score at a PSNR."""
    return entry(metric, method, psnr, dataset).value


def rank(metric: str, method: str, psnr: float = 10, dataset: str = "streets") -> int:
    """A method's rank among all methods of a table."""
    found = entry(metric, method, psnr, dataset).rank
    return 0 if found is None else found


def arm(ablation: str, method: str, metric: str, dataset: str = "streets") -> Score:
    """An arm's score in an ablation's table, with its rank."""
    return _entry(
        table(ablation, dataset),
        method,
        lambda c: c.metric == metric,
        f"{metric} of {method} in the ablation {ablation}",
    )


def column(metric: str, psnr: float, folder: str = ".", dataset: str = "streets") -> dict[str, Score]:
    """The scores of all methods at a PSNR."""
    return _scores(table(metric, dataset, folder), lambda one: one.psnr == psnr)


def methods(metric: str = "mIoU", dataset: str = "streets") -> list[str]:
    """The methods of a table, in its order."""
    return [row.method for row in table(metric, dataset).rows]


def costs(metric: str, folder: str = ".", dataset: str = "streets") -> dict[str, Score]:
    """What a scene costs each method: `bits` or `channel_uses`."""
    return _scores(table("bits", dataset, folder), lambda one: one.metric == metric)


def scenes(what: str = "mIoU", dataset: str = "streets", folder: str = ".") -> int:
    """How many scenes a table is about."""
    found = re.search(r"\b([\d,]+) scenes", table(what, dataset, folder).title)
    if found is None:
        raise Untrue(f"the title of table {what} names no number of scenes")
    return int(found[1].replace(",", ""))


def ceiling(what: str = "mIoU", dataset: str = "streets", folder: str = ".") -> float:
    """The mIoU of the originals themselves, from the caption of a table."""
    found = re.search(r"originals themselves have mIoU ([\d.]+\d)", table(what, dataset, folder).caption)
    if found is None:
        raise Untrue(f"the caption of table {what} names no ceiling")
    return float(found[1])


def peak_levels() -> list[str]:
    """The peak SNR behind each PSNR label, as captions print it."""
    found = re.search(r"(?:peak|true) SNR ([^;]*?) dB", table("mIoU").caption)
    levels = found[1].split(", ") if found else []
    claim(len(levels) == len(PSNRS), "the caption names one SNR a column")
    return levels


#: The FID of the embedded data sets.
FID = "FID[lite0]"
#: What a receiver that decides for one class a pixel is shown by.
DECIDING = "oasis+fds:decision=hard"
#: Methods that are trained otherwise: one draws nothing, the other starts as its teacher.
APART = ("deepjscc", "gesco_fast")


def images_seen(dataset: str, method: str | None = None) -> int:
    """How many pictures each shipped network of a data set saw in training, from the model cards.

    Of `method`, or of all that are not `APART`.
    """
    cards = sorted((ROOT / "methods" / "weights").glob(f"*-{dataset}-*.md"))
    named = {card: card.name.split("-")[0] for card in cards}
    cards = [card for card, name in named.items() if (name == method if method else name not in APART)]
    return seen_by(cards, f"{method or 'generators'} on {dataset}")


def seen_by(cards: Iterable[Path], whose: str) -> int:
    """How many pictures each of these networks saw in training, from its card."""
    counts = {fact(card, r"images seen \| .*?(\d+) \|") for card in cards}
    claim(len(counts) == 1, f"all networks of {whose} have seen the same number of pictures")
    return int(counts.pop())


def training_minutes() -> list[float]:
    """How long the shipped networks were trained, ascending, from the model cards."""
    cards = [*(ROOT / "methods" / "weights").glob("*-*.md"), *(ROOT / "metrics" / "weights").glob("*.md")]
    return sorted(_minutes(card) for card in cards)


def _minutes(card: Path) -> float:
    text = card.read_text(encoding="utf-8")
    if found := re.search(r"\| (\d+) minutes, ", text):
        return float(found[1])
    if found := re.search(r"; (\d+) s on cpu", text):
        return float(found[1]) / 60
    raise Untrue(f"{card.name} does not say how long its network was trained")


def carded(card: str, pattern: str) -> float:
    """A number of a model card in metrics/weights, by a pattern with one group."""
    return float(fact(ROOT / "metrics" / "weights" / card, pattern))


def fact(card: Path, pattern: str) -> str:
    """What a model card says, by a pattern with one group."""
    found = re.search(pattern, card.read_text(encoding="utf-8"))
    if found is None:
        raise Untrue(f"{card.name} has nothing like {pattern}")
    return found[1]


@cache
def receiver_ms(method: str) -> float:
    """What a receiver of the embedded scenes takes a picture, in milliseconds of one thread."""
    return 1000 * float(_receiver(method)["seconds"])


def operations(method: str) -> float:
    """The floating-point operations of a receiver of the embedded scenes, a picture."""
    return float(_receiver(method)["operations"])


def _receiver(method: str) -> dict[str, Any]:
    rows = speed("pipeline-streets-cpu")["rows"]
    return next(row for row in rows if (row["method"], row["stage"]) == (method, "receive"))


def speed(name: str) -> dict[str, Any]:
    """A measurement of `bench speed`, results/performance/NAME.json."""
    return json.loads((PERFORMANCE / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@cache
def steps(psnr: float) -> dict[tuple[str, int], dict[str, float]]:
    """(sampler, steps) -> scores of results/performance/steps.csv at a PSNR."""
    with (PERFORMANCE / "steps.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["psnr"]) == psnr]
    numbers = ("mIoU", "LPIPS", "FID[lite0]", "KID[lite0]")
    return {(row["sampler"], int(row["steps"])): {name: float(row[name]) for name in numbers} for row in rows}


@cache
def ddim_noise() -> tuple[dict[tuple[str, int], tuple[float, ...]], str]:
    """(sampler, steps) -> noise and LPIPS of both networks, from results/performance/ddim_noise.md, and its text."""
    text = (PERFORMANCE / "ddim_noise.md").read_text(encoding="utf-8")
    rows = {}
    for line in text.splitlines():
        if found := re.match(r"\| (.+), (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", line):
            rows[found[1], int(found[2])] = tuple(float(x) for x in found.groups()[2:])
    return rows, text


def between(values: Iterable[float], decimals: int) -> str:
    """`0.79 to 0.83`, of the smallest and the largest, or the one number that both print as."""
    numbers = list(values)
    low, high = (f"{bound:.{decimals}f}" for bound in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"
