"""OASIS as a method of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from bench.api.method import MethodContext
from methods.common.gan.method import AdversarialMethod
from methods.oasis.network import LATENT, OasisGenerator
from methods.oasis.profiles import OasisProfile, label_order, profile_for
from methods.oasis.task import OasisTask


class Oasis(AdversarialMethod):
    """You only need adversarial supervision for semantic image synthesis (Schönfeld et al., ICLR 2021).

    It has no edge channel. Each scene gets one noise vector, the same at every pixel.
    """

    name: ClassVar[str] = "oasis"
    title: ClassVar[str] = "OASIS"
    uses_edges: ClassVar[bool] = False
    task = OasisTask

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, options)
        self.order = list(label_order(context.label_space))

    @classmethod
    def profile_for(cls, context: MethodContext) -> OasisProfile:
        return profile_for(context)

    @classmethod
    def build_network(cls, context: MethodContext) -> OasisGenerator:
        """The generator of the context's profile."""
        return OasisGenerator(profile_for(context).generator)

    def latent_shape(self) -> tuple[int, ...]:
        return (LATENT,)

    def conditioning(self, maps: Tensor) -> Tensor:
        """Unknown comes first in OASIS's channels."""
        return maps[:, self.order]
