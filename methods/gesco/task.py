"""GESCO's training: noisy maps (paper section 3.3), and as its authors' published code does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from bench.api.scenes import Scene
from methods.common.diffusion.task import DiffusionTask
from methods.common.semantic.maps import NOISE_LEVELS, check_noise_levels, fast_denoise, scene_maps, strongest

if TYPE_CHECKING:
    from methods.common.diffusion.profile import DiffusionProfile

#: "weighting perfect channel conditions higher": the published list names zero three times in nine draws.
NOISE_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0)
#: Standard deviations of the published training noise; each is as likely as the next, so zero has a third.
PUBLISHED_LEVELS = (0.6, 0.36, 0.22, 0.13, 0.08, 0.05, 0.0, 0.0, 0.0)

#: "independent": noise of its own on every channel that the sender keeps, which is what the channel does. "broadcast":
#: one noise map for all channels, absent classes included, which is what the published training code does.
NoiseKind = Literal["independent", "broadcast"]


@dataclass(frozen=True)
class Corruption:
    """The noise that GESCO is trained with; the fields are its training options.

    `noise_levels`: the standard deviations to draw from, one a scene; where they are not named, the paper's seven, or
    the published code's for "broadcast" noise. `noise_weights`: how often each is drawn, in relation; where they are
    not named, the clean level 0 three times as often as any other. (The published code draws one level a batch, which
    makes the same mixture.)
    """

    noise: NoiseKind = "independent"
    noise_levels: tuple[float, ...] | None = None
    noise_weights: tuple[float, ...] | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels in force."""
        return self.noise_levels or (
            NOISE_LEVELS if self.noise == "independent" else tuple(dict.fromkeys(PUBLISHED_LEVELS))
        )

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights in force, one a level."""
        return self.noise_weights or tuple(1.0 if level else 3.0 for level in self.levels)

    def check(self) -> None:
        """MethodError for levels or weights that cannot be drawn from."""
        check_noise_levels(self.levels)
        if len(self.weights) != len(self.levels):
            raise MethodError(
                f"noise_weights has {len(self.weights)} entries for {len(self.levels)} noise_levels {self.levels}; "
                "give one weight a level"
            )
        if min(self.weights) < 0 or not any(self.weights):
            raise MethodError(f"noise_weights cannot be negative or all zero: {self.weights}")


def draw_noise_levels(
    count: int,
    generator: torch.Generator,
    levels: Sequence[float] = NOISE_LEVELS,
    weights: Sequence[float] = NOISE_WEIGHTS,
) -> Tensor:
    """One standard deviation a sample (count,), PSNR 100 weighted higher; on the generator's device."""
    device = generator.device
    index = torch.multinomial(torch.tensor(weights, device=device), count, replacement=True, generator=generator)
    return torch.tensor(levels, device=device)[index]


