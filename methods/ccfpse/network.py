"""CC-FPSE's networks (Liu et al., NeurIPS 2019, section 3.1 and Fig. 2), from the paper, and their training (3.3).

A feature pyramid turns the semantic map into conditioning at every size; blocks of conditional convolutions lead from a
latent to the picture. Names and shapes are those of the published checkpoints, less those that
their authors' network never uses (`unused` in bench/checkpoints/catalogue.toml).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.ccfpse.layers import TAPS, ConditionalBlock
from methods.common.gan.task import Batch, EncodedTask
from methods.common.layers import SLOPE, SpectralConv2d, pointwise

if TYPE_CHECKING:
    from methods.ccfpse.method import CcFpseConfig, CcFpseDiscriminatorConfig, CcFpseEncoderConfig, CcFpseProfile


def _label_layer(in_width: int, out_width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = SpectralConv2d(in_width, out_width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.Sequential(conv, nn.BatchNorm2d(out_width)), nn.LeakyReLU(SLOPE, inplace=True))


class CcFpseGenerator(nn.Module):
    """Semantic maps and a latent to a picture.

    Input: maps (B, channels, H, W), edge last, any real values, and a latent (B, latent); output (B, 3, H, W) in
    [-1, 1], where H, W are the seed's size doubled once a block that upsamples, times `patch`.
    """

    def __init__(self, config: CcFpseConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.blocks[0].in_width, config.blocks[-1].out_width
        self.fc = nn.Linear(config.latent, first * config.seed[0] * config.seed[1])
        # the published generator holds the pyramid's layers itself, without a module around them
        self.encoders = [f"labelenc{i + 1}" for i in range(config.levels)]
        self.laterals = [f"labellat{i + 1}" for i in range(config.levels - 1)]
        self.decoders = [f"labeldec{i + 1}" for i in range(config.levels - 1)]
        width = config.pyramid
        for i, name in enumerate(self.encoders):
            layer = _label_layer(width, width, 3, 2) if i else _label_layer(config.channels, width, 3, config.patch)
            self.add_module(name, layer)
        for name in self.laterals:
            self.add_module(name, _label_layer(width, width, 1))
        for name in self.decoders:
            self.add_module(name, _label_layer(width, width, 3))
        for block in config.blocks:
            self.add_module(block.name, ConditionalBlock(block, config.channels + width))
        self.conv_img = nn.Conv2d(last, 3 * config.patch**2, 3, padding=1)

    def label_features(self, maps: Tensor) -> list[Tensor]:
        """The label pyramid, coarsest level first: `levels` tensors (B, pyramid, h, w), each twice the size before."""
        encoded = []
        x = maps
        for name in self.encoders:
            x = self.get_submodule(name)(x)
            encoded.append(x)
        levels = [x]
        for lateral, decoder, finer in zip(self.laterals, self.decoders, encoded[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest") + self.get_submodule(lateral)(finer)
            x = self.get_submodule(decoder)(x)
            levels.append(x)
        return levels

    def forward(self, maps: Tensor, latent: Tensor) -> Tensor:
        """The picture in [-1, 1]."""
        conditions = [
            torch.cat([F.interpolate(maps, size=level.shape[-2:], mode="nearest"), level], dim=1)
            for level in self.label_features(maps)
        ]
        x = self.fc(latent).reshape(len(latent), -1, *self.config.seed)
        level = 0
        for block in self.config.blocks:
            if block.upsample:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                level += 1
            x = self.get_submodule(block.name)(x, conditions[level])
        x = self.conv_img(F.leaky_relu(x, SLOPE))
        return torch.tanh(F.pixel_shuffle(x, self.config.patch))


class CcFpseEncoder(nn.Module):
    """An image (B, 3, H, W) in [-1, 1] to mean and log variance of its latent, two tensors (B, latent).

    SPADE's variational encoder (Park et al., CVPR 2019, appendix A), used in training only: a receiver has no true
    image, so there the latent is drawn from the prior N(0, I).
    """

    def __init__(self, config: CcFpseEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.widths)
        for i in range(1, len(widths)):
            conv = SpectralConv2d(widths[i - 1], widths[i], 3, stride=2, padding=1, bias=False)
            self.add_module(f"layer{i}", nn.Sequential(conv, nn.InstanceNorm2d(widths[i])))
        shrink = 2 ** len(config.widths)
        positions = (config.size[0] // shrink) * (config.size[1] // shrink)
        self.fc_mu = nn.Linear(widths[-1] * positions, config.latent)
        self.fc_var = nn.Linear(widths[-1] * positions, config.latent)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        x = image
        if x.shape[-2:] != self.config.size:
            x = F.interpolate(x, size=self.config.size, mode="bilinear", align_corners=False)
        for i in range(1, len(self.config.widths) + 1):
            x = F.leaky_relu(self.get_submodule(f"layer{i}")(x), SLOPE)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)


def _layer(in_width: int, out_width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = SpectralConv2d(in_width, out_width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.InstanceNorm2d(out_width), nn.LeakyReLU(SLOPE, inplace=True))


class CcFpseDiscriminator(nn.Module):
    """Maps (B, channels, H, W) and pictures (k * B, 3, H, W), k for each map, in the order of k whole batches.

    Feature pyramid and semantic embedding (section 3.2 and Fig. 3): it looks at the picture alone. A feature pyramid
    carries coarse meaning down to fine patches; at three sizes each patch is scored for being real, plus the dot
    product of its features with an embedding of the classes that should be there (a projection discriminator, patch by
    patch). Nothing published fixes its parameters' names.
    """

    def __init__(self, config: CcFpseDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.widths)
        self.encoders = nn.ModuleList(_layer(widths[i], widths[i + 1], 3, 2) for i in range(len(config.widths)))
        self.laterals = nn.ModuleList(_layer(width, config.pyramid, 1) for width in config.widths[1:])
        self.finals = nn.ModuleList(_layer(config.pyramid, config.features, 3) for _ in range(config.scores))
        self.real = nn.Conv2d(config.features, 1, 1)
        self.align = nn.Conv2d(config.features, config.features, 1)
        self.embedding = nn.Conv2d(config.channels, config.features, 1)

    def forward(self, maps: Tensor, pictures: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Patch scores (k * B, 1, h, w), finest first, and for each encoding layer but the first its features.

        Every layer's features are a list of one, so that feature matching, which averages over scales, averages over
        layers. The maps are shrunk before they are embedded, which is linear: the published order at less cost.
        """
        x, encoded = pictures, []
        for encoder in self.encoders:
            x = encoder(x)
            encoded.append(x)
        encoded = encoded[1:]
        top = self.laterals[-1](encoded[-1])
        levels = [top]
        for lateral, features in zip(self.laterals[-2::-1], encoded[-2::-1], strict=True):
            top = F.interpolate(top, scale_factor=2, mode="bilinear", align_corners=False) + lateral(features)
            levels.append(top)
        count = len(pictures) // len(maps)
        maps = F.avg_pool2d(maps, 2)
        scores = []
        for final, level in zip(self.finals, levels[::-1], strict=False):
            maps = F.avg_pool2d(maps, 2)
            embedded = pointwise(maps, self.embedding.weight, self.embedding.bias)
            features = final(level)
            aligned = pointwise(features, self.align.weight, self.align.bias)
            fit = (aligned * embedded.repeat(count, 1, 1, 1)).sum(1, keepdim=True)
            scores.append(pointwise(features, self.real.weight, self.real.bias) + fit)
        return scores, [[features] for features in encoded]


