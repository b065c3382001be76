"""Names that people type for metrics: `FID` means `FID[lite0]` where that is the only FID there is."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UsageError, nearest

#: Stands where a method's name stands in the plan, the cache and the results, for the reference of pure-noise pictures
#: (bench/reference.py). It is no method: nobody can ask for it, and no table shows it as a row.
PURE_NOISE = "pure_noise"


def resolve_metric(typed: str, known: Iterable[str]) -> str:
    """The full name behind what was typed, upper or lower case; UsageError names the nearest one."""
    names = list(known)
    exact = [n for n in names if n.lower() == typed.lower()]
    if exact:
        return exact[0]
    variants = [n for n in names if n.lower().startswith(f"{typed.lower()}[")]
    if len(variants) == 1:
        return variants[0]
    if variants:
        raise UsageError(f"'{typed}' is ambiguous: {', '.join(variants)}")
    raise UsageError(f"unknown metric '{typed}'{nearest(typed, names)}")
