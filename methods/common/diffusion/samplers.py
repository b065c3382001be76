"""Samplers: each one a pure function over a noise schedule, from pure noise to a picture in [-1, 1].

All share the signature (denoise, x, schedule, draw, prediction): `denoise(x, timesteps)` returns the guided
six-channel output, `draw()` fresh unit noise shaped like x (one generator an image, see `Method.receive`).

All but `ancestral` share one step, DDIM's, and differ in the x_0 that they put into it. As published, x_0 is clipped
to [-1, 1] and the noise recomputed from it, so that whatever of x is not in the clipped x_0 is carried on as noise: all
the noise that a network of epsilon did not recognise, in every step. That is why SDM's DDIM is noisy (measured in
`results/performance/README.md`). With `drop_clipped`, as in all of `SAMPLERS` but `ddim-published`, clipping takes from
x what it takes from x_0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from bench.api.lazy import Tensor, torch
from methods.common.diffusion.reverse import Prediction, reverse_step, table, to_epsilon, to_x0
from methods.common.diffusion.schedule import (
    NoiseSchedule,
    respaced,
    respaced_by_stride,
    respaced_quadratic,
    respaced_trailing,
)

Denoise: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
Draw: TypeAlias = "Callable[[], Tensor]"


def _evaluate(denoise: Denoise, x: Tensor, schedule: NoiseSchedule, i: int) -> tuple[Tensor, Tensor]:
    """The network's output at step i, and the index of that step (see `table`)."""
    timesteps = torch.full((x.shape[0],), int(schedule.timesteps[i]), dtype=torch.long, device=x.device)
    return denoise(x, timesteps), torch.tensor(i)


def _x0(
    denoise: Denoise, x: Tensor, schedule: NoiseSchedule, i: int, prediction: Prediction, drop_clipped: bool
) -> tuple[Tensor, Tensor]:
    """The clipped x_0 at step i, and x: where `drop_clipped`, without what clipping took from x_0."""
    output, index = _evaluate(denoise, x, schedule, i)
    raw = to_x0(schedule, x, index, output[:, :3], prediction)
    x0 = raw.clamp(-1, 1)
    if drop_clipped:
        x = x - table(np.sqrt(schedule.alphas_cumprod), index, x) * (raw - x0)
    return x0, x


def _ddim_step(schedule: NoiseSchedule, x: Tensor, i: int, x0: Tensor, sigmas: np.ndarray | float = 0.0) -> Tensor:
    """From step i to i - 1 (from 0: to the picture) if the picture is x0 (Song et al. 2021, Eq. 12).

    Room is left for fresh noise of deviation `sigmas[i]`.
    """
    index = torch.tensor(i)
    previous = schedule.alphas_cumprod_prev
    epsilon = to_epsilon(schedule, x, index, x0)
    return table(np.sqrt(previous), index, x) * x0 + table(np.sqrt(1 - previous - sigmas**2), index, x) * epsilon


def _log_snr_gaps(schedule: NoiseSchedule) -> np.ndarray:
    """gaps[i] = lambda_{i-1} - lambda_i > 0, infinite for i = 0; lambda = log sqrt(alpha / (1 - alpha))."""
    alphas = schedule.alphas_cumprod
    lambdas = 0.5 * np.log(alphas / (1 - alphas))
    return np.append(np.inf, lambdas[:-1] - lambdas[1:])


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
        output, index = _evaluate(denoise, x, schedule, i)
        noise = draw()  # on the CPU, while the GPU is at the line above
        step = reverse_step(schedule, x, index, output, prediction, threshold=threshold)
        x = step.mean + torch.exp(0.5 * step.log_variance) * noise if i else step.mean
    return x.clamp(-1, 1)


def ddim(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    draw: Draw,
    prediction: Prediction = "epsilon",
    drop_clipped: bool = False,
    eta: float = 0.0,
) -> Tensor:
    """DDIM (Song et al. 2021, Eq. 12 and 16): deterministic with eta 0; with eta 1 DDPM's own steps.

    Their fresh noise has the variance of the posterior q(x_{t-1} | x_t, x_0) rather than a learned one.
    """
    alphas, previous = schedule.alphas_cumprod, schedule.alphas_cumprod_prev
    sigmas = eta * np.sqrt((1 - previous) / (1 - alphas) * (1 - alphas / previous))  # 0 in the step to the picture
    for i in reversed(range(len(schedule))):
        x0, x = _x0(denoise, x, schedule, i, prediction, drop_clipped)
        x = _ddim_step(schedule, x, i, x0, sigmas)
        if sigmas[i] > 0:
            x = x + float(sigmas[i]) * draw()
    return x.clamp(-1, 1)


def dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    draw: Draw,
    prediction: Prediction = "epsilon",
    drop_clipped: bool = False,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, Algorithm 2).

    A DDIM step with x_0 extrapolated along log SNR from this evaluation and the one before. The first and the last
    step, to the picture, are of first order.
    """
    gaps, before = _log_snr_gaps(schedule), None
    for i in reversed(range(len(schedule))):
        x0, x = _x0(denoise, x, schedule, i, prediction, drop_clipped)
        x = _ddim_step(schedule, x, i, _extrapolated(x0, before, gaps, i))
        before = x0
    return x.clamp(-1, 1)


def _extrapolated(x0: Tensor, before: Tensor | None, gaps: np.ndarray, i: int) -> Tensor:
    """x_0 half-way along the coming step, on the line through the last two evaluations."""
    if before is None or i == 0:
        return x0
    return x0 + float(0.5 * gaps[i] / gaps[i + 1]) * (x0 - before)


def unipc(
    denoise: Denoise,
    x: Tensor,
    schedule: NoiseSchedule,
    draw: Draw,
    prediction: Prediction = "epsilon",
    drop_clipped: bool = False,
) -> Tensor:
    """UniPC of order 2 with B(h) = e^h - 1 on data prediction (Zhao et al. 2023, arXiv 2302.04867, Algorithms 5 and 7).

    Its predictor is `dpmpp_2m`'s step; every evaluation then first corrects the step that led to it.
    """
    gaps = _log_snr_gaps(schedule)
    before: Tensor | None = None  # x_0 of the evaluation before last
    last: Tensor | None = None  # x_0 of the last one, made at `start`
    start = x
    for i in reversed(range(len(schedule))):
        x0, at = _x0(denoise, x, schedule, i, prediction, drop_clipped)
        dropped = x - at
        if last is not None:
            x = _ddim_step(schedule, start, i + 1, _corrected(x0, last, before, gaps, i + 1))
        before, last, start = last, x0, x - dropped
        x = _ddim_step(schedule, start, i, _extrapolated(x0, before, gaps, i))
    return x.clamp(-1, 1)


def _corrected(new: Tensor, last: Tensor, before: Tensor | None, gaps: np.ndarray, i: int) -> Tensor:
    """The x_0 with which the step from i has to be repeated, now that its end has been evaluated (`new`)."""
    if before is None:
        return last + 0.5 * (new - last)
    h = gaps[i]
    ratio = -gaps[i + 1] / h  # where `before` lies, in units of this step
    phi1 = np.expm1(-h)
    phi2 = -phi1 / h - 1
    phi3 = -phi2 / h - 0.5
    first, second = np.linalg.solve([[1.0, 1.0], [ratio, 1.0]], [phi2 / phi1, 2 * phi3 / phi1])
    return last + float(first / ratio) * (before - last) + float(second) * (new - last)


@dataclass(frozen=True)
class Sampler:
    """A sampler, the respacing that belongs to it, and whether the network says how much noise its steps add.

    One that `reproduces` published pictures only is not to be recommended (`bench speed` leaves it out).
    """

    sample: Callable[..., Tensor]
    respaced: Callable[[NoiseSchedule, int], NoiseSchedule]
    reads_variance: bool = False
    reproduces: bool = False


#: `ancestral-dt` thresholds dynamically at the 0.95 quantile, as SCDM does (ICML 2024). `ddim-eta1-quadratic` adds
#: noise of the posterior's variance, and spends its steps where little noise is left: 10 of them do what 100 of
#: `ancestral` do.
#: `ddim-published` is what SDM's and GESCO's scripts do with `--use_ddim True --timestep_respacing ddimN`.
SAMPLERS: dict[str, Sampler] = {
    "ancestral": Sampler(ancestral, respaced, reads_variance=True),
    "ancestral-dt": Sampler(partial(ancestral, threshold=0.95), respaced, reads_variance=True),
    "ddim": Sampler(partial(ddim, drop_clipped=True), respaced_trailing),
    "ddim-published": Sampler(ddim, respaced_by_stride, reproduces=True),
    "dpmpp": Sampler(partial(dpmpp_2m, drop_clipped=True), respaced_trailing),
    "unipc": Sampler(partial(unipc, drop_clipped=True), respaced_trailing),
    "ddim-eta1-quadratic": Sampler(partial(ddim, drop_clipped=True, eta=1.0), respaced_quadratic),
}
#: What identities, weights' cards and results call a sampler that had another name when the first of them were made.
RECORDED = {"ddim-eta1-quadratic": "ancestral-quad"}


def sampler_name(name: str) -> str:
    """The name in `SAMPLERS` of a sampler that may be given as it is recorded."""
    return {recorded: current for current, recorded in RECORDED.items()}.get(name, name)
