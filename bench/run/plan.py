"""What is to be computed: cells (data set x method x channel x seed) over one list of scenes, and metrics on them.

The plan is made before anything runs, so that a wrong name, a missing weights file or a missing data root is known at
once. It is small and picklable: a worker rebuilds data set, method and metric from it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.api.channel import Channel
from bench.api.device import Devices, resolve_devices
from bench.api.errors import (
    BenchError,
    DataError,
    Failure,
    ImpossibleError,
    MethodError,
    MethodFault,
    MetricError,
    MetricFault,
    UsageError,
    known_name,
)
from bench.api.files import safe_name
from bench.api.method import MethodContext
from bench.api.metric import MetricContext
from bench.api.names import ALL, PURE_NOISE, metrics_asked
from bench.api.registry import CHANNELS, DATASETS, METHODS, METRICS
from bench.api.scenes import LabelSpace, SceneSource
from bench.api.seeding import canonical, text_digest
from bench.api.specs import CODED, FREE, HEADER, LINK, USES, MethodSpec, build_method
from bench.channels.awgn import Awgn
from bench.channels.registry import build_channel
from bench.config import Config
from bench.data.registry import known_dataset, open_dataset
from bench.run.setting import method_setting, open_configured
from bench.run.summary import summary_version
from bench.run.transport import LINK_VERSION, check_transport
from bench.run.trial import Told, Trial, check_sections, expanded, identity_of, methods_asked

#: Bumped when the harness itself changes what a cell contains (streams, rounding, order of steps).
HARNESS_VERSION = 2


@dataclass(frozen=True)
class SceneSet:
    """Scenes of one split of one data set at one size.

    `opened_as` is the name under which the registry opens it; `dataset` the name it gives itself, which differs for
    an export of another data set.
    """

    opened_as: str
    dataset: str
    root: Path | None
    size: tuple[int, int]
    split: str
    ids: tuple[str, ...]
    fingerprint: str
    asked: int
    resize: str = "spade"

    def open(self) -> SceneSource:
        """The data set behind the scenes.

        DataError where its files are not the planned ones, on a worker's machine or since the plan was made: pictures
        of others must not be kept under this fingerprint.
        """
        source = open_dataset(self.opened_as, self.root, self.size, resize=self.resize)
        if source.fingerprint(self.split, self.ids) != self.fingerprint:
            where = "" if self.root is None else f" below {self.root}"
            raise DataError(
                f"the scenes of {self.dataset} are not those that the run was planned with: files{where} have changed, "
                "or this worker has others; start again"
            )
        return source


@dataclass(frozen=True)
class MethodPlan:
    """A method as it will be built on one data set; `identity` is what its built instance said of itself.

    Weights of the user's own are named in `spec`; `weights_dir` is where the folder of that name is (None: among the
    user's weights).
    """

    spec: str
    profile: str
    options: dict[str, Any]
    weights_dir: Path | None
    identity: dict[str, Any] = field(default_factory=dict)
    #: How it gets over the channel (bench/run/transport.py): the link's scheme, "" for symbols; real channel uses, 0
    #: for as many as it takes; the spec of the same method without a link; and how its side information travels.
    link: str = ""
    uses: int = 0
    analogue: str = ""
    header: str = FREE

    def context(self, scenes: SceneSet, label_space: LabelSpace, device: str) -> MethodContext:
        """Where the method works: `scenes`' data set and size on the torch device named."""
        return MethodContext(scenes.dataset, label_space, *scenes.size, self.profile, device, self.weights_dir)


@dataclass(frozen=True)
class MetricPlan:
    """A metric on one data set; `identity` is what its built instance said of itself, `evaluator` what was named.

    `summary` is the version of what is made of its arrays (bench/run/summary.py).
    """

    name: str
    protocol: str
    identity: dict[str, Any]
    evaluator: str | None
    summary: str


