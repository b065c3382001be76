"""The sizes at which speed is measured: the paper's network and a small one that any machine can run."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api.errors import known_name
from methods.common.diffusion.profile import UNetConfig

#: One-hot channels of Cityscapes's 35 label ids and the edge channel.
CHANNELS = 36


@dataclass(frozen=True)
class Size:
    """A network, the size of its pictures, and how much is timed: sampling steps a run, training updates a run, and
    counted runs of each variant."""

    name: str
    network: UNetConfig
    height: int
    width: int
    steps: int
    updates: int
    repeats: int


SIZES = {
    "paper": Size("paper", UNetConfig(map_channels=CHANNELS), 256, 512, 20, 10, 3),
    # the same six levels, an eighth of the width at a quarter of the side
    "small": Size("small", UNetConfig(map_channels=CHANNELS, width=32, spade_hidden=16), 64, 128, 2, 1, 3),
}


def named_size(name: str) -> Size:
    """A size by its name; UsageError names the nearest one."""
    return SIZES[known_name(name, SIZES, "size")]
