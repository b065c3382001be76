"""The tidy rows of a run's numbers: one row is one number.

Columns: data set, split, size, scale, method, channel, psnr, sigma, peak_snr_db, mean_snr_db, seed, scene, metric,
value, std, scenes, higher_is_better, protocol. `peak_snr_db` is the channel's (bench/channel.py), `mean_snr_db` what
the method made of it: the energy of all scenes over their channel uses, over sigma squared. `scene` is "all" for a
number about the whole set. Bits, channel uses, seconds and memory are rows as well. Rows of the method `pure_noise`,
without channel or PSNR, are what the metrics say of pure noise (bench/reference.py). There is one column more, `draws`:
for set-level scores that are no mean of per-scene values, what they are on resampled scenes (bench/bootstrap.py), so
that tables find ties without the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.bootstrap import FEWEST_SCENES, scene_counts
from bench.errors import BenchError
from bench.names import PURE_NOISE

if TYPE_CHECKING:
    import pandas as pd

    from bench.cache import Entry
    from bench.runner import CellState

WHOLE_SET = "all"
COLUMNS = (
    "dataset", "split", "size", "scale", "method", "channel", "psnr", "sigma", "peak_snr_db", "mean_snr_db",
    "seed", "scene", "metric", "value", "std", "scenes", "higher_is_better", "protocol",
)  # fmt: skip
#: What tells one row from every other one.
ROW = ("dataset", "split", "size", "method", "channel", "psnr", "seed", "scene", "metric")
DRAWS = "draws"
NO_CHANNEL = "none"
BITS_PROTOCOL = "payload under the method's codec, side information included, a scene"
USES_PROTOCOL = "real symbols on the analogue channel, a scene"
SECONDS_PROTOCOL = "sender, channel and receiver on one worker, a scene"
MEMORY_PROTOCOL = "peak of the worker while it computes the cell, MiB: resident on a CPU, allocated by torch on a GPU"


def refuse_duplicates(frame: pd.DataFrame, where: str) -> None:
    """BenchError, in the name of `where`, for rows that name one number twice: each would count in means and spreads,
    so that a cell that is there twice weighs double. Whatever reads or writes results asks this first."""
    twice = frame[frame.duplicated([column for column in ROW if column in frame])]
    if len(twice):
        first = ", ".join(f"{column} {twice.iloc[0][column]}" for column in ROW if column in frame)
        shown = "".join(character if character.isprintable() else "?" for character in first)
        raise BenchError(
            f"{where} has {len(twice)} row(s) twice, the first of them {shown[:300]}; run the same "
            "`bench run` again to write it"
        )


def _mean_snr_db(scenes: Sequence[Mapping[str, Any]], sigma: float) -> float:
    """Mean power of what was sent for the scenes over the noise's, in dB; NaN where nothing was sent, and for cells of
    runs that kept no energies."""
    uses, energy = sum(s["channel_uses"] for s in scenes), sum(s.get("energy", math.nan) for s in scenes)
    if not uses or math.isnan(energy):
        return math.nan
    if sigma == 0:
        return math.inf
    return 10 * math.log10(energy / uses / sigma**2) if energy > 0 else -math.inf


def _value(number: float | None) -> float:
    return float("nan") if number is None else float(number)


def _draws(entry: Entry, scenes: int) -> dict[str, np.ndarray]:
    """Draws of a measurement's set-level scores from its cached arrays, by score; only those that need the arrays."""
    from bench.cell import read_arrays
    from metrics.base import Metric
    from metrics.registry import metric_class

    kind = metric_class(entry.manifest["metric"])
    if scenes < FEWEST_SCENES or kind.resampled.__func__ is Metric.resampled.__func__:  # type: ignore[attr-defined]
        return {}
    return {name: d.astype(np.float32) for name, d in kind.resampled(read_arrays(entry), scene_counts(scenes)).items()}


def _cell_rows(state: CellState) -> Iterator[dict[str, Any]]:
    cell, pictures = state.cell, state.pictures
    if pictures is None:
        return
    channel = cell.channel
    base: dict[str, Any] = {
        "dataset": cell.scenes.dataset,
        "split": cell.scenes.split,
        "size": f"{cell.scenes.size[0]}x{cell.scenes.size[1]}",
        "scale": cell.method.profile,
        "method": cell.method.spec,
        "channel": channel.label.partition("@")[0],
        "psnr": float(channel.psnr),
        "sigma": channel.sigma,
        "peak_snr_db": channel.peak_snr_db,
        "mean_snr_db": _mean_snr_db(pictures.manifest["scenes"], channel.sigma),
        "seed": cell.seed,
    }
    reference = cell.method.spec == PURE_NOISE
    if reference:
        nan = float("nan")
        base |= {"channel": NO_CHANNEL, "psnr": nan, "sigma": nan, "peak_snr_db": nan, "mean_snr_db": nan}

    def row(scene: str, metric: str, value: Any, std: Any, scenes: int, better: Any, protocol: str) -> dict[str, Any]:
        if isinstance(better, dict):  # by score; measurements of older runs have one for all
            better = better[metric]
        numbers = {"value": _value(value), "std": _value(std), "scenes": scenes}
        return {
            **base, "scene": scene, "metric": metric, **numbers, "higher_is_better": better, "protocol": protocol,
        }  # fmt: skip

    ids = [scene["id"] for scene in pictures.manifest["scenes"]]
    for entry in state.scores.values():
        facts = entry.manifest
        better, protocol = facts["higher_is_better"], facts["protocol"]
        draws = {} if reference else _draws(entry, len(ids))
        for score in facts["scores"]:
            whole = row(WHOLE_SET, score["metric"], score["value"], score["std"], score["scenes"], better, protocol)
            yield {**whole, DRAWS: draws.get(score["metric"])}
        if reference:
            continue
        for name, values in facts["per_scene"].items():
            for scene_id, value in zip(ids, values, strict=True):
                yield row(scene_id, name, value, None, 1, better, protocol)
    if reference:
        return
    for name, protocol in (("bits", BITS_PROTOCOL), ("channel_uses", USES_PROTOCOL)):
        values = np.array([scene[name] for scene in pictures.manifest["scenes"]], dtype=np.float64)
        yield row(WHOLE_SET, name, values.mean(), values.std(), len(ids), False, protocol)
        for scene_id, value in zip(ids, values, strict=True):
            yield row(scene_id, name, value, None, 1, False, protocol)
    seconds = pictures.manifest["seconds"] / len(ids)
    yield row(WHOLE_SET, "seconds", seconds, None, len(ids), False, SECONDS_PROTOCOL)
    if (peak := pictures.manifest.get("peak_mib")) is not None:  # cells of older runs have none
        yield row(WHOLE_SET, "memory", peak, None, len(ids), False, MEMORY_PROTOCOL)


def upgraded(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows as this version writes them, of rows that an earlier one wrote: the peak SNR had another name, and the mean
    SNR was not kept."""
    frame = frame.rename(columns={"true_snr_db": "peak_snr_db"})
    return frame if "mean_snr_db" in frame else frame.assign(mean_snr_db=math.nan)


def tidy_rows(states: list[CellState]) -> pd.DataFrame:
    """All numbers of the cells, in the plan's order, as a frame with `COLUMNS` and `DRAWS`."""
    import pandas as pd

    return pd.DataFrame([row for state in states for row in _cell_rows(state)], columns=[*COLUMNS, DRAWS])
