"""SMIS as a method of the benchmark."""

from __future__ import annotations

from typing import ClassVar

from bench.api.method import MethodContext
from methods.common.gan.method import AdversarialMethod
from methods.smis.network import SmisGenerator
from methods.smis.profiles import SmisProfile, profile_for
from methods.smis.task import SmisTask


class Smis(AdversarialMethod):
    """Semantically multi-modal image synthesis (Zhu et al., CVPR 2020).

    The latent comes from the prior N(0, I): a receiver has no image to encode.
    """

    name: ClassVar[str] = "smis"
    title: ClassVar[str] = "SMIS"
    task = SmisTask
    network: SmisGenerator

    @classmethod
    def profile_for(cls, context: MethodContext) -> SmisProfile:
        return profile_for(context)

    @classmethod
    def build_network(cls, context: MethodContext) -> SmisGenerator:
        """The generator of the context's profile."""
        return SmisGenerator(profile_for(context).generator)

    def latent_shape(self) -> tuple[int, ...]:
        return self.network.config.latent_shape
