"""Which scenes a step sees, and that making batches ahead changes nothing of it."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from bench.api.scenes import Scene
from bench.api.training.batches import AHEAD, batches, rank_order, scene_order
from bench.api.training.distributed import step_generator
from tests.methods.tiny_training import TinyScenes

CPU = torch.device("cpu")


def test_an_epoch_sees_every_scene_once_and_epochs_differ() -> None:
    epochs = [[i for step in range(3 * e, 3 * e + 3) for i in scene_order(12, 4, step, 0)] for e in (0, 1)]
    assert [sorted(e) for e in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]


def test_the_processes_share_out_one_global_batch() -> None:
    for step in range(5):
        parts = [rank_order(20, 3, step, 7, rank, 2) for rank in range(2)]
        assert parts[0] + parts[1] == scene_order(20, 6, step, 7)
        assert rank_order(20, 3, step, 7, 0, 1) == scene_order(20, 3, step, 7)


def test_random_streams_are_a_function_of_seed_step_and_rank() -> None:
    def draw(seed: int, step: int, rank: int) -> float:
        return float(torch.rand((), generator=step_generator(seed, step, rank)))

    drawn = [draw(*key) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]]
    assert len(set(drawn)) == 5
    assert draw(0, 1, 1) == drawn[-1]


class SlowScenes(TinyScenes):
    """Scenes that take their time, the earlier ones longer; they count how many are being made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[int] = []
        self.threads: set[str] = set()

    def batch(self, indices: list[int]) -> Scene:
        time.sleep(0.002 * (10 - indices[0]))
        self.made.append(indices[0])
        self.threads.add(threading.current_thread().name)
        return super().batch(indices)


def test_batches_come_in_order_from_other_threads_and_no_more_than_some_ahead() -> None:
    scenes = SlowScenes()
    supply = batches(scenes, lambda step: [step], range(2, 9), CPU)
    assert next(supply).ids == ("2",)
    time.sleep(0.2)
    assert len(scenes.made) <= 1 + AHEAD
    assert [scene.ids for scene in supply] == [(str(i),) for i in range(3, 9)]
    assert threading.current_thread().name not in scenes.threads


def test_a_scene_that_cannot_be_read_is_the_trainers_error() -> None:
    class Broken(TinyScenes):
        def batch(self, indices: list[int]) -> Scene:
            if indices == [3]:
                raise OSError("disk gone")
            return super().batch(indices)

    supply = batches(Broken(), lambda step: [step], range(8), CPU)
    assert [next(supply).ids[0] for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(OSError, match="disk gone"):
        next(supply)


@pytest.mark.gpu
def test_batches_for_a_gpu_lie_in_pinned_memory() -> None:
    scene = next(batches(TinyScenes(), lambda step: [step], range(1), torch.device("cuda", 0)))
    assert scene.image.is_pinned()
    assert scene.labels.is_pinned()
