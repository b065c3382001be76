"""A training step does what the recipe says, and only that."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace, Scene
from methods.smis.method import Smis, SmisBlockConfig, SmisConfig, SmisProfile
from methods.smis.network import SmisTask
from tests.methods.gan_checks import (
    check_a_resumed_training_equals_an_uninterrupted_one,
    check_same_seed_gives_the_same_training,
    flat_scenes,
    parameters,
)

SPACE = LabelSpace("thirty-five", tuple(f"class {i}" for i in range(35)), ((0, 0, 0),) * 35, (7, 8), (8,))
CONTEXT = MethodContext("streets", SPACE, 16, 32)


def scenes(count: int = 2, seed: int = 0) -> Scene:
    """Two flat classes a scene, each with its own colour, and one instance."""
    labels = torch.full((count, 16, 32), 7)
    labels[:, 4:12, 8:20] = 8
    return flat_scenes(SPACE, labels, seed)


def small_profile() -> SmisProfile:
    """The embedded profile with two narrow blocks."""
    blocks = (
        SmisBlockConfig("head_0", 140, 70, 35, 35, 35, 35, upsample=False),
        *(
            SmisBlockConfig(f"up_{i}", w, v, 1, 8, 1, 1, kernel=1)
            for i, (w, v) in enumerate([(70, 8), (8, 8), (8, 8), (8, 8)])
        ),
    )
    return dataclasses.replace(Smis.profile_for(CONTEXT), generator=SmisConfig(35, (1, 2), blocks), steps=20)


@pytest.fixture
def task() -> SmisTask:
    torch.manual_seed(0)
    return SmisTask(CONTEXT, small_profile())


def test_one_step_moves_all_three_networks(task: SmisTask) -> None:
    before = parameters(task)
    losses = task.step(scenes(), torch.Generator().manual_seed(0), 0)
    after = parameters(task)
    assert set(losses) == {"adversarial", "matching", "perceptual", "kl", "discriminator"}
    for network in ("generator.conv_img", "generator.fc", "generator.head_0.conv_0", "encoder.fc_mu", "encoder.layer1"):
        keys = [k for k in before if k.startswith(network) and k.endswith(("weight", "weight_orig"))]
        assert keys
        assert all(not torch.equal(before[k], after[k]) for k in keys)
    assert not torch.equal(before["discriminator.scales.1.score.weight"], after["discriminator.scales.1.score.weight"])


def begin(seed: int) -> SmisTask:
    torch.manual_seed(seed)
    return SmisTask(CONTEXT, small_profile())


def test_same_seed_gives_the_same_training() -> None:
    check_same_seed_gives_the_same_training(begin, scenes())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_resumed_training_equals_an_uninterrupted_one(begin, scenes(), tmp_path)


def test_training_learns_the_colours(task: SmisTask) -> None:
    scene = scenes(4)
    generator = torch.Generator().manual_seed(0)
    first = None
    for step in range(20):
        losses = task.step(scene, generator, step)
        first = first or losses
    assert losses["perceptual"] < 0.8 * first["perceptual"]


def test_sample_is_a_picture_and_depends_on_the_generator_alone(task: SmisTask) -> None:
    pictures = [task.sample(scenes(), torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert pictures[0].shape == (2, 3, 16, 32)
    assert 0 <= float(pictures[0].min()) <= float(pictures[0].max()) <= 1
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "tiny"}, "embedded, paper"),
        ({"height": 40}, "multiples of 16"),
        ({"profile": "paper"}, "multiples of 64"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        Smis.profile_for(dataclasses.replace(CONTEXT, **changes))