@dataclass(frozen=True)
class Cell:
    """One method on one channel with one seed over the scenes: the unit that is computed, cached and counted."""

    scenes: SceneSet
    method: MethodPlan
    channel: Channel
    seed: int
    device_kind: str

    @property
    def key(self) -> dict[str, Any]:
        """Everything that can change the cell's pictures. Batch size and jobs are absent: they must not matter."""
        coded = self.method.header == CODED
        budget = {"link": self.method.link, "uses": self.method.uses, "link_version": LINK_VERSION}
        return {
            **(budget if self.method.link or self.method.uses or coded else {}),
            **({HEADER: CODED} if coded else {}),
            "harness": HARNESS_VERSION,
            "dataset": self.scenes.dataset,
            "fingerprint": self.scenes.fingerprint,
            "split": self.scenes.split,
            "size": list(self.scenes.size),
            "scenes": list(self.scenes.ids),
            "spec": self.method.spec,
            "method": self.method.identity,
            "channel": self.channel.identity(),
            "seed": self.seed,
            "device": self.device_kind,
        }

    @cached_property
    def key_text(self) -> str:
        """The key as canonical JSON, made once: it names every scene."""
        return canonical(self.key)

    @property
    def key_digest(self) -> str:
        """SHA-256 of the key."""
        return text_digest(self.key_text)

    @property
    def name(self) -> str:
        """Folder of the cell below OUT/cells: data set, spec, then channel, seed and 12 digits of the key's digest."""
        leaf = f"{safe_name(self.channel.label)}-seed{self.seed}-{self.key_digest[:12]}"
        return f"{safe_name(self.scenes.dataset)}/{safe_name(self.method.spec)}/{leaf}"

    @property
    def title(self) -> str:
        """The cell in words, for messages."""
        return f"{self.method.spec} on {self.scenes.dataset}, {self.channel.label}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All cells in the order of the tables, the metrics of each data set, and what was left out and why.

    `references` has one entry a data set: pictures of pure noise for the same scenes (bench/run/worker.PureNoise).
    `failures` are methods and metrics whose code broke while they were built; the others run.
    """

    cells: tuple[Cell, ...]
    metrics: dict[str, tuple[MetricPlan, ...]]
    devices: Devices
    left_out: tuple[str, ...] = ()
    references: tuple[Cell, ...] = ()
    failures: tuple[Failure, ...] = ()


def scene_set(source: SceneSource, opened_as: str, config: Config) -> SceneSet:
    """The scenes of a run's configuration; DataError where there are none, UsageError for an unknown split."""
    split = config.run.split
    auto = split.casefold() == "auto"
    split = source.evaluation_split() if auto else known_name(split, source.splits, "split", f" of {source.name}")
    ids = tuple(source.ids(split, config.run.scenes))
    if not ids:
        raise DataError(f"split '{split}' of {source.name} has no scenes")
    return SceneSet(
        opened_as=opened_as,
        dataset=source.name,
        root=root.absolute() if (root := getattr(source, "root", None)) else None,
        size=(source.height, source.width),
        split=split,
        ids=ids,
        fingerprint=source.fingerprint(split, ids),
        asked=config.run.scenes,
        resize=getattr(source, "resize", "spade"),
    )


def _method_plan(spec: MethodSpec, config: Config, scenes: SceneSet, label_space: LabelSpace) -> MethodPlan:
    setting = method_setting(spec, config, MethodContext(scenes.dataset, label_space, *scenes.size))
    built = build_method(setting.spec, setting.context, setting.options)
    context = setting.context
    identity = identity_of(built, spec.text)
    spec, options = setting.spec, {**setting.options, **setting.spec.options}
    plan = MethodPlan(
        spec.text,
        context.profile,
        dict(setting.options),
        context.weights_dir,
        identity,
        str(options[LINK]) if spec.digital else "",
        int(options.get(USES, 0)),
        spec.analogue,
        known_name(str(options.get(HEADER, FREE)), (FREE, CODED), "header", f" of {spec.text}"),
    )
    check_transport(plan)  # what is wrong with a link or a budget is said before anything runs
    return plan


def noise_reference(scenes: SceneSet, device_kind: str) -> Cell:
    """Pure noise for every scene: nothing is sent, so one channel, seed and reference serve all runs over them."""
    method = MethodPlan(PURE_NOISE, PURE_NOISE, {}, None, {"name": PURE_NOISE, "code_version": 1})
    return Cell(scenes, method, Awgn(100.0), 0, device_kind)


def _metric_plan(name: str, context: MetricContext) -> MetricPlan:
    metric, evaluator = METRICS.build(name, context), context.evaluator
    identity = identity_of(metric, name)
    return MetricPlan(metric.name, str(metric.protocol), identity, evaluator, summary_version(metric))


def metric_plans(
    asked: Mapping[str, str], source: SceneSource, config: Config, trial: Trial, told: Told
) -> tuple[MetricPlan, ...]:
    """Of the metrics asked for (full name -> as typed) those that the data set allows.

    What `FID` stands for is what of it can be computed, and `left_out` says so.
    """
    plans: list[MetricPlan] = []
    dataset = source.name
    cannot: list[tuple[str, MetricError]] = []
    for name in asked:
        context = MetricContext.of(source, config.evaluator(name, dataset))
        try:
            plans.append(trial(METRICS, name, _metric_plan, name, context))
        except MetricFault as error:
            told.failed(f"{name} on {dataset}", error)
        except MetricError as error:
            cannot.append((name, error))
    for name, reason in cannot:
        rest = [plan.name for plan in plans if asked[name] not in (name, ALL) and asked.get(plan.name) == asked[name]]
        instead = f", so {asked[name]} is {', '.join(rest)} here" if rest else ""
        told.left_out.append(f"{name} is not computed for {dataset}{instead}: {reason}")
    return tuple(plans)


