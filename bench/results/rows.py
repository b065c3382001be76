"""The rows of a run's numbers (bench/results/schema.py), made of its cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bench.api.names import PURE_NOISE
from bench.results.schema import COLUMNS, CONTRIBUTIONS, NO_CHANNEL, WHOLE_SET, Row
from bench.run.summary import read_contributions
from metrics.stats.significance import contributions_of_mean, standard_error

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.plan import Cell
    from bench.run.runner import CellState

BITS_PROTOCOL = "payload under the method's codec, side information included, a scene"
USES_PROTOCOL = "real symbols on the analogue channel, a scene"
SECONDS_PROTOCOL = "sender, channel and receiver on one worker, a scene"
MEMORY_PROTOCOL = "peak of the worker while it computes the cell, MiB: resident on a CPU, allocated by torch on a GPU"


def _mean_snr_db(scenes: Sequence[Mapping[str, Any]], sigma: float) -> float:
    """Mean power of what was sent for the scenes over the noise's, in dB; NaN where nothing was sent, and for cells of
    runs that kept no energies."""
    uses, energy = sum(s["channel_uses"] for s in scenes), sum(s.get("energy", math.nan) for s in scenes)
    if not uses or math.isnan(energy):
        return math.nan
    if sigma == 0:
        return math.inf
    return 10 * math.log10(energy / uses / sigma**2) if energy > 0 else -math.inf


def _spread(values: np.ndarray) -> dict[str, float]:
    """Spread and standard error of per-scene values that are all defined; empty for one scene."""
    contributions = contributions_of_mean(values)
    if contributions is None:
        return {}
    return {"std": float(values.std(ddof=1)), "stderr": standard_error(contributions)}


def cell_id(cell: Cell) -> str:
    """The digits of the cell's key at the end of its folder's name."""
    return cell.name.rpartition("-")[2]


def _value(number: float | None) -> float:
    return float("nan") if number is None else float(number)


def _cell_rows(state: CellState) -> Iterator[Row]:
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
        "cell": cell_id(cell),
        "scene_count": len(cell.scenes.ids),
    }
    reference = cell.method.spec == PURE_NOISE
    if reference:
        nan = float("nan")
        base |= {"channel": NO_CHANNEL, "psnr": nan, "sigma": nan, "peak_snr_db": nan, "mean_snr_db": nan}

    def row(score: Mapping[str, Any], better: bool, protocol: str, scene: str = WHOLE_SET) -> Row:
        numbers = {name: _value(score.get(name)) for name in ("value", "std", "stderr")}
        counted = {"scene": scene, "metric": score["metric"], **numbers, "scenes": score.get("scenes", 1)}
        return cast(Row, {**base, **counted, "higher_is_better": better, "protocol": protocol})

    def single(name: str, values: Iterable[float | None], better: bool, protocol: str) -> Iterator[Row]:
        for scene, value in zip(pictures.manifest["scenes"], values, strict=True):
            yield row({"metric": name, "value": value}, better, protocol, scene["id"])

    for entry in state.scores.values():
        facts = entry.manifest
        better, protocol = facts["higher_is_better"], facts["protocol"]
        contributions = {} if reference else read_contributions(entry)
        for score in facts["scores"]:
            name, kept = score["metric"], contributions.get(score["metric"])
            made = row(score, better[name], protocol[name])
            made["contributions"] = None if kept is None else kept.astype(np.float32)
            yield made
        if not reference:
            for name, values in facts["per_scene"].items():
                yield from single(name, values, better[name], protocol[name])
    if reference:
        return
    scenes = len(pictures.manifest["scenes"])
    for name, protocol in (("bits", BITS_PROTOCOL), ("channel_uses", USES_PROTOCOL)):
        values = np.array([scene[name] for scene in pictures.manifest["scenes"]], dtype=np.float64)
        yield row({"metric": name, "value": values.mean(), **_spread(values), "scenes": scenes}, False, protocol)
        yield from single(name, values, False, protocol)
    seconds = pictures.manifest["seconds"] / scenes
    yield row({"metric": "seconds", "value": seconds, "scenes": scenes}, False, SECONDS_PROTOCOL)
    if (peak := pictures.manifest.get("peak_mib")) is not None:  # cells of older runs have none
        yield row({"metric": "memory", "value": peak, "scenes": scenes}, False, MEMORY_PROTOCOL)


def tidy_rows(states: list[CellState]) -> pd.DataFrame:
    """All numbers of the cells, in the plan's order, as a frame with `COLUMNS` and `CONTRIBUTIONS`."""
    import pandas as pd

    return pd.DataFrame([row for state in states for row in _cell_rows(state)], columns=[*COLUMNS, CONTRIBUTIONS])
