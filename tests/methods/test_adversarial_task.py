"""The step that the GAN methods share: who learns from what, rates, moving average, mirrored batches."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from bench.api.scenes import LabelSpace, Scene
from bench.train.checkpoint import load_checkpoint, save_checkpoint
from methods.common.gan.method import AdversarialProfile, PatchConfig
from methods.common.gan.patch import MultiScaleDiscriminator
from methods.common.gan.task import AdversarialTask, Batch, Losses
from methods.common.layers import SpectralConv2d

SPACE = LabelSpace("three", ("a", "b", "c"), ((0, 0, 0),) * 3, (0, 1, 2), (2,))
CONTEXT = MethodContext("three", SPACE, 16, 32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyProfile(AdversarialProfile):
    generator: None = None
    encoder: None = None
    discriminator: PatchConfig


PROFILE = TinyProfile(batch_size=2, steps=20, discriminator=PatchConfig(4 + 3, (8, 8)))


def scenes(count: int = 2) -> Scene:
    """A bright square of class 2 on a dark ground of class 1, to the left of the middle."""
    labels = torch.full((count, 16, 32), 1)
    labels[:, 4:12, 8:14] = 2
    image = (labels == 2)[:, None].float().expand(-1, 3, -1, -1) * 0.8 + 0.1
    return Scene(image, labels, (labels == 2).int() * 1000, None, tuple(f"s{i}" for i in range(count)), SPACE)


class TinyGenerator(nn.Module):
    def __init__(self, config: None) -> None:
        super().__init__()
        self.first = SpectralConv2d(4, 8, 3, padding=1, bias=False)  # the norm would take it out: it would not learn
        self.norm = nn.BatchNorm2d(8, affine=False)
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.tanh(self.last(self.norm(self.first(maps))))


class TinyEncoder(nn.Conv2d):
    def __init__(self, config: None) -> None:
        super().__init__(3, 3, 1)


class TinyTask(AdversarialTask):
    """SPADE's objective for a generator of two convolutions."""

    generator_class, discriminator_class = TinyGenerator, MultiScaleDiscriminator

    def __init__(self, profile: AdversarialProfile = PROFILE) -> None:
        super().__init__(CONTEXT, profile)

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        return self.patch_losses(batch, self.run(self.generator, batch.maps), rng)

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        return network(maps)


def begin(profile: AdversarialProfile = PROFILE, seed: int = 0) -> tuple[TinyTask, torch.Generator]:
    torch.manual_seed(seed)
    return TinyTask(profile), torch.Generator().manual_seed(5)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def test_the_discriminator_learns_from_its_own_loss_alone() -> None:
    """The generator's weights on its terms change its own gradients and not the discriminator's."""
    gradients = []
    for weight in (10.0, 1000.0):
        task, rng = begin(dataclasses.replace(PROFILE, matching_weight=weight))
        task.step(scenes(), rng, 0)
        gradients.append(
            [[p.grad.clone() for p in params] for params in (task.generator_parameters, task.discriminator_parameters)]
        )
    (generator, discriminator), (other_generator, other_discriminator) = gradients
    assert all(torch.equal(a, b) for a, b in zip(discriminator, other_discriminator, strict=True))
    assert any(float(g.abs().max()) > 0 for g in discriminator)
    assert any(not torch.equal(a, b) for a, b in zip(generator, other_generator, strict=True))


@pytest.mark.parametrize("still", ["generator", "discriminator"])
def test_a_rate_of_zero_leaves_only_that_network_as_it_was(still: str) -> None:
    task, rng = begin(dataclasses.replace(PROFILE, **{f"{still}_rate": 0.0}))
    with (
        torch.no_grad()
    ):  # originals beyond the hinge: within it on both sides their pull on a bias is minus the fakes'
        for scale in task.discriminator.scales:
            scale.score.bias.fill_(2.0)
    before = {k: [p.clone() for p in v.parameters()] for k, v in task.networks.items()}
    task.step(scenes(), rng, 0)
    for name, network in task.networks.items():
        same = [torch.equal(a, b) for a, b in zip(before[name], network.parameters(), strict=True)]
        assert all(same) if name == still else not any(same)


