"""The embedded judges: small segmentation networks for the scenes that the project renders.

The U-Net of `metrics.evaluators.block_unet`, whose every block of 2x2 pixels leaves with 4 logits a class (about 4 ms a
picture of 64x128 on one CPU core).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from metrics.evaluators.block_unet import BLOCK, BlockUNet, EmbeddedEvaluator, EvaluatorSpec, from_blocks
from metrics.evaluators.classes import EVALUATED_IDS, STUFF_IDS


@dataclass(frozen=True)
class JudgeSpec(EvaluatorSpec):
    """A judge; `evaluated` are the label ids that it answers with. Under `sparse` every training step looks at one
    pixel of each 2x2 block, drawn anew: of many classes the logits cost more than the rest."""

    kind: ClassVar[str] = "judge"
    title: ClassVar[str] = "judge"
    metric: ClassVar[str] = "mIoU"

    evaluated: tuple[int, ...]
    sparse: bool


SPECS: dict[str, JudgeSpec] = {
    spec.dataset: spec
    for spec in (
        JudgeSpec("streets", "streets-v1", (64, 128), (32, 64, 96, 128), EVALUATED_IDS, False),
        JudgeSpec("stuff", "stuff-v1", (64, 64), (48, 64, 96, 128), STUFF_IDS, True),
    )
}
"""The embedded judges by data set."""


class JudgeNet(BlockUNet):
    """A judge's network: pictures (B, 3, H, W) in [0, 1] -> logits in blocks (B, H/2, W/2, 4, C).

    H and W must be multiples of 16. `from_blocks` turns the logits into (B, C, H, W). With `corner`, 0..3, only the
    logits of that pixel of each block are made: (B, H/2, W/2, 1, C).
    """

    def __init__(self, spec: JudgeSpec) -> None:
        super().__init__(spec.widths)
        self.classes = len(spec.evaluated)
        self.head = nn.Conv2d(spec.widths[0], self.classes * BLOCK**2, 1)

    def forward(self, images: Tensor, corner: int | None = None) -> Tensor:
        x = self.features(images)
        if corner is None:
            logits = self.head(x)
        else:
            rows = slice(corner * self.classes, (corner + 1) * self.classes)
            logits = nn.functional.conv2d(x, self.head.weight[rows], self.head.get_parameter("bias")[rows])
        return logits.permute(0, 2, 3, 1).unflatten(3, (-1, self.classes))


class EmbeddedJudge(EmbeddedEvaluator[JudgeSpec, JudgeNet]):
    """A trained judge. `predict` gives label ids of the data set, restricted to the evaluated ones."""

    specs = SPECS
    network = JudgeNet

    def __init__(self, spec: JudgeSpec, weights: Path, device: torch.device) -> None:
        super().__init__(spec, weights, device)
        self._label_ids = torch.tensor(spec.evaluated, dtype=torch.uint8, device=device)

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The label ids that it answers with."""
        return self.spec.evaluated

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] -> label ids (B, H, W) uint8, on the judge's device.

        Pictures of another size than the judge's are brought to it with an antialiased bilinear filter, and the logits
        back to the pictures' size, because the network knows its objects at that size only.
        """
        size = tuple(images.shape[-2:])
        images = self._at_own_size(images)
        if size == self.spec.size:
            # argmax before unpacking: as many times less to move as there are classes
            blocks = self._network(images).argmax(dim=-1, keepdim=True)
            return self._label_ids[from_blocks(blocks).squeeze(1)]
        logits = from_blocks(self._network(images))
        return self._label_ids[nn.functional.interpolate(logits, size, mode="bilinear").argmax(dim=1)]
