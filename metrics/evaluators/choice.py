"""Choosing a judge by data set and name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from bench.api.metric import MetricError

T = TypeVar("T")


def chosen(known: Mapping[str, Mapping[str, T]], dataset: str, name: str | None, what: str) -> T:
    """The entry of `known`, data set -> name -> entry, for a data set: the one of that name, the first for None.

    MetricError for a data set that has none, and for a name that it has not, with the nearest one. `what` is what is
    chosen, for the message: "detector".
    """
    entries = known.get(dataset)
    if not entries:
        raise MetricError(f"no {what} is known for it; there are some for {', '.join(known)}")
    wanted = name or next(iter(entries))
    if wanted not in entries:
        near = difflib.get_close_matches(wanted, entries, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise MetricError(f"there is no {what} '{wanted}' for it; {hint}known: {', '.join(entries)}")
    return entries[wanted]
