"""The embedded evaluators: small networks that the project trains on the scenes that it renders, and users on theirs.

Here is what is known of them without their networks, and without PyTorch: which there are, and what identifies one
(version, weights, size). The networks are made at the first picture, of `metrics.evaluators.block_unet`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from safetensors import SafetensorError, safe_open

from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.scenes import LabelSpace
from bench.api.weights import UNNAMED, find_file, find_named, read_record, user_weights_dir
from metrics.evaluators.labels import EVALUATED_IDS, STUFF_IDS
from metrics.evaluators.published import check_unchanged

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from metrics.evaluators.detectors import Detections

#: What the name of an evaluator begins with whose weights are the user's own training.
OWN = "own:"


@dataclass(frozen=True)
class EvaluatorSpec:
    """What one embedded evaluator is.

    `name` is what `bench train` calls it, `title` what people do, `metric` what asks it. `record` is its kind in the
    name and the metadata of its weights file. It works on pictures of `size` (height, width), the one that it is
    trained on; `widths` are the channels of its levels, `classes` the label ids that it answers with. `network` is an
    entry of `NETWORKS`.
    """

    name: str
    title: str
    metric: str
    record: str
    dataset: str
    version: str
    size: tuple[int, int]
    widths: tuple[int, ...]
    classes: tuple[int, ...] = ()
    network: str = "unet"

    @property
    def weights_file(self) -> str:
        """Name of the weights file, for example `streets_depth.safetensors`."""
        return f"{self.dataset}_{self.record}.safetensors"

    @property
    def command(self) -> str:
        """What trains it again."""
        return f"bench train {self.name} --dataset {self.dataset}"

    def find(self, weights_dir: Path | None) -> Path:
        """Its weights from `weights_dir` if it holds them, else the package's, else the user's; else MetricError."""
        return find_file(self.weights_file, weights_dir, f"Train it with: {self.command}")

    def refuse(self, weights: Path, why: object) -> MetricError:
        """The error for a file that does not hold this evaluator, with what to do."""
        return MetricError(
            f"{weights} does not hold the {self.dataset} {self.title}, {self.version} ({str(why).splitlines()[0]}); "
            f"reinstall the package, or train it again: {self.command}"
        )


_SEGMENTER, _DETECTOR, _DEPTH = (
    ("segmenter", "segmenter", "mIoU", "judge"),
    ("detector", "detector", "objects", "detector"),
    ("depth", "depth network", "depth", "depth"),
)
#: person, rider, car, truck, bus, train (the renderer's trams), motorcycle, bicycle
_THINGS = (24, 25, 26, 27, 28, 31, 32, 33)
_LISTED = (
    EvaluatorSpec(*_SEGMENTER, "streets", "streets-v1", (64, 128), (32, 64, 96, 128), EVALUATED_IDS),
    EvaluatorSpec(
        *_SEGMENTER, "streets_wide", "streets-wide-lite0-v1", (64, 128), (64,), EVALUATED_IDS, network="lite0"
    ),
    EvaluatorSpec(*_SEGMENTER, "stuff", "stuff-v1", (64, 64), (48, 64, 96, 128), STUFF_IDS),
    EvaluatorSpec(*_DETECTOR, "streets", "streets-detector-v1", (64, 128), (24, 48, 80, 96), _THINGS),
    EvaluatorSpec(*_DEPTH, "streets", "streets-depth-v1", (64, 128), (24, 48, 80, 96)),
)
#: All of them, by what `bench train` calls them and by data set.
SPECS: dict[str, dict[str, EvaluatorSpec]] = {
    name: {spec.dataset: spec for spec in _LISTED if spec.name == name} for name in ("segmenter", "detector", "depth")
}


#: What a segmenter can be: the U-Net of the project, or ImageNet features of EfficientNet-Lite0 under a small decoder;
#: and the channels that it has where nothing else is said.
NETWORKS: dict[str, tuple[int, ...]] = {"unet": (32, 64, 96, 128), "lite0": (64,)}
#: What the sides of a network's pictures are multiples of.
_MULTIPLE = 16
#: From so many classes on a segmenter has the widths of that of `stuff`.
_MANY = 100


def spec_for_training(
    name: str, dataset: str, size: tuple[int, int], space: LabelSpace, network: str | None = None
) -> EvaluatorSpec:
    """What is trained for a data set at a size; where nothing ships, a network like that of `streets` or `stuff`.

    `network` is an entry of `NETWORKS` where a segmenter shall be another than the data set's. MetricError for a size
    that it cannot have, for a detector without things, and for an unknown network.
    """
    spec = _usual_spec(name, dataset, size, space)
    if network is None or network == spec.network:
        return spec
    if name != "segmenter" or network not in NETWORKS:
        offered = f"one of {', '.join(NETWORKS)}" if name == "segmenter" else "no choice"
        raise MetricError(f"option network={network}: the {spec.title} has {offered}")
    return replace(spec, network=network, widths=NETWORKS[network], version=f"{dataset}-{name}-{network}")


def _usual_spec(name: str, dataset: str, size: tuple[int, int], space: LabelSpace) -> EvaluatorSpec:
    specs = SPECS[name]
    title, told = specs["streets"].title, "{}x{}".format(*size)
    if dataset in specs:
        if size != specs[dataset].size:
            works = "{}x{}".format(*specs[dataset].size)
            raise MetricError(f"the {dataset} {title} works at {works}: take the size out of [data.{dataset}]")
        return specs[dataset]
    if size[0] % _MULTIPLE or size[1] % _MULTIPLE:
        raise MetricError(f"the {title} needs sides that are multiples of {_MULTIPLE}, not {told}: choose another size")
    things = tuple(label for label in space.things if label not in space.never)
    classes = {"segmenter": space.evaluated, "detector": things, "depth": ()}[name]
    if name == "detector" and not things:
        raise MetricError(f"the detector finds things, and no class of {dataset} is one (thing = true in classes.toml)")
    like = specs["stuff" if name == "segmenter" and len(classes) >= _MANY else "streets"]
    return replace(like, dataset=dataset, version=f"{dataset}-{name}", size=size, classes=classes)


def _spec_in(name: str, dataset: str, weights: Path) -> EvaluatorSpec:
    """What a training of the user's own says that it is: the data set's shipped one, or what its card says."""
    shipped = SPECS[name].get(dataset)
    like = shipped or replace(SPECS[name]["streets"], dataset=dataset, version=f"{dataset}-{name}")
    card = read_record(weights, like.record)
    recipe = card.get("recipe")
    network = recipe.get("network", "unet") if isinstance(recipe, dict) else "unet"
    if shipped and network == shipped.network:
        return shipped
    try:
        size, widths, classes = (
            tuple(map(int, values)) for values in (card["size"], card["recipe"]["widths"], card["labels"])
        )
        height, width = size
    except (KeyError, TypeError, ValueError) as error:
        raise like.refuse(weights, f"its card lacks {error}") from None
    version = f"{dataset}-{name}" + ("" if network == "unet" else f"-{network}")
    return replace(like, version=version, size=(height, width), widths=widths, classes=classes, network=network)


def trained_unnamed(name: str, dataset: str) -> str | None:
    """`own:FOLDER` of the user's training without a name for a data set, where there is one.

    It is the evaluator of a data set that has no other: nothing is there that it could stand in for.
    """
    file = replace(SPECS[name]["streets"], dataset=dataset).weights_file
    folder = user_weights_dir() / UNNAMED
    return f"{OWN}{folder}" if (folder / file).is_file() else None


class EmbeddedEvaluator:
    """A trained evaluator: its identity at once, its network from the first picture on."""

    gpu_batch = 64
    #: its key in SPECS, and the module of its network
    name: ClassVar[str]
    module: ClassVar[str]

    def __init__(self, spec: EvaluatorSpec, weights: Path, device: torch.device | str, own: str | None = None) -> None:
        """Look at a weights file; MetricError where it is damaged, or of another evaluator or version.

        `own` is the name of weights of the user's own. A file of another layout is found out with the network.
        """
        self.spec, self.weights, self.device, self.own = spec, weights, device, own
        self.sha256 = file_digest(weights)
        try:
            with safe_open(weights, framework="np") as file:
                card = json.loads((file.metadata() or {}).get(spec.record, "{}"))
                if card.get("model") != spec.version:
                    raise ValueError(f"it says that it is {card.get('model', 'something else')}")
                if not all(np.isfinite(file.get_tensor(key)).all() for key in file.keys()):  # noqa: SIM118
                    raise ValueError("some weights are no numbers")
        except (SafetensorError, OSError, ValueError, AttributeError, RecursionError) as error:
            raise spec.refuse(weights, error) from error

    @property
    def protocol(self) -> str:
        """Its version, the name of its weights where they are the user's own, and the size that it sees pictures at."""
        own = f"(weights {self.own})" if self.own else ""
        return "{}{}@{}x{}".format(self.spec.version, own, *self.spec.size)

    @property
    def classes(self) -> tuple[int, ...]:
        """The label ids that it answers with."""
        return self.spec.classes

    @classmethod
    def load(cls, dataset: str, weights_dir: Path | None, device: torch.device | str, named: str | None = None) -> Self:
        """A data set's evaluator from `weights_dir` if it holds one, else the package's.

        With `named` the user's own training, by its folder: `own:NAME` among the user's weights, or `own:PATH`.
        MetricError where there is none.
        """
        spec = SPECS[cls.name].get(named or dataset)
        if spec:
            return cls(spec, spec.find(weights_dir), device)
        file = replace(SPECS[cls.name]["streets"], dataset=dataset).weights_file
        path = find_named((named or "").removeprefix(OWN), weights_dir, file)
        return cls(_spec_in(cls.name, dataset, path), path, device, path.parent.name)

    @cached_property
    def answer(self) -> Any:
        """The network's function of pictures; MetricError where the file does not fit it, or is another by now."""
        answer = import_module(self.module).load(self.spec, self.weights, self.device)
        check_unchanged(self.weights, self.sha256)
        return answer


