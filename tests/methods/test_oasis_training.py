"""A training step does what the recipe says, and only that."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace, Scene
from methods.common.semantic.maps import one_hot, semantic_maps
from methods.oasis.method import LATENT, Oasis, OasisConfig, OasisDiscriminatorConfig, OasisProfile, paper_config
from methods.oasis.network import label_order
from methods.oasis.task import OasisTask, class_weights, fake_loss, label_mix_loss, mix, mixing_mask, real_loss
from tests.methods.gan_checks import (
    check_a_resumed_training_equals_an_uninterrupted_one,
    check_same_seed_gives_the_same_training,
    flat_scenes,
    parameters,
)


def space(count: int, unknown: int | None = None) -> LabelSpace:
    names = ("unlabeled", *(f"class {i}" for i in range(1, count)))
    return LabelSpace(f"space {count}", names, ((0, 0, 0),) * count, (1, 2), (2,), unknown)


SPACE = space(35)
CONTEXT = MethodContext("streets", SPACE, 16, 32)


def scenes(count: int = 2, seed: int = 0) -> Scene:
    """Two flat classes a scene, each with its own colour, and one instance."""
    labels = torch.full((count, 16, 32), 7)
    labels[:, 4:12, 8:20] = 8
    return flat_scenes(SPACE, labels, seed)


def small_profile(**changes: object) -> OasisProfile:
    """The embedded recipe with narrow networks."""
    profile = Oasis.profile_for(CONTEXT)
    small = {
        "generator": OasisConfig(35, (2, 4), (8, 8, 8, 8), (8, 8, 8), kernel=1, patch=2),
        "discriminator": OasisDiscriminatorConfig(35, (8, 8), (8, 8), patch=2),
        "steps": 20,
    }
    return dataclasses.replace(profile, **{**small, **changes})


@pytest.fixture
def task() -> OasisTask:
    torch.manual_seed(0)
    return OasisTask(CONTEXT, small_profile())


def test_class_weights_by_hand() -> None:
    labels = torch.tensor([[[1, 1, 1, 2], [1, 1, 1, 0]]])
    shares = one_hot(labels, 4)
    # 8 pixels, label 1 has 6 of them, labels 2 and 0 one each; label 3 does not occur
    assert class_weights(shares, ignore_first=True).tolist() == pytest.approx([0, 8 / (6 * 2), 8 / (1 * 2), 0])
    assert class_weights(shares, ignore_first=False).tolist() == pytest.approx([8 / 3, 8 / 18, 8 / 3, 0])


def test_every_label_of_a_batch_weighs_the_same() -> None:
    shares = one_hot(torch.randint(0, 6, (3, 8, 8), generator=torch.Generator().manual_seed(0)) ** 2 // 6, 6)
    for ignore_first in (True, False):
        totals = shares.sum((0, 2, 3)) * class_weights(shares, ignore_first)
        present = totals[totals > 0]
        assert len(present) == int((shares.sum((0, 2, 3)) > 0).sum()) - ignore_first
        assert torch.allclose(present, present[0].expand_as(present))
        assert float(totals.sum()) == pytest.approx(3 * 64)  # the mean weight is one


def test_a_batch_of_unlabelled_pixels_gives_no_loss_instead_of_nan() -> None:
    shares = one_hot(torch.zeros(1, 4, 4, dtype=torch.long), 3)
    weights = class_weights(shares, ignore_first=True)
    assert weights.tolist() == [0, 0, 0]
    assert float(real_loss(torch.randn(1, 4, 4, 4), shares * weights[:, None, None])) == 0


def test_losses_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(2.0), math.log(5.0)]).reshape(1, 3, 1, 1)  # 1/8, 2/8, 5/8
    assert float(fake_loss(logits)) == pytest.approx(math.log(8))
    assert float(real_loss(logits, torch.tensor([3.0, 0.0]).reshape(1, 2, 1, 1))) == pytest.approx(3 * math.log(4))
    half = torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1)
    assert float(real_loss(logits, half)) == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(8 / 5))
    mask = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    real, fake = torch.full((1, 1, 1, 2), 4.0), torch.full((1, 1, 1, 2), -2.0)
    assert mix(mask, real, fake).flatten().tolist() == [4, -2]
    assert float(label_mix_loss(torch.zeros(1, 1, 1, 2), mask, real, fake)) == pytest.approx((16 + 4) / 2)


def test_shares_judge_like_logits_repeated_over_the_pixels() -> None:
    """Half-size logits against shares equal the same logits, repeated, against the full-size labels."""
    torch.manual_seed(0)
    maps, logits = one_hot(torch.randint(0, 5, (2, 8, 8)), 5), torch.randn(2, 6, 4, 4)
    weights = class_weights(maps, ignore_first=False)
    full = real_loss(F.interpolate(logits, scale_factor=2), maps * weights[:, None, None])
    shares = F.avg_pool2d(maps, 2)
    assert torch.allclose(class_weights(shares, ignore_first=False), weights)
    assert float(real_loss(logits, shares * weights[:, None, None])) == pytest.approx(float(full), rel=1e-5)


def test_mask_takes_whole_classes_by_a_fair_coin_in_each_scene() -> None:
    labels = torch.arange(8)[None, :, None].expand(200, 8, 3).contiguous()
    mask = mixing_mask(labels, 8, torch.Generator().manual_seed(0))
    assert mask.shape == (200, 1, 8, 3)
    assert set(mask.unique().tolist()) == {0, 1}
    assert torch.equal(mask, mask[..., :1].expand_as(mask))  # a class is taken whole
    rows = mask[:, 0, :, 0]
    assert 0.4 < float(rows.mean()) < 0.6
    assert bool((rows.mean(0) - 0.5).abs().max() < 0.15)  # each class by its own coin
    assert len({tuple(r) for r in rows.tolist()}) > 100  # each scene by its own coins


def test_one_step_moves_both_networks(task: OasisTask) -> None:
    before = parameters(task)
    losses = task.step(scenes(), torch.Generator().manual_seed(0), 0)
    after = parameters(task)
    assert set(losses) == {"adversarial", "real", "fake", "mix", "perceptual"}
    for network in ("generator.conv_img", "generator.fc", "generator.body.0.conv_0", "discriminator"):
        keys = [k for k in before if k.startswith(network) and k.endswith(("weight", "weight_orig"))]
        assert keys
        assert all(not torch.equal(before[k], after[k]) for k in keys)


def test_without_a_perceptual_weight_supervision_is_adversarial_only() -> None:
    torch.manual_seed(0)
    task = OasisTask(CONTEXT, small_profile(perceptual_weight=0.0))
    assert task.features is None
    assert set(task.step(scenes(), torch.Generator().manual_seed(0), 0)) == {"adversarial", "real", "fake", "mix"}


@pytest.mark.parametrize("weight", [0.0, 50.0])
def test_label_mix_reaches_the_discriminator_only(weight: float) -> None:
    """The generator's gradient does not know of LabelMix, the discriminator's does."""
    gradients = []
    for w in (5.0, weight):
        torch.manual_seed(0)
        task = OasisTask(CONTEXT, small_profile(mix_weight=w))
        task.step(scenes(), torch.Generator().manual_seed(0), 0)
        gradients.append(
            (
                [p.grad.clone() for p in task.generator_parameters],
                [p.grad.clone() for p in task.discriminator_parameters],
            )
        )
    assert all(torch.equal(a, b) for a, b in zip(gradients[0][0], gradients[1][0], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(gradients[0][1], gradients[1][1], strict=True))


def test_the_discriminator_learns_to_tell_classes_and_fakes() -> None:
    torch.manual_seed(0)
    task = OasisTask(CONTEXT, small_profile(discriminator_rate=1e-2, perceptual_weight=0.0))
    generator = torch.Generator().manual_seed(0)
    history = [task.step(scenes(4), generator, step) for step in range(20)]
    for name in ("real", "fake"):
        assert history[-1][name] < 0.8 * history[0][name]


def test_the_paper_profile_starts_as_the_authors_do() -> None:
    torch.manual_seed(0)
    task = OasisTask(CONTEXT, small_profile(quick_start=False, perceptual_weight=0.0))
    weight = task.generator.body[0].norm_0.mlp_shared[0].weight.detach()  # 99 to 8 channels
    assert float(weight.std()) == pytest.approx(0.02 * math.sqrt(2 / (9 * (99 + 8))), rel=0.05)
    assert not Oasis.profile_for(MethodContext("cityscapes", SPACE, 256, 512, profile="paper")).quick_start


def test_the_start_changes_noise_weights_and_nothing_that_spectral_layers_compute(task: OasisTask) -> None:
    fc = task.generator.fc.weight.detach()
    assert float(fc[:, LATENT:].std() / fc[:, :LATENT].std()) == pytest.approx(32, rel=0.1)
    conv = task.discriminator.down[0].conv_1
    x = torch.randn(1, 8, 4, 4)
    first = conv(x)
    conv.weight_orig.data.mul_(7)
    conv.eval()
    with torch.no_grad():
        assert torch.allclose(conv(x), first, atol=1e-5)
    average = task.average.state_dict()
    assert all(torch.equal(value, average[key]) for key, value in task.generator.state_dict().items())


def test_unknown_comes_first_and_only_unlabelled_ids_are_ignored() -> None:
    assert label_order(space(5, unknown=4)) == (4, 0, 1, 2, 3)
    assert label_order(space(5)) == (0, 1, 2, 3, 4)
    coco = Oasis.profile_for(MethodContext("stuff", space(183, 182), 64, 64))
    assert coco.ignore_first
    named = dataclasses.replace(space(5), names=("road", "sky", "car", "tree", "person"))
    assert not Oasis.profile_for(MethodContext("other", named, 64, 64)).ignore_first
    assert Oasis.profile_for(CONTEXT).ignore_first


def test_unknown_pixels_get_channel_zero_in_training() -> None:
    torch.manual_seed(0)
    context = MethodContext("stuff", space(5, unknown=4), 16, 32)
    profile = small_profile(
        generator=OasisConfig(5, (2, 4), (8, 8, 8, 8), (8, 8, 8), kernel=1, patch=2),
        discriminator=OasisDiscriminatorConfig(5, (8, 8), (8, 8), patch=2),
    )
    task = OasisTask(context, profile)
    labels = torch.tensor([4, 0, 3])[None, :, None]
    maps = task._ordered(semantic_maps(labels, torch.zeros_like(labels, dtype=torch.int32), 5))
    assert maps.argmax(1).flatten().tolist() == [0, 1, 4]
    assert maps.shape[1] == 5  # no edges


def begin(seed: int) -> OasisTask:
    torch.manual_seed(seed)
    return OasisTask(CONTEXT, small_profile())


def test_same_seed_gives_the_same_training() -> None:
    check_same_seed_gives_the_same_training(begin, scenes())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    check_a_resumed_training_equals_an_uninterrupted_one(begin, scenes(), tmp_path)


def test_sample_is_a_picture_and_depends_on_the_generator_alone(task: OasisTask) -> None:
    task.step(scenes(), torch.Generator().manual_seed(0), 0)
    pictures = [task.sample(scenes(), torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert pictures[0].shape == (2, 3, 16, 32)
    assert 0 <= float(pictures[0].min()) <= float(pictures[0].max()) <= 1
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_paper_recipes() -> None:
    cityscapes = Oasis.profile_for(MethodContext("cityscapes", SPACE, 256, 512, profile="paper"))
    assert cityscapes.generator == paper_config(256, 512, 35)
    coco = Oasis.profile_for(MethodContext("coco_stuff", space(183, 182), 256, 256, profile="paper"))
    for profile, rate, weight, ema, batch in ((cityscapes, 4e-4, 5, 0.999, 20), (coco, 1e-4, 10, 0.9999, 32)):
        assert (profile.generator_rate, profile.discriminator_rate, profile.betas) == (rate, 4e-4, (0, 0.999))
        assert (profile.mix_weight, profile.ema, profile.batch_size) == (weight, ema, batch)
        assert (profile.perceptual_weight, profile.matching_weight, profile.constant) == (0, 0, 1)
        assert profile.discriminator.patch == profile.generator.patch == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "tiny"}, "embedded, paper"),
        ({"height": 40}, "multiples of 16"),
        ({"profile": "paper"}, "multiples of 32"),
    ],
)
def test_contexts_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        Oasis.profile_for(dataclasses.replace(CONTEXT, **changes))
