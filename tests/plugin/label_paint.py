"""A method as a package of its own: send the label map, paint every class with its mean colour.

It draws what a receiver knows that has no generative model: where each class is and what colour the class usually has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.api.errors import MethodError
from bench.api.method import MethodContext
from methods.common.semantic.frontend import SemanticMethod

#: RGB means, 0..255, over the first 300 training scenes of `streets`.
MEAN_COLOURS = {
    "road": (83, 82, 87),
    "sidewalk": (129, 112, 106),
    "building": (129, 114, 103),
    "wall": (104, 90, 92),
    "fence": (88, 88, 82),
    "pole": (95, 95, 95),
    "traffic light": (63, 58, 40),
    "traffic sign": (141, 97, 110),
    "vegetation": (45, 69, 37),
    "terrain": (110, 129, 58),
    "sky": (140, 158, 191),
    "person": (75, 67, 91),
    "rider": (123, 106, 50),
    "car": (78, 67, 77),
    "truck": (103, 112, 115),
    "bus": (128, 101, 56),
    "train": (120, 69, 72),
    "motorcycle": (66, 60, 63),
    "bicycle": (78, 92, 96),
}
GREY = (128, 128, 128)


class LabelPaint(SemanticMethod):
    """Paints each pixel with the mean colour of the class whose received map is largest there.

    The front end sends the maps, drops absent classes and denoises as its options say; `label_paint+fds` works, too.
    """

    name: ClassVar[str] = "label_paint"
    title: ClassVar[str] = "Label paint"
    uses_edges: ClassVar[bool] = False

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        """MethodError for a data set none of whose evaluated classes has a colour here."""
        super().__init__(context, options)
        space = context.label_space
        if not any(space.names[label] in MEAN_COLOURS for label in space.evaluated):
            raise MethodError(f"'{self.name}' has no colours for the classes of {context.dataset}; add them to it")
        self._colours = torch.tensor([MEAN_COLOURS.get(name, GREY) for name in space.names]) / 255

    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] for received maps (B, C, H, W); nothing is random, so `rngs` stay unused."""
        return self._colours[maps.argmax(dim=1)].permute(0, 3, 1, 2)
