"""Gradient checkpointing: the same gradients, and far less kept for the backward pass."""

from __future__ import annotations

import pytest
import torch

from methods.gesco.task import GescoTask
from tests.methods.tiny_training import TinyScenes, randomise, state_of, tiny_gesco


def step(task: GescoTask) -> dict[str, float]:
    return task.step(TinyScenes().batch([0, 1]), torch.Generator().manual_seed(0), 0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_are_the_same(dropout: float) -> None:
    plain, thrifty = tiny_gesco(dropout=dropout), tiny_gesco(dropout=dropout)
    thrifty.prepare("float32", True)
    for task in (plain, thrifty):
        randomise(task)
        torch.manual_seed(2)  # of the dropout
        task.losses = step(task)  # type: ignore[attr-defined]
    assert plain.losses == pytest.approx(thrifty.losses, rel=1e-6)  # type: ignore[attr-defined]
    expected = dict(plain.network.named_parameters())
    for name, parameter in thrifty.network.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-5, atol=1e-7)
    assert all(float(p.grad.abs().max()) > 0 for n, p in expected.items() if n.endswith("weight"))


def test_names_and_shapes_in_the_checkpoint_stay() -> None:
    plain, thrifty = tiny_gesco(), tiny_gesco()
    thrifty.prepare("float32", True)
    shapes = [{k: v.shape for k, v in state_of(task).items()} for task in (plain, thrifty)]
    assert shapes[0] == shapes[1]


def kept_bytes(task: GescoTask) -> int:
    """Bytes that autograd keeps of one forward pass, the parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in task.network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    scene, generator = TinyScenes().batch([0, 1]), torch.Generator().manual_seed(0)
    maps = task.conditioning(scene, generator, 0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        alive = task.network_pass(scene.image, torch.tensor([3, 700]), maps)
    return sum(kept.values()) if alive.requires_grad else 0


def test_little_is_kept_for_the_backward_pass() -> None:
    plain, thrifty = tiny_gesco(), tiny_gesco()
    thrifty.prepare("float32", True)
    assert 0 < kept_bytes(thrifty) < 0.2 * kept_bytes(plain)
