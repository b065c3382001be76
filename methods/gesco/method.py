"""GESCO's sender and receiver as methods of the benchmark.

Two variants are trained as its authors' published code does, not as the paper describes: for checkpoints made with
that code (ispamm/GESCO at 3008010) and for pictures like the published ones:

- `gesco_published`: the training script with `--add_noise` and one-hot labels. One noise map for all channels of a
  scene, levels without 0.9, L_d alone, no null label.
- `gesco_labels`: the README's command as it stands. It loses its one-hot option on the way, so that the network is
  conditioned on two channels, the label id and the edges; it adds no noise either.

In both the variance channels get no gradient, so they are sampled with a fixed variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.lazy import Tensor
from bench.api.method import MethodContext
from methods.common.diffusion.few_steps import FewSteps
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.profile import DiffusionProfile, configured, named_profile

if TYPE_CHECKING:
    import torch

    from bench.api.training.task import TrainingTask

#: From which share of the steps on `gesco_fdstrain` trains behind the block, by profile. The embedded one shares the
#: steps before that with `gesco`: what a map means is learned once, and branching saves the time.
BEHIND_FDS_FROM = {"embedded": 0.6, "paper": 0.0}


class Gesco(DiffusionMethod):
    """The paper's method: a semantic diffusion model trained on raw noisy maps, with FDS in front at the receiver.

    Guidance s is the paper's (section 4.1) and its authors': 2 for Cityscapes, 2.5 for COCO-Stuff, and so for the
    embedded data sets that stand for them; 2.5 for ADE20K by the authors' README alone. It is the published code's s,
    one more than the s of Eq. 13.
    """

    name: ClassVar[str] = "gesco"
    title: ClassVar[str] = "GESCO"
    task_class: ClassVar[str] = "methods.gesco.task:GescoTask"
    default_options: ClassVar[Mapping[str, Any]] = {
        **DiffusionMethod.default_options,
        "fds": True,
        "drop_absent": True,
        "guidance": 2.0,
    }
    papers_guidance: ClassVar[bool] = True

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """SDM's, at the size that the context names."""
        return named_profile(context, cls.name)

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """With options for the noise on the maps."""
        from methods.gesco.task import Corruption, GescoTask

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
        """`BEHIND_FDS_FROM` of the profile."""
        return BEHIND_FDS_FROM[context.profile]


class GescoFast(FewSteps, Gesco):
    """GESCO's student of 1, 2 or 4 unguided evaluations."""

    name: ClassVar[str] = "gesco_fast"
    title: ClassVar[str] = "GESCO, distilled"
    variant_of: ClassVar[str | None] = "gesco"
    teacher_class: ClassVar[type[DiffusionMethod]] = Gesco
    default_options: ClassVar[Mapping[str, Any]] = {**Gesco.default_options, "guidance": 1.0}


class GescoPublished(Gesco):
    """GESCO trained as the published code does with `--add_noise` and one-hot labels."""

    name: ClassVar[str] = "gesco_published"
    title: ClassVar[str] = "GESCO, published training"
    task_class: ClassVar[str] = "methods.gesco.task:PublishedTask"
    variant_of: ClassVar[str | None] = "gesco"

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """Trained and, at paper size, sampled as published: all 1000 ancestral steps."""
        profile = replace(super().profile_for(context), drop_rate=0.0, kl_weight=0.0, variance="fixed_small")
        return replace(profile, sampler="ancestral", sampling_steps=1000) if context.profile == "paper" else profile

    @classmethod
    def training_task(cls, context: MethodContext, options: Mapping[str, Any] | None = None) -> TrainingTask:
        """Without the options of GESCO's noise."""
        return super(Gesco, cls).training_task(context, options)


class GescoOnLabels(GescoPublished):
    """GESCO conditioned on label ids instead of one-hot maps: what the README's training command makes.

    The sender is GESCO's, one map a class; the receiver decides for the strongest map before it generates.
    """

    name: ClassVar[str] = "gesco_labels"
    title: ClassVar[str] = "GESCO on label ids"
    task_class: ClassVar[str] = "methods.gesco.task:LabelsTask"

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """For two channels of conditioning, one without edges."""
        profile = super().profile_for(context)
        return replace(profile, network=replace(profile.network, map_channels=1 + int(context.label_space.edges)))

    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """From the strongest map and the edges."""
        from methods.gesco.task import label_values

        return super().generate(label_values(maps, self.with_edges), rngs)
