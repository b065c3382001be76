"""The Inception network of FID, as the package `pytorch-fid` runs it, built without its download.

`pytorch_fid.inception.InceptionV3` fetches its weights while it is built, and unpickles them. Here its blocks are put
together as it does (its tensors have its names, so the published file fits) and the file is read safely.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metrics.standard import load_exactly, read_state

#: Outputs of the classifier in the published file, which features do not use.
_CLASSES = 1008


class Inception(nn.Module):
    """Pictures (B, 3, H, W) float32 in [0, 1] -> features (B, 2048): bilinear to 299x299 without antialiasing, values
    to [-1, 1], FID's Inception up to its last average pooling.
    """

    SIDE: ClassVar[int] = 299
    FEATURES: ClassVar[int] = 2048

    def __init__(self, network: Any) -> None:
        """`network` is what `fid_network` returns."""
        super().__init__()
        n = network
        self.layers = nn.Sequential(
            n.Conv2d_1a_3x3, n.Conv2d_2a_3x3, n.Conv2d_2b_3x3, nn.MaxPool2d(3, 2),
            n.Conv2d_3b_1x1, n.Conv2d_4a_3x3, nn.MaxPool2d(3, 2),
            n.Mixed_5b, n.Mixed_5c, n.Mixed_5d, n.Mixed_6a, n.Mixed_6b, n.Mixed_6c, n.Mixed_6d, n.Mixed_6e,
            n.Mixed_7a, n.Mixed_7b, n.Mixed_7c, nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        resized = F.interpolate(pictures, (self.SIDE, self.SIDE), mode="bilinear", align_corners=False)
        return self.layers(2 * resized - 1).flatten(1)


def fid_network() -> nn.Module:
    """torchvision's Inception v3 with the blocks that `pytorch-fid` exchanges, untrained."""
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
    return network


def load_inception(path: Path) -> Inception:
    """The network with the weights of a file in the layout of `pytorch-fid`; MetricError where it is another file."""
    what = "pytorch-fid's Inception network"
    state = read_state(path, what)
    with torch.device("meta"):
        network = fid_network()
    load_exactly(network, state, path, what)
    return Inception(network).eval().requires_grad_(False)
