"""A segmenter on ImageNet features: EfficientNet-Lite0 under a small feature pyramid, for few or real photographs.

Another architecture than the project's U-Net, with another past: what both say of a picture does not come from what one
of them happened to learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from metrics.evaluators.block_unet import BLOCK, ConvNorm, EvaluatorNet
from metrics.lite0 import empty_lite0, lite0_file, load_lite0

if TYPE_CHECKING:
    from metrics.evaluators.embedded import EvaluatorSpec

#: Stages of the network whose outputs are used, and their channels: a half, a quarter, an eighth and a sixteenth of
#: twice the picture's resolution is where they are.
STAGES = {1: 24, 2: 40, 4: 112, 6: 320}
#: Pictures are enlarged by this before the network, which halves twice before the first stage that is used.
ENLARGED = 2


class Lite0Net(EvaluatorNet):
    """A segmenter's network, pictures and logits as of `SegmenterNet`; sides multiples of 16.

    The pyramid goes from the last stage to the first with `spec.widths[0]` channels (Lin et al. 2017, "Feature Pyramid
    Networks"). Its normalisations are folded where it ships, the encoder's stay.
    """

    def __init__(self, spec: EvaluatorSpec) -> None:
        super().__init__()
        self.classes = len(spec.classes)
        self.encoder = empty_lite0()
        del self.encoder.conv_head, self.encoder.bn2, self.encoder.classifier
        (width,) = spec.widths
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in STAGES.values())
        self.merge = nn.ModuleList(ConvNorm(width, width) for _ in STAGES)
        self.head = nn.Conv2d(width, self.classes * BLOCK**2, 1)

    def stages(self, images: Tensor) -> list[Tensor]:
        """The outputs of `STAGES` for pictures (B, 3, H, W) in [0, 1], the finest (B, 24, H/2, W/2) first."""
        x = nn.functional.interpolate(images * 2 - 1, scale_factor=ENLARGED, mode="bilinear")
        x = self.encoder.bn1(self.encoder.conv_stem(x.contiguous(memory_format=torch.channels_last)))
        found = []
        for place, stage in enumerate(self.encoder.blocks):
            x = stage(x)
            if place in STAGES:
                found.append(x)
        return found

    def forward(self, images: Tensor, corner: int | None = None) -> Tensor:
        """The logits of every pixel in blocks (B, H/2, W/2, 4, C), or of one `corner` of them."""
        stages = self.stages(images)
        x = torch.relu(self.merge[-1](self.lateral[-1](stages[-1])))
        for place in reversed(range(len(stages) - 1)):
            x = nn.functional.interpolate(x, stages[place].shape[-2:], mode="nearest")
            x = torch.relu(self.merge[place](x + self.lateral[place](stages[place])))
        logits: Tensor = self.head(x).permute(0, 2, 3, 1).unflatten(3, (BLOCK**2, self.classes))
        return logits if corner is None else logits[..., corner : corner + 1, :]


def from_imagenet(spec: EvaluatorSpec) -> Lite0Net:
    """A network whose features are ImageNet's; MetricError where their package is missing."""
    network = Lite0Net(spec)
    features = load_lite0(lite0_file()).state_dict()
    network.encoder.load_state_dict({key: features[key] for key in network.encoder.state_dict()})
    return network
