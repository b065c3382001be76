"""Comparing with the golden arrays of the official code: one call asserts, and leaves a row for the precision page.

A golden test calls `check` once a quantity. The test fails when the difference passes its limit, and every comparison
is kept in `ROWS`, which `python -m tests.methods.precision` prints as `results/precision.md`: the page cannot say
anything that a test did not measure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

Array = torch.Tensor | np.ndarray


class Row(NamedTuple):
    """One comparison: the largest absolute difference of `quantity`, and what it is held against.

    `floor` is the official code's own difference between float32 and float64 (`float32_vs_float64_maxabs` of the
    fixtures), None where the reference gives none; a `limit` of 0 means bit for bit.
    """

    network: str
    case: str
    quantity: str
    reached: float
    floor: float | None
    limit: float

    @property
    def passed(self) -> bool:
        """False also where the difference is not a number."""
        return self.reached <= self.limit


ROWS: list[Row] = []


def check(
    network: str, case: str, quantity: str, ours: Array, theirs: Array, *, limit: float, floor: float | None = None
) -> None:
    """Record and assert that `ours` lies within `limit` of `theirs` everywhere; shapes must agree, nothing broadcasts.

    `network` is what the page groups by ("SPADE generator"), `case` the data set and the input ("coco noisy"),
    `quantity` the array ("output", "tap head_0").
    """
    ours, theirs = _float64(ours), _float64(theirs)
    assert ours.shape == theirs.shape, f"{network}, {case}, {quantity}: shape {ours.shape}, expected {theirs.shape}"
    row = Row(network, case, quantity, float(np.abs(ours - theirs).max()), floor, limit)
    ROWS.append(row)
    assert row.passed, f"{network}, {case}, {quantity}: differs by {row.reached:.3g}, more than {limit:.3g}"


def _float64(array: Array) -> np.ndarray:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    return np.asarray(array, np.float64)


def draws(seed: int, *shape: int) -> np.ndarray:
    """The standard-normal float32 draws behind a fixture's random inputs, by NumPy's generator as the filled weights.

    The reference gives those inputs as arrays; each was found to be the stream of one seed, bit for bit, so the tests
    keep the seed.
    """
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def noisy_maps(clean: np.ndarray, seed: int) -> np.ndarray:
    """A fixture's `semantics_noisy`: the first of the clean maps with noise of 0.36 on every channel."""
    return clean[:1] + np.float32(0.36) * draws(seed, 1, *clean.shape[1:])
