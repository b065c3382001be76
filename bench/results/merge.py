"""Several runs in one folder of results: who wrote which cell, and what of them counts.

A cell is a method on a channel with a seed over a list of scenes, and the newest numbers of it count. What is left of
older runs has to be comparable with the new one under the same names: on one list of scenes a method's name stands for
one identity (options, code version, weights), a metric's name for one measurement; and data set, split, size and number
of scenes stand for one content. Older cells that contradict a newer run are left out, and the run says which.

Cells that only ablations asked for are kept beside the others and stay out of ordinary tables and figures: they answer
another question than "which method is best".

Provenance has `runs` (command, commit, machine, and the cells that each stands for), `sets` (lists of scenes, with the
identities of methods and metrics on them), `pictures` (each cell's folder and digest), and a summary of them all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bench.api.files import safe_name
from bench.api.names import PURE_NOISE
from bench.api.scores import COSTS, DERIVED
from bench.results.schema import CELL_OF_SEED, SCENE_SET

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
#: What the summary says of the newest run.
NEWEST = (
    "commit", "dirty", "python", "packages", "platform", "cpu", "devices", "jobs", "batch_size", "cells",
    "cells_present", "cells_computed_now", "wall_seconds", "command", "date",
)  # fmt: skip
#: What it gathers of all runs.
GATHERED = ("failures", "left_out", "notes")
#: What a set says of its data set.
ABOUT = ("split", "size", "opened_as", "root", "resize", "scenes_asked", "scenes_used", "fingerprint")
#: A cell that results of an older version do not name.
NO_CELL = "unknown"


def set_key(dataset: object, split: object, size: object, scenes: object) -> str:
    """The name of a list of scenes in the provenance: `streets/test/64x128/500`."""
    return f"{dataset}/{split}/{size}/{scenes}"


def about_scenes(facts: Mapping[str, Any], dataset: str, scenes: int | None = None) -> dict[str, Any] | None:
    """What the provenance says of a data set's list of so many scenes (None: the longest), None where nothing."""
    fitting = [one for one in facts.get("sets", {}).values() if one["dataset"] == dataset]
    if scenes is not None:
        fitting = [one for one in fitting if one["scenes_used"] == scenes]
    return max(fitting, key=lambda one: int(one["scenes_used"]), default=None)


def identity_of(facts: Mapping[str, Any], dataset: str, spec: str) -> dict[str, Any] | None:
    """A method's identity on a data set, on its longest list of scenes; None where the provenance has none."""
    sets = {key: one for key, one in facts.get("sets", {}).items() if spec in one["methods"]}
    found = about_scenes({"sets": sets}, dataset)
    return None if found is None else found["methods"][spec]


