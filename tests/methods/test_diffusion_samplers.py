"""The deterministic samplers against independent implementations, against exact solutions, and at few steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from methods.common.diffusion.guidance import with_variance
from methods.common.diffusion.reverse import to_epsilon
from methods.common.diffusion.samplers import SAMPLERS, Denoise, ancestral, ddim, dpmpp_2m, unipc
from methods.common.diffusion.schedule import (
    NoiseSchedule,
    linear_schedule,
    respaced,
    respaced_quadratic,
    respaced_trailing,
    subset,
)

FULL = linear_schedule()
#: Of the pixels of the Gaussian pictures whose flow is known exactly.
DEVIATION = torch.linspace(0.05, 0.25, 64).reshape(1, 1, 8, 8)


def gaussian_denoiser(deviation: Tensor) -> Denoise:
    """The exact epsilon network for pictures whose pixels are independent N(0, deviation^2)."""
    alphas = torch.from_numpy(FULL.alphas_cumprod)

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        alpha = alphas[timesteps].to(x.dtype).reshape(-1, 1, 1, 1)
        epsilon = (1 - alpha).sqrt() * x / (alpha * deviation**2 + 1 - alpha)
        return torch.cat([epsilon, torch.zeros_like(epsilon)], dim=1)

    return denoise


def exact(x: Tensor, deviation: Tensor) -> Tensor:
    """Where the probability-flow ODE takes x from the last timestep: every pixel keeps its quantile."""
    alpha = FULL.alphas_cumprod[-1]
    return x * deviation / torch.sqrt(alpha * deviation**2 + 1 - alpha)


def no_noise() -> Tensor:
    raise AssertionError("a deterministic sampler drew noise")


def start(seed: int = 0) -> Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "limit"), [("ddim", 0.06), ("dpmpp", 0.03), ("unipc", 0.03)])
def test_solvers_follow_the_exact_flow_of_a_gaussian(name: str, limit: float) -> None:
    sampler, x = SAMPLERS[name], start()
    for steps, within in ((100, limit), (1000, limit / 8)):
        pictures = sampler.sample(gaussian_denoiser(DEVIATION), x, sampler.respaced(FULL, steps), no_noise)
        assert float((pictures - exact(x, DEVIATION)).abs().max()) < within


def test_second_order_solvers_beat_ddim() -> None:
    x, schedule = start(), respaced_trailing(FULL, 100)
    errors = {}
    for sampler in (ddim, dpmpp_2m, unipc):
        pictures = sampler(gaussian_denoiser(DEVIATION), x, schedule, no_noise)
        errors[sampler.__name__] = float((pictures - exact(x, DEVIATION)).abs().mean())
    assert errors["dpmpp_2m"] < 0.5 * errors["ddim"]
    assert errors["unipc"] < 0.5 * errors["ddim"]


def scheduler_output(scheduler: object, denoise: Denoise, x: Tensor, schedule: NoiseSchedule) -> Tensor:
    """A `diffusers` scheduler over our respaced schedule itself: its betas are given as the training schedule, of which
    "trailing" spacing then takes every step; the network still hears the original timesteps."""
    scheduler.set_timesteps(len(schedule))  # type: ignore[attr-defined]
    times = scheduler.timesteps  # type: ignore[attr-defined]
    assert times.tolist() == list(range(len(schedule)))[::-1]
    for i in times:
        original = torch.full((len(x),), int(schedule.timesteps[int(i)]))
        epsilon = denoise(x, original)[:, :3]
        x0 = to_x0_clipped(x, original, epsilon)
        x = scheduler.step(x0, i, x).prev_sample  # type: ignore[attr-defined]
    return x.clamp(-1, 1)


def to_x0_clipped(x: Tensor, timesteps: Tensor, epsilon: Tensor) -> Tensor:
    alpha = torch.from_numpy(FULL.alphas_cumprod)[timesteps].float().reshape(-1, 1, 1, 1)
    return ((x - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()).clamp(-1, 1)


@pytest.mark.parametrize("steps", [2, 3, 5, 10, 25, 100])
@pytest.mark.parametrize(
    ("sampler", "scheduler", "settings"),
    [
        (dpmpp_2m, "DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_type": "midpoint"}),
        (unipc, "UniPCMultistepScheduler", {"solver_type": "bh2", "predict_x0": True}),
    ],
)
def test_solvers_equal_those_of_diffusers(
    sampler: Callable[..., Tensor], scheduler: str, settings: dict, steps: int
) -> None:
    diffusers = pytest.importorskip("diffusers")
    schedule, x = respaced_trailing(FULL, steps), start(3)
    # a denoiser that is not linear, so that no error cancels
    weights = torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(4)) / 5

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        time = torch.sin(timesteps.float() / 200).reshape(-1, 1, 1, 1)
        epsilon = torch.tanh(0.9 * x + 0.4 * torch.nn.functional.conv2d(x, weights, padding=1) + 0.2 * time)
        return torch.cat([epsilon, torch.zeros_like(epsilon)], dim=1)

    theirs = getattr(diffusers, scheduler)(
        num_train_timesteps=steps,
        trained_betas=schedule.betas.astype(np.float64),
        solver_order=2,
        prediction_type="sample",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        lower_order_final=True,
        **settings,
    )
    ours = sampler(denoise, x, schedule, no_noise)
    assert ours.std() > 0.3  # not a saturated picture
    assert float((ours - scheduler_output(theirs, denoise, x, schedule)).abs().max()) < 2e-4


def test_respacing_from_noise_starts_where_x_is_noise_and_keeps_its_distance_from_the_picture() -> None:
    for steps in (2, 5, 7, 10, 25, 250, 999):
        schedule = respaced_trailing(FULL, steps)
        assert len(schedule) == steps
        assert schedule.timesteps[-1] == 999
        assert schedule.timesteps[0] == round(1000 / steps) - 1
        assert np.ptp(np.diff(schedule.timesteps)) <= 1
        assert np.allclose(schedule.alphas_cumprod, FULL.alphas_cumprod[schedule.timesteps])
        assert schedule.alphas_cumprod_prev[0] == 1.0  # the last step goes to the picture itself
    assert respaced_trailing(FULL, 1000) is FULL
    with pytest.raises(ValueError, match="between 2 and 1000"):
        respaced_trailing(FULL, 1)


def test_quadratic_respacing_is_dense_where_little_noise_is_left() -> None:
    assert respaced_quadratic(FULL, 10).timesteps.tolist() == [9, 39, 89, 159, 249, 359, 489, 639, 809, 999]
    for steps in (2, 5, 25, 50, 250, 999, 1000):
        schedule = respaced_quadratic(FULL, steps)
        assert len(schedule) == steps
        assert schedule.timesteps[-1] == 999
        assert np.diff(schedule.timesteps).min() >= 1
        assert np.allclose(schedule.alphas_cumprod, FULL.alphas_cumprod[schedule.timesteps])
    with pytest.raises(ValueError, match="between 2 and 1000"):
        respaced_quadratic(FULL, 1001)


@pytest.mark.parametrize("respacing", [respaced, respaced_trailing, respaced_quadratic])
def test_ddim_with_eta_1_is_the_ancestral_sampler_with_the_posteriors_variance(respacing: Callable) -> None:
    schedule = respacing(FULL, 12)
    denoise = with_variance(gaussian_denoiser(DEVIATION), "fixed_small")
    pictures = []
    for sampler in (partial(ddim, eta=1.0), ancestral):
        generator = torch.Generator().manual_seed(5)
        pictures.append(sampler(denoise, start(), schedule, lambda g=generator: torch.randn(2, 3, 8, 8, generator=g)))
    assert pictures[0].std() > 0.05
    assert float((pictures[0] - pictures[1]).abs().max()) < 1e-4


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_sampler_carries_little_noise_into_a_flat_picture(name: str) -> None:
    """Of pictures without any detail (a grey N(0, 0.5^2) each) the samples have none either."""
    alphas = torch.from_numpy(FULL.alphas_cumprod)

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        alpha = alphas[timesteps].float().reshape(-1, 1, 1, 1)
        grey = x.mean(dim=(1, 2, 3), keepdim=True)
        x0 = (grey / alpha.sqrt()).clamp(-0.9, 0.9).expand_as(x)
        epsilon = to_epsilon(FULL, x, timesteps, x0)
        return torch.cat([epsilon, -torch.ones_like(epsilon)], dim=1)

    sampler, generator = SAMPLERS[name], torch.Generator().manual_seed(1)

    def draw() -> Tensor:
        return torch.randn(2, 3, 8, 8, generator=generator)

    pictures = sampler.sample(denoise, draw(), sampler.respaced(FULL, 10), draw)
    assert float(pictures.std(dim=(1, 2, 3)).max()) < 2e-3


def test_noise_that_the_network_overlooks_is_carried_on_by_the_published_ddim_only() -> None:
    """A network that recognises 90 % of the noise, and pictures of one grey: the published DDIM keeps recomputing the
    rest as noise, however many steps it takes; fresh noise washes it out; ours drops what clipping took from x_0."""

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        grey = torch.zeros_like(x)
        return torch.cat([0.9 * to_epsilon(FULL, x, timesteps, grey), -torch.ones_like(x)], dim=1)

    generator = torch.Generator().manual_seed(1)

    def draw() -> Tensor:
        return torch.randn(2, 3, 16, 16, generator=generator)

    for steps in (50, 500):
        schedule = respaced(FULL, steps)
        published = ddim(denoise, draw(), schedule, draw).std()
        assert published > 1.25 * ddim(denoise, draw(), schedule, draw, drop_clipped=True).std()
        assert published > 1.25 * ancestral(denoise, draw(), schedule, draw).std()


def published_ddim(denoise: Denoise, x: Tensor, kept: list[int]) -> Tensor:
    """The published loop, written down once more from guided-diffusion's `ddim_sample` (eta 0, clip_denoised)."""
    alphas = torch.from_numpy(FULL.alphas_cumprod).float()
    for position in reversed(range(len(kept))):
        alpha = alphas[kept[position]]
        previous = alphas[kept[position - 1]] if position else torch.tensor(1.0)
        epsilon = denoise(x, torch.full((len(x),), kept[position]))[:, :3]
        x0 = (x / alpha.sqrt() - (1 / alpha - 1).sqrt() * epsilon).clamp(-1, 1)
        recomputed = (x / alpha.sqrt() - x0) / (1 / alpha - 1).sqrt()
        x = x0 * previous.sqrt() + (1 - previous).sqrt() * recomputed
    return x.clamp(-1, 1)


