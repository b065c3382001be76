"""The networks that metrics ask, one file a network: segmenters, detectors and depth networks."""

from typing import Protocol


class Evaluator(Protocol):
    """What every such network says of itself."""

    @property
    def protocol(self) -> str:
        """The network and how pictures reach it."""

    @property
    def sha256(self) -> str:
        """Of its weights file, or over all files that determine its answers."""

    @property
    def gpu_batch(self) -> int:
        """Pictures that a GPU takes at once."""
