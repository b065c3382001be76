"""The rows of a run's cells, added to the results of its folder as cells are finished.

A part of the data set (a method on one list of scenes, bench/results/dataset.py) is merged at a time, so that memory
is bounded by the largest part, and a part that nothing changes is not read. Every addition makes a whole new state of
the results: what a run that is killed has added stays, and the same run again adds the rest. Rows that are damaged are
made anew of the cells that they are about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.device import cores
from bench.api.errors import BenchError
from bench.api.files import Broken
from bench.results.dataset import (
    damage_of,
    is_dataset,
    name_of,
    provenance_of,
    read_part,
    remove_others,
    repaired_manifest,
    write_manifest,
    write_part,
)
from bench.results.files import earlier_results, remove_older_forms, results_locked, write_results
from bench.results.folder import holds_results
from bench.results.merge import Merging, set_key
from bench.results.rows import cell_id, place_of, tidy_rows
from bench.results.schema import CELL_OF_SEED, SCENE_SET, refuse_duplicates

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.plan import Cell
    from bench.run.runner import CellState

#: Between two additions of a run at least; and adding takes at most this share of its time.
SECONDS, SHARE = 30.0, 0.05
#: Said of a part that a run began: where it is killed, the next one puts it in the order of its plan.
UNFINISHED = "unfinished"

Name = tuple[Any, ...]
Facts = Callable[[Sequence["CellState"]], dict[str, Any]]


class Gathering:
    """The rows of `cells`, in whose order they come to stand behind those of earlier runs, however they are added.

    `facts` makes the provenance of a run that came to these cells; with `replace` nothing is left of earlier runs.
    `notes` says what made place and what was made good.
    """

    def __init__(self, cells: Sequence[Cell], out: Path, facts: Facts, replace: bool = False) -> None:
        self.notes: list[str] = []
        self._out, self._facts, self._replace = out, facts, replace
        self._ids = [cell_id(cell) for cell in cells]
        self._places = [place_of(cell) for cell in cells]
        self._planned = dict.fromkeys(name_of(place) for place in self._places)
        self._began = False
        self._stood: set[Name] = set()
        self._orders: dict[Name, pd.DataFrame] = {}
        self._states: dict[str, CellState] = {}
        self._next = time.monotonic() + SECONDS

    def finished(self, states: Iterable[CellState]) -> None:
        """Take cells that a run has finished, and add them and those that wait, if it is time for that."""
        self._states |= {cell_id(state.cell): state for state in states if state.pictures is not None}
        start = time.monotonic()
        if start < self._next or self._replace:
            return
        with suppress(Broken):  # a cell that has changed is told of at the end, and computed again
            states = self._sorted(self._states.values())
            with results_locked(self._out):
                self._add(states, self._facts(states), whole=False)
        taken = time.monotonic() - start
        self._next = start + taken + max(SECONDS, taken / SHARE)

    def add(self, states: Iterable[CellState], facts: dict[str, Any]) -> None:
        """Add the rows of all cells that the run came to, with its provenance. Broken where one of them is damaged."""
        with results_locked(self._out):
            self._add(self._sorted(states), facts, whole=True)

    def _sorted(self, states: Iterable[CellState]) -> list[CellState]:
        place = {cell: number for number, cell in enumerate(self._ids)}
        return sorted(states, key=lambda state: place[cell_id(state.cell)])

    def _add(self, states: Sequence[CellState], facts: dict[str, Any], whole: bool) -> None:
        there = self._there()
        parts: dict[Name, dict[str, Any]] = {name_of(part): part for part in there["parts"]}
        broken = {name: told for name, part in parts.items() if (told := damage_of(part, self._out))}
        for name, told in broken.items():
            refuse_loss(parts[name], told, self._ids)
        lost = {cell for name in broken for cell in parts[name]["cells"]}
        known = {cell: told.get("made_of") for cell, told in there["pictures"].items() if cell not in lost}
        now = {cell: told["made_of"] for cell, told in facts["pictures"].items()}
        unchanged = {cell for cell in now if known.get(cell) == now[cell]}
        new: dict[Name, list[CellState]] = {}
        for state in states:
            if state.pictures is not None and cell_id(state.cell) not in unchanged:
                new.setdefault(name_of(place_of(state.cell)), []).append(state)
        merging = Merging(provenance_of(there), facts, unchanged)
        intact = {name: part for name, part in parts.items() if name not in broken}
        made = self._made(intact, new, merging)
        order = self._ordered({**parts, **new})
        written = [self._told(name, made[name], whole) for name in order if name in made]
        specs: dict[str, set[str]] = {}
        for part in written:
            specs.setdefault(set_key(*(part[name] for name in SCENE_SET)), set()).add(part["method"])
        write_manifest(merging.facts({cell for part in written for cell in part["cells"]}, specs), written, self._out)
        remove_others(self._out, written)
        if written != there["parts"]:
            remove_older_forms(self._out)
        self._replace = False
        told_now = [*(f"{told}: made anew of its cells" for told in broken.values()), *merging.notes]
        self.notes += [note for note in told_now if note not in self.notes]

    def _made(
        self, parts: Mapping[Name, dict[str, Any]], new: Mapping[Name, list[CellState]], merging: Merging
    ) -> dict[Name, dict[str, Any]]:
        """The parts as they are now; files of those that change are written, by threads."""
        made: dict[Name, dict[str, Any]] = {}
        writing: dict[Name, Future[dict[str, Any]]] = {}
        with ThreadPoolExecutor(cores()) as pool:
            for name in self._ordered({**parts, **new}):
                if name not in new and not merging.touches(parts[name]):
                    made[name] = parts[name]
                    continue
                frame = self._merged(name, parts.get(name), new.get(name, ()), merging)
                if len(frame):
                    writing[name] = pool.submit(self._written, frame, parts.get(name))
                if len(writing) > cores():  # so many are in memory, and one more
                    made |= _first(writing)
            while writing:
                made |= _first(writing)
        return made

    def _told(self, name: Name, part: dict[str, Any], whole: bool) -> dict[str, Any]:
        """A part as the manifest tells of it."""
        told = {key: value for key, value in part.items() if key != UNFINISHED}
        if name in self._planned and name not in self._stood:
            return told if whole else {**told, UNFINISHED: True}
        return part

    def _there(self) -> dict[str, Any]:
        """The manifest of the folder's results as they are now."""
        there: dict[str, Any] = {"runs": [], "sets": {}, "pictures": {}, "parts": []}
        if not self._replace and holds_results(self._out):
            if not is_dataset(self._out) and (earlier := earlier_results(self._out)) is not None:
                write_results(*earlier, self._out)
            there = repaired_manifest(self._out)
        if not self._began:
            self._began = True
            self._stood = {name_of(part) for part in there["parts"] if not part.get(UNFINISHED)}
        return there

    def _ordered(self, names: Iterable[Name]) -> list[Name]:
        """The names of parts: those that stood before this run, and then its own as it was planned."""
        own = {name: number for number, name in enumerate(self._planned) if name not in self._stood}
        return sorted(names, key=lambda name: own.get(name, -1))

    def _merged(
        self, name: Name, part: Mapping[str, Any] | None, states: Sequence[CellState], merging: Merging
    ) -> pd.DataFrame:
        """The rows of a part with those of new cells: in the order of those that stood before, then as planned."""
        import pandas as pd

        now = tidy_rows(list(states))
        before = now.iloc[:0] if part is None else read_part(part, self._out)
        if name not in self._orders:
            planned = pd.DataFrame([place for place in self._places if name_of(place) == name], columns=CELL_OF_SEED)
            stood = before[CELL_OF_SEED].drop_duplicates() if name in self._stood else planned[:0]
            self._orders[name] = pd.concat([stood, planned], ignore_index=True) if len(stood) else planned
        return merging.rows(before, now, self._orders[name])

    def _written(self, frame: pd.DataFrame, part: Mapping[str, Any] | None) -> dict[str, Any]:
        refuse_duplicates(frame, f"what should become the results in {self._out}")
        return write_part(frame, self._out, part)


def _first(writing: dict[Name, Future[dict[str, Any]]]) -> dict[Name, dict[str, Any]]:
    """The first of the parts that are being written, waited for and taken out."""
    name = next(iter(writing))
    return {name: writing.pop(name).result()}


def check_earlier(out: Path, cells: Iterable[Cell]) -> None:
    """BenchError where the results in a folder cannot be added to by a run of these cells; its manifest is made good.

    Damaged rows are no hindrance where the run has all cells that they are about.
    """
    if not is_dataset(out):
        earlier_results(out)
        return
    own = [cell_id(cell) for cell in cells]
    for part in repaired_manifest(out)["parts"]:
        if not set(part["cells"]) <= set(own) and (told := damage_of(part, out)) is not None:
            refuse_loss(part, told, own)


def refuse_loss(part: Mapping[str, Any], damage: str, cells: Iterable[str]) -> None:
    """BenchError where damaged rows are about other cells than these, of which they could be made anew."""
    if others := set(part["cells"]) - set(cells):
        raise BenchError(
            f"{damage}, and {len(others)} of the cells that it is about are not among those of this run: a `bench run` "
            f"of all cells of {part['method']} makes it anew, --replace leaves out the others"
        )
