"""GESCO's sender and receiver as methods of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.api.method import MethodContext
from bench.api.training.task import TrainingTask
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.profile import DiffusionProfile, named_profile
from methods.common.diffusion.task import configured
from methods.gesco.task import Corruption, GescoTask

#: From which share of the steps on `gesco_fdstrain` trains behind the block, by profile. The embedded one shares the
#: steps before that with `gesco`: what a map means is learned once, and branching saves the time.
BEHIND_FDS_FROM = {"embedded": 0.6, "paper": 0.0}


class Gesco(DiffusionMethod):
    """The paper's method: a semantic diffusion model trained on raw noisy maps, with FDS in front at the receiver.

    Guidance s is the paper's (section 4.1) and its authors': 2 for Cityscapes, 2.5 for COCO-Stuff, and so for the
    embedded data sets that stand for them. It is the published code's s, one more than the s of Eq. 13.
    """

    name: ClassVar[str] = "gesco"
    title: ClassVar[str] = "GESCO"
    default_options: ClassVar[Mapping[str, Any]] = {
        **DiffusionMethod.default_options,
        "fds": True,
        "drop_absent": True,
        "guidance": 2.0,
    }
    guidance_on: ClassVar[Mapping[str, float]] = {"coco_stuff": 2.5, "stuff": 2.5}

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        return named_profile(context, cls.name)

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        profile, [corruption] = configured(cls.profile_for(context), options or {}, cls.name, Corruption())
        return GescoTask(context, profile, cls.behind_fds_from(context), corruption)

    @classmethod
    def behind_fds_from(cls, context: MethodContext) -> float | None:
        """From which share of the steps on the training runs behind the FDS block; None: never, as in the paper."""
        return None


class GescoBehindFds(Gesco):
    """GESCO with the FDS block in training too: the arm that the paper's ablation (Table 5) lacks."""

    name: ClassVar[str] = "gesco_fdstrain"
    title: ClassVar[str] = "GESCO, trained behind FDS"
    variant_of: ClassVar[str | None] = "gesco"

    @classmethod
    def behind_fds_from(cls, context: MethodContext) -> float | None:
        return BEHIND_FDS_FROM[context.profile]
