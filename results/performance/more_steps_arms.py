"""The ways of sampling that `more_steps.py` compares: schedules, guidance, and trust in the noisy picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api.method import MethodContext, Received
from bench.api.metric import Comparison, MetricContext
from bench.api.registry import METRICS
from bench.api.scenes import Scene, stack
from bench.channels.registry import build_channel
from bench.data.registry import open_dataset
from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.samplers import Denoise, ddim
from methods.common.diffusion.schedule import linear_schedule, subset
from methods.gesco.method import Gesco, GescoBehindFds
from methods.sdm import Sdm
from metrics.miou import mean_iou

FULL = linear_schedule()
#: Noise of timestep t in units of the picture: x_t / sqrt(alpha_t) is the picture plus noise of this deviation.
SIGMAS = np.sqrt(1 / FULL.alphas_cumprod - 1)
SCENES = 16
LEVELS = (0, 4, 9, 19, 39, 69, 99, 199, 399, 699, 999)
METHODS: dict[str, tuple[type[DiffusionMethod], dict[str, Any]]] = {
    "sdm": (Sdm, {}),
    "gesco": (Gesco, {}),
    "gesco-nofds": (Gesco, {"fds": False}),
    "gesco_fdstrain": (GescoBehindFds, {}),
}
COARSE, FINE = range(99, 1000, 100), range(9, 1000, 10)
#: Errors of the shipped networks on nearly clean pictures: of all pixels, and of the means of 8x8 blocks.
FLOOR, BLOCK_FLOOR = 0.06, 0.02
DATA = Path(__file__).with_name("more_steps.json")


def between(low: int, high: int, timesteps: range) -> list[int]:
    """The timesteps in [low, high)."""
    return [t for t in timesteps if low <= t < high]


#: Timesteps that are evaluated. The last of them jumps to the picture, as always with `ddim`.
SCHEDULES: dict[str, list[int]] = {
    **{f"{n}": list(range(1000 // n - 1, 1000, 1000 // n)) for n in (10, 25, 50, 100, 250, 1000)},
    "fine in 700-999": [*COARSE, *between(700, 1000, FINE)],
    "fine in 400-699": [*COARSE, *between(400, 700, FINE)],
    "fine in 100-399": [*COARSE, *between(100, 400, FINE)],
    "fine in 0-99": [*COARSE, *between(0, 100, FINE)],
    "all of 0-99": [*COARSE, *range(100)],
    "fine, end at 99": between(99, 1000, FINE),
    **{f"{n}, end at 99": np.linspace(99, 999, n).round().astype(int).tolist() for n in (25, 250)},
}


@dataclass(frozen=True)
class Arm:
    """One way of sampling. `guided` is the range of timesteps in which guidance is on; `averaged` whether the
    noisy picture is weighed in (see `averaged`)."""

    method: str
    schedule: str
    guidance: float = 1.0
    guided: tuple[int, int] = (0, 1000)
    psnr: float = 100.0
    averaged: bool = False

    @property
    def key(self) -> str:
        """What names the arm in `more_steps.json`."""
        low, high = self.guided
        parts = [self.method, self.schedule, f"s={self.guidance:g}", f"in {low}-{high}", f"{self.psnr:g} dB"]
        return ", ".join([*parts, "averaged"] if self.averaged else parts)


@cache
def scenes(split: str, count: int) -> Scene:
    """The first scenes of a split."""
    source = open_dataset("streets")
    return stack([source.load(split, i) for i in source.ids(split, count)], source.label_space)


@cache
def method(name: str) -> DiffusionMethod:
    """A method with its shipped network."""
    kind, options = METHODS[name]
    return kind(MethodContext.of(open_dataset("streets")), options)


@cache
def received_maps(name: str, psnr: float) -> Tensor:
    """What the receiver conditions its network on."""
    sent = method(name).send(scenes("val", SCENES))
    channel = build_channel("awgn", psnr)
    symbols = (channel.transmit(s, torch.Generator().manual_seed(100 + i)) for i, s in enumerate(sent.symbols))
    return method(name).received_maps(Received(tuple(symbols), sent.side_info))


def clean_copy(x: Tensor, t: int) -> Tensor:
    """x_t in units of the picture: the picture plus noise of deviation SIGMAS[t]."""
    return x / float(np.sqrt(FULL.alphas_cumprod[t]))


def rms(v: Tensor) -> float:
    """The root of the mean square."""
    return float(v.square().mean().sqrt())


def blocks(v: Tensor) -> Tensor:
    """The means of 8x8 blocks, at full size."""
    return F.interpolate(F.avg_pool2d(v, 8), scale_factor=8.0, mode="bilinear")


def averaged(denoise: Denoise) -> Denoise:
    """The network's picture N and the noisy picture y, averaged by their errors: N + w (y - N), w = f^2 / (f^2 + s^2)
    where the noise is s and the network's error without noise is f; the means of 8x8 blocks, where y has an eighth of
    the noise, on their own."""

    def average(x: Tensor, timesteps: Tensor) -> Tensor:
        output = denoise(x, timesteps)
        sigma = torch.from_numpy(SIGMAS)[timesteps].float()[:, None, None, None]
        difference = x * (1 + sigma**2).sqrt() - output[:, :3]
        fine = FLOOR**2 / (FLOOR**2 + sigma**2)
        coarse = BLOCK_FLOOR**2 / (BLOCK_FLOOR**2 + (sigma / 8) ** 2)
        picture = output[:, :3] + fine * difference + (coarse - fine) * blocks(difference)
        return torch.cat([picture, output[:, 3:]], dim=1)

    return average


def denoiser(arm: Arm) -> Denoise:
    """The network of an arm under its guidance."""
    network, maps = method(arm.method).network, received_maps(arm.method, arm.psnr)
    low, high = arm.guided
    guided, plain = (guided_denoiser(network, maps, scale) for scale in (arm.guidance, 1.0))

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        return (guided if low <= int(timesteps[0]) < high else plain)(x, timesteps)

    return averaged(denoise) if arm.averaged else denoise


def pictures(arm: Arm) -> Tensor:
    """Pictures in [0, 1] of the first validation scenes; one start a scene, the same for all arms."""
    start = torch.stack([torch.randn(3, 64, 128, generator=torch.Generator().manual_seed(i)) for i in range(SCENES)])
    schedule = subset(FULL, np.array(sorted(set(SCHEDULES[arm.schedule]))))
    made = ddim(denoiser(arm), start, schedule, lambda: start, "x0", drop_clipped=True)
    return (made + 1) / 2


@cache
def metrics() -> list[Any]:
    """mIoU and LPIPS as the benchmark has them."""
    context = MetricContext("streets", open_dataset("streets").label_space)
    return [METRICS.build(name, context) for name in ("mIoU", "LPIPS")]


def scored(made: Tensor) -> dict[str, Any]:
    """mIoU and LPIPS of pictures of the first validation scenes; `left_out` is the mIoU without each scene in turn."""
    scene = scenes("val", len(made))
    compared = Comparison(made.clamp(0, 1), scene.image, scene.labels, scene.instances, None)
    counts, distances = (metric.measure(compared) for metric in metrics())
    counts = counts["gt"].astype(np.int64)
    (lpips,) = (s.value for s in metrics()[1].summarise(distances) if s.metric == "LPIPS")
    left_out = [float(mean_iou(counts.sum(axis=0) - own)) for own in counts]
    return {"mIoU": float(mean_iou(counts.sum(axis=0))), "LPIPS": lpips, "left_out": left_out}
