"""The benchmark in Python, `import bench`; `bench run` and `bench score` go through the same steps."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.api.channel import Channel
from bench.api.errors import BenchError, UsageError
from bench.api.files import PACK, check_folder
from bench.api.method import Method
from bench.api.registry import CHANNELS, DATASETS, METHODS, METRICS, Registry
from bench.api.unpackaged import handed_over, is_part, name_of
from bench.config import Config, DataSection, changed, load_config
from bench.run.cluster import connected

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd

    from bench.api.metric import Metric
    from bench.api.scenes import SceneSource
    from bench.figures.style import Drawing
    from bench.results.compute import Adding, Computed
    from bench.results.files import Run
    from bench.results.merge import Results as Rows
    from bench.run.cluster.dispatch import Cluster
    from bench.run.plan import Plan
    from bench.run.progress import Progress
    from bench.tables.model import Sheet

    # one or several of what can be named: a name (several with commas between), a class, or an instance
    Methods = str | type[Method] | Method | Sequence[str | type[Method] | Method]
    Metrics = str | type[Metric] | Metric | Sequence[str | type[Metric] | Metric]
    Datasets = str | type[SceneSource] | SceneSource | Sequence[str | type[SceneSource] | SceneSource]
    Numbers = float | Sequence[float]

Part = tuple[Registry[Any], object]


def plan_run(config: Config, root: Path | None = None, cluster: Cluster | None = None) -> Plan:
    """What a run would compute, after every check that can be made before; raises as `bench.run.plan.make_plan`."""
    from bench.run.plan import make_plan

    check_folder(config.run.out, "--out")
    return make_plan(config, root, devices=cluster.devices(config.run.device) if cluster else None)


def plan_score(
    folder: Path,
    against: str,
    config: Config,
    *,
    labels: Path | None = None,
    name: str | None = None,
    psnr: float = 100.0,
    root: Path | None = None,
    scenes: int | None = None,
) -> Plan:
    """Pictures made elsewhere as a plan of one cell; raises as `bench.run.score.score_plan`."""
    from bench.data.own import gathered
    from bench.run.score import score_plan

    check_folder(config.run.out, "--out")
    dataset = gathered(against, labels, config.run.out / "against")
    config = config.model_copy(update={"run": config.run.model_copy(update={"datasets": (dataset,)})})
    place = folder.resolve().parent if folder.name == PACK else folder.resolve()
    called = name or re.sub("[^A-Za-z0-9_]", "_", place.name.removesuffix(".zip"))[:60]
    return score_plan(folder, called, psnr, config, root, scenes)


def carry_out(
    plan: Plan,
    config: Config,
    say: Callable[[str], None],
    progress: Progress,
    cluster: Cluster | None = None,
    **how: Unpack[Adding],
) -> Computed:
    """What a plan came to, its folder remembered; `say` gets lines about what is left out or changed.

    BenchError, before anything is computed, where the results of the folder cannot be added to.
    """
    from bench.results.compute import compute
    from bench.results.folder import remember
    from bench.results.gather import check_earlier

    if not how.get("replace"):
        check_earlier(config.run.out, [*plan.cells, *plan.references])
    for line in plan.left_out:
        say(f"left out: {line}")
    if cluster and (watched := cluster.start()):
        say(watched)
    computed = compute(plan, config, progress, cluster, **how)
    remember(config.run.out)
    for name, reason in computed.report.skipped.items():
        say(f"left out: {name}: {reason}")
    for note in (*computed.changed, *computed.report.notes):
        say(f"note: {note}")
    return computed


def refuse_failures(computed: Computed, say: Callable[[str], None]) -> None:
    """BenchError where anything failed, after a line on each failure."""
    failures = computed.report.failures
    for what, message, _ in failures:
        say(f"failed: {what}: {' '.join(message.split())}")
    if failures:
        raise BenchError(
            f"{len(failures)} failure(s); everything else is done and kept. Tracebacks: {computed.log}. "
            "The same command tries the failed cells again"
        )


def run(
    methods: Methods | None = None,
    psnr: Numbers | Literal["all"] | None = None,
    datasets: Datasets | None = None,
    scenes: int | None = None,
    *,
    metrics: Metrics | None = None,
    channel: str | type[Channel] | Channel | None = None,
    seeds: int | Sequence[int] | None = None,
    root: Path | str | None = None,
    split: str | None = None,
    profile: str | None = None,
    weights_dir: Path | str | None = None,
    device: str | None = None,
    jobs: int | None = None,
    batch_size: int | None = None,
    backend: str | None = None,
    cluster: str | None = None,
    time_limit: float | None = None,
    out: Path | str | None = None,
    replace: bool = False,
    config: Path | str | None = None,
    progress: bool = True,
) -> Results:
    """Send scenes with every method over every channel and measure the pictures: `bench run` in Python.

    What is in the cache is not computed again. Results are added to those in `out`; what is returned are those of this
    call. What is not said is that of ./bench.toml, else the default of the command line.

    Args:
        methods: Specs (`"gesco"`, `"oasis+fds"`), and classes or instances of `bench.api.method.Method`.
        psnr: PSNRs in dB; `"all"` for the channel's own. Without it that of a channel which is an instance.
        datasets: Names of `bench data list`, `"folder:PATH"`, and classes or instances of
            `bench.api.scenes.SceneSource`.
        scenes: Scenes a cell.
        metrics: Names, and classes or instances of `bench.api.metric.Metric`.
        channel: `"KIND:option=value"`, a class of `bench.api.channel.Channel`, or an instance, for its options.
        seeds: Seeds of the noise.
        root: Data root of the (one) data set.
        split: `train`, `val`, `test` or `auto`.
        profile: `embedded`, `paper` or `auto`, that of the weights.
        weights_dir: Weights of your own, for the methods that it has some of.
        device: `auto` (all GPUs, else the CPU), `cpu`, `cuda`, `cuda:N`.
        jobs: Workers; 0 is one a GPU or one a CPU core.
        batch_size: Scenes a method gets at once.
        backend: joblib's: `loky`, `threading`, `sequential`.
        cluster: Workers in the place of this machine's: `tcp://HOST:8786`, `local:4`, `slurm`.
        time_limit: Seconds a cell may take.
        out: Folder for cache, results and plots.
        replace: Leave no results of earlier runs in the folder.
        config: A bench.toml.
        progress: Show how far the run has come.

    What no distribution holds, as a class in a notebook, is `unpackaged`: its identity holds a digest of its code, and
    results say so.

    Raises:
        UsageError: A name does not exist, or things do not fit together; the message says which and what to do.
        BenchError: Something failed. Everything else is done and kept: `bench.load(out)` has it.
        DataError: A data set cannot be read.
    """
    asked = _Asked()
    run = {
        "methods": asked.names(METHODS, methods),
        "datasets": asked.names(DATASETS, datasets),
        "metrics": asked.names(METRICS, metrics),
        "psnr": psnr if psnr is None or isinstance(psnr, str) else _several(psnr),
        "seeds": None if seeds is None else _several(seeds),
        "scenes": scenes, "split": split, "profile": profile, "weights_dir": _path(weights_dir), "device": device,
        "jobs": jobs, "batch_size": batch_size, "backend": backend, "cluster": cluster,
        "time_limit": time_limit, "out": _path(out),
    }  # fmt: skip
    kind, options = asked.channel(channel)
    if isinstance(channel, Channel) and psnr is None:
        run["psnr"] = (channel.psnr,)
    with handed_over(asked.parts):
        settings = asked.configured(changed(load_config(_path(config)), run, kind, options))
        with connected(settings) as workers:
            plan = plan_run(settings, _path(root), workers)
            computed = carry_out(plan, settings, _say, _progress(progress), replace=replace, cluster=workers)
        refuse_failures(computed, _say)
    return _results(computed, settings, asked.parts)


def score(
    folder: Path | str,
    against: str | type[SceneSource] | SceneSource,
    *,
    labels: Path | str | None = None,
    name: str | None = None,
    psnr: float = 100.0,
    scenes: int | None = None,
    metrics: Metrics | None = None,
    channel: str | type[Channel] | Channel | None = None,
    root: Path | str | None = None,
    split: str | None = None,
    device: str | None = None,
    out: Path | str | None = None,
    config: Path | str | None = None,
    progress: bool = True,
) -> Results:
    """Measure pictures that were made elsewhere, a row of their own beside methods: `bench score` in Python.

    Args:
        folder: Pictures, named like the scenes: a folder, that of a cell in a run's cache, or a zip.
        against: A data set, its class or an instance, a folder of your own (`folder:PATH`), or a folder of the
            original pictures.
        labels: Label maps of the original pictures, where `against` is a folder of these.
        name: The row's name; without it the folder's.
        psnr: PSNR in dB that the pictures were made at; 100 is hardly any noise.
        scenes: The first so many scenes; without it all of the split.
        metrics: As of `run`, and so are the others.
        channel: The channel that they were made over.
        root: Data root of the data set.
        split: `train`, `val`, `test` or `auto`.
        device: The torch device.
        out: Folder of results; the row is added to what is there.
        config: A bench.toml.
        progress: Show how far the measuring has come.

    Raises:
        UsageError: Scenes have no picture, or a name does not exist.
        DataError: A picture cannot be read, or is of another size.
        BenchError: Something failed.
    """
    asked = _Asked()
    kind, options = asked.channel(channel)
    scenes_of = asked.name(DATASETS, against) if is_part(against) else str(against)
    run = {
        "metrics": asked.names(METRICS, metrics), "split": split, "device": device, "out": _path(out), "jobs": 1,
    }  # fmt: skip
    with handed_over(asked.parts):
        settings = asked.configured(changed(load_config(_path(config)), run, kind, options))
        plan = plan_score(
            Path(folder), scenes_of, settings,
            labels=_path(labels), name=name, psnr=psnr, root=_path(root), scenes=scenes,
        )  # fmt: skip
        computed = carry_out(plan, settings, _say, _progress(progress))
        refuse_failures(computed, _say)
    return _results(computed, settings, asked.parts)


def load(folder: Path | str) -> Results:
    """The results of earlier runs in a folder, every byte verified.

    Raises:
        UsageError: There are none.
        BenchError: They are damaged.
    """
    from bench.results.files import Run, read_results

    return Results(Run(Path(folder), *read_results(Path(folder))), load_config(), _loaded=True)


@dataclass(frozen=True, repr=False)
class Results:
    """Numbers of a run: tables, figures and comparisons of them, and the rows themselves.

    `bench.run`, `bench.score` and `bench.load` give them.
    """

    _run: Run
    _config: Config
    _parts: tuple[Part, ...] = ()
    _loaded: bool = False

    @property
    def folder(self) -> Path:
        """Where the results, the cache and the plots lie."""
        return self._run.folder

    @property
    def methods(self) -> list[str]:
        """Specs of the methods, in the order of tables."""
        return self._distinct("method")

    @property
    def metrics(self) -> list[str]:
        """Names of all scores of the whole set, costs too."""
        return self._distinct("metric")

    @property
    def provenance(self) -> dict[str, Any]:
        """What a reader has to know to trust or repeat them: commits, versions, machine, identities, omissions."""
        return dict(self._run.facts)

    @property
    def _both(self) -> Rows:
        return self._run.frame, self._run.facts

    def _distinct(self, column: str) -> list[str]:
        from bench.results.scores import of_methods

        return [str(value) for value in of_methods(self._run.frame)[column].drop_duplicates()]

    def frame(self) -> pd.DataFrame:
        """The rows, one number each, as a new table (bench/results/schema.py says what the columns are).

        Rows of the scene `all` are about the whole set, others about one scene; those of the method `pure_noise` are
        what the metrics say of pure noise.
        """
        from bench.results.schema import COLUMNS
        from bench.results.tidy import unfolded

        return unfolded(self._run.frame)[list(COLUMNS)]

    def table(self, what: str = "mIoU", *, psnr: float = 10.0, published: bool = False) -> Shown:
        """A table as `bench table WHAT` prints it: a metric against PSNR, or one of the paper's.

        Args:
            what: A metric, or `coco`, `ablation`, `objects`, `depth`, `bits`, `budget`.
            psnr: PSNR in dB of tables at one PSNR.
            published: The paper's values beside ours.

        Raises:
            UsageError: The results hold nothing of it.
        """
        from bench.run.ablations import ABLATIONS
        from bench.tables import as_sheets, read_for_table, tables_of

        with handed_over(self._parts):
            if self._loaded and what.lower() in ("ablation", *ABLATIONS):  # which has scenes of its own
                tables = read_for_table(self.folder, what, psnr)
            else:
                tables = tables_of(self._both, what, psnr)
            return Shown(tuple(as_sheets(tables, published)))

    def compare(
        self, first: str | type[Method] | Method, second: str | type[Method] | Method,
        metrics: str | Sequence[str] | None = None, psnr: Numbers | None = None,
    ) -> Shown:  # fmt: skip
        """The difference of two methods, paired by scene, with its 95 % interval and p: `bench compare` in Python.

        Args:
            first: A method of the results.
            second: Another one.
            metrics: Names; without it the main scores.
            psnr: PSNRs in dB; without it all.

        Raises:
            UsageError: A method, metric or PSNR is not there, or the two have nothing in common.
        """
        from bench.tables import comparison

        one, two = (name_of(METHODS, method) if is_part(method) else str(method) for method in (first, second))
        with handed_over(self._parts):
            chosen, levels = _Asked().names(METRICS, metrics) or (), () if psnr is None else _several(psnr)
            return Shown(tuple(comparison(self._both, one, two, chosen, levels)))

    def plot(
        self,
        figure: str = "psnr",
        *,
        metrics: str | Sequence[str] | None = None,
        methods: Methods | None = None,
        psnr: Numbers | None = None,
        scenes: int | Sequence[str] | None = None,
    ) -> Figures:
        """A figure as `bench plot FIGURE` draws it; a notebook shows it, `.save(FOLDER)` writes it.

        Args:
            figure: `psnr`, `bits`, `budget`, `outage`, `seconds`, or one of pictures: `comparison`, `strip`, ...
            metrics: Of figures of numbers; without it the main scores.
            methods: Of the results; without it all.
            psnr: PSNRs in dB; without it those that the figure chooses.
            scenes: Of figures of pictures: how many, or ids.

        Raises:
            UsageError: There is no such figure, or the results lack its numbers.
        """
        from bench.figures import draw_figure, find_figures
        from bench.results.request import Request, select

        asked = _Asked()
        ids = scenes if scenes is None or isinstance(scenes, int) else tuple(scenes)
        request = Request(
            self.folder, self._run.frame, self._run.facts, self.folder / "plots",
            methods=asked.names(METHODS, methods) or (), metrics=asked.names(METRICS, metrics) or (),
            psnrs=() if psnr is None else _several(psnr), scenes=ids, config=self._config, say=_say,
        )  # fmt: skip
        with handed_over(self._parts):
            request = select(request)
            return Figures(tuple(one for kind in find_figures([figure]) for one in draw_figure(kind.name, request)))

    def __repr__(self) -> str:
        from bench.results.request import scene_set_title
        from bench.results.schema import SCENE_SET
        from bench.results.scores import of_methods

        lines = [f"Results in {self.folder}"]
        for _, rows in of_methods(self._run.frame).groupby(SCENE_SET, sort=False):
            psnrs = ", ".join(f"{float(p):g}" for p in rows["psnr"].drop_duplicates())
            methods = ", ".join(str(m) for m in rows["method"].drop_duplicates())
            lines.append(f"  {scene_set_title(rows)}\n    methods: {methods}\n    PSNR: {psnrs}")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Shown:
    """Tables, which a notebook or a print shows."""

    _sheets: tuple[Sheet, ...]

    def to(self, style: str) -> str:
        """As `text`, `md`, `csv`, `latex` or `html`; UsageError for another format."""
        from bench.tables import render_sheets

        return render_sheets(self._sheets, style)

    def frame(self) -> pd.DataFrame:
        """Every number in full, the rows of all tables below each other."""
        import pandas as pd

        return pd.concat([pd.DataFrame(one.records, columns=list(one.header)) for one in self._sheets])

    def __repr__(self) -> str:
        return self.to("text")

    def _repr_html_(self) -> str:
        return self.to("html")


@dataclass(frozen=True, repr=False)
class Figures:
    """Drawings, which a notebook shows."""

    _drawings: tuple[Drawing, ...]

    def save(self, folder: Path | str, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
        """Write each as files of these formats (`png`, `svg`, `pdf`) into a folder; their paths."""
        from bench.figures import check_formats, save

        return save(self._drawings, check_folder(Path(folder), "save"), check_formats(formats))

    def __repr__(self) -> str:
        return "\n".join(one.stem for one in self._drawings)

    def _repr_html_(self) -> str:
        from base64 import b64encode
        from html import escape

        from bench.figures.style import as_bytes, theme

        with theme():
            pictures = [(b64encode(as_bytes(one, "png")).decode(), " ".join(one.notes)) for one in self._drawings]
        return "".join(
            f'<img style="max-width:100%;background:white" alt="{escape(told)}" src="data:image/png;base64,{data}">'
            for data, told in pictures
        )


@dataclass
class _Asked:
    """What a call names, and the classes and instances among it."""

    parts: tuple[Part, ...] = ()
    _data: dict[str, DataSection] = field(default_factory=dict)

    def names(self, registry: Registry[Any], chosen: Any) -> tuple[str, ...] | None:
        """The names behind what was chosen, None for nothing."""
        if chosen is None:
            return None
        found: list[str] = []
        for one in chosen if isinstance(chosen, list | tuple | set | frozenset) else (chosen,):
            if is_part(one):
                found.append(self.name(registry, one))
            else:
                found += [part.strip() for part in str(one).split(",") if part.strip()]
        return tuple(found)

    def name(self, registry: Registry[Any], thing: Any) -> str:
        """The name of a class or an instance, which is a part from now on unless it is installed."""
        name = name_of(registry, thing)
        if name in registry.names() and registry.load(name) is thing:
            return name
        self.parts += ((registry, thing),)
        if registry is DATASETS and not isinstance(thing, type):
            where = getattr(thing, "root", None)
            self._data[name] = DataSection(root=where, size=(thing.height, thing.width))
        return name

    def channel(self, chosen: Any) -> tuple[str | None, dict[str, Any]]:
        """Kind and options of a channel."""
        if not is_part(chosen):
            return chosen, {}
        kind = chosen if isinstance(chosen, type) else type(chosen)
        return self.name(CHANNELS, kind), {} if chosen is kind else chosen.options

    def configured(self, config: Config) -> Config:
        """The configuration, with what is known of data sets that are instances; UsageError for workers elsewhere."""
        if self.parts and config.run.cluster:
            names = ", ".join(name_of(*part) for part in self.parts)
            raise UsageError(
                f"the workers of {config.run.cluster} need what is installed there: put {names} into a package"
            )
        return config.model_copy(update={"data": {**config.data, **self._data}})


def _results(computed: Computed, settings: Config, parts: tuple[Part, ...]) -> Results:
    from bench.results.files import Run

    return Results(Run(settings.run.out, computed.rows, computed.facts), settings, parts)


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _several(given: Any) -> tuple[Any, ...]:
    return tuple(given) if hasattr(given, "__iter__") else (given,)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _progress(wanted: bool) -> Progress:
    """A bar in a notebook or a terminal, lines elsewhere, nothing where it is not wanted."""
    if not wanted:
        return lambda tasks, outcomes, workers: outcomes
    from rich.console import Console

    from bench.run.progress import RunProgress

    console = Console(stderr=True)
    return RunProgress(console, told=_notebook_bar if console.is_jupyter else None)


def _notebook_bar() -> Callable[[int, int, str], None]:
    """A bar in the output of a notebook's cell, which is drawn again with each call."""
    shown: Any = import_module("IPython.display")
    handle = shown.display(shown.HTML(""), display_id=True)

    def told(done: int, cells: int, times: str) -> None:
        bar = f'<progress value="{done}" max="{cells}"></progress>'
        handle.update(shown.HTML(f"{bar} {done} of {cells} cells, {times}"))

    return told
