"""FID and KID between the regenerated and the original pictures, named after the network of their features.

`FID[inception]` is the standard one: features and preprocessing of the package `pytorch-fid`, as published FIDs. KID,
which that package does not have, is the estimator of `torch-fidelity` on these features. Inception's
weights have to be downloaded. `FID[lite0]` needs no download: its features are those of EfficientNet-Lite0 trained on
ImageNet, which a Python package carries. Its values are comparable with each other and not with published FIDs, hence
the name.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import MetricError
from bench.api.lazy import F, torch
from bench.api.metric import Comparison, MetricContext, Score
from bench.api.scores import ScoreInfo
from metrics.evaluators.published import INCEPTION, load_exactly, read_state
from metrics.lite0 import lite0_file, load_lite0
from metrics.pictures import NetworkMetric, PerPicture
from metrics.stats.distances import Distance, frechet, kernel

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

#: (height, width) that pictures are brought to for EfficientNet-Lite0: the size the network was trained at.
LITE0_SIZE = (224, 224)
#: Side that pictures are brought to for Inception, and the outputs of its classifier, which features do not use.
INCEPTION_SIDE, _CLASSES = 299, 1008

#: Below this many scenes influences say nothing.
FEWEST_SCENES = 4


class SmallSampleWarning(UserWarning):
    """FID is computed from fewer scenes than features: its covariances are singular and it is biased upwards."""


class FeatureDistance(NetworkMetric):
    """FID, and KID from the same features (KID is unbiased at small numbers of scenes), named after the network.

    With no more scenes than features FID's covariances are singular: the value is exact for the sample, but biased
    upwards by an amount that depends on the number of scenes, so only values for equally many scenes compare. A
    SmallSampleWarning says so; standard errors (see `metrics/stats/distances.py`) do not contain that bias. A scene
    has no distance of its own, so there is no spread. With one scene neither distance is defined and both are NaN.
    """

    summary_version = 2  # KID by the standard estimator
    #: The network, as it stands in brackets.
    variant: ClassVar[str]
    features: ClassVar[int]

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context, self._find(context))
        self._features = PerPicture(self._extract, context.device_name, kept=context.kept)

    @classmethod
    @abstractmethod
    def _find(cls, context: MetricContext) -> Path:
        """The weights file; MetricError where there is none."""

    @abstractmethod
    def _extract(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] -> features (B, `features`)."""

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """Features of the `generated` and the `original` pictures, each (B, `features`) float32."""
        return {
            "generated": self._features(comparison.generated),
            "original": self._features.remembered(comparison.original),
        }

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """FID and KID; a scene has no value of its own, so there is no spread."""
        scenes = len(measured["generated"])
        if scenes == 0:
            raise MetricError(f"{self.name} of no scenes is not defined")
        if scenes == 1:
            return [Score(f"{kind}[{self.variant}]", float("nan"), None, 1) for kind in ("FID", "KID")]
        if scenes <= self.features:
            warnings.warn(
                f"FID[{self.variant}] of {scenes} scenes, fewer than its {self.features} features, is biased upwards: "
                f"compare it only with values for equally many scenes, or read KID[{self.variant}]",
                SmallSampleWarning,
                stacklevel=2,
            )
        return [Score(name, d.value, None, scenes) for name, d in self._distances(measured).items()]

    @classmethod
    def resampled(cls, measured: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        """FID and KID of every set, to first order: real ones would differ in FID's bias; none below 4 scenes."""
        if len(measured["generated"]) < FEWEST_SCENES:
            return {}
        return {name: distance.resampled(counts) for name, distance in cls._distances(measured).items()}

    def protocol_for(self, score: str) -> str:
        """KID's estimator is named too: an earlier one left the pairs of a scene out of the cross term."""
        return f"{self.protocol}|unbiased, all pairs across" if score.startswith("KID") else self.protocol

    @classmethod
    def _distances(cls, measured: Mapping[str, np.ndarray]) -> dict[str, Distance]:
        x, y = measured["generated"], measured["original"]
        return {f"FID[{cls.variant}]": frechet(x, y), f"KID[{cls.variant}]": kernel(x, y)}


def _declared(variant: str, substitute: bool = False) -> tuple[ScoreInfo, ...]:
    """FID matters by its share, because its scale depends on the features; KID may be below 0 where sets are alike."""
    return (
        ScoreInfo(
            f"FID[{variant}]", False, "distribution", 0.0, floor=0.03, decimals=1, shown="always", published="FID",
            substitute=substitute,
        ),
        ScoreInfo(f"KID[{variant}]", False, "distribution", floor=0.01, relative=False, decimals=4),
    )  # fmt: skip


class FrechetInception(FeatureDistance):
    """`FID[inception]` as `pytorch-fid` computes it, and `KID[inception]` from the same features.

    MetricError where the weights file is in none of the folders, and where it is another file.
    """

    name = "FID[inception]"
    scores = _declared("inception")
    variant = "inception"
    features = 2048

    @classmethod
    def _find(cls, context: MetricContext) -> Path:
        return INCEPTION.find(context.weights_dir)

    def load(self) -> nn.Module:
        """`load_inception` of the file."""
        return load_inception(*self.files)

    @property
    def protocol(self) -> str:
        """The network and how pictures are resized."""
        return f"pytorch-fid inception pooled {self.features}|bilinear {INCEPTION_SIDE}x{INCEPTION_SIDE}"

    def _extract(self, pictures: Tensor) -> Tensor:
        resized = F.interpolate(pictures, (INCEPTION_SIDE,) * 2, mode="bilinear", align_corners=False)
        result: Tensor = self.network(2 * resized - 1)
        return result


class FrechetLite0(FeatureDistance):
    """`FID[lite0]` and `KID[lite0]`: the same distances on features that come with a Python package."""

    name = "FID[lite0]"
    scores = _declared("lite0", substitute=True)
    variant = "lite0"
    features = 1280
    code_version = 2  # values have a standard error

    @classmethod
    def _find(cls, context: MetricContext) -> Path:
        return lite0_file()

    def load(self) -> nn.Module:
        """EfficientNet-Lite0, channels last in memory."""
        return load_lite0(*self.files).to(memory_format=torch.channels_last)

    @property
    def protocol(self) -> str:
        """The network and how pictures are resized."""
        height, width = LITE0_SIZE
        return f"efficientnet-lite0 pooled {self.features}|antialiased bilinear {height}x{width}"

    def _extract(self, pictures: Tensor) -> Tensor:
        resized = F.interpolate(pictures, LITE0_SIZE, mode="bilinear", antialias=True)
        result: Tensor = self.network((resized * 2 - 1).contiguous(memory_format=torch.channels_last))
        return result


def load_inception(path: Path) -> nn.Module:
    """FID's Inception up to its last average pooling, with the weights of a file in the layout of `pytorch-fid`.

    (B, 3, 299, 299) in [-1, 1] -> (B, 2048). `pytorch_fid.inception.InceptionV3` fetches its weights while it is built,
    and unpickles them. Here its blocks are put together as it does (its tensors have its names, so the published file
    fits) and the file is read safely. MetricError where it is another file.
    """
    what = "pytorch-fid's Inception network"
    state = read_state(path, what)
    with torch.device("meta"):
        n: Any = fid_network()
    load_exactly(n, state, path, what)
    layers = torch.nn.Sequential(
        n.Conv2d_1a_3x3, n.Conv2d_2a_3x3, n.Conv2d_2b_3x3, torch.nn.MaxPool2d(3, 2),
        n.Conv2d_3b_1x1, n.Conv2d_4a_3x3, torch.nn.MaxPool2d(3, 2),
        n.Mixed_5b, n.Mixed_5c, n.Mixed_5d, n.Mixed_6a, n.Mixed_6b, n.Mixed_6c, n.Mixed_6d, n.Mixed_6e,
        n.Mixed_7a, n.Mixed_7b, n.Mixed_7c, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
    )  # fmt: skip
    return layers.eval().requires_grad_(False)


def fid_network() -> nn.Module:
    """The Inception v3 of torchvision with the blocks that `pytorch-fid` exchanges, untrained."""
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    network = inception_v3(num_classes=_CLASSES, aux_logits=False, init_weights=False)
    network.Mixed_5b = fid.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = fid.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = fid.FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = fid.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = fid.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = fid.FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = fid.FIDInceptionE_1(1280)
    network.Mixed_7c = fid.FIDInceptionE_2(2048)
    result: nn.Module = network
    return result
