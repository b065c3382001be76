"""Planning the rerun of a baseline's cells, and refusing where the two could not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.api.errors import MethodError, UsageError, known_name, nearest
from bench.api.names import resolve_metrics
from bench.api.registry import METHODS, METRICS
from bench.api.specs import parse_spec
from bench.regress.model import CellName
from bench.regress.words import plain
from bench.results.request import computed_again
from bench.run.plan import Cell, MetricPlan, Plan, SceneSet, make_plan

if TYPE_CHECKING:
    from bench.config import Config
    from bench.regress.baseline import Baseline

#: What of a metric's identity has to be equal, in words. Its code's version need not be: a rewrite that changes no
#: value is shown to change none, and one that does is named among what else differs.
METRIC_IDENTITY = {"protocol": "protocol", "weights_sha256": "evaluator or feature weights"}


@dataclass(frozen=True)
class Asked:
    """What the user chose; None is everything in the baseline."""

    datasets: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    psnrs: Sequence[float] | None = None
    metrics: Sequence[str] | None = None
    scenes: int | None = None
    seeds: Sequence[int] | None = None


@dataclass(frozen=True)
class Rerun:
    """The plan, the scenes compared by data set, and why cells of the baseline cannot be rerun."""

    plan: Plan
    ids: dict[str, tuple[str, ...]]
    missing: dict[CellName, str] = field(default_factory=dict)

    @property
    def modules(self) -> set[str]:
        """Modules of the methods and metrics that take part."""
        specs = {cell.method.spec for cell in self.plan.cells}
        names = {metric.name for metrics in self.plan.metrics.values() for metric in metrics}
        classes: list[type] = [METHODS.load(parse_spec(s).name) for s in specs]
        classes += [METRICS.load(name) for name in names]
        return {found.__module__ for found in classes}


def cell_name(cell: Cell) -> CellName:
    """The cell without its seed, as rows name it."""
    return CellName(
        cell.scenes.dataset, cell.channel.label.partition("@")[0], cell.method.spec, float(cell.channel.psnr)
    )


def plan_rerun(baseline: Baseline, asked: Asked, config: Config) -> Rerun:
    """Plan every cell asked for that the baseline has, and those named that are new.

    `config` gives what is not in the results: roots, options of methods, evaluators, device. Data sets, scenes,
    channel, profile and metrics have to be the baseline's: UsageError says which is not, and where nothing is left to
    compare. Methods and metrics of the baseline that this installation lacks are left out and named.
    """
    there = baseline.datasets
    datasets = [known_name(name, there, "data set", " of the baseline") for name in asked.datasets or there]
    metrics = _metrics(baseline, asked)
    plans: list[Plan] = []
    ids: dict[str, tuple[str, ...]] = {}
    missing: dict[CellName, str] = {}
    for dataset in datasets:
        rows = baseline.frame[baseline.frame["dataset"] == dataset]
        there_are = baseline.ids(dataset)
        if asked.scenes is not None and asked.scenes > len(there_are):
            raise UsageError(f"--scenes {asked.scenes}: the baseline has {len(there_are)} scenes of {dataset}")
        ids[dataset] = there_are[: asked.scenes]
        for channel in dict.fromkeys(rows["channel"]):
            plan = _Group(baseline, dataset, channel, asked, ids[dataset], metrics).plan(config, missing)
            if plan is not None:
                plans.append(plan)
    cells = tuple(cell for plan in plans for cell in plan.cells)
    held = _cells(baseline)
    if not {cell_name(cell) for cell in cells} & set(held):
        reasons = "".join(f"; {reason}" for reason in dict.fromkeys(missing.values()))
        psnrs = ", ".join(f"{p:g}" for p in sorted({c.psnr for c in held}, reverse=True))
        holds = f"{', '.join(dict.fromkeys(c.method for c in held))} at PSNR {psnrs}"
        raise UsageError(f"nothing of the baseline would be rerun{reasons}; it holds {holds}")
    left_out = tuple(dict.fromkeys(line for plan in plans for line in plan.left_out))
    by_dataset = {dataset: found for plan in plans for dataset, found in plan.metrics.items()}
    failures = tuple(failure for plan in plans for failure in plan.failures)
    return Rerun(Plan(cells, by_dataset, plans[0].devices, left_out, failures=failures), ids, missing)


def _metrics(baseline: Baseline, asked: Asked) -> tuple[str, ...]:
    """Names of the metrics to measure: those named, else the baseline's as far as they are installed."""
    installed, there = METRICS.names(), baseline.metrics
    if asked.metrics is None:
        chosen = [name for name in there if name in installed]
        if not chosen:
            raise UsageError(
                f"none of the baseline's metrics is installed: {', '.join(map(str, there)) or 'it has none'}"
            )
        return tuple(chosen)
    chosen = []
    for typed in asked.metrics:
        meant = resolve_metrics(typed, installed)
        fitting = [name for name in meant if name in there]
        if not fitting:
            raise UsageError(f"the baseline has no metric '{' or '.join(meant)}'{nearest(typed, there)}")
        chosen += fitting
    return tuple(dict.fromkeys(chosen))


