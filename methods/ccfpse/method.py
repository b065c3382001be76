"""CC-FPSE as a method of the benchmark."""

from __future__ import annotations

from typing import ClassVar

from bench.api.method import MethodContext
from methods.ccfpse.network import CcFpseGenerator
from methods.ccfpse.profiles import CcFpseProfile, profile_for
from methods.ccfpse.task import CcFpseTask
from methods.common.gan.method import AdversarialMethod


class CcFpse(AdversarialMethod):
    """Learning to predict layout-to-image conditional convolutions (Liu et al., NeurIPS 2019).

    The latent comes from the prior N(0, I), one draw a scene. The authors' test script instead encodes the latent from
    the true test image, which lends its pictures the true colours and lighting: published pictures and numbers are
    better than what any receiver, who has no image, can have from the same weights.
    """

    name: ClassVar[str] = "ccfpse"
    title: ClassVar[str] = "CC-FPSE"
    task = CcFpseTask
    network: CcFpseGenerator

    @classmethod
    def profile_for(cls, context: MethodContext) -> CcFpseProfile:
        return profile_for(context)

    @classmethod
    def build_network(cls, context: MethodContext) -> CcFpseGenerator:
        """The generator of the context's profile."""
        return CcFpseGenerator(profile_for(context).generator)

    def latent_shape(self) -> tuple[int, ...]:
        return self.network.config.latent_shape
