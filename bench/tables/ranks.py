"""Ranks with ties: methods share a rank where the data cannot tell them apart at 95 %."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from bench.bootstrap import DRAWS, LEVEL, SEED, tell_apart
from bench.tables.measured import Basis, Key, Measured
from bench.tables.model import Entry

#: Standard errors that a difference must exceed at LEVEL.
_CRITICAL = NormalDist().inv_cdf((1 + LEVEL) / 2)


def ranked(data: Measured, keys: Sequence[Key | None], decimals: int) -> list[Entry | None]:
    """The entries behind `keys` (one column of a table) with their ranks: 1 + the number of entries that are better.

    An entry beyond measure, or undefined, has none; nor has an only entry.
    """
    entries = [None if key is None else data.entries.get(key) for key in keys]
    compared = [
        (key, e) for key, e in zip(keys, entries, strict=True) if e and key and not e.noise and math.isfinite(e.value)
    ]
    if len(compared) < 2:
        return entries
    return [
        replace(e, rank=1 + sum(_better(data, other, key, decimals) for other, _ in compared))
        if e and (key, e) in compared and key
        else e
        for key, e in zip(keys, entries, strict=True)
    ]


def _better(data: Measured, first: Key, second: Key, decimals: int) -> bool:
    """Whether the first entry is better than the second one, as far as the data can tell."""
    a, b = data.entries[first], data.entries[second]
    sign = 1 if data.higher_is_better else -1
    if first == second:
        return False
    if data.basis is Basis.SPREAD:
        error = math.hypot(a.std or 0.0, b.std or 0.0)
        return sign * (a.value - b.value) > _CRITICAL * error
    if data.basis is Basis.NONE:
        return sign * (round(a.value, decimals) - round(b.value, decimals)) > 0
    return tell_apart(data.draws[first], data.draws[second]) == sign


def explained(columns: Sequence[Measured]) -> str:
    """A sentence on what the ranks of a table rest on."""
    by_basis: dict[Basis, list[str]] = {}
    for data in columns:
        by_basis.setdefault(data.basis, []).append(data.metric)
    parts = [basis.value if len(by_basis) == 1 else f"{', '.join(m)}: {basis.value}" for basis, m in by_basis.items()]
    resampled = {Basis.SETS, Basis.SCENES, Basis.PROXY} & set(by_basis)
    setting = f" ({LEVEL:.0%}, {DRAWS} resamples, seed {SEED})" if resampled else ""
    if by_basis.keys() == {Basis.NONE}:
        return f"Ranks in parentheses rest on {parts[0]}."
    level = "" if resampled else f" at {LEVEL:.0%}"
    return (
        f"Methods that cannot be told apart{level} share a rank (in parentheses); told by {'; '.join(parts)}{setting}."
    )
