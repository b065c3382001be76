"""SMIS's group-decreasing generator (Zhu et al., CVPR 2020, section 3.3 and Fig. 3), its encoder, and their training.

Every class owns eight latent channels. The first convolutions keep the classes apart, one group a class, and the number
of groups falls towards the output, so that classes can agree with each other. Written from the paper and checked
against the layouts of the published Cityscapes and ADE20K checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.common.gan.patch import MultiScaleDiscriminator
from methods.common.gan.task import Batch, EncodedTask
from methods.common.layers import ModulationConfig, SpadeBlock, SpectralConv2d

if TYPE_CHECKING:
    from methods.smis.method import SmisConfig, SmisEncoderConfig, SmisProfile


def arrange(maps: Tensor, groups: int) -> Tensor:
    """Repeat the edge channel behind every run of labels: each group of a convolution sees its labels and the edge.

    (B, L + 1, H, W) with the edge last -> (B, L + groups, H, W); `groups` divides L.
    """
    if groups == 1:
        return maps
    labels, edge = maps[:, :-1], maps[:, -1:]
    batch, number, height, width = labels.shape
    runs = labels.reshape(batch, groups, number // groups, height, width)
    edges = edge[:, None].expand(batch, groups, 1, height, width)
    return torch.cat([runs, edges], dim=2).reshape(batch, number + groups, height, width)


class SmisGenerator(nn.Module):
    """Semantic maps and a latent to a picture.

    Input: maps (B, labels + edges, H, W), edge last, any real values, and a latent (B, 8 * labels, h, w) at the seed's
    size; output (B, 3, H, W) in [-1, 1] where H, W are the seed's size doubled once a block that upsamples.
    """

    def __init__(self, config: SmisConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.blocks[0].in_width, config.blocks[-1].out_width
        self.fc = nn.Conv2d(config.latent_shape[0], first, 3, padding=1, groups=config.labels)
        for block in config.blocks:
            channels = config.labels + block.map_groups * config.edges
            modulation = ModulationConfig(
                channels, block.hidden, block.map_groups, block.modulation_groups, block.kernel
            )
            self.add_module(block.name, SpadeBlock(block.in_width, block.out_width, modulation, block.groups))
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, maps: Tensor, latent: Tensor) -> Tensor:
        """The picture in [-1, 1]."""
        x = self.fc(latent)
        for block in self.config.blocks:
            if block.upsample:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            small = F.interpolate(maps, size=x.shape[-2:], mode="nearest") if maps.shape[-2:] != x.shape[-2:] else maps
            arranged = arrange(small, block.map_groups) if self.config.edges else small
            x = self.get_submodule(block.name)(x, arranged)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))


def class_regions(image: Tensor, labels: Tensor, number: int, size: tuple[int, int]) -> Tensor:
    """Cut each class out of the image and stretch its bounding box to `size` by nearest neighbour.

    `image` (B, 3, H, W), `labels` (B, H, W) integers -> (B, 3 * number, *size), three channels a class, zero outside
    the class's pixels and for absent classes.
    """
    batch, width = len(image), image.shape[-1]
    mask = F.one_hot(labels, number).permute(0, 3, 1, 2).bool()
    rows = _stretch(mask.any(3), size[0])
    columns = _stretch(mask.any(2), size[1])
    picture = torch.arange(batch, device=image.device)[:, None, None, None]
    pixel = rows[..., :, None] * width + columns[..., None, :]
    flat = pixel.reshape(batch, 1, -1)
    colours = image.flatten(2).gather(2, flat.expand(-1, 3, -1)).reshape(batch, 3, number, *size)
    inside = labels.flatten(1)[picture, pixel] == torch.arange(number, device=image.device)[:, None, None]
    return (colours * inside[:, None]).transpose(1, 2).reshape(batch, 3 * number, *size)


def _stretch(occupied: Tensor, length: int) -> Tensor:
    """For a projection (B, N, L) of class masks: source indices (B, N, length) that sample its bounding interval."""
    size = occupied.shape[-1]
    first = occupied.int().argmax(-1)
    last = size - 1 - occupied.flip(-1).int().argmax(-1)
    span = (last - first + 1).unsqueeze(-1)
    steps = torch.arange(length, device=occupied.device)
    return first.unsqueeze(-1) + steps * span // length


class SmisEncoder(nn.Module):
    """Grouped convolutions, one group a class, from class regions to the mean and log variance of the latent.

    Used in training only (section 3.2): it sees what each class looks like in the true image, so that the generator
    learns to obey the latent. A receiver has no true image: there the latent is drawn from the prior N(0, I).
    Input: regions (B, 3 * labels, *size); output: two tensors (B, 8 * labels, h, w), the size halved once a layer.
    """

    def __init__(self, config: SmisEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.widths)
        for i in range(1, len(widths)):
            conv = SpectralConv2d(
                widths[i - 1] * config.labels,
                widths[i] * config.labels,
                3,
                stride=2,
                padding=1,
                groups=config.labels,
                bias=False,
            )
            norm = nn.InstanceNorm2d(widths[i] * config.labels)
            self.add_module(f"layer{i}", nn.Sequential(conv, norm))
        last, latent = widths[-1] * config.labels, config.latent
        self.fc_mu = nn.Conv2d(last, latent, 3, padding=1, groups=config.labels)
        self.fc_var = nn.Conv2d(last, latent, 3, padding=1, groups=config.labels)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        x = regions
        for i in range(1, len(self.config.widths) + 1):
            x = F.leaky_relu(self.get_submodule(f"layer{i}")(x), 0.2)
        return self.fc_mu(x), self.fc_var(x)


class SmisTask(EncodedTask):
    """SMIS's training on clean maps: the latent is encoded from the true image, drawn from the prior in samples."""

    profile: SmisProfile
    encoder: SmisEncoder

    generator_class, encoder_class, discriminator_class = SmisGenerator, SmisEncoder, MultiScaleDiscriminator

    def seen(self, batch: Batch) -> Tensor:
        """Each class's region of the true image."""
        encoder = self.profile.encoder
        regions = class_regions(batch.image, batch.labels, encoder.labels, encoder.size)
        return regions.contiguous(memory_format=torch.channels_last)
