"""Changes of training scenes that any network can be trained with, for small data sets: options of every recipe."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from bench.api.errors import MethodError
from bench.api.scenes import Scene
from bench.api.training.batches import moved


@dataclass(frozen=True)
class Augmentation:
    """How scenes are changed, each anew at every step; the fields are training options of every network.

    `flip`: half of them are mirrored left to right (adversarial methods and evaluators do that by themselves). `crop`:
    a part of them, of random place and of at least this share of both sides, is scaled up to the whole size; depth
    shrinks with it. `colour`: brightness, contrast and saturation vary by up to this share.
    """

    flip: bool = False
    crop: float = 1.0
    colour: float = 0.0

    def __post_init__(self) -> None:
        """MethodError for a share that is none."""
        if not 0 < self.crop <= 1:
            raise MethodError(f"training option crop={self.crop}: a share of the sides, above 0 and at most 1")
        if not 0 <= self.colour < 1:
            raise MethodError(f"training option colour={self.colour}: a share, at least 0 and below 1")

    @classmethod
    def names(cls) -> list[str]:
        """The options."""
        return [field.name for field in fields(cls)]

    def recipe(self) -> dict[str, Any]:
        """What a checkpoint and a card say; nothing where nothing is changed."""
        return {} if self == Augmentation() else {"augmented": asdict(self)}

    def apply(self, scene: Scene, generator: torch.Generator) -> Scene:
        """The scene changed; all randomness is the generator's. Nothing is drawn for what is not changed."""
        if self.flip:
            mirrored = (torch.rand(len(scene), generator=generator) < 0.5).tolist()
            scene = _each(scene, lambda one, place: one.flip(-1) if mirrored[place] else one)
        if self.crop < 1:
            scene = self._cropped(scene, generator)
        if self.colour:
            scene = replace(scene, image=vary_light(scene.image, self.colour, generator).clamp_(0, 1))
        return scene

    def _cropped(self, scene: Scene, generator: torch.Generator) -> Scene:
        height, width = scene.image.shape[-2:]
        shares, tops, lefts = torch.rand(3, len(scene), generator=generator, dtype=torch.float64)
        shares = self.crop + (1 - self.crop) * shares

        def crop(one: Tensor, place: int) -> Tensor:
            rows, columns = (max(1, round(side * float(shares[place]))) for side in (height, width))
            top, left = int(tops[place] * (height - rows + 1)), int(lefts[place] * (width - columns + 1))
            if one.ndim == 3:  # a picture; the others are maps, whose values have nothing between them
                part = one[None, :, top : top + rows, left : left + columns]
                grown = torch.nn.functional.interpolate(part, (height, width), mode="bicubic", antialias=True)
                return grown[0].clamp(0, 1)
            down = top + torch.arange(height) * rows // height
            return one[down][:, left + torch.arange(width) * columns // width]

        cropped = _each(scene, crop)
        if cropped.depth is None:
            return cropped
        return replace(cropped, depth=cropped.depth * shares.float()[:, None, None])


def _each(scene: Scene, change: Callable[[Tensor, int], Tensor]) -> Scene:
    """`change(tensor, place in the batch)` of every picture and map."""
    return moved(scene, lambda tensors: torch.stack([change(one, place) for place, one in enumerate(tensors)]))


def vary_light(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) with brightness, contrast and saturation varied by up to `share`; not clamped."""
    batch = len(images)
    brightness, contrast, saturation = 1 - share + 2 * share * torch.rand(3, batch, 1, 1, 1, generator=generator)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    varied: Tensor = mean * brightness + (images - mean) * contrast
    return varied
