"""GESCO's training step (paper sections 3.3 and 3.4)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from methods.base import MethodContext, Scene
from methods.diffusion.guidance import guided_denoiser
from methods.diffusion.loss import hybrid_loss
from methods.diffusion.reverse import noisy_image
from methods.diffusion.samplers import ancestral
from methods.diffusion.schedule import linear_schedule, respaced
from methods.diffusion.unet import SemanticUNet
from methods.gesco.profiles import NOISE_LEVELS, NOISE_WEIGHTS, profile_for
from methods.semantic.fds import fast_denoise
from methods.semantic.maps import semantic_maps
from methods.training.ema import ema_update
from methods.training.rates import linear_fall
from methods.training.task import TrainingTask


def draw_noise_levels(
    count: int,
    generator: torch.Generator,
    levels: Sequence[float] = NOISE_LEVELS,
    weights: Sequence[float] = NOISE_WEIGHTS,
) -> Tensor:
    """One standard deviation a sample (count,), PSNR 100 weighted higher."""
    index = torch.multinomial(torch.tensor(weights), count, replacement=True, generator=generator)
    return torch.tensor(levels)[index]


def corrupted_maps(maps: Tensor, sigma: Tensor, generator: torch.Generator, behind_fds: bool) -> Tensor:
    """What GESCO's receiver would see of clean maps (B, C + 1, H, W), the last channel being the edges.

    Noise of standard deviation `sigma` (B,), independent per channel, on the channels that the sender keeps (classes
    present in the scene, and the edges); the others stay zero. With `behind_fds` the FDS block follows, as at the
    receiver.
    """
    kept = (maps.amax(dim=(2, 3), keepdim=True) > 0).float()
    kept[:, -1] = 1.0
    noise = torch.randn(maps.shape, generator=generator)
    received = maps + sigma[:, None, None, None] * noise * kept
    return fast_denoise(received) * kept if behind_fds else received


class GescoTask(TrainingTask):
    """L = L_d + 0.001 L_KL on noisy maps, a share of them replaced by the null label for guidance."""

    def __init__(self, context: MethodContext, behind_fds: bool) -> None:
        """`behind_fds`: the `gesco_fdstrain` recipe, which switches at the profile's `behind_fds_from`."""
        self.context = context
        self.profile = profile_for(context)
        self.behind_fds_from = self.profile.behind_fds_from if behind_fds else None
        self.batch_size = self.profile.batch_size
        self.steps = self.profile.steps
        self.schedule = linear_schedule()
        network = SemanticUNet(self.profile.network)
        network.reset_parameters()
        network.to(device=context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = {"unet": network}
        self.emas = {"unet": copy.deepcopy(network).requires_grad_(False)}
        self.optimizers = {
            "unet": torch.optim.AdamW(network.parameters(), lr=self.profile.learning_rate, weight_decay=0.0, fused=True)
        }

    def recipe(self) -> dict[str, Any]:
        return {
            "network": asdict(self.profile.network),
            "prediction": self.profile.prediction,
            "batch_size": self.batch_size,
            "learning_rate": self.profile.learning_rate,
            "warmup_steps": self.profile.warmup_steps,
            "ema_decay": self.profile.ema_decay,
            "drop_rate": self.profile.drop_rate,
            "constant": self.profile.constant,
            "steps": self.steps,
            "gradient_clip": self.profile.gradient_clip,
            "noise_levels": list(NOISE_LEVELS),
            "noise_weights": list(NOISE_WEIGHTS),
            "behind_fds_from": self.behind_fds_from,
        }

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, constant, then a linear fall to zero at the last step."""
        warm = (step + 1) / self.profile.warmup_steps if self.profile.warmup_steps else 1.0
        return self.profile.learning_rate * min(warm, linear_fall(step, self.steps, self.profile.constant))

    def conditioning(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Received maps of a training batch, (B, C + 1, H, W)."""
        maps = semantic_maps(scene.labels, scene.instances, self.context.label_space.size)
        behind_fds = self.behind_fds_from is not None and step >= self.behind_fds_from
        received = corrupted_maps(maps, draw_noise_levels(len(scene), generator), generator, behind_fds)
        dropped = torch.rand(len(scene), generator=generator) < self.profile.drop_rate
        received[dropped] = 0.0
        return received

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        device = self.context.device
        maps = self.conditioning(scene, generator, step)
        image = scene.image * 2 - 1
        index = torch.randint(len(self.schedule), (len(scene),), generator=generator)
        noise = torch.randn(image.shape, generator=generator)
        maps, image, index, noise = (
            maps.to(device).contiguous(memory_format=torch.channels_last),
            image.to(device),
            index.to(device),
            noise.to(device),
        )
        network = self.networks["unet"]
        optimizer = self.optimizers["unet"]
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate(step)

        x = noisy_image(self.schedule, image, index, noise)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            output = network(x, index, network.prepare(maps))  # type: ignore[operator]
        loss = hybrid_loss(self.schedule, output.float(), image, x, noise, index, self.profile.prediction)
        optimizer.zero_grad(set_to_none=True)
        loss.total.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), self.profile.gradient_clip)
        optimizer.step()
        ema_update(self.emas["unet"], network, self.profile.ema_decay, step)
        return {
            "loss": float(loss.total.mean().detach()),
            "denoising": float(loss.denoising.mean().detach()),
            "variational": float(loss.variational.mean().detach()),
            "gradient_norm": float(norm),
        }

    @torch.inference_mode()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """25 respaced ancestral steps on clean maps, behind FDS where the recipe trains so."""
        clean = semantic_maps(scene.labels, scene.instances, self.context.label_space.size)
        maps = corrupted_maps(clean, torch.zeros(len(scene)), generator, self.behind_fds_from is not None)
        device = self.context.device
        denoise = guided_denoiser(self.emas["unet"], maps.to(device), 2.0)  # type: ignore[arg-type]

        def draw() -> Tensor:
            return torch.randn(scene.image.shape, generator=generator).to(device)

        x = ancestral(denoise, draw(), respaced(self.schedule, 25), draw, self.profile.prediction)
        return ((x + 1) / 2).clamp(0, 1).cpu()

    def export(self) -> dict[str, Tensor]:
        return self.emas["unet"].state_dict()
