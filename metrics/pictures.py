"""Running a metric's network over pictures one at a time, and remembering what it said of the originals."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from cachetools import LRUCache

from bench.api.errors import MetricError
from bench.api.files import file_digest
from bench.api.lazy import Tensor, torch
from bench.api.memory import Kept
from bench.api.metric import Comparison, Metric, MetricContext, Score
from bench.api.seeding import text_digest
from metrics.evaluators.published import check_unchanged

if TYPE_CHECKING:
    from torch import nn


class PairMetric(Metric):
    """One value for each picture beside its original, printed as the mean over scenes."""

    #: What the array of values is called.
    array: ClassVar[str]
    #: Pixels a side that a picture has to have.
    smallest_side: ClassVar[int] = 1

    def check_size(self, height: int, width: int) -> None:
        """MetricError for pictures that are too small."""
        side = self.smallest_side
        if min(height, width) < side:
            raise MetricError(f"{self.name} needs pictures of {side} pixels a side or more, not {height}x{width}")

    @abstractmethod
    def compare(self, generated: Tensor, original: Tensor) -> np.ndarray:
        """Values (B,) of pictures (B, 3, H, W) in [0, 1]."""

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`array` (B,) float64. MetricError for pictures that are too small."""
        height, width = comparison.generated.shape[-2:]
        self.check_size(height, width)
        return {self.array: self.compare(comparison.generated, comparison.original).astype(np.float64)}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """The mean over scenes."""
        return [Score.mean(self.name, measured[self.array])]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The scenes' own values."""
        return {self.name: measured[self.array]}


class NetworkMetric(Metric):
    """A metric of a network that is read from `files` when it is first asked."""

    def __init__(self, context: MetricContext, *files: Path) -> None:
        super().__init__(context)
        self.files, self._digests = files, [file_digest(file) for file in files]

    @abstractmethod
    def load(self) -> nn.Module:
        """The network, ready to answer; MetricError where the files do not hold it."""

    @cached_property
    def network(self) -> nn.Module:
        """The network on the context's device; MetricError where its files do not hold it."""
        network = self.load().to(self.context.device_name)
        for file, digest in zip(self.files, self._digests, strict=True):
            check_unchanged(file, digest)
        return network

    def prepare(self) -> None:
        """Load the network."""
        _ = self.network

    def weights_digest(self) -> str:
        """SHA-256 of the file, or over the digests of several."""
        return self._digests[0] if len(self._digests) == 1 else text_digest(" ".join(self._digests))


def file_of_package(metric: str, module: str, distribution: str, *parts: str) -> Path:
    """A file inside a package, which is not imported: it may import PyTorch; MetricError where it is not installed."""
    package = find_spec(module)
    if package is None or package.origin is None:
        raise MetricError(f"{metric} needs the package {distribution}: pip install {distribution}")
    return Path(package.origin).parent.joinpath(*parts)


class PerPicture:
    """Runs `function`, pictures (B, 3, H, W) -> (B, ...), so that a result belongs to its picture alone.

    On the CPU one picture at a time: a convolution's last bits depend on the batch it is in, a scene's value must not.
    A GPU gets batches, because one picture leaves it idle.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        device: torch.device | str,
        memory_bytes: int = 64 << 20,
        gpu_batch: int = 64,
        kept: Kept | None = None,
    ) -> None:
        """`memory_bytes` bounds what `remembered` keeps, `kept` is where later runs find it.

        `gpu_batch` is the number of pictures a GPU gets at once.
        """
        self._function = function
        self._device = device
        self._kept = kept
        self._memory: LRUCache[bytes, Tensor] = LRUCache(memory_bytes, getsizeof=lambda result: result.nbytes)
        self._chunk = 1 if str(device).startswith("cpu") else gpu_batch

    def __call__(self, *pictures: Tensor) -> np.ndarray:
        """Results for all pictures, (B, ...); a function of several tensors (B, ...) gets the same rows of each."""
        return self._results(*pictures).cpu().numpy()

    def remembered(self, pictures: Tensor) -> np.ndarray:
        """The same, but results of pictures seen before are kept: originals come back in every cell of a sweep."""
        return self.kept(pictures).cpu().numpy()

    def kept(self, pictures: Tensor) -> Tensor:
        """What `remembered` gives, on the device."""
        keys = [hashlib.sha256(picture.cpu().contiguous().numpy()).digest() for picture in pictures]
        found = {key: self._memory[key] for key in keys if key in self._memory}
        new = [number for number, key in enumerate(keys) if key not in found]
        if new:
            found.update(zip((keys[n] for n in new), self._first(pictures[new], [keys[n] for n in new]), strict=True))
        for key, result in found.items():
            if result.nbytes <= self._memory.maxsize:
                self._memory[key] = result
        return torch.stack([found[key] for key in keys])

    def _first(self, pictures: Tensor, keys: list[bytes]) -> Tensor:
        """Results of pictures that this process sees for the first time."""
        if self._kept is None:
            return self._results(pictures)
        of = [list(pictures.shape), *(key.hex() for key in keys)]
        kept = self._kept.array(of, lambda: self._results(pictures).cpu().numpy())
        return torch.from_numpy(kept).to(self._device)

    def _results(self, *pictures: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = zip(*(one.split(self._chunk) for one in pictures), strict=True)  # type: ignore[no-untyped-call]
            return torch.cat([self._function(*(part.to(self._device) for part in group)) for group in parts])
