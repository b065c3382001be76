"""Telling a difference from chance, and a family of such tests from the luck of many tries. The one place for it.

**Contributions.** A score of n scenes is, to first order, its value over all scenes plus the mean of n contributions
that sum to about 0. For the mean of per-scene values a scene's contribution is its value less that mean; for any other
score (mIoU is a ratio of sums) it is n - 1 times what the score is more than without the scene (the jackknife: Efron,
The Jackknife, the Bootstrap and Other Resampling Plans, SIAM 1982, chapter 3). The standard error is the contributions'
standard deviation (ddof 1) over the root of n; that of a difference of two methods over the same scenes is the same of
the differences of their contributions, which makes it paired. Intervals and tests are Student's t on n - 1 degrees of
freedom. In simulations (tests/bench/test_ranks_simulated.py) methods that are alike are told apart at 5 % in 2 to 6 %
of pairs, from 10 scenes to 500, for skewed means as for mIoU with rare classes; the percentile bootstrap did so in 12 %
at 10 scenes. What is left: methods that are equal in the mean and not in shape. Where a scene's difference is as skewed
as a log-normal (sigma 0.5; 1), t finds one in 7.6 % (16 %) at 10 scenes, 5.7 % (9 %) at 64 and 5.5 % (6 %) at 500, the
percentile bootstrap in 13 % (19 %), 6.7 % (8 %) and 5 % (6 %).

**A smallest p.** Of methods that are alike, a scene's difference is as likely with the other sign. All n differences
have one sign by chance in 2^(1-n) of cases, whatever their sizes, so no smaller p is ever claimed: further out than
that, t would rest on normality alone. Few scenes therefore cannot show anything among many pairs.

**Sign flips.** Where two runs of one method are compared and the score is a mean, flipping the differences' signs gives
the distribution of their mean under no change, whatever its shape: exact for any number of scenes (Fisher's
randomisation test for pairs; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, section 3.2).
Contributions to other scores are not exchangeable like that: at 10 scenes their flips tell equal methods apart in 14 %.
"""

import math

import numpy as np

LEVEL = 0.95
#: Chance of any false claim in a family of tests.
ALPHA = round(1 - LEVEL, 9)
#: Differences of scores below this share of the scores are rounding.
ROUNDING = 1e-9
#: Flips at least, and flips for each comparison of a family divided by alpha: the smallest p there is, 1 / (flips + 1),
#: is then a tenth of what the correction asks of the smallest one.
FEWEST_FLIPS = 10_000
FLIPS_A_COMPARISON = 10
SEED = 0
#: Rows of signs made at once: 2048 x 500 scenes are 8 MB.
_CHUNK = 2048


def contributions_of_mean(values: np.ndarray) -> np.ndarray | None:
    """What each scene contributes to the mean of the defined ones of per-scene values (n,); 0 where it is undefined.

    Scaled so that the standard error is that of the defined values alone. None for fewer than two of those.
    """
    defined = np.isfinite(values)
    n, count = len(values), int(defined.sum())
    if count < 2:
        return None
    share = math.sqrt(n * (n - 1) / (count * (count - 1)))
    return np.where(defined, share * (values - values[defined].mean()), 0.0)


def is_mean(value: float, scenes: np.ndarray) -> bool:
    """Whether a score is the mean of the defined ones of per-scene values (n,), or undefined as they are.

    Readers ask the numbers instead of the metric: results come from anywhere, and sign flips of what is no mean lie.
    """
    defined = scenes[np.isfinite(scenes)]
    if not len(defined):
        return math.isnan(value)
    return math.isclose(float(defined.mean()), value, rel_tol=1e-5, abs_tol=1e-9)


def standard_error(contributions: np.ndarray) -> float:
    """Standard error of a score over n >= 2 scenes from their contributions (n,)."""
    return float(contributions.std(ddof=1) / math.sqrt(len(contributions)))


def half_width(error: float, scenes: int) -> float:
    """Half of the 95 % interval of a number with its standard error over so many scenes (two or more)."""
    from scipy import stats

    return float(stats.t.ppf((1 + LEVEL) / 2, scenes - 1) * error)


def t_p(difference: np.ndarray, error: np.ndarray, scenes: int) -> np.ndarray:
    """Two-sided p of differences with their standard errors over so many scenes, of any shape.

    Student's t with one degree of freedom fewer, and never below `smallest_p`.
    """
    from scipy import special  # `scipy.stats.t.sf` is this, and takes half a second to import

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(difference == 0, 0.0, np.abs(difference) / error)
    p: np.ndarray = np.maximum(2 * special.stdtr(scenes - 1, -t), smallest_p(scenes))
    return p


def smallest_p(scenes: int) -> float:
    """The p of a difference that has the same sign in each of the scenes: a smaller one is not claimed."""
    return float(2.0 ** (1 - scenes))


def fewest_scenes(family: int, alpha: float = ALPHA) -> int:
    """Scenes from which on anything can be shown among so many tests: where `smallest_p` survives the correction."""
    return 1 + math.ceil(math.log2(max(family, 1) / alpha) - ROUNDING)


def flips_for(comparisons: int, alpha: float) -> int:
    """Sign flips that a family of so many comparisons at level `alpha` needs."""
    return max(FEWEST_FLIPS, math.ceil(FLIPS_A_COMPARISON * comparisons / alpha))


def sign_flip_p(differences: np.ndarray, flips: int, seed: int = SEED) -> np.ndarray:
    """Two-sided p (K,) of K mean differences over the same n scenes, (K, n), NaN where a scene is undefined.

    (1 + flips at least as far from 0 as what was seen) / (1 + flips): never 0, and valid for any number of flips
    (Phipson and Smyth, 2010). Flips are the same for equal n and seed: `scipy.stats.permutation_test` draws them anew
    for every comparison, which takes a family of 100 over 200 scenes 23 s in the place of 0.1 s.
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


def holm(p: np.ndarray) -> np.ndarray:
    """The p values (K,) corrected for K comparisons (Holm, Scandinavian Journal of Statistics 1979).

    Those at most alpha hold one false alarm or more with a chance of at most alpha, however the comparisons depend on
    each other. `statsmodels.stats.multitest.multipletests` gives the same, and takes 1.6 s to import.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(stepped)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
