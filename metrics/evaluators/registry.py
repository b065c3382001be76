"""All evaluators by name; a data set says which are its own. No network is imported before it is due.

A segmenter's name says how pictures reach it where that is a choice (`drn_d_105@generated`, `drn_d_105@full`): values
under different rules must never be compared. Any other published segmenter is named by where it lies: `hf:FOLDER` for
one of `transformers`, `mmseg:CONFIG` for one of `mmsegmentation`; it can evaluate data sets whose labels it answers.
`own:NAME` is the embedded evaluator of a data set with weights of the user's own (`bench train segmenter`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from bench.api.errors import MetricError, nearest
from bench.api.method import MethodContext
from bench.api.metric import Metric, MetricContext
from bench.api.registry import DATASETS
from bench.api.scenes import facts_of
from bench.api.weights import find_named
from metrics.evaluators import Evaluator
from metrics.evaluators.depth import DepthEstimator
from metrics.evaluators.embedded import (
    EVALUATORS,
    OWN,
    SPECS,
    EmbeddedDepth,
    EmbeddedDetector,
    EmbeddedSegmenter,
    spec_for_training,
    trained_unnamed,
)
from metrics.evaluators.published import MASKFORMER

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.api.training.task import TrainingTask
    from metrics.evaluators.detectors import Detector

T = TypeVar("T")


class Segmenter(Evaluator, Protocol):
    """A network that names the class of every pixel."""

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The evaluated label ids that it answers with."""

    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, `NO_LABEL` for anything else."""


@dataclass(frozen=True)
class DetectorChoice:
    """One detector on one data set.

    `load` builds it from the folder of weights that is looked at first, or None, and the device. Scores from
    `threshold` on count as "there is an object". `answered_as` has true labels that it answers by another one.
    """

    load: Callable[[Path | None, torch.device | str], Detector]
    threshold: float
    answered_as: Mapping[int, int] = field(default_factory=dict)


#: Builds a segmenter for the context's data set, on the context's device.
SegmenterLoader = Callable[[MetricContext], Segmenter]
#: Builds a depth network from the folder of weights that is looked at first, or None, and the device.
DepthLoader = Callable[[Path | None, "torch.device | str"], DepthEstimator]


def _of(module: str, name: str) -> Any:
    """A class of `metrics.evaluators.segmenters` and its like, imported when it is asked for."""
    return getattr(import_module(f"metrics.evaluators.{module}"), name)


def _at(module: str, name: str, path: str, context: MetricContext) -> Any:
    return _of(f"segmenters.{module}", name)(find_named(path, context.weights_dir), context)


def _embedded_segmenter(context: MetricContext) -> Segmenter:
    named = context.evaluator or _own(context.dataset, "segmenter")
    return _answering(context, EmbeddedSegmenter.load(context.dataset, context.weights_dir, context.device_name, named))


def _own(dataset: str, kind: str) -> str | None:
    """The user's own training where the data set has no other network of a kind."""
    return None if names(kind, dataset) else trained_unnamed(kind, dataset)


def _answering(context: MetricContext, segmenter: Segmenter) -> Segmenter:
    """The segmenter; MetricError where it does not answer the labels that the data set evaluates."""
    if segmenter.evaluated != tuple(context.label_space.evaluated):
        raise MetricError(
            f"its segmenter knows the label ids {segmenter.evaluated}, the data set evaluates "
            f"{tuple(context.label_space.evaluated)}"
        )
    return segmenter


def _drn(name: str, resize: str) -> SegmenterLoader:
    return lambda context: _of("segmenters.drn", "DrnSegmenter").load(
        name, resize, context.weights_dir, context.device_name
    )


def _embedded_detector(dataset: str, named: str | None = None) -> DetectorChoice:
    # where precision and recall are in balance: of thresholds in steps of 0.05, 0.35 has the best F1 (0.86) against the
    # true boxes of 200 validation scenes of `streets`
    return DetectorChoice(lambda weights_dir, device: EmbeddedDetector.load(dataset, weights_dir, device, named), 0.35)


def _detr(dataset: str) -> DetectorChoice:
    # 0.7 is what the authors' own demonstration keeps (github.com/facebookresearch/detr, detr_demo.ipynb)
    return DetectorChoice(
        lambda weights_dir, device: _of("detectors.detr", "DetrDetector").load(dataset, weights_dir, device),
        0.7,
        facts_of(dataset).coco_answers,
    )


SEGMENTERS: dict[str, SegmenterLoader] = {
    **dict.fromkeys(SPECS["segmenter"], _embedded_segmenter),
    **{f"{n}@{r}": _drn(n, r) for n in ("drn_d_105", "drn_d_22") for r in ("generated", "full")},
    "maskformer": lambda c: _of("segmenters.huggingface", "HfSegmenter")(MASKFORMER.find(c.weights_dir), c),
}
#: For the data set that is named.
DETECTORS: dict[str, Callable[[str], DetectorChoice]] = {
    **dict.fromkeys(SPECS["detector"], _embedded_detector),
    "detr_resnet_50": _detr,
}
DEPTH: dict[str, DepthLoader] = {
    **{dataset: partial(EmbeddedDepth.load, dataset) for dataset in SPECS["depth"]},
    "dpt_large": lambda weights_dir, device: _of("depth.dpt", "DptEstimator").load(weights_dir, device),
}
#: What a segmenter's name begins with that says where it lies: a place, or its name among the context's weights or the
#: user's.
SCHEMES: dict[str, Callable[[str, MetricContext], Segmenter]] = {
    "hf:": lambda path, context: _at("huggingface", "HfSegmenter", path, context),
    "mmseg:": lambda path, context: _at("mmseg", "MmsegSegmenter", path, context),
    OWN: lambda _, context: _embedded_segmenter(context),
}