class EmbeddedSegmenter(EmbeddedEvaluator):
    """A segmenter of `metrics.evaluators.segmenters.embedded`; it answers with evaluated labels only."""

    name, module = "segmenter", "metrics.evaluators.segmenters.embedded"

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The label ids that it answers with."""
        return self.spec.classes

    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, on its device."""
        maps: Tensor = self.answer(images)
        return maps


class EmbeddedDetector(EmbeddedEvaluator):
    """A detector of `metrics.evaluators.detectors.embedded`."""

    name, module = "detector", "metrics.evaluators.detectors.embedded"

    def detect(self, images: Tensor) -> list[Detections]:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> the detections of each, in its pixels."""
        found: list[Detections] = self.answer(images)
        return found


class EmbeddedDepth(EmbeddedEvaluator):
    """A depth network of `metrics.evaluators.depth.embedded`; it answers with inverse depth, as MiDaS and DPT do."""

    name, module = "depth", "metrics.evaluators.depth.embedded"
    inverse = True

    def estimate(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> inverse depth (B, H, W) float32 in 1/metres, on its device."""
        depth: Tensor = self.answer(images)
        return depth


#: What loads the embedded evaluators of each kind.
EVALUATORS: dict[str, type[EmbeddedEvaluator]] = {
    kind.name: kind for kind in (EmbeddedSegmenter, EmbeddedDetector, EmbeddedDepth)
}
