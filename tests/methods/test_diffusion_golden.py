"""The diffusion code computes what the published SDM/GESCO code computes, on Cityscapes's and COCO-Stuff's maps.

Limits from the reference sheet: 5 x the official code's own float32 noise for the network, amplified where a step
amplifies it, and so on.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.layers import SpadeGroupNorm
from methods.common.diffusion.loss import hybrid_loss
from methods.common.diffusion.reverse import noisy_image, reverse_step
from methods.common.diffusion.samplers import ancestral, ddim
from methods.common.diffusion.schedule import linear_schedule, respaced, subset
from tests.methods.diffusion_golden import (
    DATASETS,
    LABELS,
    NETWORKS,
    Golden,
    arrays,
    layout,
    reference_network,
    thinned,
    with_map_channels,
)
from tests.methods.golden_helper import check
from tests.methods.reference_fill import checksum, filled_state

EVERY = [(network, dataset) for network in NETWORKS for dataset in DATASETS]
TITLES = {"sdm": "SDM", "gesco": "GESCO"}
#: On x_0: the network's noise times sqrt(1 / alpha_t - 1), and up to 3 by guidance.
X0_LIMIT = {999: 5e-3, 500: 2e-4, 1: 1e-5, 0: 1e-5}


@pytest.mark.parametrize(
    "name",
    ["betas", "alphas_cumprod", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2"],
)
def test_schedule_tables(name: str) -> None:
    check(
        "Noise schedule", "T = 1000", name, getattr(linear_schedule(), name), arrays()[f"schedule.{name}"], limit=1e-12
    )


def test_the_clipped_variance_is_the_posteriors_but_for_its_first_entry() -> None:
    clipped = np.exp(linear_schedule().posterior_log_variance_clipped)
    variance = arrays()["schedule.posterior_variance"]
    check("Noise schedule", "T = 1000", "posterior_variance", clipped[1:], variance[1:], limit=1e-12)
    assert clipped[0] == clipped[1]


@pytest.mark.parametrize(("network", "dataset"), EVERY)
def test_weights_are_those_of_the_fixtures(network: str, dataset: str) -> None:
    """The official network's sum over all its weights, GESCO's unused `spade_norm` included, is ours."""
    rows = [(k, s, "float32") for k, s in with_map_channels(layout("small"), LABELS[dataset] + 1)]
    if network == "sdm":
        rows = [row for row in rows if ".spade_norm." not in row[0]]
    state = filled_state(rows)
    assert checksum(state) == pytest.approx(tuple(Golden(network, dataset).meta["fill_checksum"]), rel=1e-12)
    ours = reference_network(dataset).state_dict()
    assert list(ours) == [key for key, _, _ in rows if ".spade_norm." not in key]
    assert all(np.array_equal(ours[key].numpy(), state[key]) for key in ours)


@pytest.mark.parametrize(("network", "dataset"), EVERY)
def test_network_output(network: str, dataset: str) -> None:
    golden, unet = Golden(network, dataset), reference_network(dataset)

    def compare(name: str, maps: Tensor) -> None:
        count = len(maps)
        output = unet(golden.x[:count], golden("t")[:count], unet.prepare(maps))
        limit = 5 * golden.floor
        case = f"{dataset} {name}"
        check(
            TITLES[network], case, "output", thinned(output), golden(f"forward_{name}"), limit=limit, floor=golden.floor
        )

    compare("clean", golden.semantics_clean)
    compare("noisy", golden.semantics("noisy"))
    compare("uncond", golden.semantics("uncond"))


@pytest.mark.parametrize(("network", "dataset"), EVERY)
def test_every_stage_of_the_network(network: str, dataset: str) -> None:
    """Mean, spread, largest value and first values of each stage's output, as the official network traced them."""
    golden, unet = Golden(network, dataset), reference_network(dataset)
    stages = {"time_embed": unet.time_embed, "middle_block": unet.middle_block[-1], "out": unet.out}
    for part in ("input_blocks", "output_blocks"):
        stages |= {f"{part}.{i}": block[-1] for i, block in enumerate(unet.get_submodule(part))}  # type: ignore[arg-type]
    outputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: outputs.__setitem__(name, output.clone()))
        for name, module in stages.items()
    ]
    unet(golden.x, golden("t"), unet.prepare(golden.semantics_clean))
    for hook in hooks:
        hook.remove()
    trace = golden.meta["trace_clean"]
    assert set(trace) == set(outputs)
    ours, theirs = [], []
    for name, expected in trace.items():
        output = outputs[name].double()
        assert list(output.shape) == expected["shape"], name
        values = [output.mean(), output.std(unbiased=False), output.abs().max(), *output.flatten()[:4]]
        ours.append(np.array(values) / expected["absmax"])
        stored = [expected["mean"], expected["std"], expected["absmax"], *expected["first"]]
        theirs.append(np.array(stored) / expected["absmax"])
    worst = "worst of the stages, of the stage's largest value"
    check(TITLES[network], f"{dataset} clean", worst, np.stack(ours), np.stack(theirs), limit=1e-5)


