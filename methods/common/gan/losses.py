"""The losses of SPADE's training (Park et al., CVPR 2019, section 3 and appendix A), which SMIS and others share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from methods.common.gan.vgg import VggFeatures


def discriminator_hinge(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Hinge loss of the discriminator, mean over patches and scales; one tensor of patch scores a scale."""
    losses = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def generator_hinge(fake: list[Tensor]) -> Tensor:
    """Hinge loss of the generator: minus the mean score, over scales."""
    return -torch.stack([f.mean() for f in fake]).mean()


def feature_matching(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """L1 between the discriminator's hidden features, summed over layers, mean over scales (pix2pixHD, Eq. 3)."""
    scales = [
        torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real_scale, fake_scale, strict=True)]).sum()
        for real_scale, fake_scale in zip(real, fake, strict=True)
    ]
    return torch.stack(scales).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL from N(mean, exp(log_variance)) to N(0, I): summed over one scene's latent, mean over scenes.

    The authors sum over the batch too, with one scene a device, which is the same thing.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).flatten(1).sum(1).mean()


def perceptual(features: VggFeatures, fake: Tensor, real: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted L1 between features of two pictures (B, 3, H, W) in [-1, 1]; the gradient reaches `fake` only."""
    with torch.no_grad():
        target = features(real)
    terms = [w * F.l1_loss(f, t) for w, f, t in zip(weights, features(fake), target, strict=True)]
    return torch.stack(terms).sum()
