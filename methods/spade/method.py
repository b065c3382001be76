"""SPADE as a method of the benchmark."""

from __future__ import annotations

from typing import ClassVar

from bench.api.method import MethodContext
from methods.common.gan.method import AdversarialMethod
from methods.spade.network import SpadeGenerator
from methods.spade.profiles import SpadeProfile, profile_for
from methods.spade.task import SpadeTask


class Spade(AdversarialMethod):
    """Semantic image synthesis with spatially-adaptive normalisation (Park et al., CVPR 2019).

    The published networks have no latent, so nothing is random at the receiver.
    """

    name: ClassVar[str] = "spade"
    title: ClassVar[str] = "SPADE"
    task = SpadeTask

    @classmethod
    def profile_for(cls, context: MethodContext) -> SpadeProfile:
        return profile_for(context)

    @classmethod
    def build_network(cls, context: MethodContext) -> SpadeGenerator:
        """The generator of the context's profile."""
        return SpadeGenerator(profile_for(context).generator)
