"""What cells cost on both sides: bits, channel uses, seconds and memory. Costs only ever warn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.api.scores import COSTS
from bench.regress.model import CellName, Cost
from bench.regress.numbers import numbers
from bench.regress.thresholds import Thresholds

if TYPE_CHECKING:
    import pandas as pd

#: Costs that depend on the machine, and what of the provenance has to be equal for them to compare.
MACHINE = {"seconds": ("cpu", "devices", "jobs", "batch_size"), "memory": ("devices", "batch_size")}


def compare_costs(
    baseline: pd.DataFrame, rerun: pd.DataFrame, ids: Mapping[str, tuple[str, ...]], limits: Thresholds,
    facts: Sequence[Mapping[str, Any]],
) -> list[Cost]:  # fmt: skip
    """Costs of the cells that both have, by cell; `facts` are the provenance of both. A cost of another machine is
    reported and not warned about."""
    old, new = numbers(baseline, ids), numbers(rerun, ids)
    found = []
    for (cell, what), after in new.items():
        before = old.get((cell, what))
        if what not in COSTS or before is None:
            continue
        was, now = (n.value(len(ids[cell.dataset])) if n.scenes is not None else n.whole for n in (before, after))
        if was is None or now is None or not (math.isfinite(was) and math.isfinite(now)):
            continue
        made = Cost(cell, what, was, now, False)
        warned = made.factor >= limits.warn[what] and not other_machine(what, facts)
        found.append(Cost(cell, what, was, now, warned))
    return found


def other_machine(what: str, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of the machines differs that a cost depends on; empty for a cost that depends on none."""
    baseline, rerun = facts
    return [key for key in MACHINE.get(what, ()) if baseline.get(key) != rerun.get(key)]


def by_method(costs: Sequence[Cost]) -> list[tuple[Cost, int]]:
    """The largest warned factor of each method and cost, with how many of its cells are warned about."""
    groups: dict[tuple[str, str, str, str], list[Cost]] = {}
    for cost in costs:
        if cost.warned:
            cell: CellName = cost.cell
            groups.setdefault((cell.dataset, cell.channel, cell.method, cost.what), []).append(cost)
    return [(max(group, key=lambda c: c.factor), len(group)) for group in groups.values()]
