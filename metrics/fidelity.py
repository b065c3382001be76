"""How close a picture is to the original: what methods that send pictures are judged by.

Deep joint source-channel coding and image codecs print these scores.

`PSNR[picture]`, so called because `PSNR` is the channel's label here; `SSIM` (Wang et al., IEEE TIP 2004) and
`MS-SSIM` (Wang, Simoncelli, Bovik, Asilomar 2003) by the package `pytorch-msssim`. A map carries no colours, so methods
that send maps do badly in all three. None of them is part of `all`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bench.api.errors import MetricError
from bench.api.metric import Comparison, Metric, MetricContext, Score
from bench.api.scores import ScoreInfo
from metrics.pictures import PerPicture

if TYPE_CHECKING:
    from torch import Tensor

#: Mean squared error of rounding to 8 bits, in units of 1: no picture is known better, so an equal one has 58.9 dB.
ROUNDING = 1 / 12 / 255**2


class Fidelity(Metric):
    """A similarity of each picture with its original, printed as the mean over scenes."""

    by_name: ClassVar[bool] = True
    #: Pixels a side that a picture has to have.
    smallest_side: ClassVar[int] = 1

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._check(context.size)
        self._similarity = PerPicture(self.similarity, context.device_name)

    @classmethod
    @abstractmethod
    def similarity(cls, generated: Tensor, original: Tensor) -> Tensor:
        """Of pictures (B, 3, H, W) in [0, 1], (B,)."""

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`similarity` (B,) float64. MetricError for pictures that are too small."""
        height, width = comparison.generated.shape[-2:]
        self._check((height, width))
        return {"similarity": self._similarity(comparison.generated, comparison.original).astype(np.float64)}

    def _check(self, size: tuple[int, int] | None) -> None:
        if size and min(size) < self.smallest_side:
            raise MetricError(
                f"{self.name} needs pictures of {self.smallest_side} pixels a side or more, not {size[0]}x{size[1]}"
            )

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """The mean over scenes."""
        return [Score.mean(self.name, measured["similarity"])]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The similarities."""
        return {self.name: measured["similarity"]}


class PeakSignalToNoise(Fidelity):
    """`PSNR[picture]`: 10 log10(1 / mean squared error) in dB, of pictures in [0, 1], mean over scenes.

    An error below that of rounding to 8 bits counts as that, so that an equal picture has 58.9 dB and not infinity.
    """

    name = "PSNR[picture]"
    scores = (
        ScoreInfo(
            name, True, "perception", 0.0, floor=0.2, relative=False, unit="dB", decimals=2, scenes=name,
            shown="always", published="PSNR",
        ),
    )  # fmt: skip
    protocol = "RGB|mean over scenes|MSE>=1/12/255^2"

    @classmethod
    def similarity(cls, generated: Tensor, original: Tensor) -> Tensor:
        """In dB, (B,) float64."""
        errors = (generated.double() - original.double()).square().mean((1, 2, 3))
        return -10 * errors.clamp_min(ROUNDING).log10()


class StructuralSimilarity(Fidelity):
    """`SSIM`: on RGB, a Gaussian window of 11 pixels with sigma 1.5, no padding."""

    name = "SSIM"
    scores = (
        ScoreInfo(
            name, True, "perception", -1.0, 1.0, floor=0.01, relative=False, scenes=name, shown="always", published=name
        ),
    )
    protocol = "pytorch-msssim=1|RGB|window=11"
    smallest_side = 11

    @classmethod
    def similarity(cls, generated: Tensor, original: Tensor) -> Tensor:
        """In [-1, 1], 1 for equal pictures."""
        from pytorch_msssim import ssim

        return ssim(generated, original, data_range=1.0, size_average=False).clamp(max=1)  # type: ignore[no-any-return]


class MultiScaleSimilarity(Fidelity):
    """`MS-SSIM`: five scales, so that a picture of fewer than 161 pixels a side has none."""

    name = "MS-SSIM"
    scores = (
        ScoreInfo(
            name, True, "perception", 0.0, 1.0, floor=0.01, relative=False, scenes=name, shown="always", published=name
        ),
    )
    protocol = "pytorch-msssim=1|RGB|window=11|5 scales"
    smallest_side = 161

    @classmethod
    def similarity(cls, generated: Tensor, original: Tensor) -> Tensor:
        """In [0, 1], 1 for equal pictures."""
        from pytorch_msssim import ms_ssim

        return ms_ssim(generated, original, data_range=1.0, size_average=False).clamp(max=1)  # type: ignore[no-any-return]
