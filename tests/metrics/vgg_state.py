"""A file that passes for torchvision's VGG16."""

from __future__ import annotations

import torch

#: Channels of VGG16's convolutions by stage (Simonyan and Zisserman, 2015, configuration D).
VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg_state() -> dict[str, torch.Tensor]:
    """torchvision's names and shapes of VGG16's convolutions, random values, and a row of its classifier."""
    generator, state, index, inputs = torch.Generator().manual_seed(0), {}, 0, 3
    for stage in VGG_STAGES:
        for outputs in stage:
            scale = (2 / (9 * inputs)) ** 0.5
            state[f"features.{index}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=generator)
            state[f"features.{index}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
            index, inputs = index + 2, outputs
        index += 1  # a pooling
    return {**state, "classifier.6.bias": torch.zeros(1000)}
