"""Why DDIM is noisy on a network that predicts epsilon: the measurement behind README.md in this folder.

Takes the shipped embedded GESCO network, teaches it to predict epsilon on crops of `streets` (500 steps, a few minutes
on an idle core), samples with the published samplers and ours, and writes the table's lines and `ddim_noise.png`:

    python results/performance/ddim_noise.py [TRAINING_STEPS]
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.plan import metric_context
from bench.scenes.base import stack
from bench.scenes.registry import open_dataset
from methods.base import MethodContext
from methods.diffusion.guidance import guided_denoiser
from methods.diffusion.loss import hybrid_loss
from methods.diffusion.reverse import Prediction, noisy_image
from methods.diffusion.samplers import ancestral, ddim, dpmpp_2m, unipc
from methods.diffusion.schedule import linear_schedule, respaced, respaced_from_noise, subset
from methods.diffusion.unet import SemanticUNet
from methods.gesco.method import Gesco
from methods.semantic.maps import semantic_maps
from metrics.base import Comparison
from metrics.registry import create_metric

FULL = linear_schedule()
GUIDANCE = 2.0
SHOWN = 4


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


def high_pass(pictures: Tensor) -> float:
    """RMS of pictures in [0, 1] behind a 3x3 filter that keeps pixel noise (of white noise: its deviation)."""
    kernel = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
    return float(torch.nn.functional.conv2d(pictures.flatten(0, 1)[:, None], kernel[None, None]).square().mean().sqrt())


def main(steps: int) -> None:
    torch.set_num_threads(1)
    source = open_dataset("streets")
    network = Gesco(MethodContext("streets", source.label_space, 64, 128), {}).network
    networks: dict[Prediction, SemanticUNet] = {"epsilon": taught_epsilon(network, steps), "x0": network}
    images, maps = (v[:, :, 16:48, 32:96] for v in scenes("test", 8))
    real = (images + 1) / 2
    lpips = create_metric("LPIPS", metric_context("streets", source.label_space, "cpu", None))
    print(f"high-pass of the originals {high_pass(real):.3f}")
    published_stride = subset(FULL, np.arange(0, 1000, 40))
    runs = {
        "ancestral, 25": (ancestral, respaced(FULL, 25), {}),
        "ancestral, 100": (ancestral, respaced(FULL, 100), {}),
        "published DDIM, 25": (ddim, respaced(FULL, 25), {}),
        "published DDIM, 25, its own stride": (ddim, published_stride, {}),
        "published DDIM, 25, from noise": (ddim, respaced_from_noise(FULL, 25), {}),
        "published DDIM, 100": (ddim, respaced(FULL, 100), {}),
        "ddim, 10": (ddim, respaced_from_noise(FULL, 10), {"drop_clipped": True}),
        "ddim, 25": (ddim, respaced_from_noise(FULL, 25), {"drop_clipped": True}),
        "dpmpp, 10": (dpmpp_2m, respaced_from_noise(FULL, 10), {"drop_clipped": True}),
        "unipc, 10": (unipc, respaced_from_noise(FULL, 10), {"drop_clipped": True}),
    }
    sheet = [real]
    with torch.inference_mode():
        for prediction, unet in networks.items():
            for name, (sampler, schedule, settings) in runs.items():
                generator = torch.Generator().manual_seed(1)

                def draw(generator: torch.Generator = generator) -> Tensor:
                    return torch.randn(images.shape, generator=generator)

                denoise = guided_denoiser(unet, maps, GUIDANCE)
                pictures = (sampler(denoise, draw(), schedule, draw, prediction, **settings) + 1) / 2
                distance = lpips.measure(Comparison(pictures, real, None, None, None))
                score = next(s.value for s in lpips.summarise(distance) if s.metric == "LPIPS")
                print(f"{prediction:8s} {name:36s} high-pass {high_pass(pictures):.3f}  LPIPS {score:.3f}", flush=True)
                if prediction == "epsilon" and name in ("ancestral, 25", "published DDIM, 25", "ddim, 25"):
                    sheet.append(pictures)
    rows = torch.cat([torch.cat(list(pictures[:SHOWN]), dim=2) for pictures in sheet], dim=1)
    pixels = (rows.permute(1, 2, 0) * 255).round().byte().repeat_interleave(3, 0).repeat_interleave(3, 1)
    Image.fromarray(pixels.numpy()).save(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
