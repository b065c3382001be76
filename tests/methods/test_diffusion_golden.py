"""The diffusion code computes what the published SDM/GESCO code computes.

Golden arrays: `data/diffusion_small.npz`, outputs of the official network at width 64 with the weights of
`reference_fill`; limits from the reference sheet (5 x the official code's own float32 noise, and so on).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from methods.diffusion.guidance import guided_denoiser
from methods.diffusion.layers import Spade
from methods.diffusion.loss import hybrid_loss
from methods.diffusion.reverse import noisy_image, reverse_step, to_epsilon, to_x0
from methods.diffusion.samplers import ancestral, ddim
from methods.diffusion.schedule import linear_schedule, respaced
from methods.diffusion.unet import SemanticUNet, UNetConfig
from tests.methods.reference_fill import checksum, filled_state

DATA = Path(__file__).parent / "data" / "diffusion_small.npz"


class Golden:
    """The fixture file, one tensor a name."""

    def __init__(self) -> None:
        with np.load(DATA) as file:
            self.arrays = {key: file[key] for key in file.files}
        self.meta = json.loads(str(self.arrays["cityscapes.meta"]))

    def __call__(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[f"cityscapes.{name}"])


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden()


@pytest.fixture(scope="module")
def network(golden: Golden) -> SemanticUNet:
    network = SemanticUNet(UNetConfig(width=64)).eval().requires_grad_(False)
    rows = [(k, list(v.shape), "float32") for k, v in network.state_dict().items()]
    state = filled_state(rows)
    assert checksum(state) == pytest.approx(tuple(golden.meta["fill_checksum"]), rel=1e-12)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    return network


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("name", ["betas", "alphas_cumprod", "posterior_mean_coef1", "posterior_mean_coef2"])
def test_schedule_tables(golden: Golden, name: str) -> None:
    assert np.abs(getattr(linear_schedule(), name) - golden.arrays[f"schedule.{name}"]).max() < 1e-12


def test_network_output(golden: Golden, network: SemanticUNet) -> None:
    limit = 5 * golden.meta["float32_vs_float64_maxabs"]
    maps = golden("semantics_clean")
    assert difference(network(golden("x"), golden("t"), network.prepare(maps)), golden("forward_clean")) <= limit
    empty = network.prepare(torch.zeros_like(maps[:1]))
    assert difference(network(golden("x")[:1], golden("t")[:1], empty), golden("forward_uncond")) <= limit


@pytest.mark.parametrize(
    ("timestep", "scale", "clip"),
    [(999, 2, True), (500, 2, True), (1, 2, True), (0, 2, True), (999, 2, False), (500, 2, False), (500, 1, False)],
)
def test_reverse_step_with_guidance(
    golden: Golden, network: SemanticUNet, timestep: int, scale: int, clip: bool
) -> None:
    x, index = golden("pmv.x"), torch.tensor([timestep])
    denoise = guided_denoiser(network, golden("semantics_clean")[:1], scale)
    step = reverse_step(linear_schedule(), x, index, denoise(x, index), clip=clip)
    name = f"pmv.t{timestep}_s{scale}_clean" + ("" if clip else "_noclip")
    assert difference(step.mean, golden(f"{name}.mean")) <= 1e-5
    assert difference(step.log_variance, golden(f"{name}.log_variance")) <= 1e-5
    assert difference(step.x0, golden(f"{name}.pred_xstart")) <= {999: 5e-3, 500: 2e-4}.get(timestep, 1e-5)


def test_training_loss(golden: Golden, network: SemanticUNet) -> None:
    schedule = linear_schedule()
    image, noise, index = golden("loss.image_uint8").float() / 127.5 - 1, golden("loss.noise"), golden("loss.t")
    x = noisy_image(schedule, image, index, noise)
    output = network(x, index, network.prepare(golden("loss.semantics").repeat(4, 1, 1, 1)))
    loss = hybrid_loss(schedule, output, image, x, noise, index)
    assert difference(loss.denoising, golden("loss.mse")) <= 1e-5
    assert difference(loss.variational, golden("loss.vb")) <= 1e-5
    assert difference(loss.total, golden("loss.loss")) <= 1e-5


def test_five_ancestral_steps(golden: Golden, network: SemanticUNet) -> None:
    schedule = respaced(linear_schedule(), 5)
    assert list(schedule.timesteps) == golden.meta["respaced_timesteps"]["ddpm5"]
    draws = iter(golden("loop.step_noise"))
    denoise = guided_denoiser(network, golden("loop.semantics"), 2)
    assert (
        difference(ancestral(denoise, golden("loop.x_T"), schedule, lambda: next(draws)), golden("loop.ddpm5")) <= 1e-3
    )


def test_prepared_conditioning_is_that_of_every_spade_layer(golden: Golden, network: SemanticUNet) -> None:
    maps = golden("semantics_clean")
    prepared = network.prepare(maps)
    layers = [module for module in network.modules() if isinstance(module, Spade)]
    assert len(layers) == len(prepared) == 2 * (2 + 18 + 5)  # middle, decoder and up-sampling blocks of six levels
    for layer in layers:
        small = maps[:, :, :: layer.factor, :: layer.factor]  # nearest neighbour by a whole factor
        hidden = layer.mlp_shared(small)
        gamma, beta = prepared[id(layer)]
        assert difference(gamma, layer.mlp_gamma(hidden)) <= 1e-5
        assert difference(beta, layer.mlp_beta(hidden)) <= 1e-5


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