def _channels(config: Config) -> list[Channel]:
    section = config.channel
    psnrs = CHANNELS.load(section.kind).psnrs if config.run.psnr == "all" else config.run.psnr
    ordered = sorted(dict.fromkeys(float(p) for p in psnrs), reverse=True)
    return [build_channel(section.kind, p, section.options) for p in ordered]


def _check_used(folder: Path, cells: Sequence[Cell]) -> None:
    """UsageError where a folder of weights was named for the whole run and no method has its weights from there."""
    if any(cell.method.weights_dir in (folder, folder.parent) for cell in cells):
        return
    raise UsageError(
        f"--weights-dir: {folder} has weights of none of the methods "
        f"{', '.join(dict.fromkeys(cell.method.spec for cell in cells))}; `bench weights list --weights-dir {folder}` "
        "says what is there"
    )


def make_plan(
    config: Config, root: Path | None = None, dispensable: Collection[str] = (), devices: Devices | None = None
) -> Plan:
    """Resolve every name, open the data sets and build every method once.

    `root` overrides the data root of the (single) data set; `devices` are those of a cluster's workers, without them
    the configuration's are looked for here. Code that breaks while it is imported or built is in the
    plan's `failures`, and the rest is planned; BenchError where nothing is left. Raises UsageError for unknown names
    and for methods named explicitly that cannot be built; those that `all` stands for, and specs that are
    `dispensable`, are left out then and named in `left_out`, as are methods that cannot have one of the data sets at
    all, and metrics that a data set does not allow. UsageError where that leaves nothing. Raises DataError where a data
    set cannot be read.
    """
    asked = expanded(config.run.datasets, DATASETS.names())
    datasets = list(dict.fromkeys(known_dataset(name, config.data) for name in asked))
    if root is not None and len(datasets) > 1:
        raise UsageError("--root belongs to one data set; give one with --datasets, or set roots in bench.toml")
    with Trial(config.run) as trial:
        check_sections(config, trial)
        return _planned(config, root, dispensable, datasets, trial, devices or resolve_devices(config.run.device))


def _planned(
    config: Config,
    root: Path | None,
    dispensable: Collection[str],
    datasets: Sequence[str],
    trial: Trial,
    devices: Devices,
) -> Plan:
    channels = _channels(config)
    seeds = tuple(dict.fromkeys(config.run.seeds))  # a seed named twice is one cell, not one that counts twice
    told = Told()
    specs, optional = methods_asked(config.run.methods, trial, told)
    without = list(told.left_out)  # of what is left out, the methods
    asked_metrics = metrics_asked(config.run.metrics, METRICS.names())
    cells: list[Cell] = []
    metrics: dict[str, tuple[MetricPlan, ...]] = {}
    for dataset in datasets:
        source = open_configured(dataset, config, root)
        scenes = scene_set(source, dataset, config)
        told.left_out += [f"{scenes.dataset}: {note}" for note in source.notes(scenes.split)]
        if scenes.dataset in metrics:
            raise UsageError(f"two of the data sets are '{scenes.dataset}'; run them into two folders")
        label_space = source.label_space
        metrics[scenes.dataset] = metric_plans(asked_metrics, source, config, trial, told)
        for spec in specs:
            try:
                method = trial(METHODS, spec.name, _method_plan, spec, config, scenes, label_space)
            except MethodFault as error:
                told.failed(f"{spec.text} on {scenes.dataset}", error)
                continue
            except MethodError as error:
                may_lack = spec.text in optional or spec.text in dispensable or isinstance(error, ImpossibleError)
                if not may_lack:
                    raise UsageError(f"{spec.text} on {scenes.dataset}: {error}") from None
                told.left_out.append(f"{spec.text} does not run on {scenes.dataset}: {error}")
                without.append(told.left_out[-1])
                continue
            if any(cell.scenes is scenes and cell.method.spec == method.spec for cell in cells):
                continue  # `gesco` and `gesco:weights=mine` are one under a --weights-dir of that name
            cells += [Cell(scenes, method, c, seed, devices.kind) for c in channels for seed in seeds]
    if not cells:
        broken = [f"{what}: {message}" for what, message, _ in told.failures]
        raise (BenchError if broken else UsageError)("nothing can run: " + "; ".join([*without, *broken]))
    if config.run.weights_dir is not None:
        _check_used(config.run.weights_dir.resolve(), cells)
    scene_sets = {cell.scenes.dataset: cell.scenes for cell in cells}
    references = tuple(noise_reference(scenes, devices.kind) for name, scenes in scene_sets.items() if metrics[name])
    return Plan(tuple(cells), metrics, devices, tuple(told.left_out), references, tuple(told.failures))
