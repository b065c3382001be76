"""Why DDIM is noisy on a network that predicts epsilon: the measurement behind README.md in this folder.

Takes the shipped embedded GESCO network, teaches it to predict epsilon on crops of `streets` (4000 steps, ten minutes
on an idle core), samples with the published samplers and ours, and writes a table (`ddim_noise.md`) and a picture
(`ddim_noise.png`):

    python results/performance/ddim_noise.py [TRAINING_STEPS]
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.api.method import MethodContext
from bench.api.metric import Comparison, MetricContext
from bench.api.provenance import code_provenance, commit_in_words
from bench.api.registry import METRICS
from bench.api.scenes import stack
from bench.data.registry import open_dataset
from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.loss import hybrid_loss
from methods.common.diffusion.reverse import Prediction, noisy_image
from methods.common.diffusion.samplers import SAMPLERS, ancestral, ddim, sampler_name
from methods.common.diffusion.schedule import NoiseSchedule, linear_schedule, respaced, respaced_trailing, subset
from methods.common.diffusion.unet import SemanticUNet
from methods.common.semantic.maps import semantic_maps
from methods.gesco.method import Gesco

FULL = linear_schedule()
GUIDANCE = 2.0
PICTURES = 16
SHOWN = 4
#: Rows of the picture, beside the originals: all of the epsilon network.
SHEET = ("ancestral, 25", "ancestral, 1000", "DDIM as published, timesteps 0 to 999, 25", "ddim (ours), 25")


def scenes(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Pictures in [-1, 1] and clean maps of the first scenes of a split."""
    source = open_dataset("streets")
    batch = stack([source.load(split, i) for i in source.ids(split, count)], source.label_space)
    return batch.image * 2 - 1, semantic_maps(batch.labels, batch.instances, source.label_space.size)


def taught_epsilon(network: SemanticUNet, steps: int) -> SemanticUNet:
    """The network trained on to predict epsilon, on 32x64 crops of 160 training scenes; its running average."""
    images, maps = scenes("train", 160)
    network = copy.deepcopy(network).train().requires_grad_(True)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=8e-4, weight_decay=0.0)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 8e-4 * min(1, (step + 1) / 50) * min(1, (steps - step) / (0.4 * steps))
        chosen = torch.randint(len(images), (8,), generator=generator)
        top, left = (8 * int(torch.randint(n, (1,), generator=generator)) for n in (5, 9))
        image, condition = (v[chosen, :, top : top + 32, left : left + 64] for v in (images, maps))
        condition[torch.rand(8, generator=generator) < 0.1] = 0
        index = torch.randint(1000, (8,), generator=generator)
        noise = torch.randn(image.shape, generator=generator)
        x = noisy_image(FULL, image, index, noise)
        loss = hybrid_loss(FULL, network(x, index, network.prepare(condition)), image, x, noise, index).total.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        decay = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
    return average


def overlooked(network: SemanticUNet, images: Tensor, maps: Tensor) -> dict[int, float]:
    """At some timesteps, the share of the noise in x that the network's epsilon leaves out: 1 - <predicted, true> /
    <true, true>."""
    generator = torch.Generator().manual_seed(2)
    prepared, shares = network.prepare(maps), {}
    for t in (600, 400, 200, 100, 50, 20):
        index = torch.full((len(images),), t)
        noise = torch.randn(images.shape, generator=generator)
        predicted = network(noisy_image(FULL, images, index, noise), index, prepared)[:, :3]
        shares[t] = 1 - float((predicted * noise).sum() / noise.square().sum())
    return shares


def high_pass(pictures: Tensor) -> float:
    """RMS of pictures in [0, 1] behind a 3x3 filter that keeps pixel noise (of white noise: its deviation)."""
    kernel = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
    return float(torch.nn.functional.conv2d(pictures.flatten(0, 1)[:, None], kernel[None, None]).square().mean().sqrt())


def samplers() -> dict[str, tuple[Callable[..., Tensor], NoiseSchedule]]:
    """What is compared, by the name in the table."""
    compared = {f"ancestral, {n}": (ancestral, respaced(FULL, n)) for n in (10, 25, 100, 1000)}
    compared |= {
        "DDIM as published, timesteps 0 to 999, 25": (ddim, respaced(FULL, 25)),
        "DDIM as published, its own stride 0 to 960, 25": (ddim, subset(FULL, np.arange(0, 1000, 40))),
        "DDIM as published, timesteps 39 to 999, 25": (ddim, respaced_trailing(FULL, 25)),
        "DDIM as published, timesteps 0 to 999, 100": (ddim, respaced(FULL, 100)),
    }
    for name in ("ddim", "dpmpp", "unipc", "ancestral-quad"):
        for n in (10, 25):
            sampler = SAMPLERS[sampler_name(name)]
            compared[f"{name} (ours), {n}"] = (sampler.sample, sampler.respaced(FULL, n))
    return compared


@torch.inference_mode()
def main(steps: int) -> None:
    torch.set_num_threads(1)
    source = open_dataset("streets")
    network = Gesco(MethodContext.of(source), {}).network
    with torch.inference_mode(False):
        taught = taught_epsilon(network, steps)
    networks: dict[Prediction, SemanticUNet] = {"epsilon": taught, "x0": network}
    images, maps = (v[:, :, 16:48, 32:96] for v in scenes("test", PICTURES))
    real = (images + 1) / 2
    lpips = METRICS.build("LPIPS", MetricContext("streets", source.label_space))
    sheet, rows = [real], {}
    for name, (sampler, schedule) in samplers().items():
        cells = []
        for prediction, unet in networks.items():
            generator = torch.Generator().manual_seed(1)

            def draw(generator: torch.Generator = generator) -> Tensor:
                return torch.randn(images.shape, generator=generator)

            pictures = (sampler(guided_denoiser(unet, maps, GUIDANCE), draw(), schedule, draw, prediction) + 1) / 2
            distance = lpips.measure(Comparison(pictures, real, None, None, None))
            score = next(s.value for s in lpips.summarise(distance) if s.metric == "LPIPS")
            cells += [f"{high_pass(pictures):.3f}", f"{score:.3f}"]
            if prediction == "epsilon" and name in SHEET:
                sheet.append(pictures)
        rows[name] = cells
        print(name, *cells, flush=True)
    heading = ["sampler, steps", "epsilon: noise", "epsilon: LPIPS", "x_0: noise", "x_0: LPIPS"]
    table = [heading, ["---", *["---:"] * 4], *([name, *cells] for name, cells in rows.items())]
    shares = ", ".join(f"{100 * share:.0f} % at t = {t}" for t, share in overlooked(taught, images, maps).items())
    facts = code_provenance()
    text = [
        *("| " + " | ".join(line) + " |" for line in table),
        "",
        f"Noise of the originals: {high_pass(real):.3f}. The network of epsilon overlooks of the noise in x: {shares}.",
        "",
        f"{steps} training steps, {PICTURES} pictures of 32x64, guidance {GUIDANCE:g} (Eq. 13 with s = "
        f"{GUIDANCE - 1:g}), seed 1; CPU ({facts['cpu']}), "
        f"torch {facts['packages']['torch']}, commit {commit_in_words(facts)}. "
        f"`python results/performance/ddim_noise.py {steps}`",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(text) + "\n")
    lines = torch.cat([torch.cat(list(pictures[:SHOWN]), dim=2) for pictures in sheet], dim=1)
    pixels = (lines.permute(1, 2, 0) * 255).round().byte().repeat_interleave(3, 0).repeat_interleave(3, 1)
    Image.fromarray(pixels.numpy()).save(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