def summarised(
    runs: list[dict[str, Any]], sets: Mapping[str, dict[str, Any]], pictures: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """The provenance of a folder's results: the newest run's machine, what all left out, and the parts.

    Methods and data sets by name are those of the longest lists of scenes; `sets` has them all.
    """
    newest = runs[-1] if runs else {}
    ordered = sorted(sets.values(), key=lambda one: int(one["scenes_used"]))
    drawn = {p["drawn_at"] for p in pictures.values() if p.get("drawn_at")}
    for run in runs:
        if any(not pictures.get(cell, {}).get("drawn_at") for cell in run["cell_ids"] or [NO_CELL]):
            drawn |= set(run.get("cells_computed_at", ()))
    methods = {spec: identity for one in ordered for spec, identity in one["methods"].items()}
    folders = [p["folder"] for p in pictures.values()]
    return {
        "schema": SCHEMA,
        **{key: newest.get(key) for key in NEWEST if key in newest},
        "cells_computed_at": sorted(drawn),
        "methods": methods,
        "weights_sha256": {spec: identity.get("weights_sha256") for spec, identity in methods.items()},
        "weights_dirs": {spec: path for one in ordered for spec, path in one.get("weights_dirs", {}).items()},
        "datasets": {one["dataset"]: {key: one.get(key) for key in ABOUT} for one in ordered},
        "metrics": {name: identity for one in ordered for name, identity in one["metrics"].items()},
        "cell_folders": [f for f in folders if not f.startswith("references/")],
        "reference_folders": [f for f in folders if f.startswith("references/")],
        **{key: list(dict.fromkeys(line for run in runs for line in run.get(key, ()))) for key in GATHERED},
        "runs": runs,
        "sets": dict(sets),
        "pictures": dict(pictures),
    }


def of_schema_1(frame: pd.DataFrame, facts: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows and provenance of schema 1, where a folder held one run, in today's form."""
    folders = [*facts.get("cell_folders", ()), *facts.get("reference_folders", ())]
    by_place = {}
    for folder in folders:  # an ablation's results lay two folders below its cells
        place, _, cell = str(folder).removeprefix("../../").rpartition("-")
        by_place[place] = cell
    frame = frame.copy()
    if "cell" not in frame or frame["cell"].isna().any():
        frame["cell"] = _cells_by_place(frame, by_place)
    if "scene_count" not in frame or frame["scene_count"].isna().any():
        frame["scene_count"] = frame.groupby(["dataset", "split", "size"])["scenes"].transform("max").astype(int)
    methods, metrics = facts.get("methods", {}), facts.get("metrics", {})
    by_protocol = {p: sorted(rows.unique()) for p, rows in frame.groupby("protocol")["metric"]}
    # which scores each metric gave, as far as their protocols tell
    scores = {name: by_protocol.get(identity.get("protocol"), [name]) for name, identity in metrics.items()}
    weights = facts.get("weights_sha256", {})
    sets = {}
    for (dataset, split, size, count), rows in frame.groupby(SCENE_SET, sort=False):
        about = facts.get("datasets", {}).get(dataset, {})
        specs = [s for s in rows["method"].unique() if s != PURE_NOISE]
        height, _, width = str(size).partition("x")
        sets[set_key(dataset, split, size, count)] = {
            "dataset": dataset,
            **{key: about.get(key) for key in ABOUT},
            "split": split,
            "size": [int(height), int(width)],
            "opened_as": about.get("opened_as") or dataset,
            "resize": about.get("resize") or "spade",
            "scenes_used": int(str(count)),
            "harness": None,
            "methods": {s: {"weights_sha256": weights.get(s), **methods.get(s, {})} for s in specs},
            "metrics": dict(metrics),
            "scores": scores,
        }
    used = frame["cell"].unique()
    pictures = {
        cell: {"folder": f"{place}-{cell}", "sha256": None, "drawn_at": None}
        for place, cell in by_place.items()
        if cell in used
    }
    told = re.search(r"\bbench ablate (\w+)", str(facts.get("command", "")))
    run = {
        **{key: facts[key] for key in (*NEWEST, *GATHERED, "cells_computed_at") if key in facts},
        "ablation": told[1] if told else None,
        "written_by_schema": 1,
        "cell_ids": [cell for cell in pictures],
    }
    return frame, summarised([run], sets, pictures)


def _cells_by_place(frame: pd.DataFrame, by_place: Mapping[str, str]) -> list[str]:
    def place(dataset: str, method: str, channel: str, psnr: float, seed: int) -> str:
        leaf = f"{safe_name(f'{channel}@{psnr:g}')}-seed{seed}"
        return f"cells/{safe_name(dataset)}/{safe_name(method)}/{leaf}"

    references = {p.split("/")[1]: cell for p, cell in by_place.items() if p.startswith("references/")}
    columns = ["dataset", "method", "channel", "psnr", "seed"]
    known = {
        key: references.get(safe_name(str(key[0])), NO_CELL)
        if key[1] == PURE_NOISE
        else by_place.get(place(*key), NO_CELL)
        for key in frame[columns].fillna(0.0).drop_duplicates().itertuples(index=False, name=None)
    }
    return [known[key] for key in frame[columns].fillna(0.0).itertuples(index=False, name=None)]


Results = tuple["pd.DataFrame", dict[str, Any]]


@dataclass
class Merging:
    """Rows of older runs and of a newer one, put together: all at once, or parts of them, one after the other.

    The newer provenance may be of cells that are `unchanged`: the older rows are theirs. What came of it so far:
    `left`, cells with rows that only older runs answer for, and `cut`, those of which some contradict the newer run.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    unchanged: Collection[str] = ()
    left: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    _told: dict[tuple[str, str], int] = field(default_factory=dict)

    def touches(self, part: Mapping[str, Any]) -> bool:
        """Whether it takes a look at the rows of a data set's part, of which none are newer."""
        key = set_key(*(part[name] for name in SCENE_SET))
        was, now = (facts["sets"].get(key) for facts in (self.old, self.new))
        if was is not None and now is not None and not _same(was, now):
            return True
        own = set(part["cells"])
        measured_more = bool(own & set(self.unchanged)) and not set(part["metrics"]) <= scores_of(self.new)
        if not measured_more:
            self.left |= own - set(self.unchanged)
        return measured_more

    def rows(self, before: pd.DataFrame, now: pd.DataFrame, order: pd.DataFrame) -> pd.DataFrame:
        """The rows of both: in the `order` of cells given, and new ones behind.

        Where both have a cell's metric, the new one's numbers are taken; of a cell whose pictures are others, nothing
        is kept.
        """
        import pandas as pd

        if before.empty:
            return _in_order(now, order)
        kept = before
        for key, scenes in self.new["sets"].items():
            if key in self.old["sets"]:
                kept = _agreeing(kept, self.old["sets"][key], scenes, self._told)
        self.cut |= set(before["cell"][~before.index.isin(kept.index)])
        kept = kept[~_replaced(kept, self.old, now, self.new)]
        again = kept["cell"].isin(list(self.unchanged)) & kept["metric"].isin(list(scores_of(self.new)))
        self.left |= set(kept["cell"][~again])
        parts = [part for part in (kept, now) if len(part)] or [now]
        return _in_order(pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0], order)

    def facts(self, cells: set[str], specs: Mapping[str, set[str]]) -> dict[str, Any]:
        """The provenance of both, where there are rows of these cells, and by list of scenes of these methods."""
        older = [_what_is_left(run, self.left, cells, self.new["runs"]) for run in self.old["runs"]]
        pictures = {**self.old["pictures"]}
        for cell in self.cut & pictures.keys():  # its rows are no longer all that it was made of
            pictures[cell] = {key: value for key, value in pictures[cell].items() if key != "made_of"}
        return summarised(
            [*(run for run in older if run is not None), *self.new["runs"]],
            dict(_joined(self.old["sets"], self.new["sets"], specs)),
            {cell: facts for cell, facts in {**pictures, **self.new["pictures"]}.items() if cell in cells},
        )

    @property
    def notes(self) -> list[str]:
        """A line for what of the older rows contradicts the newer run and is left out."""
        return [f"{before}{count} {after}" if after else before for (before, after), count in self._told.items()]


def merged(old: Results, new: Results) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """The rows and the provenance of both, and a line for what of the old ones contradicts the new and is left out."""
    (before, old_facts), (now, new_facts) = old, new
    merging = Merging(old_facts, new_facts)
    together = merging.rows(before, now, before)
    return together, merging.facts(set(together["cell"]), _specs(together)), merging.notes


def scores_of(facts: Mapping[str, Any]) -> set[str]:
    """The names of all scores that runs of cells gave, costs too."""
    told = (name for one in facts["sets"].values() for names in one["scores"].values() for name in names)
    return {*told, *COSTS, *DERIVED}


def _same(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether no older cell on a list of scenes contradicts the newer ones."""
    shared = ((was[what], now[what]) for what in ("methods", "metrics"))
    return (
        (was["fingerprint"], was["harness"]) == (now["fingerprint"], now["harness"])
        and all(one.get(name, identity) == identity for one, two in shared for name, identity in two.items())
    )  # fmt: skip


def _specs(frame: pd.DataFrame) -> dict[str, set[str]]:
    """The methods on each list of scenes."""
    present = frame.groupby(SCENE_SET)["method"].unique()
    return {set_key(*cast("tuple[object, ...]", key)): set(found) for key, found in present.items()}


def _agreeing(
    frame: pd.DataFrame, old: Mapping[str, Any], new: Mapping[str, Any], told: dict[tuple[str, str], int]
) -> pd.DataFrame:
    """The rows without those on one list of scenes that cannot stand beside the new ones.

    `told` gets the words before and behind the number of cells that are left out.
    """

    def tell(before: str, after: str, rows: pd.DataFrame) -> None:
        told[before, after] = told.get((before, after), 0) + rows.drop_duplicates(CELL_OF_SEED).shape[0]

    here = frame["dataset"].eq(new["dataset"]) & frame["split"].eq(new["split"])
    here &= frame["size"].eq("x".join(map(str, new["size"]))) & frame["scene_count"].eq(new["scenes_used"])
    where = f"{new['dataset']} ({new['scenes_used']} scenes)"
    other = None
    if old["fingerprint"] != new["fingerprint"] and old["fingerprint"] is not None:
        other = f"the scenes of {where} have another content now (files, renderer or resize rule)"
    elif old["harness"] != new["harness"]:
        other = f"cells of {where} were drawn by another version of the harness"
    if other is not None:
        gone = frame[here & frame["method"].ne(PURE_NOISE)]
        if len(gone):
            tell(f"{other}: ", "older cell(s) are left out of the results; run them again to have them", gone)
        return frame[~here]
    drop = here & False
    for spec, identity in new["methods"].items():
        mine = here & frame["method"].eq(spec)
        if old["methods"].get(spec, identity) != identity and mine.any():
            other = f"{spec} on {where} has other weights, options or code now: "
            tell(other, "older cell(s) of it make place", frame[mine])
            drop |= mine
    for name, identity in new["metrics"].items():
        mine = here & frame["metric"].isin(old["scores"].get(name, [name]))
        if old["metrics"].get(name, identity) != identity and mine.any():
            other = f"{name} on {where} is measured otherwise now: older numbers of it are left out of the results"
            tell(other, "", frame[mine])
            drop |= mine
    return frame[~drop]


def _keys(frame: pd.DataFrame, *columns: str) -> pd.MultiIndex:
    import pandas as pd

    return pd.MultiIndex.from_frame(frame[[*CELL_OF_SEED, *columns]].fillna({"psnr": -1.0}))


def _replaced(
    before: pd.DataFrame, old_facts: Mapping[str, Any], now: pd.DataFrame, new_facts: Mapping[str, Any]
) -> pd.Series[bool]:
    import pandas as pd

    again = _keys(before).isin(_keys(now.drop_duplicates(CELL_OF_SEED)))
    digests = [{cell: p.get("sha256") for cell, p in f["pictures"].items()} for f in (old_facts, new_facts)]
    same = {cell for cell in digests[0].keys() & digests[1].keys() if digests[0][cell] == digests[1][cell]}
    measured = _keys(before, "metric").isin(_keys(now.drop_duplicates([*CELL_OF_SEED, "metric"]), "metric"))
    return pd.Series(measured | (again & ~before["cell"].isin(same)), index=before.index)


def _in_order(together: pd.DataFrame, order: pd.DataFrame) -> pd.DataFrame:
    """Rows with methods, and with cells of a method, where they stand in `order`, and others behind them."""
    import numpy as np
    import pandas as pd

    keys = pd.concat([order[CELL_OF_SEED], together[CELL_OF_SEED]]).fillna({"psnr": -1.0})
    by_cell, by_method = (
        keys.groupby(names, sort=False).ngroup().to_numpy()[len(order) :]
        for names in (CELL_OF_SEED, [*SCENE_SET, "method"])
    )
    return together.iloc[np.lexsort((by_cell, by_method))].reset_index(drop=True)


def _what_is_left(
    run: dict[str, Any], left: set[str], present: set[str], newer: Iterable[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """An older run with its cells that have rows and no newer one measured again; None where none is left."""
    taken = {cell for one in newer if one["ablation"] == run["ablation"] for cell in one["cell_ids"]}
    cells = [cell for cell in run["cell_ids"] if cell in left or (cell in present and cell not in taken)]
    if cells or (not run["cell_ids"] and NO_CELL in left):
        return {**run, "cell_ids": cells}
    return None


def _joined(
    old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]], specs: Mapping[str, set[str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lists of scenes that there are rows of, each with its methods and metrics."""
    for key in dict.fromkeys([*old, *new]):
        if key not in specs:
            continue
        was, now = old.get(key), new.get(key)
        one = dict(now or was or {})
        for what in ("methods", "weights_dirs", "metrics", "scores"):
            one[what] = {**(was or {}).get(what, {}), **(now or {}).get(what, {})}
        one["methods"] = {spec: identity for spec, identity in one["methods"].items() if spec in specs[key]}
        yield key, one


def view(results: Results, ablation: str | None) -> Results:
    """Cells of sweeps; with `ablation` everything on the lists of scenes that it was run on, if it was."""
    import pandas as pd

    frame, facts = results
    swept = {cell for run in facts["runs"] if run["ablation"] is None for cell in run["cell_ids"]}
    asked = {cell for run in facts["runs"] if run["ablation"] is not None for cell in run["cell_ids"]}
    own = {cell for run in facts["runs"] if ablation and run["ablation"] == ablation for cell in run["cell_ids"]}
    if own:
        index = pd.MultiIndex.from_frame(frame[SCENE_SET])
        shown = pd.Series(index.isin(index[frame["cell"].isin(own)]), index=frame.index)
    elif asked <= swept:
        return results
    else:
        shown = ~frame["cell"].isin(asked - swept)
    frame = frame[shown].reset_index(drop=True)
    cells = set(frame["cell"])
    runs = [run for run in facts["runs"] if cells & set(run["cell_ids"]) and (own or run["ablation"] is None)]
    sets = dict(_joined(facts["sets"], {}, _specs(frame)))
    return frame, summarised(runs, sets, {cell: p for cell, p in facts["pictures"].items() if cell in cells})


def ablations_of(facts: Mapping[str, Any]) -> list[str]:
    """The ablations whose cells are among the results."""
    return list(dict.fromkeys(run["ablation"] for run in facts["runs"] if run["ablation"] is not None))
