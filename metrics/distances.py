"""Distances between two sets of feature vectors: Fréchet (FID) and kernel (KID), and how much each scene moves them.

FID: Heusel et al., NeurIPS 2017, arXiv 1706.08500, Eq. 6. KID: Binkowski et al., ICLR 2018, arXiv 1801.01401. The two
sets show the same scenes in the same order.

`influence` is, for each scene, how fast the distance grows with the scene's weight (its empirical influence function).
To first order a distance of resampled scenes is the distance plus the mean influence of those drawn, so bootstraps
cost nothing, and the standard error follows (the infinitesimal jackknife: Efron, The Jackknife, the Bootstrap and Other
Resampling Plans, SIAM 1982, chapter 6). Real resamples repeat scenes, which moves FID upwards by more than its spread.
In simulations with 48 to 200 scenes these standard errors of a difference of two methods were 15 to 31 % above its real
spread, those of real resamples 27 to 97 % (KID: 9 to 46 %, and 23 to 89 % but for one case of six times).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Below this many scenes a spread says nothing.
FEWEST_SCENES = 4


@dataclass(frozen=True)
class Distance:
    """A distance of n scenes: `value`, and `influence` (n,) float64, which sums to 0."""

    value: float
    influence: np.ndarray

    @property
    def standard_error(self) -> float | None:
        """Of the value under resampling of scenes, to first order; None below 4 scenes."""
        n = len(self.influence)
        return float(np.sqrt((self.influence**2).sum()) / n) if n >= FEWEST_SCENES else None

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Values (R,) to first order, where `counts` (R, n) says how often each draw holds each scene."""
        return np.asarray(self.value + counts @ self.influence / len(self.influence))


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
    """Singular value decomposition of xy' for (n, d) each: left and right vectors (n, k) and values (k,), without the
    n x n product where n > d."""
    if len(x) <= x.shape[1]:
        left, values, right = np.linalg.svd(x @ y.T)
        return left, right.T, values
    (basis_x, x), (basis_y, y) = np.linalg.qr(x), np.linalg.qr(y)
    left, values, right = np.linalg.svd(x @ y.T)
    return basis_x @ left, basis_y @ right.T, values


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KID's kernel (x.y / d + 1)^3 of (n, d) and (m, d): (n, m) float64."""
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3


def kernel(x: np.ndarray, y: np.ndarray) -> Distance:
    """KID of paired feature sets (n, d), n >= 2: the unbiased squared maximum mean discrepancy; may be negative.

    The estimator for paired samples (Gretton et al., JMLR 2012, Eq. 4): pictures i of the two sets show the same
    scene, so k(x_i, y_i) is left out of the cross term as k(x_i, x_i) is out of the others. Equal sets give 0. It is a
    mean over pairs of scenes, so a scene's influence is twice what its own pairs are above that mean.
    """
    x, y = _paired(x, y)
    n = len(x)
    cross = polynomial_kernel(x, y)
    pairs = polynomial_kernel(x, x) + polynomial_kernel(y, y) - cross - cross.T
    np.fill_diagonal(pairs, 0.0)
    of_scene = pairs.sum(axis=1) / (n - 1)
    value = float(of_scene.mean())
    return Distance(value, 2 * (of_scene - value))


def _paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape != y.shape or x.ndim != 2 or len(x) < 2:
        raise ValueError(f"paired feature sets are (n, d), n >= 2, not {x.shape} and {y.shape}")
    return x.astype(np.float64), y.astype(np.float64)
