"""Training SMIS: one step updates generator, encoder and discriminator (Zhu et al., CVPR 2020, section 3.4)."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import MethodContext, Scene
from methods.layers import SpectralConv2d
from methods.semantic.maps import semantic_maps
from methods.smis.discriminator import SmisDiscriminator
from methods.smis.encoder import SmisEncoder, class_regions
from methods.smis.losses import (
    VggFeatures,
    discriminator_hinge,
    feature_matching,
    generator_hinge,
    kl_divergence,
    perceptual,
)
from methods.smis.network import SmisGenerator
from methods.smis.profiles import SmisProfile, profile_for
from methods.training.ema import ema_update
from methods.training.rates import linear_fall
from methods.training.task import TrainingTask


def initialise(network: nn.Module) -> None:
    """Xavier normal with gain 0.02 for all convolutions, zero biases: the authors' initialisation."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | SpectralConv2d):
            nn.init.xavier_normal_(module.weight_orig if isinstance(module, SpectralConv2d) else module.weight, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class SmisTask(TrainingTask):
    """SMIS's training on clean maps, with the latent encoded from the true image (sampled from the prior in `sample`).

    Differences from the authors' loop, both for speed: discriminator and generator learn from the same forward pass of
    the discriminator instead of one each, and the perceptual loss looks, by lot at every step, either at the whole
    picture at half size or at a quarter of it at full size.
    """

    def __init__(self, context: MethodContext, profile: SmisProfile | None = None) -> None:
        """Build networks and optimisers from PyTorch's global generator; `profile` replaces the context's own."""
        self.context = context
        self.profile = profile = profile or profile_for(context)
        self.batch_size, self.steps = profile.batch_size, profile.steps
        self.generator = SmisGenerator(profile.generator)
        self.encoder = SmisEncoder(profile.encoder)
        self.discriminator = SmisDiscriminator(profile.discriminator)
        self.networks = {
            "generator": self.generator,
            "encoder": self.encoder,
            "discriminator": self.discriminator,
        }
        for network in self.networks.values():
            initialise(network)
            network.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.emas = {"generator": self.average}
        self.features = VggFeatures()
        self.features.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.drawing = [*self.generator.parameters(), *self.encoder.parameters()]
        self.judging = list(self.discriminator.parameters())
        self.optimizers = {
            "generator": torch.optim.Adam(self.drawing, profile.generator_rate, profile.betas, foreach=True),
            "discriminator": torch.optim.Adam(self.judging, profile.discriminator_rate, profile.betas, foreach=True),
        }

    def recipe(self) -> dict[str, Any]:
        return {
            **asdict(self.profile),
            "steps": self.steps,  # the learning rates depend on it
            "perceptual_features": "VGG16 (ImageNet) relu1_1, relu2_1, relu3_1",
            "training_maps": "clean",
        }

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update of all three networks; returns the losses before weighting."""
        profile = self.profile
        self._schedule(step)
        image, labels, maps = self._inputs(scene, generator)
        regions = class_regions(image, labels, profile.encoder.labels, profile.encoder.size)
        mean, log_variance = self.encoder(regions.contiguous(memory_format=torch.channels_last))
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        fake = self.generator(maps, mean + noise * (0.5 * log_variance).exp())

        scores, features = self.discriminator(maps, torch.cat([fake, image]))
        fake_scores, real_scores = [s.chunk(2)[0] for s in scores], [s.chunk(2)[1] for s in scores]
        losses = {
            "adversarial": generator_hinge(fake_scores),
            "matching": feature_matching(
                [[f.chunk(2)[1] for f in scale] for scale in features],
                [[f.chunk(2)[0] for f in scale] for scale in features],
            ),
            "perceptual": perceptual(self.features, *self._view(fake, image, generator), profile.perceptual_layers),
            "kl": kl_divergence(mean, log_variance),
        }
        total = (
            losses["adversarial"]
            + profile.matching_weight * losses["matching"]
            + profile.perceptual_weight * losses["perceptual"]
            + profile.kl_weight * losses["kl"]
        )
        losses["discriminator"] = discriminator_hinge(real_scores, fake_scores)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        total.backward(inputs=self.drawing, retain_graph=True)
        losses["discriminator"].backward(inputs=self.judging)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self._follow(step)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _schedule(self, step: int) -> None:
        """Constant learning rates, then a linear fall to zero at the last step."""
        factor = linear_fall(step, self.steps, self.profile.constant)
        for name, rate in (
            ("generator", self.profile.generator_rate),
            ("discriminator", self.profile.discriminator_rate),
        ):
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate * factor

    def _inputs(self, scene: Scene, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Image in [-1, 1], labels and maps on the device; half of the scenes mirrored left to right."""
        mirror = torch.rand(len(scene), generator=generator) < 0.5
        maps = semantic_maps(scene.labels, scene.instances, self.profile.generator.labels)
        image = torch.where(mirror[:, None, None, None], scene.image.flip(-1), scene.image)
        labels = torch.where(mirror[:, None, None], scene.labels.flip(-1), scene.labels)
        maps = torch.where(mirror[:, None, None, None], maps.flip(-1), maps)
        device = self.context.device
        return (
            (image * 2 - 1).to(device).contiguous(memory_format=torch.channels_last),
            labels.to(device),
            maps.to(device).contiguous(memory_format=torch.channels_last),
        )

    def _view(self, fake: Tensor, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the perceptual loss looks at: both pictures at half size, or one quarter of both."""
        choice, top, left = torch.rand(3, generator=generator).tolist()
        if choice < 0.5:
            return F.avg_pool2d(fake, 2), F.avg_pool2d(image, 2)
        height, width = fake.shape[-2] // 2, fake.shape[-1] // 2
        y, x = int(top * (height + 1)), int(left * (width + 1))
        return fake[..., y : y + height, x : x + width], image[..., y : y + height, x : x + width]

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average towards the generator, batch statistics included.

        The spectral vectors are copied: averaged, they would not be unit vectors and sigma would come out too small.
        """
        ema_update(self.average, self.generator, self.profile.ema, step)
        live = dict(self.generator.named_buffers())
        for key, value in self.average.named_buffers():
            if key.endswith(("weight_u", "weight_v")):
                value.copy_(live[key])

    @torch.no_grad()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Pictures of the averaged generator for clean maps, latents drawn from the prior."""
        maps = semantic_maps(scene.labels, scene.instances, self.profile.generator.labels)
        latent = torch.randn((len(scene), *self.profile.generator.latent_shape), generator=generator)
        device = self.context.device
        return ((self.average(maps.to(device), latent.to(device)) + 1) / 2).clamp(0, 1).cpu()

    def export(self) -> dict[str, Tensor]:
        """The averaged generator's state."""
        return {key: value.detach().cpu() for key, value in self.average.state_dict().items()}
