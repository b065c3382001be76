"""One step backwards: from the network's output to x_0, the posterior mean and the learned variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.api.lazy import Tensor, torch

if TYPE_CHECKING:
    from methods.common.diffusion.schedule import NoiseSchedule

#: What the network's first three channels are. "epsilon" is the paper's Eq. 8. "x0", the picture itself, is the same
#: information, and what a small network on pixel blocks learns far sooner: it need not carry every pixel's noise
#: through its few channels (Li & He 2025, "Back to Basics: Let Denoising Generative Models Denoise"), and its errors
#: are not multiplied, by up to 157 at the noisiest step, on the way from epsilon to x_0.
#: "edm" is what Karras et al. 2022 ("Elucidating the Design Space of Diffusion-Based Generative Models", Table 1)
#: have the network predict: x_0 where noise prevails, and where little is left the correction of the noisy picture,
#: so that the error falls with the noise instead of ending at what redrawing a picture costs.
Prediction = Literal["epsilon", "x0", "edm"]
#: sigma_data of "edm": the deviation of pictures in [-1, 1].
DATA_DEVIATION = 0.5


def table(values: np.ndarray, index: Tensor, like: Tensor) -> Tensor:
    """Entries of a float64 table at `index` (B,), shaped to broadcast over `like` (B, C, H, W), float32.

    At a single `index` on the CPU, without dimensions, the entry stays there: a number for the kernels on any device,
    whereas moving a table to a GPU would wait until that GPU has nothing left to do.
    """
    if index.dim() == 0:
        return torch.tensor(values[int(index)], dtype=torch.float32)
    picked = torch.from_numpy(values).to(like.device)[index].float()
    return picked.reshape(-1, *([1] * (like.dim() - 1)))


def noisy_image(schedule: NoiseSchedule, x0: Tensor, index: Tensor, noise: Tensor) -> Tensor:
    """q(x_t | x_0), paper Eq. 4."""
    alpha = schedule.alphas_cumprod
    return table(np.sqrt(alpha), index, x0) * x0 + table(np.sqrt(1 - alpha), index, x0) * noise


def to_x0(schedule: NoiseSchedule, x: Tensor, index: Tensor, predicted: Tensor, prediction: Prediction) -> Tensor:
    """x_0 implied by the network's prediction, not clipped."""
    if prediction == "x0":
        return predicted
    if prediction == "edm":
        skip, out = edm_scales(schedule)
        return table(skip, index, x) * x + table(out, index, x) * predicted
    alpha = schedule.alphas_cumprod
    return table(np.sqrt(1 / alpha), index, x) * x - table(np.sqrt(1 / alpha - 1), index, x) * predicted


def edm_scales(schedule: NoiseSchedule) -> tuple[np.ndarray, np.ndarray]:
    """(c_skip, c_out) of "edm" by step: x_0 = c_skip x_t + c_out F, F of unit variance in training.

    Both as in Karras et al. 2022, Table 1, for sigma = sqrt((1 - alpha_t) / alpha_t); c_skip is divided by
    sqrt(alpha_t), because x_t is the picture in the variance-preserving scale and not the picture plus noise.
    """
    alpha = schedule.alphas_cumprod
    variance, data = (1 - alpha) / alpha, DATA_DEVIATION**2
    return data / (variance + data) / np.sqrt(alpha), np.sqrt(variance * data / (variance + data))


def to_epsilon(schedule: NoiseSchedule, x: Tensor, index: Tensor, x0: Tensor) -> Tensor:
    """The noise that x_0 implies."""
    alpha = schedule.alphas_cumprod
    return (table(np.sqrt(1 / alpha), index, x) * x - x0) / table(np.sqrt(1 / alpha - 1), index, x)


@dataclass(frozen=True)
class ReverseStep:
    """`mean`, `log_variance` of p(x_{t-1} | x_t) and the x_0 behind them, each (B, 3, H, W)."""

    mean: Tensor
    log_variance: Tensor
    x0: Tensor


def posterior_mean(schedule: NoiseSchedule, x: Tensor, index: Tensor, x0: Tensor) -> Tensor:
    """Mean of q(x_{t-1} | x_t, x_0)."""
    return table(schedule.posterior_mean_coef1, index, x) * x0 + table(schedule.posterior_mean_coef2, index, x) * x


def learned_log_variance(
    schedule: NoiseSchedule, index: Tensor, interpolation: Tensor, prediction: Prediction = "epsilon"
) -> Tensor:
    """Log variance between the clipped posterior's (-1) and log beta (+1) (Nichol & Dhariwal 2021, Eq. 15).

    Published networks that predict epsilon are left free to go beyond that range. For others the range is kept: where
    x_0 is predicted the error of the mean at nearly noiseless steps is larger than any variance in the range explains,
    the network answers with interpolations beyond 10, and a respaced schedule, whose range is wide, explodes on them.
    """
    if prediction != "epsilon":
        interpolation = interpolation.clamp(-1, 1)
    low = table(schedule.posterior_log_variance_clipped, index, interpolation)
    high = table(np.log(schedule.betas), index, interpolation)
    fraction = (interpolation + 1) / 2
    return fraction * high + (1 - fraction) * low


def dynamic_threshold(x0: Tensor, quantile: float) -> Tensor:
    """Scale each image so that its `quantile` of absolute values is at most 1, then clip (Saharia et al. 2022)."""
    limit = torch.quantile(x0.abs().flatten(1), quantile, dim=1).clamp(min=1.0)[:, None, None, None]
    return x0.clamp(-limit, limit) / limit


def reverse_step(
    schedule: NoiseSchedule,
    x: Tensor,
    index: Tensor,
    output: Tensor,
    prediction: Prediction = "epsilon",
    clip: bool = True,
    threshold: float | None = None,
) -> ReverseStep:
    """Statistics of p(x_{t-1} | x_t) from the network's six channels (golden `p_mean_variance`).

    x_0 is clipped to [-1, 1] where `clip`, after dynamic thresholding where `threshold` names a quantile.
    """
    predicted, interpolation = output.chunk(2, dim=1)
    x0 = to_x0(schedule, x, index, predicted, prediction)
    if threshold is not None:
        x0 = dynamic_threshold(x0, threshold)
    elif clip:
        x0 = x0.clamp(-1, 1)
    return ReverseStep(
        posterior_mean(schedule, x, index, x0), learned_log_variance(schedule, index, interpolation, prediction), x0
    )
