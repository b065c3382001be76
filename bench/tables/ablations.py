"""Tables of ablations, from the results that hold their arms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.names import own_weights, shipped_spec
from bench.run.ablations import Ablation, Arm, find_ablation
from bench.tables.build import arms_tables
from bench.tables.model import Table

if TYPE_CHECKING:
    import pandas as pd


def _arms(frame: pd.DataFrame, ablation: Ablation) -> tuple[Arm, ...]:
    """The ablation's arms as the rows call them: an arm that was run with weights of the user's own says so."""
    there = set(frame["method"])
    own = {shipped_spec(spec): spec for spec in there if own_weights(spec)}

    def named(arm: Arm) -> Arm:
        spec = own.get(arm.method)
        if arm.method in there or spec is None:
            return arm
        return replace(arm, labels=(*arm.labels[:-1], f"{arm.labels[-1]} (weights {own_weights(spec)})"), method=spec)

    return tuple(named(arm) for arm in ablation.arms)


def ablation_tables(frame: pd.DataFrame, ablation: Ablation, psnr: float) -> list[Table]:
    """The ablation's table for each set of scenes; UsageError where the results have none of it."""
    question = f"{ablation.question[0].upper()}{ablation.question[1:]}."
    said = (question, ablation.remark) if ablation.remark else (question,)
    return [
        replace(table, notes=(*said, *table.notes), paper_tables=ablation.paper_tables)
        for table in arms_tables(frame, ablation.headings, _arms(frame, ablation), ablation.metrics, psnr)
    ]


def read_ablation(folder: Path, name: str, psnr: float) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the provenance that an ablation is to be shown from: those on the scenes that `bench ablate` ran it
    on, or where it did not at that PSNR, those of the folder's sweeps. Raises as `read_results` does."""
    from bench.results.files import read_results

    frame, facts = read_results(folder, full=True, ablation=name)
    arms = {arm.method for arm in _arms(frame, find_ablation(name))}
    if (frame["method"].isin(arms) & frame["psnr"].eq(psnr)).any():
        return frame, facts
    return read_results(folder, full=True)