def start_as_identity(generator: CcFpseGenerator) -> None:
    """Let every conditional convolution begin as a copy, with 1x1 convolutions of ordinary size behind it.

    The authors' initialisation (Xavier, gain 0.02) makes kernels, a product of two such layers, so small that batch
    normalisation's epsilon swallows what they let through: the blocks wake up slowly, which a short training cannot
    afford. Here the bias of each kernel's middle tap is 1, and predictors and 1x1 convolutions have gain 1.
    """
    for block in generator.modules():
        if isinstance(block, ConditionalBlock):
            for name in ("conv_1", "conv_3", "gen_weights1", "gen_weights2", "gen_se_weights1", "gen_se_weights2"):
                for layer in block.get_submodule(name).modules():
                    if isinstance(layer, nn.Conv2d):
                        nn.init.xavier_normal_(layer.weight)
            for kernels in (block.gen_weights1[2], block.gen_weights2[2]):
                assert isinstance(kernels, nn.Conv2d)
                assert kernels.bias is not None
                with torch.no_grad():
                    kernels.bias.reshape(-1, TAPS)[:, TAPS // 2] = 1


class CcFpseTask(EncodedTask):
    """CC-FPSE's training on clean maps: the latent is encoded from the true image, drawn from the prior in samples."""

    profile: CcFpseProfile
    generator: CcFpseGenerator
    encoder: CcFpseEncoder

    generator_class, encoder_class, discriminator_class = CcFpseGenerator, CcFpseEncoder, CcFpseDiscriminator

    def start_differently(self) -> None:
        """With kernels that copy, where the profile says so."""
        if self.profile.identity_start:
            start_as_identity(self.generator)

    def seen(self, batch: Batch) -> Tensor:
        """The true image."""
        return batch.image
