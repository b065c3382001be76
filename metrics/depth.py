"""Depth: is everything as far away in the regenerated picture as it was in the original?

A depth network (`metrics/evaluators/registry.py`) looks at both pictures. Under three protocols, named as
those of mIoU are:

- `gt`: its estimate of the regenerated picture against the scene's true depth; printed without a bracket (`AbsRel`).
  Only where the scenes have depth.
- `judge`: against its own estimate of the original, "depth similar to the original image depth" of the GESCO paper
  (section 4.2, Figures 1 and 3); `AbsRel[judge]`.
- `original`: its estimate of the original against the true depth, what a perfect method would get under `gt`.

Scores are those of Eigen et al. (NeurIPS 2014): `AbsRel`, the mean of |d - d*| / d*; `RMSE`; `delta1`, the share of
pixels with max(d / d*, d* / d) < 1.25. Each is computed in a picture and averaged over pictures. Before that the
estimate is brought to the reference by the scale and shift that fit best in the sense of least squares, one pair a
picture (Ranftl et al., TPAMI 2020, arXiv 1907.01341, section 5), in the space that the network answers in:

- a network that answers in metres: in depth. All references are depth in metres.
- a network that answers in inverse depth up to scale and shift (DPT): in inverse depth; against the truth the fitted
  values are inverted. Under `judge` nothing tells the shift, and with it the depth, so that errors are those of the
  inverse depth itself, with the largest value of the original's estimate as 1: `RMSE[judge]` is a share of that.

Pixels whose reference is 0, not finite, or beyond 80 m take no part (the sky is there); under `judge` also those whose
true depth is, where there is one, and in inverse depth those below 1/80. Fitted values are brought to 1 mm .. 80 m
(inverse depth: to 1/80 or more), which catches the negative ones. A constant estimate fits best with the mean of the
reference everywhere, and is measured so. A picture with fewer than 10 pixels that take part is undefined (NaN), and
left out of the mean.
"""

import math
from collections.abc import Mapping

import numpy as np

from bench.api.errors import MetricError
from bench.api.metric import Comparison, MetricContext, Score
from bench.api.scores import ScoreInfo
from metrics.evaluators.depth import FARTHEST, DepthEstimator, valid_depth
from metrics.evaluators.registry import EvaluatorMetric, load_estimator
from metrics.pictures import PerPicture

#: Metres that fitted depths are not allowed to fall below.
NEAREST = 1e-3
#: Least inverse depth where only ratios are known: so much of the nearest point's.
LEAST_INVERSE = 1 / FARTHEST
#: Two numbers are fitted to these pixels: with fewer the fit would be the result.
FEWEST_PIXELS = 10
SCORES = ("AbsRel", "RMSE", "delta1")
_PROTOCOLS = ("gt", "judge", "original")
#: Memory for the estimates of originals: 500 pictures of 256x512.
_MEMORY_BYTES = 256 << 20


