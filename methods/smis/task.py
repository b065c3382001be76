"""Training SMIS: one step updates generator, encoder and discriminator (Zhu et al., CVPR 2020, section 3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.api.method import MethodContext
from methods.common.gan.encoded import EncodedTask
from methods.common.gan.patch import MultiScaleDiscriminator
from methods.common.gan.task import Batch
from methods.smis.network import SmisEncoder, SmisGenerator, class_regions

if TYPE_CHECKING:
    from methods.smis.method import SmisProfile


class SmisTask(EncodedTask):
    """SMIS's training on clean maps: the latent is encoded from the true image, drawn from the prior in samples."""

    profile: SmisProfile
    encoder: SmisEncoder

    def __init__(self, context: MethodContext, profile: SmisProfile) -> None:
        """Build networks and optimisers from PyTorch's global generator."""
        generator, encoder = SmisGenerator(profile.generator), SmisEncoder(profile.encoder)
        super().__init__(context, profile, generator, MultiScaleDiscriminator(profile.discriminator), encoder)

    def seen(self, batch: Batch) -> Tensor:
        """Each class's region of the true image."""
        encoder = self.profile.encoder
        regions = class_regions(batch.image, batch.labels, encoder.labels, encoder.size)
        return regions.contiguous(memory_format=torch.channels_last)

    def latent_shape(self) -> tuple[int, ...]:
        return self.profile.generator.latent_shape
