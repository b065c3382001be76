"""Choosing a judge by data set and name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from bench.api.errors import nearest
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
        raise MetricError(f"there is no {what} '{wanted}' for it{nearest(wanted, entries)}")
    return entries[wanted]
