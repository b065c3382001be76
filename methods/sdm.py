"""SDM: semantic image synthesis by a diffusion model, the network that GESCO is built on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bench.api.method import MethodContext
from methods.common.diffusion.few_steps import FewSteps
from methods.common.diffusion.method import DiffusionMethod
from methods.common.diffusion.profile import DiffusionProfile, named_profile


class Sdm(DiffusionMethod):
    """Semantic image synthesis via diffusion models (Wang et al., arXiv 2207.00050).

    GESCO's network without what GESCO adds: trained on clean maps, all channels sent, noise on each, no FDS block.
    Guidance s = 1.5 is what its authors sample with on every data set, s as in their code: 0.5 in the way the GESCO
    paper's Eq. 13 counts.
    """

    name: ClassVar[str] = "sdm"
    title: ClassVar[str] = "SDM"
    default_options: ClassVar[Mapping[str, Any]] = {**DiffusionMethod.default_options, "guidance": 1.5}

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """Maps are kept to the last steps, where a fifth of them is dropped: the authors' guidance fine-tuning.

        Paper profile: at learning rate 2e-5. Embedded: at the falling rate, the last 40 % of the steps.
        """
        profile = replace(named_profile(context, cls.name), drop_rate=0.2)
        if context.profile == "paper":
            return replace(profile, drop_from=0.8, finetune_rate=2e-5)
        return replace(profile, drop_from=0.6)


class SdmFast(FewSteps, Sdm):
    """SDM's student of 1, 2 or 4 unguided evaluations."""

    name: ClassVar[str] = "sdm_fast"
    title: ClassVar[str] = "SDM, distilled"
    variant_of: ClassVar[str | None] = "sdm"
    teacher_class: ClassVar[type[DiffusionMethod]] = Sdm
    default_options: ClassVar[Mapping[str, Any]] = {**Sdm.default_options, "guidance": 1.0}
