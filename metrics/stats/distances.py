"""Distances between two sets of feature vectors: Fréchet (FID) and kernel (KID), and how much each scene moves them.

FID: Heusel et al., NeurIPS 2017, arXiv 1706.08500, Eq. 6. KID: Binkowski et al., ICLR 2018, arXiv 1801.01401. The two
sets show the same scenes in the same order.

`influence` is, for each scene, how fast the distance grows with the scene's weight (its empirical influence function;
for KID, by leaving it out).
To first order a distance of weighed scenes is the distance plus the weighed mean of the influences, so leaving scenes
out costs nothing, and the standard error follows (the infinitesimal jackknife: Efron, The Jackknife, the Bootstrap and
Other Resampling Plans, SIAM 1982, chapter 6). Really leaving scenes out or repeating them moves FID, which is biased by
the number of scenes, by more than its spread.
In simulations with 48 to 200 scenes these standard errors of a difference of two methods were 15 to 31 % above its real
spread, those of real resamples 27 to 97 % (KID: 10 to 15 %).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Distance:
    """A distance of n scenes: `value`, and `influence` (n,) float64, which sums to 0."""

    value: float
    influence: np.ndarray

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Values (R,) to first order, where `counts` (R, n) says how often each set holds each scene."""
        return np.asarray(self.value + counts @ self.influence / counts.sum(axis=1))


def frechet(x: np.ndarray, y: np.ndarray) -> Distance:
    """Squared Fréchet distance of the Gaussians fitted to paired feature sets (n, d), n >= 2.

    |mu_x - mu_y|^2 + Tr(C_x + C_y - 2 (C_x C_y)^(1/2)), unbiased covariances, float64. With C_x = R_x'R_x and
    C_y = R_y'R_y the last trace is the sum of the singular values of R_x R_y': that needs no square root of the
    singular d x d product, which is where the usual formula loses digits when n < d. Its derivative by the weight of
    scene i follows from the singular vectors: n/2 times the i-th diagonal entries of U S U' and V S V', less the trace.
    """
    x, y = _paired(x, y)
    n = len(x)
    shift = x.mean(axis=0) - y.mean(axis=0)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    left, right, overlap = _overlap(x / np.sqrt(n - 1), y / np.sqrt(n - 1))
    spread = ((x**2).sum(axis=1) + (y**2).sum(axis=1)) / (n - 1)  # of scene i; sums to the traces of both covariances
    trace, total = spread.sum(), overlap.sum()
    own = n * ((left**2) @ overlap + (right**2) @ overlap)
    influence = 2 * (x - y) @ shift + n * spread - trace - own + 2 * total
    # rounding may take the distance of equal sets just below zero
    return Distance(max(0.0, float(shift @ shift + trace - 2 * total)), influence)


def _overlap(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decomposition of xy' for (n, d) each: left and right vectors (n, k) and values (k,).

    Without the n x n product where n > d.
    """
    if len(x) <= x.shape[1]:
        left, values, right = np.linalg.svd(x @ y.T)
        return left, right.T, values
    (basis_x, x), (basis_y, y) = np.linalg.qr(x), np.linalg.qr(y)
    left, values, right = np.linalg.svd(x @ y.T)
    return basis_x @ left, basis_y @ right.T, values


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KID's kernel (x.y / d + 1)^3 of (n, d) and (m, d): (n, m) float64."""
    result: np.ndarray = (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3
    return result


def kernel(x: np.ndarray, y: np.ndarray) -> Distance:
    """KID of paired feature sets (n, d), n >= 2: the unbiased squared maximum mean discrepancy; may be negative.

    The standard estimator (Gretton et al., JMLR 2012, Eq. 3; Binkowski et al., section 4): the means of k(x_i, x_j) and
    of k(y_i, y_j) over i != j, less twice the mean of k(x_i, y_j) over all i and j, as if the sets were independent.
    They show the same scenes, so k(x_i, y_i) is large where pictures resemble their originals: equal sets come out
    below 0, by an amount that falls as 1/n. `torch-fidelity` gives the same where its subsets are the whole set.

    Influences are n - 1 times what the value is more than without the scene, which sums allow exactly; less their mean,
    and NaN for n = 2.
    """
    x, y = _paired(x, y)
    n = len(x)
    within = polynomial_kernel(x, x) + polynomial_kernel(y, y)
    np.fill_diagonal(within, 0.0)
    cross = polynomial_kernel(x, y)
    inside, across = within.sum(), cross.sum()
    value = float(inside / (n * (n - 1)) - 2 * across / n**2)
    if n == 2:
        return Distance(value, np.full(2, np.nan))
    # what is left of both sums without a scene; its k(x_i, y_i) stands in its row and in its column
    inside_left = inside - 2 * within.sum(axis=1)
    across_left = across - cross.sum(axis=0) - cross.sum(axis=1) + np.diagonal(cross)
    without = inside_left / ((n - 1) * (n - 2)) - 2 * across_left / (n - 1) ** 2
    return Distance(value, (n - 1) * (without.mean() - without))


def _paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape != y.shape or x.ndim != 2 or len(x) < 2:
        raise ValueError(f"paired feature sets are (n, d), n >= 2, not {x.shape} and {y.shape}")
    return x.astype(np.float64), y.astype(np.float64)
