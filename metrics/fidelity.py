"""How close a picture is to the original: what methods that send pictures are judged by.

Deep joint source-channel coding and image codecs print these scores.

`PSNR[picture]`, so called because `PSNR` is the channel's label here; `SSIM` (Wang et al., IEEE TIP 2004) and
`MS-SSIM` (Wang, Simoncelli, Bovik, Asilomar 2003) by the package `pytorch-msssim`. A map carries no colours, so methods
that send maps do badly in all three. None of them is part of `all`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from bench.api.metric import MetricContext
from bench.api.scores import ScoreInfo
from metrics.pictures import PairMetric, PerPicture

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

#: Mean squared error of rounding to 8 bits, in units of 1: no picture is known better, so an equal one has 58.9 dB.
ROUNDING = 1 / 12 / 255**2


class Fidelity(PairMetric):
    """A similarity of each picture with its original, printed as the mean over scenes."""

    by_name: ClassVar[bool] = True
    array = "similarity"

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if context.size:
            self.check_size(*context.size)
        self._similarity = PerPicture(self.similarity, context.device_name)

    @classmethod
    @abstractmethod
    def similarity(cls, generated: Tensor, original: Tensor) -> Tensor:
        """Of pictures (B, 3, H, W) in [0, 1], (B,)."""

    def compare(self, generated: Tensor, original: Tensor) -> np.ndarray:
        """The similarities."""
        return self._similarity(generated, original)


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
