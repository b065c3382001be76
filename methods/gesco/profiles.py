"""Network sizes and recipes of GESCO: the paper's, and the one for the embedded scenes."""

from __future__ import annotations

from dataclasses import dataclass

from methods.base import MethodContext, MethodError
from methods.diffusion.reverse import Prediction
from methods.diffusion.unet import UNetConfig

#: The paper's seven levels (section 3.3), as standard deviations like the authors' code uses them.
NOISE_LEVELS = (0.9, 0.6, 0.36, 0.22, 0.13, 0.05, 0.0)
#: "weighting perfect channel conditions higher": the published list names zero three times in nine draws.
NOISE_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0)


@dataclass(frozen=True)
class Profile:
    """A network, how it is trained, and how it is sampled where the options do not say.

    `behind_fds_from` is the step from which the `gesco_fdstrain` recipe puts the FDS block in front of the network in
    training; before it, the recipe is the paper's. `constant` is the share of the steps at full learning rate; after
    it the rate falls linearly to zero (the paper's never falls).
    """

    network: UNetConfig
    prediction: Prediction
    batch_size: int
    learning_rate: float
    warmup_steps: int
    ema_decay: float
    steps: int
    behind_fds_from: int
    sampler: str
    sampling_steps: int
    drop_rate: float = 0.2
    constant: float = 1.0
    gradient_clip: float = 1.0


def profile_for(context: MethodContext) -> Profile:
    """The profile of a context by name; MethodError for an unknown one."""
    map_channels = context.label_space.size + 1
    if context.profile == "paper":
        return Profile(
            network=UNetConfig(map_channels=map_channels),
            prediction="epsilon",
            batch_size=4,
            learning_rate=1e-4,
            warmup_steps=0,
            ema_decay=0.9999,
            steps=190_000,
            behind_fds_from=0,
            sampler="ancestral",
            sampling_steps=1000,
        )
    if context.profile == "embedded":
        return Profile(
            network=UNetConfig(
                map_channels=map_channels,
                width=16,
                multipliers=(2, 2, 4, 6),
                blocks=1,
                attention_factors=(4, 8),
                head_channels=32,
                spade_hidden=16,
                groups=8,
                patch=2,
            ),
            prediction="x0",
            batch_size=8,
            learning_rate=8e-4,
            warmup_steps=300,
            ema_decay=0.999,
            steps=5_000,
            behind_fds_from=3_000,
            sampler="ddim",
            sampling_steps=10,
            drop_rate=0.1,
            constant=0.6,
        )
    raise MethodError(f"unknown profile '{context.profile}' for gesco; known: embedded, paper")