@pytest.mark.parametrize("steps", [10, 25, 50, 1000])
def test_the_published_ddim_can_be_selected_and_is_the_published_loop(steps: int) -> None:
    sampler = SAMPLERS["ddim-published"]
    weights = torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(4)) / 5

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        time = torch.sin(timesteps.float() / 200).reshape(-1, 1, 1, 1)
        epsilon = torch.tanh(0.9 * x + 0.4 * torch.nn.functional.conv2d(x, weights, padding=1) + 0.2 * time)
        return torch.cat([epsilon, torch.zeros_like(epsilon)], dim=1)

    schedule = sampler.respaced(FULL, steps)
    kept = list(range(0, 1000, 1000 // steps))
    assert schedule.timesteps.tolist() == kept
    ours = sampler.sample(denoise, start(3), schedule, no_noise)
    assert float((ours - published_ddim(denoise, start(3), kept)).abs().max()) < 2e-4
    assert float((ours - SAMPLERS["ddim"].sample(denoise, start(3), schedule, no_noise)).abs().max()) > 1e-2


def test_a_number_of_steps_that_no_stride_gives_is_refused_with_the_next_one() -> None:
    with pytest.raises(ValueError, match="no whole stride through 1000 timesteps leaves 300 of them; 250 is the next"):
        SAMPLERS["ddim-published"].respaced(FULL, 300)


def test_the_published_stride_begins_short_of_pure_noise() -> None:
    """The published `ddim5` keeps 0, 200, ..., 800; at 800 the signal is 4 % of x, which pure noise lacks."""
    published = subset(FULL, np.arange(0, 1000, 200))
    assert math.sqrt(published.alphas_cumprod[-1]) == pytest.approx(0.0390, abs=5e-4)
    assert math.sqrt(respaced_trailing(FULL, 5).alphas_cumprod[-1]) < 0.0065
