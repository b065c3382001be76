"""Samplers: each one a pure function over a noise schedule, from pure noise to a picture in [-1, 1].

All share the signature (denoise, x, schedule, draw, prediction): `denoise(x, timesteps)` returns the guided
six-channel output, `draw()` fresh unit noise shaped like x (one generator an image, see `Method.receive`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from methods.diffusion.reverse import Prediction, ReverseStep, reverse_step, table, to_epsilon
from methods.diffusion.schedule import NoiseSchedule

Denoise = Callable[[Tensor, Tensor], Tensor]
Draw = Callable[[], Tensor]


def _step(
    denoise: Denoise, x: Tensor, schedule: NoiseSchedule, i: int, prediction: Prediction, threshold: float | None
) -> tuple[ReverseStep, Tensor]:
    index = torch.full((x.shape[0],), i, dtype=torch.long, device=x.device)
    timesteps = torch.full_like(index, int(schedule.timesteps[i]))
    return reverse_step(schedule, x, index, denoise(x, timesteps), prediction, threshold=threshold), index


def ancestral(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    draw: Draw,
    prediction: Prediction = "epsilon",
    threshold: float | None = None,
) -> Tensor:
    """DDPM sampling with learned variance (Ho et al. 2020; paper Eq. 3); on a respaced schedule the usual shortcut."""
    for i in reversed(range(len(schedule))):
        step, _ = _step(denoise, x, schedule, i, prediction, threshold)
        noise = draw()
        x = step.mean + torch.exp(0.5 * step.log_variance) * noise if i else step.mean
    return x.clamp(-1, 1)


def ddim(
    denoise: Denoise, x: Tensor, schedule: NoiseSchedule, draw: Draw, prediction: Prediction = "epsilon"
) -> Tensor:
    """Deterministic DDIM, eta = 0 (Song et al. 2021, Eq. 12)."""
    for i in reversed(range(len(schedule))):
        step, index = _step(denoise, x, schedule, i, prediction, None)
        epsilon = to_epsilon(schedule, x, index, step.x0)
        previous = schedule.alphas_cumprod_prev
        x = table(np.sqrt(previous), index, x) * step.x0 + table(np.sqrt(1 - previous), index, x) * epsilon
    return x.clamp(-1, 1)


#: name -> sampler. `ancestral-dt` thresholds dynamically at the 0.95 quantile, as SCDM does (ICML 2024).
SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "ancestral": ancestral,
    "ancestral-dt": partial(ancestral, threshold=0.95),
    "ddim": ddim,
}
