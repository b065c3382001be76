"""SPADE behind the benchmark's interface, and its training."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.method import MethodContext, Received
from bench.api.registry import METHODS
from bench.api.scenes import LabelSpace, Scene
from bench.api.tensors import write_weights
from bench.api.weights import weights_name
from bench.data.ade20k import ADE20K
from methods.spade.method import Spade
from methods.spade.network import SpadeTask
from tests.methods.gan_checks import (
    check_a_resumed_training_equals_an_uninterrupted_one,
    flat_scenes,
    noisy,
    seeds,
)

SPACE = LabelSpace("five", tuple(f"class {i}" for i in range(5)), ((0, 0, 0),) * 5, (1, 2), (2,))
CONTEXT = MethodContext("five", SPACE, 16, 32)


def scenes(count: int = 2) -> Scene:
    """Two flat classes a scene, the one bright and the other dark, and one instance."""
    labels = torch.full((count, 16, 32), 1)
    labels[:, 4:12, 8:20] = 2
    return flat_scenes(SPACE, labels)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """A context whose weights folder holds a random network of the embedded profile."""
    folder = tmp_path_factory.mktemp("weights")
    context = dataclasses.replace(CONTEXT, weights_dir=folder)
    torch.manual_seed(0)
    network = Spade.build_network(context)
    write_weights(folder / weights_name("spade", context), network.state_dict(), {"method": "spade"})
    return context


def test_it_is_found_by_name() -> None:
    assert METHODS.load("spade") is Spade


def test_pictures_depend_on_the_maps_alone(context: MethodContext) -> None:
    method = Spade(context)
    whole = noisy(method, scenes(3))
    assert whole.symbols[0].shape == (6, 16, 32)  # every class and the edges, no FDS
    pictures = method.receive(whole, seeds(3))
    assert pictures.shape == (3, 3, 16, 32)
    assert pictures.dtype == torch.float32
    assert 0 <= float(pictures.min()) < float(pictures.max()) <= 1
    one = Received(whole.symbols[2:], whole.side_info[2:])
    assert (method.receive(one, seeds(1)) - pictures[2:]).abs().max() < 1 / 255  # other generator, other batch
    assert not torch.equal(pictures[0], pictures[1])


def test_weights_of_another_size_are_refused(context: MethodContext, tmp_path: Path) -> None:
    state = Spade(context).network.state_dict()
    write_weights(tmp_path / weights_name("spade", context), {**state, "fc.weight": torch.zeros(3)}, {})
    with pytest.raises(MethodError, match=r"fc\.weight is \(3,\)"):
        Spade(dataclasses.replace(context, weights_dir=tmp_path)).prepare()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "tiny"}, "embedded, paper"),
        ({"height": 40}, "multiples of 16"),
        ({"profile": "paper"}, "multiples of 32"),
        ({"profile": "paper", "label_space": dataclasses.replace(SPACE, name="cityscapes")}, "multiples of 64"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        Spade.profile_for(dataclasses.replace(CONTEXT, **changes))


def test_paper_profile_is_the_authors_training() -> None:
    space = dataclasses.replace(SPACE, name="cityscapes")
    profile = Spade.profile_for(dataclasses.replace(CONTEXT, label_space=space, height=256, width=512, profile="paper"))
    assert (profile.generator_rate, profile.discriminator_rate, profile.betas) == (1e-4, 4e-4, (0.0, 0.9))
    assert (profile.matching_weight, profile.perceptual_weight, profile.kl_weight) == (10, 10, 0)
    assert profile.steps * profile.batch_size == pytest.approx(200 * 2975, rel=1e-4)
    assert profile.generator.seed == (4, 8)
    assert profile.discriminator.widths == (64, 128, 256, 512)


def begin(seed: int) -> tuple[SpadeTask, torch.Generator]:
    torch.manual_seed(seed)
    return SpadeTask(CONTEXT, Spade.profile_for(CONTEXT)), torch.Generator().manual_seed(5)


def test_paper_profile_on_ade20k_is_the_authors_training_without_edges() -> None:
    profile = Spade.profile_for(MethodContext("ade20k", ADE20K, 256, 256, profile="paper"))
    assert profile.steps * profile.batch_size == pytest.approx(200 * 20_210, rel=1e-4)
    assert (profile.batch_size, profile.constant, profile.generator.seed) == (32, 0.5, (8, 8))
    assert profile.discriminator.channels == 151 + 3


def test_a_data_set_without_edges_is_trained_and_drawn_without_them() -> None:
    space = dataclasses.replace(SPACE, edges=False)
    context, scene = dataclasses.replace(CONTEXT, label_space=space), dataclasses.replace(scenes(), label_space=space)
    task = SpadeTask(context, Spade.profile_for(context))
    assert all(map(math.isfinite, task.step(scene, torch.Generator().manual_seed(0), 0).values()))
    assert task.generator.fc.in_channels == SPACE.size
    assert task.sample(scene, torch.Generator()).shape == scene.image.shape
    assert task.recipe()["generator"]["edges"] is False
    # a training that was begun before there was a choice goes on
    assert "edges" not in SpadeTask(CONTEXT, Spade.profile_for(CONTEXT)).recipe()["generator"]


def test_an_untrained_network_draws_no_chequers() -> None:
    task, _ = begin(0)
    for network in (task.generator, task.average):
        weight = network.conv_img.weight.unflatten(0, (3, 4))
        assert torch.equal(weight, weight[:, :1].expand_as(weight))
        assert not torch.equal(weight[0], weight[1])


def test_one_step_moves_both_networks() -> None:
    task, generator = begin(0)
    before = {n: {k: v.clone() for k, v in m.named_parameters()} for n, m in task.networks.items()}
    losses = task.step(scenes(), generator, 0)
    assert set(losses) == {"adversarial", "matching", "perceptual", "discriminator"}
    assert set(before) == {"generator", "discriminator"}
    for name in ("fc", "head_0.norm_0.mlp_gamma", "up_2.norm_1.mlp_shared.0", "conv_img"):
        key = f"{name}.weight"
        assert not torch.equal(before["generator"][key], task.generator.get_parameter(key))
    score = "scales.1.score.weight"
    assert not torch.equal(before["discriminator"][score], task.discriminator.get_parameter(score))


def test_training_draws_nearer_to_the_pictures() -> None:
    task, generator = begin(0)
    scene = scenes(4)
    distances = []
    for step in range(21):
        task.step(scene, generator, step)
        if step in (0, 20):
            distances.append(float((task.sample(scene, generator) - scene.image).abs().mean()))
    assert distances[1] < 0.8 * distances[0]


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_resumed_training_equals_an_uninterrupted_one(lambda seed: begin(seed)[0], scenes(), tmp_path)


def test_sample_shows_the_average_and_needs_no_noise() -> None:
    task, generator = begin(0)
    task.step(scenes(), generator, 0)
    first, second = (task.sample(scenes(), torch.Generator().manual_seed(s)) for s in (1, 2))
    assert first.shape == (2, 3, 16, 32)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, second)


def test_a_gan_is_three_files_beside_its_entry_point_and_its_paragraph_of_docs():
    folder = Path(__file__).parents[2] / "methods" / "spade"
    assert sorted(file.name for file in folder.glob("*.py")) == ["__init__.py", "method.py", "network.py"]
