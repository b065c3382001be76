"""The training step that the diffusion methods share; they differ in the maps that condition it."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from methods.base import MethodContext, Scene
from methods.diffusion.guidance import guided_denoiser
from methods.diffusion.loss import KL_WEIGHT, hybrid_loss
from methods.diffusion.profile import DiffusionProfile
from methods.diffusion.reverse import noisy_image
from methods.diffusion.samplers import ancestral
from methods.diffusion.schedule import linear_schedule, respaced
from methods.diffusion.unet import SemanticUNet
from methods.training.ema import ema_update
from methods.training.rates import linear_fall
from methods.training.task import TrainingTask


class DiffusionTask(TrainingTask):
    """L = L_d + lambda L_KL (paper Eq. 8 to 10), a share of the maps replaced by the null label for guidance.

    Subclasses give the maps: `training_maps` for a step and `sample_maps` for the sample sheet.
    """

    def __init__(self, context: MethodContext, profile: DiffusionProfile) -> None:
        """Build network, average and optimiser from PyTorch's global generator."""
        self.context = context
        self.profile = profile
        self.batch_size, self.steps = profile.batch_size, profile.steps
        self.schedule = linear_schedule()
        network = SemanticUNet(profile.network)
        network.reset_parameters()
        network.to(device=context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = {"unet": network}
        self.emas = {"unet": copy.deepcopy(network).requires_grad_(False)}
        self.optimizers = {
            "unet": torch.optim.AdamW(network.parameters(), lr=profile.learning_rate, weight_decay=0.0, fused=True)
        }

    @abstractmethod
    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Conditioning maps of a training batch, (B, C + 1, H, W)."""

    @abstractmethod
    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Conditioning maps of the sample sheet, (B, C + 1, H, W): what the clean channel delivers."""

    def recipe(self) -> dict[str, Any]:
        profile = self.profile
        network = asdict(profile.network)
        if network["in_channels"] == 3:  # as below: recipes from before it could be chosen stay valid
            del network["in_channels"]
        recipe: dict[str, Any] = {
            "network": network,
            "prediction": profile.prediction,
            "batch_size": self.batch_size,
            "learning_rate": profile.learning_rate,
            "warmup_steps": profile.warmup_steps,
            "ema_decay": profile.ema_decay,
            "drop_rate": profile.drop_rate,
            "constant": profile.constant,
            "steps": self.steps,
            "gradient_clip": profile.gradient_clip,
        }
        # Only where they differ from the usual, so that a training begun before they could be chosen can go on.
        if profile.kl_weight != KL_WEIGHT:
            recipe |= {"kl_weight": profile.kl_weight}
        if profile.edges != "instances":
            recipe |= {"edges": profile.edges}
        if profile.drop_from:
            recipe |= {"drop_from": profile.drop_from, "finetune_rate": profile.finetune_rate}
        return recipe

    def dropping(self, step: int) -> bool:
        """Whether the null label is trained at this step."""
        return step >= self.profile.drop_from * self.steps

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, constant, then a linear fall to zero at the last step."""
        profile = self.profile
        full = profile.learning_rate
        if profile.finetune_rate is not None and self.dropping(step):
            full = profile.finetune_rate
        warm = (step + 1) / profile.warmup_steps if profile.warmup_steps else 1.0
        return full * min(warm, linear_fall(step, self.steps, profile.constant))

    def conditioning(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """The maps of a training batch, some of them replaced by the null label."""
        maps = self.training_maps(scene, generator, step)
        if self.dropping(step):
            dropped = torch.rand(len(scene), generator=generator) < self.profile.drop_rate
            maps[dropped] = 0.0
        return maps

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
        loss = hybrid_loss(
            self.schedule, output.float(), image, x, noise, index, self.profile.prediction, self.profile.kl_weight
        )
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
        """25 respaced ancestral steps of the averaged network, guidance 2."""
        maps = self.sample_maps(scene, generator)
        device = self.context.device
        denoise = guided_denoiser(self.emas["unet"], maps.to(device), 2.0)  # type: ignore[arg-type]

        def draw() -> Tensor:
            return torch.randn(scene.image.shape, generator=generator).to(device)

        x = ancestral(denoise, draw(), respaced(self.schedule, 25), draw, self.profile.prediction)
        return ((x + 1) / 2).clamp(0, 1).cpu()

    def export(self) -> dict[str, Tensor]:
        return self.emas["unet"].state_dict()
