"""What a metric's arrays of one cell come to: scores, per-scene values, and what each scene contributes.

Arrays are kept apart from this. They are found by a key that knows nothing of summaries, so a new estimator or a new
column costs no second look at the pictures: a measurement with another `version` is summarised again from its arrays.
"""

import io
import math
import threading
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.api.files import Entry
from bench.api.metric import Metric
from bench.run.contract import declared, house_rules, sound_resamples, sound_scores, sound_values
from metrics.stats.significance import contributions_of_mean, is_mean, standard_error

#: Bumped when the harness itself makes something else of what a metric gives.
HARNESS_VERSION = 1
CONTRIBUTIONS = "contributions.npz"
#: Recording warnings changes the interpreter's global filters: one thread at a time.
_WARNINGS = threading.Lock()


def summary_version(metric: Metric) -> str:
    """What a summary is made by: harness and metric."""
    return f"{HARNESS_VERSION}.{metric.summary_version}"


def summarised(metric: Metric, measured: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What follows from a measurement's arrays.

    That is the facts of its manifest, JSON-serialisable, and the contributions (n,) float64 by score, of those that are
    no mean of per-scene values.
    """
    scenes = len(next(iter(measured.values())))
    with _WARNINGS, warnings.catch_warnings(record=True) as caught, house_rules():
        warnings.simplefilter("always")
        scores = metric.summarise(measured)
    scores = sound_scores(scores, metric.name)
    with house_rules():
        values = metric.per_scene(measured)
    values = sound_values(values, scenes, metric.name)
    known = declared(metric, scores, values)
    kept = left_out(metric, measured, scenes)
    errors = {s.metric: _error(s.value, kept.get(s.metric), values.get(s.metric)) for s in scores}
    facts = {
        "summary": summary_version(metric),
        "protocol": {name: str(metric.protocol_for(name)) for name in known},
        "higher_is_better": {name: info.higher_is_better for name, info in known.items()},
        "scores": [
            {
                "metric": s.metric, "value": number(s.value), "std": number(s.std), "stderr": number(errors[s.metric]),
                "scenes": int(s.scenes),
            }
            for s in scores
        ],
        "per_scene": {name: [number(v) for v in array.tolist()] for name, array in values.items()},
        "notes": list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning))),
    }  # fmt: skip
    return facts, kept


def left_out(metric: Metric, measured: Mapping[str, np.ndarray], scenes: int) -> dict[str, np.ndarray]:
    """What each scene contributes (metrics/stats/significance.py) to the scores that are no mean of per-scene values.

    That is n - 1 times what a score is more than without the scene. Scores that are undefined without some scene have
    none.
    """
    if scenes < 2:
        return {}
    everything = np.ones((1, scenes))
    counts = np.concatenate([everything, 1 - np.eye(scenes)])
    with house_rules():
        found = type(metric).resampled(measured, counts)
    found = sound_resamples(found, len(counts), metric.name)
    made = {name: (scenes - 1) * (v[0] - v[1:]) for name, v in found.items()}
    return {name: contributions for name, contributions in made.items() if np.isfinite(contributions).all()}


def _error(value: float, contributions: np.ndarray | None, scenes: np.ndarray | None) -> float | None:
    """The standard error of a score; None where neither contributions nor values of which it is the mean tell it."""
    if contributions is None and scenes is not None and is_mean(value, scenes):
        contributions = contributions_of_mean(scenes)
    return None if contributions is None else standard_error(contributions)


def number(value: float | None) -> float | None:
    """A JSON number; None where undefined."""
    return float(value) if value is not None and math.isfinite(value) else None


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, loaded without pickle."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_contributions(entry: Entry) -> dict[str, np.ndarray]:
    """The contributions of a sealed measurement, by score, verified."""
    return unpacked(entry.read(CONTRIBUTIONS)) if CONTRIBUTIONS in entry.manifest["files"] else {}