@cache
def denoised(network: str, dataset: str, timestep: int, scale: int, maps: str) -> Tensor:
    """The guided network's six channels for the state of the reverse-step fixtures."""
    golden = Golden(network, dataset)
    denoise = guided_denoiser(reference_network(dataset), golden.semantics(maps), scale)
    return denoise(golden.x[:1], torch.tensor([timestep]))


def reverse_cases() -> list[tuple[str, str, str]]:
    return [(n, d, case) for n, d in EVERY for case in Golden(n, d).names("pmv.", ".mean")]


@pytest.mark.parametrize(("network", "dataset", "case"), reverse_cases())
def test_reverse_step_with_guidance(network: str, dataset: str, case: str) -> None:
    golden = Golden(network, dataset)
    t, s, maps, *unclipped = case.split("_")
    timestep, scale = int(t[1:]), int(s[1:])
    output = denoised(network, dataset, timestep, scale, maps)
    step = reverse_step(linear_schedule(), golden.x[:1], torch.tensor([timestep]), output, clip=unclipped != ["noclip"])
    for quantity, ours, limit in (
        ("mean", step.mean, 1e-5),
        ("log_variance", step.log_variance, 1e-5),
        ("pred_xstart", step.x0, X0_LIMIT[timestep]),
    ):
        theirs = golden(f"pmv.{case}.{quantity}")
        check(TITLES[network], f"{dataset} step {case}", quantity, thinned(ours), theirs, limit=limit)


@pytest.mark.parametrize("network", NETWORKS)
def test_training_loss(network: str) -> None:
    """SDM's is the whole hybrid loss; GESCO's published code keeps the denoising term alone."""
    golden, unet, schedule = Golden(network, "cityscapes"), reference_network("cityscapes"), linear_schedule()
    image, index = golden("loss.image_uint8").float() / 127.5 - 1, golden("loss.t")
    noise = golden.drawn(6, *image.shape)
    x = noisy_image(schedule, image, index, noise)
    output = unet(x, index, unet.prepare(golden.small_maps.repeat(4, 1, 1, 1)))
    loss = hybrid_loss(schedule, output, image, x, noise, index)
    parts = {"mse": loss.denoising, "vb": loss.variational, "loss": loss.total}
    if network == "gesco":
        parts = {"loss": hybrid_loss(schedule, output, image, x, noise, index, kl_weight=0.0).total}
    for name, ours in parts.items():
        check(TITLES[network], "cityscapes training", name, ours, golden(f"loss.{name}"), limit=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_five_sampling_steps(network: str) -> None:
    golden, steps = Golden(network, "cityscapes"), Golden(network, "cityscapes").meta["respaced_timesteps"]
    denoise = guided_denoiser(reference_network("cityscapes"), golden.small_maps, 2)
    start = golden.drawn(7, 1, 3, 32, 64)
    draws = iter(golden.drawn(8, 5, 1, 3, 32, 64))
    schedule = respaced(linear_schedule(), 5)
    assert list(schedule.timesteps) == steps["ddpm5"]
    picture = ancestral(denoise, start, schedule, lambda: next(draws))
    check(TITLES[network], "cityscapes sampling", "ddpm5", thinned(picture), golden("loop.ddpm5"), limit=1e-3)
    schedule = subset(linear_schedule(), np.array(steps["ddim5"]))
    picture = ddim(denoise, start, schedule, lambda: start)
    check(TITLES[network], "cityscapes sampling", "ddim5", thinned(picture), golden("loop.ddim5"), limit=1e-3)


def test_prepared_conditioning_is_that_of_every_spade_layer() -> None:
    network, maps = reference_network("cityscapes"), Golden("sdm", "cityscapes").semantics_clean
    prepared = network.prepare(maps)
    layers = [module for module in network.modules() if isinstance(module, SpadeGroupNorm)]
    assert len(layers) == len(prepared) == 2 * (2 + 18 + 5)  # middle, decoder and up-sampling blocks of six levels
    for layer in layers:
        small = maps[:, :, :: layer.factor, :: layer.factor]  # nearest neighbour by a whole factor
        hidden = layer.mlp_shared(small)
        scale, shift = prepared[layer.slot]
        assert torch.allclose(scale, 1 + layer.mlp_gamma(hidden), atol=1e-5, rtol=0)
        assert torch.allclose(shift, layer.mlp_beta(hidden), atol=1e-5, rtol=0)
