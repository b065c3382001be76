"""What a PSNR label is as a ratio of signal to noise, for captions: the peak SNR and, by method, the mean SNR.

The peak SNR belongs to the channel. The mean SNR is what a method made of it: 0/1 maps and images have a mean power far
below their peak power of 1, so under the peak convention it is lower, by an amount that depends on what a method sends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def db(level: float) -> str:
    """A ratio in dB as printed."""
    return "∞" if level == math.inf else f"{level:.1f}"


def peak_levels(rows: pd.DataFrame, psnrs: Sequence[float]) -> str:
    """`peak SNR 8.9, 4.4 dB`: behind each label, in the order of `psnrs`."""

    def words(psnr: float) -> str:
        levels = rows[rows["psnr"] == psnr]["peak_snr_db"].drop_duplicates()
        return " or ".join(db(float(level)) for level in levels)

    return f"peak SNR {', '.join(words(psnr) for psnr in psnrs)} dB"


def mean_levels(rows: pd.DataFrame) -> str:
    """A sentence on the mean SNR of the methods in set-level rows: how far it is below the peak SNR."""
    by_distance: dict[str, list[str]] = {}
    for method, own in rows.groupby("method", sort=False):
        by_distance.setdefault(_distance(own), []).append(str(method))
    parts = list(by_distance)
    if len(parts) > 1:
        parts = [f"{distance} ({', '.join(names)})" for distance, names in by_distance.items()]
    return f"Mean SNR, of what a method sends: {'; '.join(parts)}."


def _distance(rows: pd.DataFrame) -> str:
    """How far the mean SNR of one method's rows is below the peak SNR, in words."""
    peak, mean = (rows[name].to_numpy(dtype=np.float64) for name in ("peak_snr_db", "mean_snr_db"))
    known = np.isfinite(peak) & ~np.isnan(mean)
    below = np.unique((peak[known] - mean[known]).round(1))
    if not len(below):
        noisy = np.isfinite(peak).any()
        return "unknown" if noisy or not (mean == math.inf).any() else "∞, without noise"
    if np.isinf(below).all():
        return "none, nothing but zeros is sent"
    low, high = below.min(), below.max()
    if high == 0:
        return "the peak SNR"
    return f"{low:.1f} dB lower" if low == high else f"{low:.1f} to {high:.1f} dB lower"
