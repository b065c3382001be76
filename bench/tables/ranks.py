"""Ranks in tables: all pairs of a table are one family (bench/results/ranking.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.results.ranking import explained, rank
from bench.tables.measured import Key, Measured
from bench.tables.model import Entry


def ranked(columns: Sequence[tuple[Measured, Sequence[Key | None]]]) -> tuple[list[list[Entry | None]], str]:
    """The entries behind the keys of each column of a table with their ranks, and the sentence on what these rest on
    (empty for a table of one method)."""
    found = rank(
        [[data.ranked(key) for key in keys] for data, keys in columns], [data.higher_is_better for data, _ in columns]
    )
    entries = [
        [
            None if (entry := None if key is None else data.entries.get(key)) is None else replace(entry, rank=place)
            for key, place in zip(keys, places, strict=True)
        ]
        for (data, keys), places in zip(columns, found.ranks, strict=True)
    ]
    several = any(len({key for key in keys if key in data.entries}) > 1 for data, keys in columns)
    return entries, explained(found) if several else ""
