"""Distillation: a student of few unguided evaluations learns its teacher's guided pictures.

The teacher's whole way, guidance and steps, is in what it draws (guidance distillation: Meng et al. 2023, 2210.03142),
so that a student needs its pictures alone: of each scene's map, behind noise and receiver as in use, one picture. The
student starts as the teacher's network and learns to go in one evaluation from the picture under noise to the picture,
at the points of its own steps. The distance is perceptual, as in consistency distillation (Song et al. 2023,
2303.01469), and adversarial against the teacher's pictures, as in latent adversarial diffusion distillation (Sauer et
al. 2024, 2403.12015) and in distilling into conditional GANs (Kang et al. 2024, 2405.05967).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import platformdirs
import torch
from PIL import Image
from torch import Tensor, nn

from bench.api.files import replacing
from bench.api.method import MethodContext, Received
from bench.api.scenes import Scene
from bench.api.seeding import digest, generator_for
from bench.api.tensors import load_network
from bench.api.training.batches import moved
from bench.api.training.task import TrainingTask
from bench.api.training.update import Precision, ema_update
from methods.common.diffusion.few_steps import SAMPLER, STEPS, Distillation, few_steps
from methods.common.diffusion.reverse import noisy_image, to_x0
from methods.common.diffusion.samplers import SAMPLERS
from methods.common.diffusion.task import DiffusionTask
from methods.common.diffusion.unet import SemanticUNet
from methods.common.gan.losses import (
    PERCEPTUAL_FEATURES,
    VggFeatures,
    patch_terms,
    perceptual,
    view,
)
from methods.common.gan.method import patches
from methods.common.gan.patch import MultiScaleDiscriminator
from methods.common.gan.task import float32, initialise

if TYPE_CHECKING:
    from methods.common.diffusion.method import DiffusionMethod
    from methods.common.diffusion.profile import DiffusionProfile

#: Of VGG's relu1_1, relu2_1 and relu3_1, as in SPADE's training.
LAYERS = (0.25, 0.5, 1.0)


class Lessons:
    """Maps as the teacher's receiver gets them, and the guided pictures that it draws of them, kept on disk.

    A scene's level of noise, its noise, and what the teacher draws from are functions of its maps alone, so each scene
    has one picture, which is drawn when it is asked for first: a training that was interrupted finds it.
    """

    def __init__(self, teacher: DiffusionMethod, distillation: Distillation, drop_rate: float) -> None:
        self.teacher, self.levels, self.drop_rate = teacher, distillation.noise_levels, drop_rate
        drawn_from = {"teacher": teacher.identity(), "noise_levels": list(self.levels), "drop_rate": drop_rate}
        self.folder = platformdirs.user_cache_path("gesco-bench") / "lessons" / digest(drawn_from)[:16]

    def __call__(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """Maps (B, C + 1, H, W), and the teacher's pictures (B, 3, H, W) in [-1, 1], both on the CPU."""
        keys = _keys(scene)
        maps = self.maps(scene)
        files = [self.folder / key[:2] / f"{key}.png" for key in keys]
        absent = [place for place, file in enumerate(files) if not file.is_file()]
        if absent:
            rngs = [generator_for("picture", keys[place]) for place in absent]
            for place, picture in zip(absent, self.teacher.generate(maps[absent], rngs), strict=True):
                _write(files[place], picture)
        return maps, torch.stack([_read(file) for file in files])

    def maps(self, scene: Scene) -> Tensor:
        """The maps of scenes alone."""
        return torch.stack([self._received(scene, place, key) for place, key in enumerate(_keys(scene))])

    def _received(self, scene: Scene, place: int, key: str) -> Tensor:
        one = replace(moved(scene, lambda t: t[place : place + 1]), ids=scene.ids[place : place + 1])
        generator = generator_for("channel", key)
        sent = self.teacher.send(one)
        level = self.levels[int(torch.randint(len(self.levels), (), generator=generator))]
        lost = float(torch.rand((), generator=generator)) < self.drop_rate  # a link's: the null label is drawn then
        noisy = tuple(s + level * torch.randn(s.shape, generator=generator) for s in sent.symbols)
        maps = self.teacher.received_maps(Received(noisy, sent.side_info))[0]
        return torch.zeros_like(maps) if lost else maps


def _keys(scene: Scene) -> list[str]:
    """What the randomness of each scene depends on: its maps."""
    maps = zip(scene.labels.numpy(), scene.instances.numpy(), strict=True)
    return [hashlib.sha256(labels.tobytes() + instances.tobytes()).hexdigest()[:32] for labels, instances in maps]


def _write(file: Path, picture: Tensor) -> None:
    values = (picture * 255).round().byte().permute(1, 2, 0).numpy()
    with replacing(file) as temporary:
        Image.fromarray(values).save(temporary, format="PNG")


def _read(file: Path) -> Tensor:
    with Image.open(file) as picture:
        return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() / 127.5 - 1


