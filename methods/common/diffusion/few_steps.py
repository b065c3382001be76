"""Students of a few unguided evaluations: what `gesco_fast` and `sdm_fast` share as methods of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.specs import apply_options
from bench.api.weights import weights_name
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.profile import FIXED, DiffusionProfile
from methods.common.diffusion.samplers import sampler_name
from methods.common.diffusion.schedule import NoiseSchedule, linear_schedule, subset
from methods.common.semantic.maps import NOISE_LEVELS, check_noise_levels

if TYPE_CHECKING:
    from bench.api.training.task import TrainingTask

#: Timesteps at which a student is evaluated, by the number of evaluations that it is trained for. The first leads from
#: pure noise to a picture; where a second one adds most was measured (docs/decisions/distillation.md).
POINTS = {1: (999,), 2: (160, 999), 4: (60, 160, 500, 999)}
STEPS = tuple(POINTS)
SAMPLER = "ddim"


def few_steps(steps: int) -> NoiseSchedule:
    """The schedule of a student of so many evaluations."""
    return subset(linear_schedule(), np.array(POINTS[steps]))


@dataclass(frozen=True)
class Distillation:
    """How a student learns; the fields are its training options.

    `teacher`: the teacher's weights, a file or its folder; left out, those that ship. `objective`: "regression" is the
    perceptual distance to the teacher's picture alone, "adversarial" adds a discriminator, which tells the student's
    pictures from the teacher's, and feature matching. `noise_levels`: standard deviations of the noise on the maps,
    each as likely: by default those of the benchmark's seven PSNRs. The weights are SPADE's.
    """

    teacher: str = ""
    objective: Literal["regression", "adversarial"] = "regression"
    noise_levels: tuple[float, ...] = NOISE_LEVELS
    perceptual_weight: float = 10.0
    matching_weight: float = 10.0
    discriminator_rate: float = 1e-3

    def __post_init__(self) -> None:
        """MethodError for levels that are no standard deviations."""
        check_noise_levels(self.noise_levels)


class FewSteps(DiffusionMethod):
    """A student of `teacher_class`: its sender, maps and network, but 1, 2 or 4 evaluations without guidance.

    The guidance is in the weights, which know the noise of these numbers of `steps` only, so that neither `guidance`
    nor `sampler` can be chosen.
    """

    teacher_class: ClassVar[type[DiffusionMethod]]
    papers_guidance: ClassVar[bool] = False

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """The teacher's, with the training and the sampling of a student."""
        profile = replace(
            cls.teacher_class.profile_for(context),
            warmup_steps=50,
            drop_rate=0.02,
            drop_from=0.0,
            finetune_rate=None,
            constant=0.5,
            kl_weight=0.0,
            sampler=SAMPLER,
            sampling_steps=2,
        )
        if context.profile == "paper":
            return replace(profile, learning_rate=1e-5, ema_decay=0.999, steps=20_000)
        return replace(profile, learning_rate=3e-4, ema_decay=0.995, steps=3_000)

    def _check_options(self, given: Mapping[str, Any]) -> None:
        super()._check_options(given)
        if sampler_name(self.options["sampler"]) not in ("auto", SAMPLER):
            raise MethodError(f"{self.name} is sampled with {SAMPLER}, for which it was trained; leave sampler away")
        if self.options["guidance"] != 1:
            raise MethodError(
                f"{self.name} has its guidance in the weights; leave guidance away, or use {self.teacher_class.name}"
            )
        if "steps" in given and given["steps"] not in STEPS:
            raise MethodError(
                f"option steps={given['steps']} of {self.name}: it was trained for {', '.join(map(str, STEPS))}"
            )

    def _respaced(self, steps: int) -> NoiseSchedule:
        return few_steps(steps)

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """The distillation of a teacher, whose network, prediction and edges it takes over."""
        from methods.common.diffusion.distil import DistillationTask

        fixed = (*FIXED, "prediction", "drop_from", "finetune_rate", "kl_weight")
        settings = [cls.profile_for(context), Distillation()]
        profile, distillation = apply_options(options or {}, cls.name, settings, fixed)
        teacher = cls.teacher_class(cls._of_teacher(context, distillation.teacher))
        like = {key: getattr(teacher.profile, key) for key in ("network", "prediction", "edges")}
        return DistillationTask(context, replace(profile, **like), teacher, distillation)

    @classmethod
    def _of_teacher(cls, context: MethodContext, path: str) -> MethodContext:
        """The context in which the teacher finds its weights; MethodError where there are none at `path`."""
        if not path:
            return context
        file, place = weights_name(cls.teacher_class.name, context), Path(path).expanduser()
        folder = place.parent if place.name == file else place
        if not (folder / file).is_file():
            raise MethodError(f"there is no teacher at {path}: name {file} or its folder")
        return replace(context, weights_dir=folder)
