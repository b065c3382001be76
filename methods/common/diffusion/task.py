"""The training step that the diffusion methods share; they differ in the maps that condition it."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import Scene
from bench.api.training.batches import moved
from bench.api.training.task import TrainingTask
from bench.api.training.update import Precision, ema_update, linear_fall
from methods.common.diffusion.compiled import compiled_pass
from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.layers import Attention, DecoderBlock, EncoderBlock, Modulation, SpadeGroupNorm
from methods.common.diffusion.loss import KL_WEIGHT, HybridLoss, hybrid_loss
from methods.common.diffusion.profile import DiffusionProfile, check_sides
from methods.common.diffusion.reverse import noisy_image
from methods.common.diffusion.samplers import ancestral
from methods.common.diffusion.schedule import NoiseSchedule, linear_schedule, respaced
from methods.common.diffusion.unet import SemanticUNet
from methods.common.semantic.maps import scene_maps

#: A sampler's function: (denoise, x, schedule, draw, prediction) -> picture in [-1, 1].
Sample = Callable[..., Tensor]
#: Below this loss scale float16 has not overflowed by chance: the gradients themselves are infinite.
LEAST_SCALE = 1e-4


class NetworkPass(nn.Module):
    """Conditioning and denoising as one forward pass, which is what a distributed wrapper can wrap."""

    def __init__(self, network: SemanticUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, index: Tensor, maps: Tensor) -> Tensor:
        """The six channels for x (B, 3, H, W) at timesteps `index` (B,) under `maps` (B, C + 1, H, W)."""
        result: Tensor = self.network(x, index, self.network.prepare(maps))
        return result


class DiffusionTask(TrainingTask):
    """L = L_d + lambda L_KL (paper Eq. 8 to 10, but see methods/common/diffusion/loss.py on Eqs. 8 and 9).

    A share of the maps is replaced by the null label for guidance. On clean maps, as SDM is trained; subclasses give
    others: `training_maps` for a step, `sample_maps` for the sample sheet, and `conditions`, which says so. Everything
    is drawn on the device: at paper size a step's noise takes the CPU longer than the network takes a GPU. So a
    training on CUDA draws other numbers than one on the CPU; both resume exactly.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16", "float16")

    def __init__(self, context: MethodContext, profile: DiffusionProfile) -> None:
        """Build network, average and optimiser from PyTorch's global generator."""
        if profile.batch_size < 1:
            raise MethodError(f"the batch size has to be at least 1, not {profile.batch_size}")
        check_sides(context, profile)
        self.context = context
        self.profile = profile
        self.batch_size, self.steps = profile.batch_size, profile.steps
        self.schedule = linear_schedule()
        try:
            network = SemanticUNet(profile.network)
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            raise MethodError(f"a network with these options cannot be built: {error}") from None
        network.reset_parameters()
        network.to(device=context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.networks = {"unet": network}
        self.average: SemanticUNet = copy.deepcopy(network).requires_grad_(False).eval()
        self.emas = {"unet": self.average}
        self.optimizers = {
            "unet": torch.optim.AdamW(network.parameters(), lr=profile.learning_rate, weight_decay=0.0, fused=True)
        }
        self.network_pass: nn.Module = NetworkPass(network)
        self.prepare("auto", False)

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Conditioning maps of a training batch, (B, C + 1, H, W). Scene and generator are on the same device."""
        return self.sample_maps(scene, generator)

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Conditioning maps of the sample sheet, (B, C + 1, H, W): what the clean channel delivers."""
        return scene_maps(scene, self.profile.edges)

    def conditions(self) -> dict[str, Any]:
        """What the recipe says of the maps."""
        return {"training_maps": "clean"}

    def recipe(self) -> dict[str, Any]:
        """The settings, as trainings before each of them could be chosen wrote them."""
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
        return recipe | self.conditions()

    def facts(self) -> dict[str, Any]:
        """How the network has to be sampled."""
        return {"sampling": self.profile.sampling}

    def prepare(self, precision: Precision, checkpoint_gradients: bool, compiled: bool | None = None) -> None:
        """With a loss scale for float16; the gradients may be computed again, and the passes compiled."""
        super().prepare(precision, False)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")
        if checkpoint_gradients:
            recompute_in_backward(self.network)  # for good: a network is prepared so once
        if self.device.type == "cuda" if compiled is None else compiled:
            self.network_pass = compiled_pass(NetworkPass(self.network))

    def distribute(self) -> None:
        """One forward and one backward pass a step: PyTorch averages while the backward pass runs."""
        device = [self.device] if self.device.type == "cuda" else None
        # the network has no buffers; the averages of the other processes are neither shown nor written
        self.network_pass = nn.parallel.DistributedDataParallel(
            self.network_pass, device_ids=device, gradient_as_bucket_view=True
        )

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
            dropped = torch.rand(len(scene), generator=generator, device=maps.device) < self.profile.drop_rate
            maps[dropped] = 0.0
        return maps

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update of network and average; mean losses and gradient norm."""
        scene, generator = self._on_device(scene, generator)
        maps = self.conditioning(scene, generator, step)
        image = scene.image * 2 - 1
        index = torch.randint(len(self.schedule), (len(scene),), generator=generator, device=image.device)
        loss = self._loss(self.network_pass, image, index, maps, generator)
        optimizer, scaler = self.optimizers["unet"], self.scaler
        assert scaler is not None
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss.total.mean()).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.profile.gradient_clip)
        scaler.step(optimizer)
        scaler.update()
        ema_update(self.average, self.network, self.profile.ema_decay, step)
        return _means(loss) | self._gradient_log(float(norm))

    def _gradient_log(self, norm: float) -> dict[str, float]:
        """The gradient norm before clipping; with float16 the loss scale.

        And no norm where the scaled gradients overflowed: then the step was left out and the scale halved, which is how
        the scale is found.
        """
        if self.precision != "float16" or self.scaler is None:
            return {"gradient_norm": norm}
        scale = self.scaler.get_scale()
        overflow = not math.isfinite(norm) and scale > LEAST_SCALE
        return {"loss_scale": scale} if overflow else {"loss_scale": scale, "gradient_norm": norm}

    def _loss(
        self, network: nn.Module, image: Tensor, index: Tensor, maps: Tensor, generator: torch.Generator
    ) -> HybridLoss:
        """The loss of `network`, a `NetworkPass`, for pictures (B, 3, H, W) in [-1, 1] with fresh noise."""
        noise = torch.randn(image.shape, generator=generator, device=image.device)
        x = noisy_image(self.schedule, image, index, noise)
        with self.autocast():
            output = network(x, index, maps.contiguous(memory_format=torch.channels_last))
        profile = self.profile
        return hybrid_loss(self.schedule, output.float(), image, x, noise, index, profile.prediction, profile.kl_weight)

    def _on_device(self, scene: Scene, generator: torch.Generator) -> tuple[Scene, torch.Generator]:
        """The scenes on the device, and a generator there: on CUDA one that `generator` seeds."""
        device = self.context.device
        if device.type == "cpu":
            return scene, generator
        seed = int(torch.randint(2**62, (), generator=generator))
        return moved(scene, lambda t: t.to(device, non_blocking=True)), torch.Generator(device).manual_seed(seed)

    @torch.inference_mode()
    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        """The averaged network's loss on maps as at the end of the training, none dropped; timesteps evenly spread."""
        scene, generator = self._on_device(scene, generator)
        maps = self.training_maps(scene, generator, self.steps)
        count = len(scene)
        places = torch.arange(count, device=maps.device) + torch.rand(count, generator=generator, device=maps.device)
        index = (places * len(self.schedule) / count).long().clamp(max=len(self.schedule) - 1)
        return _means(self._loss(NetworkPass(self.average), scene.image * 2 - 1, index, maps, generator))

    @torch.inference_mode()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """25 respaced ancestral steps of the averaged network, guidance 2 (the paper's Eq. 13 with s = 1)."""
        maps = self.sample_maps(scene, generator).to(self.context.device)
        return self.sampled(maps, generator, 2.0, ancestral, respaced(self.schedule, 25))

    def sampled(
        self, maps: Tensor, generator: torch.Generator, guidance: float, sample: Sample, schedule: NoiseSchedule
    ) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] of the averaged network for maps on the device, by a function of samplers."""

        def draw() -> Tensor:
            return torch.randn((len(maps), 3, *maps.shape[2:]), generator=generator).to(maps.device)

        with self.autocast():
            denoise = guided_denoiser(self.average, maps, guidance)
            x = sample(denoise, draw(), schedule, draw, self.profile.prediction)
        return ((x + 1) / 2).clamp(0, 1).cpu()

    def export(self) -> dict[str, Tensor]:
        """The averaged network's state."""
        return self.average.state_dict()


