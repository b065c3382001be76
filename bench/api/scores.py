"""What is known of scores without measuring: every metric declares it of its own, the harness of what cells cost.

Readers of results go by `score_info`, which needs neither torch nor the metric's package: a score of a metric that is
not installed here has the values of `ScoreInfo`'s defaults, and results say themselves which direction is better.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

from bench.api.errors import MetricError
from bench.api.registry import METRICS

#: What a score is about, in the order in which tables and figures show them.
Family = Literal["segmentation", "perception", "distribution", "objects", "depth", "other", "cost"]
FAMILIES: tuple[Family, ...] = ("segmentation", "perception", "distribution", "objects", "depth", "other", "cost")


@dataclass(frozen=True)
class ScoreInfo:
    """What is known of a score without measuring: tables, figures, submissions and regression reports go by it.

    Attributes:
        name: As in the results, set-level (`mIoU`) or of single scenes (`mIoU[scene]`); `*` stands for any text, where
            names are found while measuring (`recall[*]`).
        higher_is_better: Its direction.
        family: What it is about.
        low: Least possible value, inclusive.
        high: Largest possible value, inclusive.
        floor: Smallest change that a regression report calls one, in the score's unit.
        relative: The floor is a share of the baseline's value instead. A cost is warned about from that on.
        unit: Of its values; empty for a bare number.
        decimals: In tables of several scores.
        scenes: Name of the scenes' own values; the score's own name where it is their mean, which is checked.
        originals: Name of the score that the original pictures get in the place of regenerated ones: a ceiling.
        of_originals: It is such a score, so nothing about a method.
        shown: "always": its table ends a run and figures draw it unless others are asked for; "family": against PSNR
            where its family is asked for; "name": where it is asked for by name.
        part_of: The score that it is the part of one class of, named in its brackets (`IoU[car]`: `mIoU`).
        beside: Scores of equal text stand side by side at one PSNR where their family is asked for.
        published: What papers call it; empty where they have no such score.
        substitute: Papers mean another measurement by that name, so differences from their values say nothing.
        aliases: Other names that people may type for it.
        machine: What of a run's provenance has to be equal for values to compare; empty where nothing has to.
    """

    name: str
    higher_is_better: bool
    family: Family = "other"
    low: float = -math.inf
    high: float = math.inf
    floor: float = 0.02
    relative: bool = True
    unit: str = ""
    decimals: int = 3
    scenes: str | None = None
    originals: str | None = None
    of_originals: bool = False
    shown: Literal["always", "family", "name"] = "name"
    part_of: str = ""
    beside: str = ""
    published: str = ""
    substitute: bool = False
    aliases: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()

    def fits(self, score: str) -> bool:
        """Whether it is about the score of that name."""
        return fnmatchcase(score, self.name.replace("[", "[[]"))

    def holds(self, value: float) -> bool:
        """Whether a value is finite and possible."""
        return math.isfinite(value) and self.low <= value <= self.high

    @property
    def heading(self) -> str:
        """Its name with ↑ where more is better, else ↓."""
        return f"{self.name} {'↑' if self.higher_is_better else '↓'}"

    @property
    def range(self) -> str:
        """The possible values, in words."""
        if math.isinf(self.low):
            return "any number"
        return f"{self.low:g} or more" if math.isinf(self.high) else f"between {self.low:g} and {self.high:g}"


#: What a cell costs: rows of every run's results, made by the harness itself. What the machine decides is never ranked.
COSTS = {
    info.name: info
    for info in (
        ScoreInfo("bits", False, "cost", 0.0, scenes="bits", published="bits"),
        ScoreInfo("channel_uses", False, "cost", 0.0, scenes="channel_uses"),
        ScoreInfo("energy", False, "cost", 0.0, scenes="energy"),
        ScoreInfo("side_bytes", False, "cost", 0.0),
        ScoreInfo("block_lost", False, "cost", 0.0, 1.0, scenes="block_lost"),
        ScoreInfo(
            "seconds", False, "cost", 0.0, floor=0.5, unit="s", decimals=2,
            machine=("cpu", "devices", "jobs", "batch_size"),
        ),
        ScoreInfo("memory", False, "cost", 0.0, floor=0.25, unit="MiB", machine=("devices", "batch_size")),
    )
}  # fmt: skip


#: What follows from costs (bench/results/budgets.py): rows beside them, which no report of regressions needs.
DERIVED = {
    info.name: info
    for info in (
        ScoreInfo("complex_uses", False, "cost", 0.0),
        ScoreInfo("cbr", False, "cost", 0.0, decimals=4, aliases=("bandwidth_ratio",)),
        ScoreInfo("mean_power", False, "cost", 0.0),
        ScoreInfo("mean_snr", False, "cost", unit="dB", decimals=1, aliases=("mean_snr_db",)),
    )
}


def declared_scores() -> Iterator[ScoreInfo]:
    """What is declared, first of costs, then by the benchmark's own metrics: that needs no code of others."""
    yield from (*COSTS.values(), *DERIVED.values())
    for metric in sorted(METRICS.names(), key=METRICS.is_ours, reverse=True):
        try:
            yield from METRICS.load(metric).scores
        except (MetricError, AttributeError):  # somebody's metric is broken: nothing is known of its scores
            continue


@lru_cache(maxsize=1024)
def find_score(name: str) -> ScoreInfo | None:
    """What the installed metric behind a score, or the harness, declares of it; None where nobody does."""
    return next((info for info in declared_scores() if info.fits(name)), None)


def named_by_alias(typed: str) -> str:
    """The score that has what was typed as another name, whatever its case; what was typed where there is none."""
    return next((info.name for info in declared_scores() if typed.lower() in map(str.lower, info.aliases)), typed)


def score_info(name: str) -> ScoreInfo:
    """As `find_score`, with the defaults of `ScoreInfo` where nobody declares the score.

    Its direction is then that of the results, which have it with every value.
    """
    return find_score(name) or ScoreInfo(name, higher_is_better=False)


def stem(score: str) -> str:
    """A score's name without its bracket: `mIoU` of `mIoU[judge]`."""
    return score.partition("[")[0]


def shown_always(names: Iterable[str]) -> list[str]:
    """Stems of the scores among `names` that are shown unless others are asked for, by family."""
    found = [info for name in sorted(names) if (info := score_info(name)).shown == "always"]
    return list(dict.fromkeys(stem(info.name) for info in sorted(found, key=lambda info: FAMILIES.index(info.family))))
