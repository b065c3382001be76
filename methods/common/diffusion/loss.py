"""The hybrid training loss: paper Eq. 8 to 10, L = L_d + lambda L_KL, two of them not as they are printed.

L_d is the mean of the squared error, where Eq. 8 prints the norm itself; L_KL is KL(q || p), of the predicted step p
from the posterior q, where Eq. 9 prints KL(p || q). Both are as in Nichol & Dhariwal 2021, whom the paper cites and
from whose code its authors' derives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.api.lazy import Tensor, torch
from methods.common.diffusion.reverse import (
    Prediction,
    edm_scales,
    learned_log_variance,
    posterior_mean,
    table,
    to_x0,
)

if TYPE_CHECKING:
    from methods.common.diffusion.schedule import NoiseSchedule

#: lambda of Eq. 10. L_KL is the sum over all T steps, so on one randomly drawn step it weighs lambda * T = 1.
KL_WEIGHT = 0.001
#: A network that predicts x_0 is weighed by 1 / (1 - alpha_t), the error in v = (sqrt(a) x_t - x_0) / sqrt(1 - a)
#: (Salimans & Ho 2022); the floor keeps the nearly noiseless steps, where x_t shows the picture, from dominating.
X0_LOSS_FLOOR = 0.05


@dataclass(frozen=True)
class HybridLoss:
    """Per-sample losses (B,): `total` is the sum of the two with weights 1 and lambda * T.

    `denoising` is L_d as a mean square, `variational` KL(q || p) of the drawn step in bits.
    """

    denoising: Tensor
    variational: Tensor
    total: Tensor


def _normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation of the standard normal's cumulative distribution."""
    return 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _discretised_log_likelihood(x0: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log likelihood of 8-bit values under a Gaussian: bins of half-width 1/255, open beyond |x| > 0.999."""
    centred, inverse = x0 - mean, torch.exp(-0.5 * log_variance)
    upper = _normal_cdf(inverse * (centred + 1 / 255))
    lower = _normal_cdf(inverse * (centred - 1 / 255))
    return torch.where(
        x0 < -0.999,
        upper.clamp(min=1e-12).log(),
        torch.where(x0 > 0.999, (1 - lower).clamp(min=1e-12).log(), (upper - lower).clamp(min=1e-12).log()),
    )


def _gaussian_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    return 0.5 * (
        -1.0
        + log_variance2
        - log_variance1
        + torch.exp(log_variance1 - log_variance2)
        + (mean1 - mean2) ** 2 * torch.exp(-log_variance2)
    )


def hybrid_loss(
    schedule: NoiseSchedule,
    output: Tensor,
    x0: Tensor,
    x: Tensor,
    noise: Tensor,
    index: Tensor,
    prediction: Prediction = "epsilon",
    kl_weight: float = KL_WEIGHT,
) -> HybridLoss:
    """Loss of the network's six channels `output` for x = q(x_t | x_0, noise) at step `index`, images in [-1, 1].

    The variational term learns the variance only: the predicted mean is detached from it (Nichol & Dhariwal 2021).
    """
    predicted, interpolation = output.chunk(2, dim=1)
    if prediction == "x0":
        weight = table(1 / np.maximum(1 - schedule.alphas_cumprod, X0_LOSS_FLOOR), index, index)
        denoising = weight * ((x0 - predicted) ** 2).mean(dim=(1, 2, 3))
    elif prediction == "edm":
        skip, out = edm_scales(schedule)
        target = (x0 - table(skip, index, x) * x) / table(out, index, x)
        denoising = ((target - predicted) ** 2).mean(dim=(1, 2, 3))
    else:
        denoising = ((noise - predicted) ** 2).mean(dim=(1, 2, 3))

    with torch.no_grad():
        mean = posterior_mean(schedule, x, index, to_x0(schedule, x, index, predicted, prediction))
        true_mean = posterior_mean(schedule, x, index, x0)
        true_log_variance = table(schedule.posterior_log_variance_clipped, index, x)
    log_variance = learned_log_variance(schedule, index, interpolation, prediction)
    kl = _gaussian_kl(true_mean, true_log_variance, mean, log_variance).mean(dim=(1, 2, 3))
    likelihood = -_discretised_log_likelihood(x0, mean, log_variance).mean(dim=(1, 2, 3))
    variational = torch.where(index == 0, likelihood, kl) / math.log(2.0)
    return HybridLoss(denoising, variational, denoising + kl_weight * len(schedule) * variational)