def _means(loss: HybridLoss) -> dict[str, float]:
    """A batch's mean losses under their names in the log."""
    parts = {"loss": loss.total, "denoising": loss.denoising, "variational": loss.variational}
    return {name: float(value.detach().mean()) for name, value in parts.items()}


def recompute_in_backward(network: nn.Module) -> None:
    """From now on the blocks of a `SemanticUNet` keep only their inputs, and the backward pass computes them again.

    Less memory for about a third more computation (Chen et al. 2016, 1604.06174). That includes SPADE's gamma and beta,
    the largest part: `prepare` then hands the resized map through, and each layer makes its own from it inside its
    block. For training only, where a map is used once. Parameters, their names and what comes out are as before.
    """
    for module in network.modules():
        if isinstance(module, SpadeGroupNorm):
            _modulate_late(module)
        elif isinstance(module, EncoderBlock | DecoderBlock | Attention):
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)  # type: ignore[method-assign]


def _modulate_late(spade: SpadeGroupNorm) -> None:
    modulation, forward = spade.modulation, spade.forward

    def maps_only(maps: Tensor) -> Modulation:
        return maps, maps

    def modulate_and_forward(x: Tensor, prepared: Modulation) -> Tensor:
        return forward(x, modulation(prepared[0]))

    spade.modulation = maps_only  # type: ignore[method-assign]
    spade.forward = modulate_and_forward  # type: ignore[assignment, method-assign]
