"""The tidy rows of a run's numbers: one row is one number.

Columns: data set, split, size, scale, method, channel, psnr, sigma, peak_snr_db, mean_snr_db, seed, cell, scene_count,
scene, metric, value, std, stderr, scenes, higher_is_better, protocol. `peak_snr_db` is the channel's
(bench/channels/awgn.py), `mean_snr_db` what the method made of it: the energy of all scenes over their channel uses,
over sigma squared. `cell` names the pictures that a number is about, as their folder does, and `scene_count` says how
many scenes they show; `scenes` how many of them the number rests on. `scene` is "all" for a number about the whole set.
Bits, channel uses, seconds and memory are rows as well. Rows of the method `pure_noise`, without channel or PSNR, are
what the metrics say of pure noise (bench/run/reference.py).

`std` is the spread over scenes: the standard deviation (ddof 1) of the scenes' own values, empty where a scene has none
(a distance between sets). `stderr` is the standard error of `value` as that of all scenes of the kind, from the same
scenes (metrics/stats/significance.py), empty where nothing tells it. Both are of set-level rows only.

There is one column more, `contributions`: what each scene contributes to a set-level score that is no mean of
per-scene values, in the order of the cell's scenes, so that tables find ranks without the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import BenchError
from bench.api.names import PURE_NOISE
from bench.api.scores import score_info
from bench.run.summary import read_contributions
from metrics.stats.significance import contributions_of_mean, standard_error

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.plan import Cell
    from bench.run.runner import CellState

WHOLE_SET = "all"
COLUMNS = (
    "dataset", "split", "size", "scale", "method", "channel", "psnr", "sigma", "peak_snr_db", "mean_snr_db", "seed",
    "cell", "scene_count", "scene", "metric", "value", "std", "stderr", "scenes", "higher_is_better", "protocol",
)  # fmt: skip
#: What tells one row from every other one.
ROW = ("dataset", "split", "size", "scene_count", "method", "channel", "psnr", "seed", "scene", "metric")
CONTRIBUTIONS = "contributions"
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
        "cell": cell_id(cell),
        "scene_count": len(cell.scenes.ids),
    }
    reference = cell.method.spec == PURE_NOISE
    if reference:
        nan = float("nan")
        base |= {"channel": NO_CHANNEL, "psnr": nan, "sigma": nan, "peak_snr_db": nan, "mean_snr_db": nan}

    def whole(score: Mapping[str, Any], better: bool, protocol: str) -> dict[str, Any]:
        numbers = {name: _value(score.get(name)) for name in ("value", "std", "stderr")}
        made = {**base, "scene": WHOLE_SET, "metric": score["metric"], **numbers, "scenes": score["scenes"]}
        return {**made, "higher_is_better": better, "protocol": protocol}

    def single(scene: str, metric: str, value: float | None, better: bool, protocol: str) -> dict[str, Any]:
        numbers = {"value": _value(value), "std": math.nan, "stderr": math.nan, "scenes": 1}
        return {**base, "scene": scene, "metric": metric, **numbers, "higher_is_better": better, "protocol": protocol}

    ids = [scene["id"] for scene in pictures.manifest["scenes"]]
    for entry in state.scores.values():
        facts = entry.manifest
        better, protocol = facts["higher_is_better"], facts["protocol"]
        contributions = {} if reference else read_contributions(entry)
        for score in facts["scores"]:
            name, kept = score["metric"], contributions.get(score["metric"])
            yield {
                **whole(score, better[name], protocol[name]),
                CONTRIBUTIONS: None if kept is None else kept.astype(np.float32),
            }
        if reference:
            continue
        for name, values in facts["per_scene"].items():
            for scene_id, value in zip(ids, values, strict=True):
                yield single(scene_id, name, value, better[name], protocol[name])
    if reference:
        return
    for name, protocol in (("bits", BITS_PROTOCOL), ("channel_uses", USES_PROTOCOL)):
        values = np.array([scene[name] for scene in pictures.manifest["scenes"]], dtype=np.float64)
        yield whole({"metric": name, "value": values.mean(), **_spread(values), "scenes": len(ids)}, False, protocol)
        for scene_id, value in zip(ids, values, strict=True):
            yield single(scene_id, name, value, False, protocol)
    seconds = pictures.manifest["seconds"] / len(ids)
    yield whole({"metric": "seconds", "value": seconds, "scenes": len(ids)}, False, SECONDS_PROTOCOL)
    if (peak := pictures.manifest.get("peak_mib")) is not None:  # cells of older runs have none
        yield whole({"metric": "memory", "value": peak, "scenes": len(ids)}, False, MEMORY_PROTOCOL)


def upgraded(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows as this version writes them, of rows that an earlier one wrote. The peak SNR had another name, the mean SNR
    was not kept. Standard errors of distances stood among the spreads; those of other scores of the whole set follow
    from the draws that were kept of them, scores over 1000 resamples of the scenes."""
    frame = frame.rename(columns={"true_snr_db": "peak_snr_db"})
    if "mean_snr_db" not in frame:
        frame = frame.assign(mean_snr_db=math.nan)
    if "stderr" not in frame:
        distances = frame["metric"].map(lambda name: score_info(str(name)).family == "distribution").astype(bool)
        errors = frame["std"].where(distances)
        frame = frame.assign(std=frame["std"].mask(distances), stderr=errors)
        if "draws" in frame:
            drawn = frame["draws"].notna() & ~distances
            spread = frame[drawn]["draws"].map(lambda draws: float(np.nanstd(draws)))
            scenes = frame[drawn]["scenes"]
            frame.loc[drawn, "stderr"] = spread * np.sqrt(scenes / (scenes - 1).clip(lower=1))
    return frame if CONTRIBUTIONS in frame else frame.assign(**{CONTRIBUTIONS: None})


def tidy_rows(states: list[CellState]) -> pd.DataFrame:
    """All numbers of the cells, in the plan's order, as a frame with `COLUMNS` and `CONTRIBUTIONS`."""
    import pandas as pd

    return pd.DataFrame([row for state in states for row in _cell_rows(state)], columns=[*COLUMNS, CONTRIBUTIONS])