def with_broadcast_noise(maps: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """Maps (B, C + 1, H, W) with one noise (B, 1, H, W) times sigma (B,) on all channels, absent and edges too."""
    return maps + sigma[:, None, None, None] * noise


def corrupted_maps(
    maps: Tensor,
    sigma: Tensor,
    generator: torch.Generator,
    behind_fds: bool,
    noise: NoiseKind = "independent",
    with_edges: bool = True,
) -> Tensor:
    """What GESCO's receiver would see of clean maps (B, C + E, H, W), the last channel being the edges, if any.

    Noise of standard deviation `sigma` (B,), independent per channel, on the channels that the sender keeps (classes
    present in the scene, and the edges); the others stay zero. With `behind_fds` the FDS block follows, as at the
    receiver. For "broadcast" noise see `NoiseKind`. Maps, sigma and generator on one device.
    """
    kept = (maps.amax(dim=(2, 3), keepdim=True) > 0).float()
    if with_edges:
        kept[:, -1] = 1.0
    if noise == "broadcast":
        drawn = torch.randn((len(maps), 1, *maps.shape[2:]), generator=generator, device=maps.device)
        received = with_broadcast_noise(maps, sigma, drawn)
    else:
        drawn = torch.randn(maps.shape, generator=generator, device=maps.device)
        received = maps + sigma[:, None, None, None] * drawn * kept
    return fast_denoise(received) * kept if behind_fds else received


class GescoTask(DiffusionTask):
    """Semantic diffusion on noisy maps."""

    def __init__(
        self,
        context: MethodContext,
        profile: DiffusionProfile,
        behind_fds_from: float | None = None,
        corruption: Corruption | None = None,
    ) -> None:
        """`behind_fds_from`: from which share of the steps on the FDS block stands before the network in training too.

        None, for both: the paper's, which has it never; it is the recipe of `gesco_fdstrain`.
        """
        self.corruption = corruption or Corruption()
        self.corruption.check()
        super().__init__(context, profile)
        self.behind_fds_from = behind_fds_from

    def conditions(self) -> dict[str, Any]:
        """The noise, and from where on FDS follows."""
        noise = {} if self.corruption.noise == "independent" else {"noise": self.corruption.noise}
        return {
            "noise_levels": list(self.corruption.levels),
            "noise_weights": list(self.corruption.weights),
            "behind_fds_from": self.behind_fds_from,
            **noise,
        }

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Received maps, PSNR drawn per scene."""
        maps = scene_maps(scene, self.profile.edges)
        behind_fds = self.behind_fds_from is not None and step >= self.behind_fds_from * self.steps
        sigma = draw_noise_levels(len(scene), generator, self.corruption.levels, self.corruption.weights)
        return corrupted_maps(maps, sigma, generator, behind_fds, self.corruption.noise, scene.label_space.edges)

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Clean maps, behind FDS where the recipe trains so."""
        clean, silent = scene_maps(scene, self.profile.edges), torch.zeros(len(scene))
        behind_fds, edges = self.behind_fds_from is not None, scene.label_space.edges
        return corrupted_maps(clean, silent, generator, behind_fds, with_edges=edges)


def label_values(maps: Tensor, with_edges: bool = True) -> Tensor:
    """The channels of a network on label ids: (B, C + E, H, W) received maps -> (B, 1 + E, H, W) [id, edges].

    The id of a pixel is that of the strongest map. (How the published code would receive such maps is not known: its
    sampling script has 36 channels.)
    """
    labels = maps.shape[1] - int(with_edges)
    return torch.cat([strongest(maps[:, :labels]).to(maps.dtype), maps[:, labels:]], dim=1)


class PublishedTask(DiffusionTask):
    """Semantic diffusion on maps with broadcast noise of one level a batch."""

    def conditions(self) -> dict[str, Any]:
        """The published noise."""
        return {"noise": "broadcast, one level a batch", "noise_levels": list(PUBLISHED_LEVELS)}

    def training_maps(self, scene: Scene, generator: torch.Generator, step: int) -> Tensor:
        """Clean maps with the published noise."""
        maps = self.sample_maps(scene, generator)
        device = maps.device
        level = PUBLISHED_LEVELS[int(torch.randint(len(PUBLISHED_LEVELS), (), generator=generator, device=device))]
        noise = torch.randn((len(maps), 1, *maps.shape[2:]), generator=generator, device=device)
        return with_broadcast_noise(maps, torch.full((len(maps),), level, device=device), noise)


class LabelsTask(DiffusionTask):
    """Semantic diffusion on clean label ids and edges."""

    def conditions(self) -> dict[str, Any]:
        """That the maps are no one-hot ones."""
        return {"conditioning": "label ids and edges"}

    def sample_maps(self, scene: Scene, generator: torch.Generator) -> Tensor:
        """Clean label ids and edges, (B, 1 + E, H, W)."""
        return label_values(scene_maps(scene, self.profile.edges), scene.label_space.edges)
