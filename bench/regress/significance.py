"""Telling a change from chance, and a family of such tests from the luck of many tries.

Under "nothing changed" the two results of a scene differ by their noise only, and where the noise of both is drawn
alike, they could as well have been swapped: the scene's difference is as likely with the other sign. Flipping signs at
random therefore gives the distribution of the mean difference under no change, whatever the shape of the metric and the
noise: the test is exact for any number of scenes (Fisher's randomisation test for pairs; Good, Permutation, Parametric
and Bootstrap Tests of Hypotheses, 2005, section 3.2). Channel and receiver noise are part of it, because every scene
has its own; with the same seeds on both sides their part vanishes and the test gets sharper.

A score of a set that is no mean (mIoU) comes as draws over resampled scenes instead. The standard deviation of paired
draws is the change's standard error, channel and receiver noise included, but its test is an approximation: where
scenes hold classes that few others have, changes by chance passed a level of 5 % in 8 % of simulated pairs of runs over
16 scenes, in 7 % over 40 and in 4 % over 100 (a level of 0.2 %: in 0.1, 0.3 and 0.3 %). So few scenes are left to the
sign flips.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

#: Flips at least, and flips for each comparison of a family divided by alpha: the smallest p there is, 1 / (flips + 1),
#: is then a tenth of what the correction asks of the smallest one.
FEWEST_FLIPS = 10_000
FLIPS_A_COMPARISON = 10
SEED = 0
#: Rows of signs made at once: 2048 x 500 scenes are 8 MB.
_CHUNK = 2048
LEVEL = 0.95
#: Scenes from which on draws decide.
FEWEST_FOR_DRAWS = 50


def flips_for(comparisons: int, alpha: float) -> int:
    """Sign flips that a family of so many comparisons at level `alpha` needs."""
    return max(FEWEST_FLIPS, math.ceil(FLIPS_A_COMPARISON * comparisons / alpha))


def sign_flip_p(differences: np.ndarray, flips: int, seed: int = SEED) -> np.ndarray:
    """Two-sided p (K,) of K mean differences over the same n scenes, (K, n), NaN where a scene is undefined.

    (1 + flips at least as far from 0 as what was seen) / (1 + flips): never 0, and valid for any number of flips
    (Phipson and Smyth, 2010). Flips are the same for equal n and seed.
    """
    defined = np.where(np.isfinite(differences), differences, 0.0)
    seen = np.abs(defined.sum(axis=1))
    enough = seen - 1e-12 * np.abs(defined).sum(axis=1)  # a flip that gives the same sum counts in spite of rounding
    rng = np.random.default_rng(seed)
    reached = np.zeros(len(defined), dtype=np.int64)
    for start in range(0, flips, _CHUNK):
        signs = rng.integers(0, 2, (min(_CHUNK, flips - start), defined.shape[1])).astype(np.float64) * 2 - 1
        reached += (np.abs(signs @ defined.T) >= enough).sum(axis=0)
    return (1 + reached) / (1 + flips)


def smallest_sign_flip_p(scenes: int) -> float:
    """The p of a change that has the same sign in each of the scenes: no test of signs can give a smaller one."""
    return float(2.0 ** (1 - scenes))


def bootstrap_error(draws: np.ndarray, scenes: int) -> float:
    """Standard error of a change from its draws (DRAWS,) over resamples of so many scenes; draws that are undefined are
    left out. Resampled variances come out smaller by (n - 1) / n, which is given back."""
    spread = float(draws[np.isfinite(draws)].std(ddof=1))
    return spread * math.sqrt(scenes / (scenes - 1))


def t_p(change: float, error: float, scenes: int) -> float:
    """Two-sided p of a change with its standard error over so many scenes (Student's t, one degree fewer)."""
    if error == 0:
        return 1.0 if change == 0 else 0.0
    return float(2 * stats.t.sf(abs(change) / error, scenes - 1))


def normal_p(change: float, error: float) -> float:
    """Two-sided p of a change with its standard error, normal."""
    if error == 0:
        return 1.0 if change == 0 else 0.0
    return float(2 * stats.norm.sf(abs(change) / error))


def half_width(error: float, scenes: int) -> float:
    """Half of the 95 % interval of a change with its standard error over so many scenes."""
    return float(stats.t.ppf((1 + LEVEL) / 2, scenes - 1) * error)


def holm(p: np.ndarray) -> np.ndarray:
    """p values (K,) corrected for K comparisons (Holm, Scandinavian Journal of Statistics 1979): those at most alpha
    hold one false alarm or more with a chance of at most alpha, however the comparisons depend on each other."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(stepped)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