def _cells(baseline: Baseline) -> list[CellName]:
    rows = baseline.frame[["dataset", "channel", "method", "psnr"]].drop_duplicates()
    return [CellName(str(d), str(c), str(m), float(p)) for d, c, m, p in rows.itertuples(index=False)]


class _Group:
    """The cells of one data set under one channel convention."""

    def __init__(
        self, baseline: Baseline, dataset: str, channel: str, asked: Asked, ids: tuple[str, ...],
        metrics: tuple[str, ...],
    ) -> None:  # fmt: skip
        frame = baseline.frame
        self.baseline, self.dataset, self.channel = baseline, dataset, channel
        self.asked, self.ids, self.metrics = asked, ids, metrics
        self.rows = frame[(frame["dataset"] == dataset) & (frame["channel"] == channel)]
        self.cells = [c for c in _cells(baseline) if (c.dataset, c.channel) == (dataset, channel)]
        self.anywhere = list(dict.fromkeys(c.method for c in _cells(baseline)))
        self.psnrs_anywhere = {c.psnr for c in _cells(baseline)}

    def plan(self, config: Config, missing: dict[CellName, str]) -> Plan | None:
        """The group's plan, None where none of it can run; reasons go to `missing`."""
        here = list(dict.fromkeys(c.method for c in self.cells))
        psnrs = sorted({float(p) for p in self.asked.psnrs or (c.psnr for c in self.cells)}, reverse=True)
        specs, absent = _installed(list(self.asked.methods or here), here)
        if specs:
            plan = make_plan(self._config(config, specs, psnrs), None, self.anywhere)
            self._check(plan)
            built = {cell.method.spec for cell in plan.cells}
            lines = {s: line for s in specs for line in plan.left_out if line.startswith(f"{s} does not run on ")}
            lines |= {what.partition(" on ")[0]: f"{what} failed: {message}" for what, message, _ in plan.failures}
            absent |= {spec: lines[spec] for spec in specs if spec not in built}
        missing |= {c: plain(absent[c.method], 300) for c in self.cells if c.method in absent and c.psnr in psnrs}
        if not specs:
            return None
        kept = tuple(cell for cell in plan.cells if self._wanted(cell_name(cell)))
        return Plan(kept, plan.metrics, plan.devices, plan.left_out, failures=plan.failures)

    def _wanted(self, cell: CellName) -> bool:
        """Whether a cell is the baseline's, or new and named: by its method, its PSNR, or both together.

        What another data set of the baseline has is new here only where this one is named too.
        """
        if cell in self.cells:
            return True
        if self.asked.datasets is None and cell.method in self.anywhere and cell.psnr in self.psnrs_anywhere:
            here = {c.method for c in self.cells}, {c.psnr for c in self.cells}
            if cell.method not in here[0] or cell.psnr not in here[1]:
                return False
        both_named = self.asked.methods is not None and self.asked.psnrs is not None
        known = cell.method in {c.method for c in self.cells} and cell.psnr in {c.psnr for c in self.cells}
        return both_named or not known

    def _config(self, config: Config, specs: list[str], psnrs: list[float]) -> Config:
        about = self.baseline.about(self.dataset)
        seeds = tuple(self.asked.seeds or sorted({int(seed) for seed in self.rows["seed"]}))
        return computed_again(
            config, about["opened_as"], self.channel, methods=tuple(specs), psnr=tuple(psnrs), scenes=len(self.ids),
            seeds=seeds, metrics=self.metrics, split=str(self.rows["split"].iloc[0]),
        )  # fmt: skip

    def _check(self, plan: Plan) -> None:
        """UsageError where scenes, scale or a metric are not the baseline's."""
        scenes = plan.cells[0].scenes
        size = f"{scenes.size[0]}x{scenes.size[1]}"
        self._equal("split", set(self.rows["split"]), scenes.split)
        self._equal("scene size", set(self.rows["size"]), size)
        if scenes.ids != self.ids:
            first = next((pair for pair in zip(self.ids, scenes.ids, strict=False) if pair[0] != pair[1]), None)
            told = f"'{first[0]}' there is '{first[1]}' here" if first else f"{len(scenes.ids)} of them are here"
            raise UsageError(f"the scenes of {self.dataset} are not the baseline's: {told}")
        self._check_content(scenes)
        for cell in plan.cells:
            scales = set(self.rows[self.rows["method"] == cell.method.spec]["scale"])
            if scales:
                self._equal(f"scale of {cell.method.spec}", scales, cell.method.profile)
        for metric in plan.metrics[self.dataset]:
            self._check_metric(metric)
        if self.asked.metrics is not None and len(plan.metrics[self.dataset]) < len(self.metrics):
            raise UsageError("; ".join(plan.left_out))

    def _check_content(self, scenes: SceneSet) -> None:
        """The fingerprint is over all scenes of the run, so it is made again for as many as the baseline has."""
        there = self.baseline.ids(self.dataset)
        found = scenes.fingerprint if there == scenes.ids else scenes.open().fingerprint(scenes.split, there)
        if found != self.baseline.about(self.dataset)["fingerprint"]:
            raise UsageError(
                f"the scenes of {self.dataset} have another content than the baseline's (files, renderer version or "
                f"resize rule): fingerprint {_short(self.baseline.about(self.dataset)['fingerprint'])} "
                f"there, {_short(found)} here. Make a new baseline with `bench run`"
            )

    def _equal(self, what: str, there: set[str], here: str) -> None:
        if there != {here}:
            raise UsageError(
                f"the {what} differs: {', '.join(sorted(there))} in the baseline, {here} here ({self.dataset}); "
                "set it in bench.toml or make a new baseline with `bench run`"
            )

    def _check_metric(self, metric: MetricPlan) -> None:
        there = self.baseline.about(self.dataset)["metrics"].get(metric.name)
        if there is None:
            raise UsageError(f"the baseline's provenance does not describe the metric {metric.name}")
        for key, what in METRIC_IDENTITY.items():
            old, new = there.get(key), metric.identity.get(key)
            if old != new:
                raise UsageError(
                    f"{metric.name} is not the baseline's metric: its {what} was {_short(old)} and is {_short(new)}. "
                    "Leave it out with --metrics, or make a new baseline with `bench run`"
                )


def _short(value: object) -> str:
    text = plain(value, 120)
    return f"'{text[:12]}…'" if len(text) == 64 and text.isalnum() else f"'{text}'"


def _installed(wanted: list[str], there: list[str]) -> tuple[list[str], dict[str, str]]:
    """Canonical specs that are known here, and why others of the baseline are not; UsageError where neither has one."""
    specs, absent = [], {}
    for text in wanted:
        try:
            specs.append(parse_spec(text).text)
        except MethodError as error:
            if text not in there:
                raise UsageError(f"{error}; the baseline does not have it either") from None
            absent[text] = str(error)
    return list(dict.fromkeys(specs)), absent
