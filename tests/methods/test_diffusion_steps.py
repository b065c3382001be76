"""Properties of single diffusion steps and of whole samplers, and the variance that a step takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from methods.common.diffusion.guidance import with_variance
from methods.common.diffusion.loss import hybrid_loss
from methods.common.diffusion.reverse import noisy_image, reverse_step, to_epsilon, to_x0
from methods.common.diffusion.samplers import ancestral, ddim
from methods.common.diffusion.schedule import linear_schedule, respaced


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max())


def test_x0_prediction_is_the_same_information_as_epsilon() -> None:
    schedule, generator = linear_schedule(), torch.Generator().manual_seed(0)
    x0 = torch.rand(4, 3, 8, 8, generator=generator) * 2 - 1
    noise = torch.randn(x0.shape, generator=generator)
    index = torch.tensor([20, 250, 500, 999])
    x = noisy_image(schedule, x0, index, noise)
    assert difference(to_x0(schedule, x, index, noise, "epsilon"), x0) < 1e-3
    assert difference(to_epsilon(schedule, x, index, to_x0(schedule, x, index, x0, "x0")), noise) < 1e-4
    variance = torch.zeros_like(x0)
    perfect = hybrid_loss(schedule, torch.cat([x0, variance], 1), x0, x, noise, index, "x0")
    assert float(perfect.denoising.abs().max()) == 0.0
    off = hybrid_loss(schedule, torch.cat([x0 + 0.1, variance], 1), x0, x, noise, index, "x0")
    alpha = torch.from_numpy(schedule.alphas_cumprod)[index].float()
    assert difference(off.denoising, 0.01 / (1 - alpha).clamp(min=0.05)) < 1e-5


def test_samplers_recover_the_picture_of_a_perfect_denoiser() -> None:
    target = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
    schedule = respaced(linear_schedule(), 20)
    full = linear_schedule()

    def perfect(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        epsilon = to_epsilon(full, x, timesteps, target)
        return torch.cat([epsilon, torch.full_like(epsilon, -1.0)], dim=1)

    generator = torch.Generator().manual_seed(2)

    def draw() -> torch.Tensor:
        return torch.randn(target.shape, generator=generator)

    for sampler in (ancestral, ddim):
        assert difference(sampler(perfect, draw(), schedule, draw), target) < 2e-3


def test_respacing_keeps_the_trained_timesteps() -> None:
    schedule = respaced(linear_schedule(), 25)
    assert schedule.timesteps[0] == 0
    assert schedule.timesteps[-1] == 999
    assert np.allclose(schedule.alphas_cumprod, linear_schedule().alphas_cumprod[schedule.timesteps])
    with pytest.raises(ValueError, match="between 2 and 1000"):
        respaced(linear_schedule(), 2000)


@pytest.mark.parametrize("steps", [1000, 25])
def test_fixed_variances_are_the_posteriors_and_beta(steps: int) -> None:
    """As Ho et al. 2020 define them, whatever an untrained variance head says; the prediction stays."""
    schedule, generator = respaced(linear_schedule(), steps), torch.Generator().manual_seed(0)
    x, output = torch.randn(1, 3, 4, 4, generator=generator), 5 * torch.randn(1, 6, 4, 4, generator=generator)
    alphas = np.append(1.0, schedule.alphas_cumprod)
    for i in (1, 5, steps - 1):
        index = torch.tensor([i])
        beta = 1 - alphas[i + 1] / alphas[i]
        expected = {"fixed_small": beta * (1 - alphas[i]) / (1 - alphas[i + 1]), "fixed_large": beta}
        learned = reverse_step(schedule, x, index, with_variance(lambda *_: output, "learned")(x, index))
        for name, variance in expected.items():
            denoise = with_variance(lambda *_: output, name)  # type: ignore[arg-type]
            step = reverse_step(schedule, x, index, denoise(x, index))
            assert torch.allclose(step.log_variance, torch.full_like(x, float(np.log(variance))), atol=1e-4)
            assert torch.equal(step.mean, learned.mean)
            if i == 1:  # near the last timestep both ends of the range are the same
                assert not torch.allclose(step.log_variance, learned.log_variance)
