"""The guided denoiser: conditional and unconditional prediction in one batch (paper section 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.diffusion.samplers import Denoise
from methods.diffusion.unet import SemanticUNet


def guided_denoiser(network: SemanticUNet, maps: Tensor, scale: float) -> Denoise:
    """A function (x, timesteps) -> (B, 6, H, W) for conditioning maps (B, C, H, W).

    out = out(0) + s (out(y) - out(0)) on the three prediction channels, the variance from the conditional branch: the
    published code's reading, to which the checkpoints' s = 2 belongs (the paper's Eq. 13 writes s - 1 for this s).
    The null label is the all-zero map, edge channel included. s <= 1 means one conditional pass, as published. SPADE's
    gamma and beta are prepared here, once for all steps.
    """
    prepared = network.prepare(maps)
    if scale <= 1:
        return lambda x, timesteps: network(x, timesteps, prepared)
    null = network.prepare(torch.zeros_like(maps[:1]))
    both = {
        key: tuple(torch.cat([part, empty.expand_as(part)]) for part, empty in zip(pair, null[key], strict=True))
        for key, pair in prepared.items()
    }

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        output = network(torch.cat([x, x]), torch.cat([timesteps, timesteps]), both)  # type: ignore[arg-type]
        conditional, unconditional = output.chunk(2)
        prediction = unconditional[:, :3] + scale * (conditional[:, :3] - unconditional[:, :3])
        return torch.cat([prediction, conditional[:, 3:]], dim=1)

    return denoise
