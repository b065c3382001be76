"""Which scenes a step sees, and having them in memory before it asks."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bench.api.scenes import Scene
from bench.api.training.task import TrainingScenes

#: Threads that make batches, and batches that are made ahead.
WORKERS = 2
AHEAD = 4


def scene_order(count: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Scene indices of one step's batch: a fresh permutation every epoch, as a pure function of (seed, step)."""
    per_epoch = max(1, count // batch_size)
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return [int(i) for i in order[position * batch_size : (position + 1) * batch_size]]


def rank_order(count: int, batch_size: int, step: int, seed: int, rank: int, world: int) -> list[int]:
    """The share of process `rank` in the step's batch of `world` times `batch_size` scenes: its own part of it."""
    return scene_order(count, world * batch_size, step, seed)[rank * batch_size : (rank + 1) * batch_size]


def in_order(scenes: TrainingScenes, size: int, limit: int | None = None) -> Iterator[tuple[list[int], Scene]]:
    """All scenes (or the first `limit`) in batches of `size`, the last one smaller: their indices, and they."""
    count = len(scenes) if limit is None else min(limit, len(scenes))
    for start in range(0, count, size):
        rows = list(range(start, min(start + size, count)))
        yield rows, scenes.batch(rows)


def batches(
    scenes: TrainingScenes,
    order: Callable[[int], list[int]],
    steps: range,
    device: torch.device,
    change: Callable[[Scene, int], Scene] = lambda scene, step: scene,
) -> Generator[Scene, None, None]:
    """The batches of `steps` in their order; `order(step)` are the scene indices. Threads make the coming ones ahead.

    `change` may make something else of a step's scenes.

    They are in the CPU's memory; for a CUDA `device` page-locked, so that a copy to it need not be waited for.
    """

    def start() -> None:
        if device.type == "cuda" and device.index is not None:  # or page-locking would open a context on GPU 0
            torch.cuda.set_device(device)

    def make(step: int) -> Scene:
        scene = change(scenes.batch(order(step)), step)
        return moved(scene, Tensor.pin_memory) if device.type == "cuda" else scene

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="batches", initializer=start) as pool:
        waiting: deque[Future[Scene]] = deque()
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def moved(scene: Scene, move: Callable[[Tensor], Tensor]) -> Scene:
    """`scene` with `move` applied to its tensors."""
    return replace(
        scene,
        image=move(scene.image),
        labels=move(scene.labels),
        instances=move(scene.instances),
        depth=None if scene.depth is None else move(scene.depth),
    )