def fit(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Scale * estimate + shift that fits `reference` best in the sense of least squares; all are (N,), N >= 1.

    A constant estimate becomes the reference's mean everywhere. The scale may be negative, as in MiDaS's evaluation.
    """
    x, y = estimate.astype(np.float64), reference.astype(np.float64)
    x, mean = x - x.mean(), y.mean()
    spread = x @ x
    return np.full(len(x), mean) if spread == 0 else mean + x * (x @ (y - mean) / spread)


def errors(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """AbsRel, RMSE and delta1 of positive values (N,) against positive ones, N >= 1: (3,) float64."""
    difference = np.abs(estimate - reference)
    ratio = np.maximum(estimate / reference, reference / estimate)
    return np.array([(difference / reference).mean(), np.sqrt((difference**2).mean()), (ratio < 1.25).mean()])


def depth_errors(estimate: np.ndarray, depth: np.ndarray, valid: np.ndarray, inverse: bool) -> np.ndarray:
    """Errors (3,) of a picture's `estimate` (H, W) against `depth` in metres where `valid`, after the fit.

    `inverse` says that the estimate is one of inverse depth. NaN where too few pixels are valid.
    """
    if valid.sum() < FEWEST_PIXELS:
        return np.full(len(SCORES), np.nan)
    answer, truth = estimate[valid], depth[valid].astype(np.float64)
    fitted = 1 / fit(answer, 1 / truth).clip(min=1 / FARTHEST) if inverse else fit(answer, truth)
    return errors(fitted.clip(NEAREST, FARTHEST), truth)


def inverse_errors(estimate: np.ndarray, reference: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Errors (3,) of a picture's inverse depth (H, W) against another one's where `valid`, after the fit.

    The unit is the reference's largest value there. NaN where too few pixels take part or no reference is above 0.
    """
    answer, truth = estimate[valid], reference[valid].astype(np.float64)
    near = truth >= LEAST_INVERSE * truth.max(initial=0)
    if truth.max(initial=0) <= 0 or near.sum() < FEWEST_PIXELS:
        return np.full(len(SCORES), np.nan)
    truth = truth[near] / truth.max()
    return errors(fit(answer[near], truth).clip(min=LEAST_INVERSE), truth)


def _name(score: str, protocol: str) -> str:
    return score if protocol == "gt" else f"{score}[{protocol}]"


def _declared(score: str, protocol: str) -> ScoreInfo:
    name, share, of_originals = _name(score, protocol), score == "delta1", protocol == "original"
    return ScoreInfo(
        name, share, "depth", 0.0, 1.0 if share else math.inf, unit="m" if score == "RMSE" else "", scenes=name,
        originals=_name(score, "original") if protocol == "gt" else None, of_originals=of_originals,
        shown="name" if score == "RMSE" or of_originals else "family", beside="" if of_originals else "depth",
    )  # fmt: skip


class Depth(EvaluatorMetric):
    """`AbsRel`, `RMSE` and `delta1`: errors of the depth that a network estimates in the pictures."""

    name = kind = "depth"
    scores = tuple(_declared(score, protocol) for protocol in ("judge", "gt", "original") for score in SCORES)
    _network: DepthEstimator

    def _load(self, context: MetricContext) -> None:
        network = load_estimator(context.dataset, context.evaluator, context.weights_dir, context.device_name)
        self._network = network
        self._estimates = PerPicture(
            network.estimate, context.device_name, _MEMORY_BYTES, network.gpu_batch, context.kept
        )

    @property
    def protocol(self) -> str:
        """What the truth is, the network, and the alignment."""
        inverse = self._network.inverse
        space = "inverse depth" if inverse else "depth"
        reference = f"{space} estimated from the original{', its largest value 1' if inverse else ''}"
        return (
            f"truth=depth up to {FARTHEST:g} m, for [judge] {reference}|network={self._network.protocol}|"
            f"scale and shift a picture, least squares in {space}|mean over pictures"
        )

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        """AbsRel, RMSE and delta1 of every scene under `gt`, `judge` and `original`, each (B, 3) float64.

        NaN where undefined, and under the first and the last without true depth.
        """
        generated = self._checked(self._estimates(comparison.generated), comparison)
        original = self._checked(self._estimates.remembered(comparison.original), comparison)
        if comparison.depth is None:
            depths = [None] * len(generated)
            valid = np.ones(generated.shape, dtype=bool)
        else:
            depths = list(comparison.depth.cpu().numpy())
            valid = valid_depth(comparison.depth).cpu().numpy()
        scenes = [self._scene(*scene) for scene in zip(generated, original, depths, valid, strict=True)]
        return {protocol: np.stack([scene[protocol] for scene in scenes]) for protocol in _PROTOCOLS}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        """Means over the scenes that are defined, and their standard deviations (None for fewer than two).

        Scores against true depth are left out where no scene has it; those of `judge` are always there, NaN where no
        scene is defined.
        """
        return [Score.mean(name, values) for name, values in _values(measured, _PROTOCOLS).items()]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The scores under `gt` and `judge`, under their names."""
        return _values(measured, ("gt", "judge"))

    def _checked(self, estimates: np.ndarray, comparison: Comparison) -> np.ndarray:
        """MetricError unless the network answered with one finite value a pixel."""
        expected = (len(comparison.generated), *comparison.generated.shape[-2:])
        if estimates.shape == expected and np.isfinite(estimates).all():
            return estimates
        what = "NaN or infinity" if estimates.shape == expected else f"estimates {estimates.shape}"
        raise MetricError(f"the depth network {self._network.protocol} gave {what}; {expected} finite ones are due")

    def _scene(
        self, generated: np.ndarray, original: np.ndarray, depth: np.ndarray | None, valid: np.ndarray
    ) -> dict[str, np.ndarray]:
        """One scene's arrays of `measure`, from the estimates of its two pictures; all (H, W)."""
        inverse = self._network.inverse
        if inverse:
            between = inverse_errors(generated, original, valid)
        else:
            inside = valid & (original > 0) & (original <= FARTHEST)
            between = depth_errors(generated, original, inside, inverse)
        undefined = np.full(len(SCORES), np.nan)
        return {
            "judge": between,
            "gt": undefined if depth is None else depth_errors(generated, depth, valid, inverse),
            "original": undefined if depth is None else depth_errors(original, depth, valid, inverse),
        }


def _values(measured: Mapping[str, np.ndarray], protocols: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The scenes' scores by name, under those of the protocols that have any."""
    there = [p for p in protocols if p == "judge" or np.isfinite(measured[p]).any()]
    return {_name(score, p): values for p in there for score, values in zip(SCORES, measured[p].T, strict=True)}