class DistillationTask(DiffusionTask):
    """One evaluation from the noisy picture to the teacher's, perceptually near it and, where asked, hard to tell.

    The true pictures of the scenes are not looked at.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")
    #: the adversarial losses rise and fall by orders of magnitude while nothing is wrong
    watched: ClassVar[tuple[str, ...]] = ("perceptual",)

    def __init__(
        self,
        context: MethodContext,
        profile: DiffusionProfile,
        teacher: DiffusionMethod,
        distillation: Distillation,
    ) -> None:
        """`profile` has the network of the teacher, from whose weights the student starts."""
        super().__init__(context, profile)
        self.teacher, self.distillation = teacher, distillation
        self.lessons = Lessons(teacher, distillation, profile.drop_rate)
        start = load_network(lambda: SemanticUNet(profile.network), teacher.weights, context).state_dict()
        for network in (self.network, self.average):
            network.load_state_dict(start)
        self.features = _placed(VggFeatures(), context)
        self.discriminator: nn.Module | None = None
        if distillation.objective == "adversarial":
            self.discriminator = _placed(MultiScaleDiscriminator(patches(context)), context)
            initialise(self.discriminator)
            self.networks["discriminator"] = self.discriminator
            self.optimizers["discriminator"] = torch.optim.Adam(
                self.discriminator.parameters(), distillation.discriminator_rate, betas=(0.0, 0.9), foreach=True
            )
        points: dict[int, float] = {}
        for steps in STEPS:  # each number of steps is as likely, and so is each of its points
            for timestep in few_steps(steps).timesteps.tolist():
                points[timestep] = points.get(timestep, 0.0) + 1 / (len(STEPS) * steps)
        self.points, self.chances = torch.tensor(list(points)), torch.tensor(list(points.values()))

    def conditions(self) -> dict[str, Any]:
        """The teacher, and what is learned from it."""
        told, chosen = self.teacher.identity(), self.distillation
        adversarial = {"matching_weight": chosen.matching_weight, "discriminator_rate": chosen.discriminator_rate}
        return {
            "teacher": {
                "method": told["name"],
                "weights_sha256": told["weights_sha256"],
                **{key: told["options"][key] for key in ("guidance", "sampler", "steps")},
            },
            "objective": chosen.objective,
            "noise_levels": list(chosen.noise_levels),
            "perceptual_weight": chosen.perceptual_weight,
            "perceptual_features": PERCEPTUAL_FEATURES,
            **(adversarial if self.discriminator else {}),
        }

    def distribute(self) -> None:
        """Two networks and two backward passes a step: gradients are averaged before each optimiser's step."""
        TrainingTask.distribute(self)

    def step(self, scene: Scene, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update of student, average and discriminator; the losses before weighting, and the gradient norm."""
        maps, target = (_placed(t, self.context) for t in self.lessons(scene))
        places = torch.multinomial(self.chances, len(target), replacement=True, generator=generator)
        index = self.points[places].to(target.device)
        noise = torch.randn(target.shape, generator=generator).to(target.device)
        x = noisy_image(self.schedule, target, index, noise)
        with self.autocast():
            output = self.network_pass(x, index, maps).float()
        made = to_x0(self.schedule, x, index, output[:, :3], self.profile.prediction)
        chosen = self.distillation
        losses = {"perceptual": self._perceptual(*view(made, target, generator))}
        total = chosen.perceptual_weight * losses["perceptual"]
        if self.discriminator is not None:
            losses |= self._adversarial(self.discriminator, maps, made, target)
            total = total + losses["adversarial"] + chosen.matching_weight * losses["matching"]
        norm = self._update(total, losses.get("discriminator"), step)
        return {**{key: float(value.detach()) for key, value in losses.items()}, "gradient_norm": norm}

    def _perceptual(self, made: Tensor, target: Tensor) -> Tensor:
        with self.autocast():
            return perceptual(self.features, made, target, LAYERS)

    def _adversarial(self, network: nn.Module, maps: Tensor, made: Tensor, target: Tensor) -> dict[str, Tensor]:
        with self.autocast():
            judged = float32(network(maps, torch.cat([made, target])))
        return patch_terms(*judged)

    def _update(self, student: Tensor, discriminator: Tensor | None, step: int) -> float:
        """Both networks' gradients from one graph, then both optimisers; the norm of the student's."""
        share = self.learning_rate(step) / self.profile.learning_rate
        rates = {"unet": self.profile.learning_rate, "discriminator": self.distillation.discriminator_rate}
        parameters = {key: list(network.parameters()) for key, network in self.networks.items()}
        for key, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[key] * share
            optimizer.zero_grad(set_to_none=True)
        kept = discriminator is not None
        student.backward(inputs=parameters["unet"], retain_graph=kept)  # type: ignore[no-untyped-call]
        if discriminator is not None:
            discriminator.backward(inputs=parameters["discriminator"])  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(parameters["unet"], self.profile.gradient_clip)
        for optimizer in self.optimizers.values():
            optimizer.step()
        ema_update(self.average, self.network, self.profile.ema_decay, step)
        return float(norm)

    @torch.inference_mode()
    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        """The perceptual distance of pictures of two evaluations, as in use, to the teacher's of the same maps."""
        maps, target = (_placed(t, self.context) for t in self.lessons(scene))
        made = _placed(self._drawn(maps, generator) * 2 - 1, self.context)
        return {"perceptual": float(self._perceptual(made, target))}

    @torch.inference_mode()
    def sample(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Two evaluations of the averaged network on maps as received."""
        return self._drawn(_placed(self.lessons.maps(scene), self.context), generator)

    def _drawn(self, maps: Tensor, generator: torch.Generator) -> Tensor:
        return self.sampled(maps, generator, 1.0, SAMPLERS[SAMPLER].sample, few_steps(2))


def _placed(thing: Any, context: MethodContext) -> Any:
    """A network or a tensor on the context's device, channels last in memory."""
    return thing.to(device=context.device, memory_format=torch.channels_last)
