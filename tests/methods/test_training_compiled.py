"""Compiled training: the same step, in one graph, under names that checkpoints know."""

from __future__ import annotations

import functools

import pytest
import torch

from bench.api.errors import MethodError
from methods.gesco.task import GescoTask
from tests.methods.tiny_training import TinyScenes, TinyTask, randomise, state_of, tiny_gesco


def losses(task: GescoTask, steps: int = 2) -> list[dict[str, float]]:
    scene = TinyScenes().batch([0, 1])
    return [task.step(scene, torch.Generator().manual_seed(step), step) for step in range(steps)]


def compare(task: GescoTask, plain: GescoTask) -> None:
    for one in (task, plain):
        randomise(one)
    for found, expected in zip(losses(task), losses(plain), strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    expected_state, state = state_of(plain), state_of(task)
    assert state.keys() == expected_state.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, expected_state[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("checkpoint_gradients", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_compiled_step_is_the_same_step(monkeypatch: pytest.MonkeyPatch, checkpoint_gradients: bool) -> None:
    """With the compiler's front end alone, and no part of the network outside its graph."""
    whole = functools.partial(torch.compile, backend="aot_eager", fullgraph=not checkpoint_gradients)
    monkeypatch.setattr(torch, "compile", whole)
    task = tiny_gesco()
    task.prepare("float32", checkpoint_gradients, True)
    compare(task, tiny_gesco())


@pytest.mark.slow
def test_a_step_compiled_for_this_machine_is_the_same_step() -> None:
    """Minutes: the compiler builds C++ for every part of the network."""
    task = tiny_gesco()
    task.prepare("float32", False, True)
    compare(task, tiny_gesco())


def test_a_cpu_compiles_only_when_asked() -> None:
    task = tiny_gesco()
    before = task.network_pass
    task.prepare("float32", False)
    assert task.network_pass is before
    with pytest.raises(MethodError, match="diffusion methods only"):
        TinyTask().prepare("float32", False, True)
