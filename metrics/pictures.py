"""Running a metric's network over pictures one at a time, and remembering what it said of the originals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from cachetools import LRUCache

from bench.api.lazy import Tensor, torch


class PerPicture:
    """Runs `function`, pictures (B, 3, H, W) -> (B, ...), so that a result belongs to its picture alone.

    On the CPU one picture at a time: a convolution's last bits depend on the batch it is in, a scene's value must not.
    A GPU gets batches, because one picture leaves it idle.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        device: torch.device | str,
        memory_bytes: int = 64 << 20,
        gpu_batch: int = 64,
    ) -> None:
        """`memory_bytes` bounds what `remembered` keeps; `gpu_batch` is the number of pictures a GPU gets at once."""
        self._function = function
        self._device = device
        self._memory: LRUCache[bytes, np.ndarray] = LRUCache(memory_bytes, getsizeof=lambda result: result.nbytes)
        self._chunk = 1 if str(device).startswith("cpu") else gpu_batch

    def __call__(self, pictures: Tensor) -> np.ndarray:
        """Results for all pictures, (B, ...)."""
        with torch.inference_mode():
            results = [self._function(part.to(self._device)).cpu() for part in pictures.split(self._chunk)]
        return torch.cat(results).numpy()

    def remembered(self, pictures: Tensor) -> np.ndarray:
        """The same, but results of pictures seen before are kept: originals come back in every cell of a sweep."""
        keys = [hashlib.sha256(picture.cpu().contiguous().numpy()).digest() for picture in pictures]
        found = {key: self._memory[key] for key in keys if key in self._memory}
        new = [number for number, key in enumerate(keys) if key not in found]
        if new:
            found.update(zip((keys[number] for number in new), self(pictures[new]), strict=True))
        for key, result in found.items():
            if result.nbytes <= self._memory.maxsize:
                self._memory[key] = result
        return np.stack([found[key] for key in keys])
