"""What the tests of the GAN methods share: plain scenes, noisy receptions, and checks that hold for every training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from bench.api.method import Method, Received
from bench.api.scenes import LabelSpace, Scene
from bench.api.training.task import TrainingTask
from bench.train.checkpoint import load_checkpoint, save_checkpoint
from methods.common.gan.task import AdversarialTask

#: Builds a task with initial weights from a seed.
Begin = Callable[[int], AdversarialTask]


def flat_scenes(space: LabelSpace, labels: torch.Tensor, seed: int = 0) -> Scene:
    """Scenes of two flat labels, the upper one bright, the lower one dark, each in a colour of the scene's own.

    `labels` (B, H, W); what has the upper label is an instance.
    """
    generator = torch.Generator().manual_seed(seed)
    upper = labels == labels.max()
    image = torch.where(upper[:, None], 0.9, 0.2) * torch.rand(len(labels), 3, 1, 1, generator=generator)
    return Scene(image, labels, upper.int(), None, tuple(f"s{i}" for i in range(len(labels))), space)


def noisy(method: Method, scene: Scene) -> Received:
    """What a channel of standard deviation 0.36 makes of a scene."""
    generator = torch.Generator().manual_seed(2)
    sent = method.send(scene)
    symbols = tuple(s + 0.36 * torch.randn(s.shape, generator=generator) for s in sent.symbols)
    return Received(symbols, sent.side_info)


def random_labels(method: Method, space: LabelSpace, count: int) -> Received:
    """The noisy reception of `count` scenes of random labels at 32x64."""
    labels = torch.randint(0, space.size, (count, 32, 64), generator=torch.Generator().manual_seed(1))
    ids = tuple("abcdefgh"[:count])
    return noisy(method, Scene(torch.zeros(count, 3, 32, 64), labels, labels.int(), None, ids, space))


def seeds(count: int) -> list[torch.Generator]:
    """One generator a scene."""
    return [torch.Generator().manual_seed(100 + i) for i in range(count)]


def check_pictures_do_not_depend_on_the_batch(method: Method, space: LabelSpace) -> None:
    """Four pictures in range at 32x64, and the third one alone is the same."""
    whole = random_labels(method, space, 4)
    pictures = method.receive(whole, seeds(4))
    assert pictures.shape == (4, 3, 32, 64)
    assert pictures.dtype == torch.float32
    assert 0 <= float(pictures.min()) < float(pictures.max()) <= 1
    one = Received(whole.symbols[2:3], whole.side_info[2:3])
    alone = method.receive(one, seeds(4)[2:3])
    assert (alone - pictures[2:3]).abs().max() < 1 / 255


def parameters(task: TrainingTask) -> dict[str, torch.Tensor]:
    """Copies of all weights of all networks of a task."""
    return {f"{n}.{k}": v.clone() for n, network in task.networks.items() for k, v in network.named_parameters()}


def check_same_seed_gives_the_same_training(begin: Begin, scene: Scene) -> None:
    """Two trainings of two steps end in the same average, whatever the global generator does meanwhile."""
    results = []
    for _ in range(2):
        task, generator = begin(3), torch.Generator().manual_seed(5)
        torch.manual_seed(len(results))  # the global generator plays no part in a step
        for step in range(2):
            task.step(scene, generator, step)
        results.append(task.export())
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])


def check_a_resumed_training_equals_an_uninterrupted_one(begin: Begin, scene: Scene, folder: Path) -> None:
    """A checkpoint after two steps, loaded into other initial weights, gives the third step of the whole training."""
    path = folder / "checkpoint.pt"
    whole, generator = begin(1), torch.Generator().manual_seed(5)
    for step in range(2):
        whole.step(scene, generator, step)
    save_checkpoint(path, whole, whole.recipe(), 2, 0.0, generator)
    whole.step(scene, generator, 2)
    resumed, other = begin(2), torch.Generator().manual_seed(5)
    assert load_checkpoint(path, resumed, resumed.recipe(), other)[0] == 2
    resumed.step(scene, other, 2)
    for expected, found in ((whole.export(), resumed.export()), (parameters(whole), parameters(resumed))):
        assert all(torch.equal(expected[k], found[k]) for k in expected)
