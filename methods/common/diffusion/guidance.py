"""What samplers call as the denoiser: the network under guidance (paper section 3.5), its variance fixed on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bench.api.lazy import Tensor, torch
from methods.common.diffusion.compiled import Evaluate
from methods.common.diffusion.layers import Modulation

if TYPE_CHECKING:
    from methods.common.diffusion.profile import Variance
    from methods.common.diffusion.samplers import Denoise
    from methods.common.diffusion.unet import SemanticUNet

#: (modulations, branches) -> evaluation; `branches` as in `SemanticUNet.forward`
Bind = Callable[[Iterable[Modulation], int], Evaluate]
#: What a picture's modulations may take of a CPU's memory; at paper size all of them take 7.6 GiB.
ROOM = 2**28
_INTERPOLATION = {"fixed_small": -1.0, "fixed_large": 1.0}


def with_variance(denoise: Denoise, variance: Variance) -> Denoise:
    """The same denoiser with its variance channels set to the end of their range that `variance` names.

    Those channels interpolate between the posterior's log variance (-1) and log beta (+1), so a fixed variance is a
    constant in them, for every sampler and every respacing.
    """
    if variance == "learned":
        return denoise

    def fixed(x: Tensor, timesteps: Tensor) -> Tensor:
        predicted, interpolation = denoise(x, timesteps).chunk(2, dim=1)
        return torch.cat([predicted, torch.full_like(interpolation, _INTERPOLATION[variance])], dim=1)

    return fixed


def guided_denoiser(network: SemanticUNet, maps: Tensor, scale: float, bind: Bind | None = None) -> Denoise:
    """A function (x, timesteps) -> (B, 6, H, W) float32 for conditioning maps (B, C, H, W).

    out = out(0) + s (out(y) - out(0)) on the three prediction channels, the variance from the conditional branch. This
    s is the published code's, to which the authors' values belong. The paper's Eq. 13, out(y) + s (out(y) - out(0)),
    counts from the conditional branch: s = 2 here is s = 1 there.
    The null label is the all-zero map, edge channel included. s <= 1 means one conditional pass, as published.

    SPADE's gamma and beta are prepared here, once for all steps. Both passes are one: the encoder, which does not see
    the maps, runs once for both, and the null label's modulations are kept once. `bind` turns modulations into the
    evaluation (x, timesteps) -> output; without it the network is called as it is, on a CPU with no more than `ROOM` of
    them kept a picture.
    """

    def bound(maps: Tensor, branches: int) -> Evaluate:
        if bind is not None:
            return bind(network.modulations(maps), branches)
        kept = network.prepare(maps, ROOM * len(maps) if maps.device.type == "cpu" else math.inf)
        return lambda x, timesteps: network(x, timesteps, kept, branches)

    if scale <= 1:
        evaluate = bound(maps, 1)
        return lambda x, timesteps: evaluate(x, timesteps).float()
    evaluate_both = bound(torch.cat([maps, torch.zeros_like(maps[:1])]), 2)

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        conditional, unconditional = evaluate_both(x, timesteps).float().chunk(2)
        return _guided(conditional, unconditional, scale)

    return denoise


def plain_denoiser(network: SemanticUNet, maps: Tensor, scale: float) -> Denoise:
    """What `guided_denoiser` computes, the way it was published: the reference for tests and for `bench speed`.

    Two evaluations a step, and in each of them every SPADE layer's gamma and beta from the maps anew.
    """

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        conditional = network(x, timesteps, network.prepare(maps)).float()
        if scale <= 1:
            return conditional  # type: ignore[no-any-return]
        unconditional = network(x, timesteps, network.prepare(torch.zeros_like(maps))).float()
        return _guided(conditional, unconditional, scale)

    return denoise


def _guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    prediction = unconditional[:, :3] + scale * (conditional[:, :3] - unconditional[:, :3])
    return torch.cat([prediction, conditional[:, 3:]], dim=1)
