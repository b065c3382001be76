"""A training step does what the recipe says, and only that."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace, Scene
from methods.ccfpse.method import (
    CcFpse,
    CcFpseBlockConfig,
    CcFpseConfig,
    CcFpseDiscriminatorConfig,
    CcFpseEncoderConfig,
    CcFpseProfile,
    embedded_discriminator,
    paper_discriminator,
)
from methods.ccfpse.network import CcFpseDiscriminator, CcFpseTask
from methods.common.semantic.maps import semantic_maps
from tests.methods.gan_checks import (
    check_a_resumed_training_equals_an_uninterrupted_one,
    check_same_seed_gives_the_same_training,
    flat_scenes,
    parameters,
)

SPACE = LabelSpace("nine", tuple(f"class {i}" for i in range(9)), ((0, 0, 0),) * 9, (7, 8), (8,))
CONTEXT = MethodContext("streets", SPACE, 32, 32)


def scenes(count: int = 2) -> Scene:
    """Two flat classes a scene, each with its own colour, and one instance."""
    labels = torch.full((count, 32, 32), 7)
    labels[:, 8:24, 8:20] = 8
    return flat_scenes(SPACE, labels)


def small_profile() -> CcFpseProfile:
    """The embedded profile with two narrow blocks."""
    blocks = (
        CcFpseBlockConfig("head_0", 16, 16, upsample=False, hidden=8),
        CcFpseBlockConfig("up_0", 16, 8, hidden=8, kernel=1),
    )
    generator = CcFpseConfig(10, 4, (8, 8), 8, blocks, patch=2)
    encoder = CcFpseEncoderConfig((16, 16), (8, 8), 4)
    return dataclasses.replace(CcFpse.profile_for(CONTEXT), generator=generator, encoder=encoder, steps=20)


@pytest.fixture
def task() -> CcFpseTask:
    torch.manual_seed(0)
    return CcFpseTask(CONTEXT, small_profile())


def test_one_step_moves_every_parameter_of_all_three_networks(task: CcFpseTask) -> None:
    before = parameters(task)
    losses = task.step(scenes(), torch.Generator().manual_seed(0), 0)
    after = parameters(task)
    assert set(losses) == {"adversarial", "matching", "perceptual", "kl", "discriminator"}
    assert [key for key in before if torch.equal(before[key], after[key])] == []


def test_blocks_begin_as_ordinary_ones_where_the_profile_says_so(task: CcFpseTask) -> None:
    """The middle taps are biased to 1 in the network and in its average; the authors' start has zero biases."""
    for network in (task.generator, task.average):
        taps = network.get_submodule("up_0.gen_weights1.2").bias.reshape(-1, 9)
        assert torch.equal(taps[0], torch.eye(9)[4])
        assert torch.equal(taps, taps[:1].expand_as(taps))
    published = CcFpseTask(CONTEXT, dataclasses.replace(small_profile(), identity_start=False))
    assert not published.generator.get_submodule("up_0.gen_weights1.2").bias.any()


def begin(seed: int) -> CcFpseTask:
    torch.manual_seed(seed)
    return CcFpseTask(CONTEXT, small_profile())


def test_same_seed_gives_the_same_training() -> None:
    check_same_seed_gives_the_same_training(begin, scenes())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_resumed_training_equals_an_uninterrupted_one(begin, scenes(), tmp_path)


def test_training_learns_the_colours(task: CcFpseTask) -> None:
    scene = scenes(4)
    generator = torch.Generator().manual_seed(0)
    first = None
    for step in range(20):
        losses = task.step(scene, generator, step)
        first = first or losses
    assert losses["perceptual"] < 0.9 * first["perceptual"]


def test_sample_draws_the_latent_from_the_generator_alone(task: CcFpseTask) -> None:
    pictures = [task.sample(scenes(), torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert pictures[0].shape == (2, 3, 32, 32)
    assert 0 <= float(pictures[0].min()) <= float(pictures[0].max()) <= 1
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_recipe_is_the_authors() -> None:
    paper = CcFpse.profile_for(dataclasses.replace(CONTEXT, profile="paper", height=256, width=512))
    weights = (paper.matching_weight, paper.perceptual_weight, paper.kl_weight)
    assert weights == (20, 10, 0.05)
    assert (paper.generator_rate, paper.discriminator_rate, paper.betas) == (1e-4, 4e-4, (0.0, 0.9))
    assert paper.identity_start is False


@pytest.mark.parametrize(
    ("config", "size", "scores", "features"),
    [
        (paper_discriminator(10, base=4), (64, 128), [(16, 32), (8, 16), (4, 8)], 4),
        (embedded_discriminator(10), (32, 64), [(8, 16), (4, 8), (2, 4)], 3),
    ],
)
def test_discriminator_scores_three_sizes(
    config: CcFpseDiscriminatorConfig, size: tuple, scores: list, features: int
) -> None:
    """Three maps of scores, each pairing a picture with its own semantic map; features of all layers but the first."""
    torch.manual_seed(0)
    network = CcFpseDiscriminator(config).eval()
    maps, pictures = torch.rand(2, 10, *size), torch.randn(4, 3, *size)
    with torch.no_grad():
        found, hidden = network(maps, pictures)
        alone, _ = network(maps[1:], pictures[3:])
    assert [tuple(s.shape) for s in found] == [(4, 1, *s) for s in scores]
    assert [len(scale) for scale in hidden] == [1] * features
    assert all(torch.allclose(a[0], b[3], atol=1e-4) for a, b in zip(alone, found, strict=True))


def test_discriminator_judges_the_fit_of_labels_and_features() -> None:
    """A score is the realness plus the dot product of features with the embedding of the labels beneath the patch."""
    torch.manual_seed(0)
    network = CcFpseDiscriminator(embedded_discriminator(10)).eval()
    labels = torch.full((1, 32, 64), 7)
    labels[:, :, 32:] = 8
    maps = semantic_maps(labels, labels.int() * 0, 9)
    picture = torch.randn(1, 3, 32, 64)
    kept: list[torch.Tensor] = []
    network.finals[0].register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        score = network(maps, picture)[0][0]
        features = kept[0]
        embedded = F.avg_pool2d(network.embedding(maps), 4)  # the published order: embed, then shrink
        expected = network.real(features) + (network.align(features) * embedded).sum(1, keepdim=True)
        assert torch.allclose(score, expected, atol=1e-5)
        swapped = network(maps.flip(3), picture)[0][0]
    assert not torch.allclose(swapped, score, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "tiny"}, "embedded, paper"),
        ({"height": 40}, "multiples of 16"),
        ({"height": 16}, "sides of 32 or more"),
        ({"profile": "paper"}, "multiples of 64"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        CcFpse.profile_for(dataclasses.replace(CONTEXT, **changes))