class EvaluatorMetric(Metric):
    """A metric that asks the data set's evaluator of one `kind`, or one with weights of the user's own."""

    kind: ClassVar[str]
    evaluator_schemes: ClassVar[tuple[str, ...]] = (OWN,)
    _network: Evaluator

    def __init__(self, context: MetricContext) -> None:
        """MetricError for a data set without an evaluator, for one that does not fit it, and for missing weights."""
        super().__init__(context)
        try:
            self._load(context)
        except MetricError as error:
            raise MetricError(f"{self.name} is skipped on `{context.dataset}`: {error}") from error

    @abstractmethod
    def _load(self, context: MetricContext) -> None:
        """Set `_network`."""

    @classmethod
    def evaluators(cls, dataset: str) -> tuple[str, ...]:
        """The data set's evaluators of the kind, the default first."""
        return names(cls.kind, dataset)

    def weights_digest(self) -> str:
        """SHA-256 of the evaluator's weights."""
        return self._network.sha256


def names(kind: str, dataset: str) -> tuple[str, ...]:
    """Names of a data set's evaluators of a kind ("segmenter", ...), the default first; empty without any."""
    return facts_of(dataset).evaluators.get(kind, ())


def _chosen(known: Mapping[str, T], kind: str, dataset: str, name: str | None, what: str) -> T:
    """The data set's evaluator of that name, its first for None; MetricError calls it `what`, and says the nearest."""
    there = names(kind, dataset)
    if not there:
        some = [other for other in DATASETS.built_in() if names(kind, other)]
        train = f"train one: bench train {kind} --dataset {dataset}"
        raise MetricError(f"no {what} is known for it; there are some for {', '.join(some)}; {train}")
    wanted = name or there[0]
    if wanted not in there or wanted not in known:
        raise MetricError(f"there is no {what} '{wanted}' for it{nearest(wanted, there)}")
    return known[wanted]


def load_segmenter(context: MetricContext) -> Segmenter:
    """The segmenter of the context's name, or its data set's default for None.

    MetricError for a data set without one (none ever evaluates another data set's classes), for an unknown name,
    where weights are missing or damaged, and where it does not answer the labels that the data set evaluates.
    """
    for scheme, load in SCHEMES.items():
        if context.evaluator is not None and context.evaluator.startswith(scheme):
            return load(context.evaluator.removeprefix(scheme), context)
    if context.evaluator is None and not names("segmenter", context.dataset):
        if trained_unnamed("segmenter", context.dataset):
            return _embedded_segmenter(context)
        raise MetricError(
            f"no segmenter of its {len(context.label_space.evaluated)} classes comes with the project. Train one: "
            f"bench train segmenter --dataset {context.dataset}; or name one in bench.toml: "
            f'[metrics.mIoU.evaluators], {context.dataset} = "hf:FOLDER" (transformers) or "mmseg:CONFIG" '
            "(mmsegmentation)"
        )
    chosen = _chosen(SEGMENTERS, "segmenter", context.dataset, context.evaluator, "segmenter")
    return _answering(context, chosen(context))


def choose_detector(dataset: str, name: str | None) -> DetectorChoice:
    """The detector of that name, else the data set's default; `own:NAME`: with weights of the user's own.

    MetricError where there is none.
    """
    name = name or _own(dataset, "detector")
    if name is not None and name.startswith(OWN):
        return _embedded_detector(dataset, name)
    return _chosen(DETECTORS, "detector", dataset, name, "detector")(dataset)


def load_estimator(
    dataset: str, name: str | None, weights_dir: Path | None, device: torch.device | str
) -> DepthEstimator:
    """The depth network of that name, the data set's default for None, `own:NAME` with weights of the user's own.

    MetricError for a data set without one, for an unknown name, and where weights are missing or damaged.
    """
    name = name or _own(dataset, "depth")
    if name is not None and name.startswith(OWN):
        return EmbeddedDepth.load(dataset, weights_dir, device, name)
    return _chosen(DEPTH, "depth", dataset, name, "depth network")(weights_dir, device)


def training_task(name: str, context: MethodContext, options: Mapping[str, Any]) -> TrainingTask:
    """How `bench train` trains the embedded evaluator `name` ("segmenter", ...) of the context's data set.

    MetricError for a size or profile that it cannot have and for a data set that lacks what it learns, MethodError for
    an option that it does not have.
    """
    options = dict(options)
    size, network = (context.height, context.width), options.pop("network", None)
    spec = spec_for_training(name, context.dataset, size, context.label_space, network)
    if context.profile != "embedded":
        raise MetricError(f"the {spec.title} has no profile '{context.profile}'; leave --profile away")
    task: TrainingTask = import_module(EVALUATORS[name].module).Task(spec, context, options)
    return task
