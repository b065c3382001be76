"""What a regression report says: comparisons with verdicts, costs, other changes; and what size matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bench.api.errors import UsageError, nearest
from bench.api.scores import COSTS, score_info, stem

if TYPE_CHECKING:
    import numpy as np

    from bench.config import RegressSection


class Verdict(StrEnum):
    """What became of one metric of one cell."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"  # not told apart, or by less than the floor
    UNTESTED = "untested"  # both numbers are there, but nothing that tells chance from change
    NEW = "new"  # not in the baseline
    MISSING = "missing"  # not in the rerun


class Basis(StrEnum):
    """What tells a change from chance, in the words of the reports."""

    SIGNS = "sign flips of the scenes' differences"
    CONTRIBUTIONS = "Student's t of paired differences of what scenes contribute to the score"
    ERRORS = "Student's t of both standard errors as if independent"


@dataclass(frozen=True, order=True)
class CellName:
    """A cell whatever its seed: data set, channel convention (`awgn-paper-peak`), method (spec string), PSNR in dB."""

    dataset: str
    channel: str
    method: str
    psnr: float

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{self.method} on {self.dataset}, {self.channel}@{self.psnr:g}"


@dataclass(frozen=True)
class ScoreChange:
    """One metric of one cell on both sides, averaged over seeds; `change` is rerun minus baseline.

    `error` is the change's standard error over scenes and `low`, `high` its 95 % interval (not corrected for the number
    of comparisons), `p` the chance of such a change under no change, corrected for it; all None where untested. `floor`
    is the smallest change that counts. `differences` are the scenes', in the order of the report's ids, NaN where
    undefined. `failed`: it was in the baseline, and the rerun tried and could not make it.
    """

    cell: CellName
    metric: str
    higher_is_better: bool
    baseline: float | None
    rerun: float | None
    verdict: Verdict
    basis: Basis | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    floor: float | None = None
    note: str = ""
    failed: bool = False
    differences: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def change(self) -> float | None:
        """Rerun minus baseline, where both are known."""
        return None if self.baseline is None or self.rerun is None else self.rerun - self.baseline

    @property
    def decline(self) -> float:
        """How much worse it got, in floors; negative where it got better, 0 where that is unknown."""
        if self.change is None or not self.floor:
            return 0.0
        return (-self.change if self.higher_is_better else self.change) / self.floor


@dataclass(frozen=True)
class Cost:
    """What a cell costs on both sides; `warned` where the rerun's is larger by the configured factor or more."""

    cell: CellName
    what: str
    baseline: float
    rerun: float
    warned: bool

    @property
    def factor(self) -> float:
        """The rerun's cost as a multiple of the baseline's; infinite where that was nothing."""
        if self.baseline:
            return self.rerun / self.baseline
        return float("inf") if self.rerun else 1.0


@dataclass(frozen=True)
class Change:
    """Something else that differs between the two runs, which may be why numbers do."""

    what: str
    baseline: str
    rerun: str


@dataclass(frozen=True)
class Report:
    """A finished regression report; `family` comparisons are corrected for, `ids` are the scenes by data set."""

    comparisons: Sequence[ScoreChange]
    costs: Sequence[Cost]
    changes: Sequence[Change]
    notes: Sequence[str]
    failures: Sequence[tuple[str, str]]
    alpha: float
    family: int
    ids: dict[str, tuple[str, ...]]
    about: dict[str, Any]

    def of(self, verdict: Verdict) -> list[ScoreChange]:
        """The comparisons with a verdict, the greatest change for the worse first."""
        return sorted((c for c in self.comparisons if c.verdict is verdict), key=lambda c: -c.decline)

    @property
    def regressed(self) -> bool:
        """Whether anything got worse, or crashed."""
        return bool(self.failures) or any(c.failed or c.verdict is Verdict.WORSE for c in self.comparisons)

    @property
    def tested_nothing(self) -> bool:
        """Whether the report says nothing at all: no comparison could be tested, and nothing crashed."""
        return not self.regressed and not self.family

    @property
    def counts(self) -> dict[Verdict, int]:
        """Comparisons by verdict, those that occur."""
        found = {verdict: sum(c.verdict is verdict for c in self.comparisons) for verdict in Verdict}
        return {verdict: number for verdict, number in found.items() if number}


@dataclass(frozen=True)
class Thresholds:
    """From which size on a change matters: what `[regress]` says, and else what a score declares.

    A floor keeps differences that are real but of no consequence (another processor rounds otherwise) from being called
    changes. `alpha` is the level of the whole report, `floors` are (amount, whether a share of the baseline's value),
    and `warn` the factors from which costs are warned about: that is all they ever are.
    """

    alpha: float
    floors: Mapping[str, tuple[float, bool]]
    warn: Mapping[str, float]

    def floor(self, metric: str, baseline: float) -> float:
        """The smallest change that counts, in the metric's unit: given by its name, else its stem, else declared."""
        info = score_info(metric)
        amount, relative = self.floors.get(metric, self.floors.get(stem(metric), (info.floor, info.relative)))
        return amount * abs(baseline) if relative else amount


def thresholds(section: RegressSection) -> Thresholds:
    """What `[regress]` says; UsageError for a floor given twice or an unknown cost."""
    twice = sorted(section.floors.keys() & section.relative_floors.keys())
    if twice:
        raise UsageError(f"{twice[0]} has a floor and a relative floor in [regress]; keep one of them")
    for name in section.warn:
        if name not in COSTS:
            raise UsageError(f"unknown cost '{name}' in [regress.warn]{nearest(name, COSTS)}")
    floors = {
        **{name: (amount, False) for name, amount in section.floors.items()},
        **{name: (amount, True) for name, amount in section.relative_floors.items()},
    }
    return Thresholds(section.alpha, floors, {**{name: 1 + cost.floor for name, cost in COSTS.items()}, **section.warn})
