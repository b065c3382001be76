"""The training step that the GAN methods share: one update of generator (with encoder) and discriminator."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.task import TrainingTask
from bench.api.training.update import Precision, ema_update, linear_fall
from methods.common.gan.losses import (
    PERCEPTUAL_FEATURES,
    VggFeatures,
    kl_divergence,
    patch_terms,
    perceptual,
    view,
)
from methods.common.layers import SpectralConv2d
from methods.common.semantic.maps import scene_maps, semantic_maps

if TYPE_CHECKING:
    from methods.common.gan.method import AdversarialProfile


@dataclass(frozen=True)
class Batch:
    """A training batch on the device, mirrored at random.

    `image` (B, 3, H, W) in [-1, 1] and `maps` (B, C + E, H, W) in {0, 1}, edges last, both channels-last in memory;
    `labels` (B, H, W) int64.
    """

    image: Tensor
    labels: Tensor
    maps: Tensor


@dataclass(frozen=True)
class Losses:
    """What one step minimises: scalars `generator` (with its encoder) and `discriminator`.

    `log` holds scalars before weighting.
    """

    generator: Tensor
    discriminator: Tensor
    log: dict[str, Tensor]


def initialise(network: nn.Module) -> None:
    """Xavier normal with gain 0.02 for all convolutions, zero biases: the initialisation of SPADE and its kin."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | SpectralConv2d):
            nn.init.xavier_normal_(module.weight_orig if isinstance(module, SpectralConv2d) else module.weight, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class AdversarialTask(TrainingTask):
    """Two Adams on clean maps, linearly falling rates and a moving average of the generator, which is what ships.

    Subclasses build the networks and give `losses` and `picture`; `patch_losses` is SPADE's objective for those whose
    discriminator returns patch scores and hidden features. All randomness of a step comes from its generator.

    Differences from the published loops, for speed: discriminator and generator learn from the same forward pass of
    the discriminator instead of one each, and the perceptual loss looks, by lot at every step, either at the whole
    picture at half size or at a quarter of it at full size. On CUDA the networks run in bfloat16 where PyTorch's
    autocast does; weights, losses and moving average are float32 everywhere.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")
    #: the adversarial losses rise and fall by orders of magnitude while nothing is wrong
    watched: ClassVar[tuple[str, ...]] = ("matching", "perceptual")
    #: Built from the profile's configurations of the same names.
    generator_class: ClassVar[type[nn.Module]]
    encoder_class: ClassVar[type[nn.Module] | None] = None
    discriminator_class: ClassVar[type[nn.Module]]
    profile: AdversarialProfile
    generator: nn.Module
    encoder: nn.Module | None
    discriminator: nn.Module

    def __init__(self, context: MethodContext, profile: AdversarialProfile) -> None:
        """Build the networks (from PyTorch's global generator) on the device, and their optimisers."""
        configs: Any = profile
        generator = self.generator_class(configs.generator)
        encoder = self.encoder_class(configs.encoder) if self.encoder_class else None
        discriminator = self.discriminator_class(configs.discriminator)
        self.context = context
        self.profile = profile
        self.batch_size, self.steps = profile.batch_size, profile.steps
        self.generator, self.encoder, self.discriminator = generator, encoder, discriminator
        self.networks = {"generator": generator}
        if encoder is not None:
            self.networks["encoder"] = encoder
        self.networks["discriminator"] = discriminator
        for network in self.networks.values():
            initialise(network)
            network.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prepare("auto", False)
        self.features: VggFeatures | None = None
        if profile.perceptual_weight:
            self.features = VggFeatures()
            self.features.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_parameters = [*generator.parameters(), *(encoder.parameters() if encoder is not None else ())]
        self.discriminator_parameters = list(discriminator.parameters())
        self.rates = {"generator": profile.generator_rate, "discriminator": profile.discriminator_rate}
        adam = partial(torch.optim.Adam, betas=profile.betas, foreach=True)
        self.optimizers = {
            "generator": adam(self.generator_parameters, self.rates["generator"]),
            "discriminator": adam(self.discriminator_parameters, self.rates["discriminator"]),
        }
        self.start_differently()
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.emas = {"generator": self.average}

    def start_differently(self) -> None:
        """Change the initial weights in place, where a method's profile departs from `initialise`."""

    @abstractmethod
    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        """Losses of one batch; their graphs reach generator (and encoder) and discriminator. Noise from `rng`."""

    @abstractmethod
    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] that a generator `network` makes of `maps` at a receiver."""

    def recipe(self) -> dict[str, Any]:
        """The profile, and what the perceptual term looks at."""
        # with the steps, which the learning rates depend on
        recipe = {**asdict(self.profile), "steps": self.steps, "training_maps": "clean"}
        if (recipe["generator"] or {}).get("edges"):  # recipes from before it could be without stay valid
            del recipe["generator"]["edges"]
        if self.features is not None:
            recipe["perceptual_features"] = PERCEPTUAL_FEATURES
        return recipe

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update of all networks; returns the losses before weighting."""
        self._schedule(step)
        losses = self.losses(self._batch(scene, generator), generator)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        losses.generator.backward(inputs=self.generator_parameters, retain_graph=True)  # type: ignore[no-untyped-call]
        losses.discriminator.backward(inputs=self.discriminator_parameters)  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers.values():
            optimizer.step()
        self._follow(step)
        return {name: float(value.detach()) for name, value in losses.log.items()}

    def run(self, network: nn.Module, *inputs: Tensor) -> Any:
        """`network(*inputs)`, in the training's precision where autocast allows; the result's tensors are float32."""
        if self.precision == "float32":
            return network(*inputs)
        with self.autocast():
            return float32(network(*inputs))

    def patch_losses(self, batch: Batch, fake: Tensor, rng: torch.Generator) -> Losses:
        """SPADE's objective for pictures `fake` (B, 3, H, W): hinge, feature matching, perceptual (if weighted).

        `self.discriminator(maps, pictures)` has to return (scores, features), lists with one entry a scale, for the
        fakes and behind them the originals; see `MultiScaleDiscriminator`. Draws three numbers from `rng`.
        """
        profile = self.profile
        log = patch_terms(*self.run(self.discriminator, batch.maps, torch.cat([fake, batch.image])))
        discriminator = log.pop("discriminator")
        total = log["adversarial"] + profile.matching_weight * log["matching"]
        if self.features is not None:
            log["perceptual"] = self.perceptual_term(fake, batch.image, rng)
            total = total + profile.perceptual_weight * log["perceptual"]
        return Losses(total, discriminator, {**log, "discriminator": discriminator})

    def perceptual_term(self, fake: Tensor, image: Tensor, rng: torch.Generator) -> Tensor:
        """The unweighted perceptual loss of this step's view of pictures in [-1, 1]; draws three numbers from `rng`.

        Only for a profile with a `perceptual_weight`.
        """
        assert self.features is not None
        return perceptual(self.features, *view(fake, image, rng), self.profile.perceptual_layers)

    def _schedule(self, step: int) -> None:
        """Constant learning rates, then a linear fall to zero at the last step."""
        factor = linear_fall(step, self.steps, self.profile.constant)
        for name, rate in self.rates.items():
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate * factor

    def _batch(self, scene: Scene, generator: torch.Generator) -> Batch:
        """The scenes on the device, half of them mirrored left to right."""
        mirror = torch.rand(len(scene), generator=generator) < 0.5
        image = torch.where(mirror[:, None, None, None], scene.image.flip(-1), scene.image)
        labels = torch.where(mirror[:, None, None], scene.labels.flip(-1), scene.labels)
        instances = torch.where(mirror[:, None, None], scene.instances.flip(-1), scene.instances)
        space = self.context.label_space
        maps = semantic_maps(labels, instances, space.size, space.edges)
        device = self.context.device
        return Batch(
            (image * 2 - 1).to(device).contiguous(memory_format=torch.channels_last),
            labels.to(device),
            maps.to(device).contiguous(memory_format=torch.channels_last),
        )

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
    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        """How far the averaged generator's pictures are from the originals: the perceptual term, where it has weight.

        The adversarial losses say nothing of held-out scenes.
        """
        if self.features is None:
            return {}
        made, original = ((p * 2 - 1).to(self.context.device) for p in (self.sample(scene, generator), scene.image))
        return {"perceptual": float(perceptual(self.features, made, original, self.profile.perceptual_layers))}

    @torch.no_grad()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Pictures of the averaged generator for clean maps."""
        maps = scene_maps(scene)
        pictures = self.picture(self.average, maps.to(self.context.device), generator)
        return ((pictures + 1) / 2).clamp(0, 1).cpu()

    def export(self) -> dict[str, Tensor]:
        """The averaged generator's state."""
        return {key: value.detach().cpu() for key, value in self.average.state_dict().items()}


class EncodedTask(AdversarialTask):
    """SPADE's objective for a latent that is encoded from the true image and drawn from the prior at a receiver.

    A KL term draws the encoder's latents towards N(0, I).
    """

    encoder: nn.Module

    @abstractmethod
    def seen(self, batch: Batch) -> Tensor:
        """What the encoder looks at; it answers with mean and log variance of the latent."""

    def losses(self, batch: Batch, rng: torch.Generator) -> Losses:
        """`patch_losses` of pictures with an encoded latent, and the latent's KL term."""
        mean, log_variance = self.run(self.encoder, self.seen(batch))
        noise = torch.randn(mean.shape, generator=rng).to(mean.device)
        fake = self.run(self.generator, batch.maps, mean + noise * (0.5 * log_variance).exp())
        losses = self.patch_losses(batch, fake, rng)
        kl = kl_divergence(mean, log_variance)
        total = losses.generator + self.profile.kl_weight * kl
        return replace(losses, generator=total, log={**losses.log, "kl": kl})

    def picture(self, network: nn.Module, maps: Tensor, rng: torch.Generator) -> Tensor:
        """With a latent from the prior."""
        shape = self.profile.generator.latent_shape  # type: ignore[attr-defined]
        result: Tensor = network(maps, torch.randn((len(maps), *shape), generator=rng).to(maps.device))
        return result


def float32(value: Any) -> Any:
    """Every tensor of nested lists and tuples in float32."""
    if isinstance(value, Tensor):
        return value.float()
    return type(value)(float32(v) for v in value)
