"""The fast-denoising semantic (FDS) block, paper Eq. 2."""

from __future__ import annotations

from bench.api.lazy import F, Tensor

#: What stands in the block: the paper's average and maximum, one of the two alone, or nothing.
POOLS = ("avg-max", "avg", "max", "none")


def fast_denoise(maps: Tensor, pool: str = "avg-max") -> Tensor:
    """MaxPool3x3(AvgPool3x3(y)), stride 1, padding 1, on (..., C, H, W) maps; `pool` of `POOLS` is for ablations.

    The average removes noise spikes, the maximum keeps the regions of ones. Zero padding counts in the average, as
    in the authors' published code. The third step of Eq. 2, padding the classes that the sender dropped with clean
    zero maps, is `maps.restore_channels`. Nothing is clamped or binarised: even a clean map comes out dilated.
    """
    if pool not in POOLS:
        raise ValueError(f"unknown pooling '{pool}'; known: {', '.join(POOLS)}")
    steps = () if pool == "none" else pool.split("-")
    if "avg" in steps:
        maps = F.avg_pool2d(maps, 3, stride=1, padding=1)
    return F.max_pool2d(maps, 3, stride=1, padding=1) if "max" in steps else maps