def test_the_encoder_learns_with_the_generator() -> None:
    class Encoded(TinyTask):
        encoder_class = TinyEncoder

    task = Encoded()
    encoder = task.encoder
    assert list(task.networks) == ["generator", "encoder", "discriminator"]
    assert {id(p) for p in encoder.parameters()} <= {id(p) for p in task.generator_parameters}
    assert float(encoder.bias.detach().abs().max()) == 0  # initialised like the others
    assert "encoder" not in task.emas


def test_rates_are_constant_then_fall_to_zero() -> None:
    task, _ = begin()
    for name, full in (("generator", 1e-4), ("discriminator", 4e-4)):
        rates = []
        for step in (0, 9, 10, 15, 20):
            task._schedule(step)
            rates.append(task.optimizers[name].param_groups[0]["lr"] / full)
        assert rates == pytest.approx([1, 1, 1, 0.5, 0])


def test_average_keeps_unit_spectral_vectors_and_follows_the_rest() -> None:
    task, rng = begin()
    for step in range(3):
        task.step(scenes(), rng, step)
    average, live = task.export(), state(task.generator)
    for key in ("first.weight_u", "first.weight_v", "norm.num_batches_tracked"):
        assert torch.equal(average[key], live[key])
    assert float(average["first.weight_u"].norm()) == pytest.approx(1, abs=1e-5)
    for key in ("first.weight_orig", "last.weight", "norm.running_var"):
        assert not torch.equal(average[key], live[key])
    assert all(v.grad_fn is None and not v.requires_grad for v in average.values())


def test_mirrored_scenes_stay_aligned() -> None:
    task, rng = begin()
    batch = task._batch(scenes(16), rng)
    assert torch.equal(batch.maps[:, :3].argmax(1), batch.labels)
    assert torch.equal(batch.image[:, 0] > 0, batch.labels == 2)
    assert (float(batch.image.min()), float(batch.image.max())) == pytest.approx((-0.8, 0.8))
    edges = batch.maps[:, 3]
    mirrored = batch.labels[:, 8, 20] == 2
    assert 0 < int(mirrored.sum()) < 16  # some are mirrored, some are not
    for edge, flipped in zip(edges, mirrored, strict=True):
        columns = edge[8].nonzero().flatten().tolist()  # both sides of the square's borders
        assert columns == ([17, 18, 23, 24] if flipped else [7, 8, 13, 14])


def test_without_a_perceptual_weight_the_term_is_left_out() -> None:
    task, rng = begin(dataclasses.replace(PROFILE, perceptual_weight=0.0))
    assert task.features is None
    assert set(task.step(scenes(), rng, 0)) == {"adversarial", "matching", "discriminator"}
    assert "perceptual_features" not in task.recipe()
    with_features, _ = begin()
    assert "VGG16" in with_features.recipe()["perceptual_features"]


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, rng = begin(seed=1)
    whole.step(scenes(), rng, 0)
    save_checkpoint(tmp_path / "checkpoint.pt", whole, whole.recipe(), 1, 0.0, rng)
    whole.step(scenes(), rng, 1)
    resumed, other = begin(seed=2)
    load_checkpoint(tmp_path / "checkpoint.pt", resumed, resumed.recipe(), other)
    resumed.step(scenes(), other, 1)
    for name in whole.networks:
        expected, found = state(whole.networks[name]), state(resumed.networks[name])
        assert all(torch.equal(expected[k], found[k]) for k in expected)
    assert all(torch.equal(v, resumed.export()[k]) for k, v in whole.export().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_networks_run_in_bfloat16_on_cuda_and_losses_in_float32() -> None:
    torch.manual_seed(0)
    task = TinyTask()
    task.context = dataclasses.replace(CONTEXT, device=torch.device("cuda"))
    seen = []
    for network in (task.generator, task.discriminator, task.features):
        network.cuda()
    task.prepare("auto", False)
    task.generator.last.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    losses = task.losses(task._batch(scenes(), torch.Generator()), torch.Generator())
    assert seen == [torch.bfloat16]
    assert {v.dtype for v in (losses.generator, losses.discriminator, *losses.log.values())} == {torch.float32}
