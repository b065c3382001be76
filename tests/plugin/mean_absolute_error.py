"""A metric in a package of its own: the mean absolute error of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bench.api.metric import Comparison, Metric, Score
from bench.api.scores import ScoreInfo


class MeanAbsoluteError(Metric):
    """Mean of |generated - original| over a picture's pixels and colours, which are in [0, 1]."""

    name: ClassVar[str] = "MAE"
    scores = (
        ScoreInfo(
            "MAE", higher_is_better=False, family="perception", low=0.0, high=1.0, floor=0.005, relative=False,
            scenes="MAE", shown="always",
        ),
    )  # fmt: skip

    @property
    def protocol(self) -> str:
        return "mean |x - y| over pixels and RGB, values in [0, 1]"

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """`error` (B,) float64."""
        error = (comparison.generated - comparison.original).abs().double().mean(dim=(1, 2, 3))
        return {"error": error.cpu().numpy()}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """The mean over scenes."""
        return [Score.mean(self.name, measured["error"])]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The error of each scene."""
        return {self.name: measured["error"]}
