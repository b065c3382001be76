"""A metric in a package of its own: the mean absolute error of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bench.api.metric import Comparison, Metric, Score


class MeanAbsoluteError(Metric):
    """Mean of |generated - original| over a picture's pixels and colours, which are in [0, 1]."""

    name: ClassVar[str] = "MAE"
    higher_is_better: ClassVar[bool] = False

    @property
    def protocol(self) -> str:
        return "mean |x - y| over pixels and RGB, values in [0, 1]"

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`error` (B,) float64."""
        error = (comparison.generated - comparison.original).abs().double().mean(dim=(1, 2, 3))
        return {"error": error.cpu().numpy()}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """The mean over scenes."""
        error = measured["error"]
        return [Score(self.name, float(error.mean()), float(error.std(ddof=1)) if len(error) > 1 else None, len(error))]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The error of each scene."""
        return {self.name: measured["error"]}
