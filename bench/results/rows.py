"""The rows of a run's numbers (bench/results/schema.py), made of its cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bench.api.names import PURE_NOISE
from bench.api.seeding import digest
from bench.api.specs import CODED
from bench.results.budgets import ENERGY_PROTOCOL, PROTOCOLS, derived, mean_snr_db
from bench.results.schema import BY_SCENE, COLUMNS, CONTRIBUTIONS, EACH_SCENE, NO_CHANNEL, WHOLE_SET, Row
from bench.run.summary import read_contributions
from bench.run.transport import HEADER_SCHEME
from metrics.stats.significance import contributions_of_mean, standard_error

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.plan import Cell
    from bench.run.runner import CellState

BITS_PROTOCOL = "payload under the method's codec, side information included, a scene"
USES_PROTOCOL = "real symbols on the analogue channel, a scene"
SIDE_PROTOCOL = "side information that reaches the receiver free of error, in bytes, a scene"
SECONDS_PROTOCOL = "sender, channel and receiver on one worker, a scene"
MEMORY_PROTOCOL = "peak of the worker while it computes the cell, MiB: resident on a CPU, allocated by torch on a GPU"


#: Bumped when other rows are made of the same cells.
ROWS_VERSION = 1


def _mean_power(scenes: Sequence[Mapping[str, Any]]) -> float:
    """Energy of all scenes over their channel uses; NaN without any, or where no energies were kept."""
    uses, energy = sum(s.get("channel_uses", 0) for s in scenes), sum(s.get("energy", math.nan) for s in scenes)
    return energy / uses if uses else math.nan


def cell_id(cell: Cell) -> str:
    """The digits of the cell's key at the end of its folder's name."""
    return cell.name.rpartition("-")[2]


def _row(base: Mapping[str, Any], score: Mapping[str, Any], better: bool, protocol: str, scene: str = WHOLE_SET) -> Row:
    numbers = {name: math.nan if score.get(name) is None else float(score[name]) for name in ("value", "std", "stderr")}
    counted = {"scene": scene, "metric": score["metric"], **numbers, "scenes": score.get("scenes", 1)}
    kept = {CONTRIBUTIONS: None, BY_SCENE: None}
    return cast("Row", {**base, **counted, "higher_is_better": better, "protocol": protocol, **kept})


def _each(
    base: Mapping[str, Any], scenes: pd.Index, name: str, values: Iterable[Any], better: bool, protocol: str
) -> Row:
    """The scenes' own values, None where undefined."""
    import pandas as pd

    made = _row(base, {"metric": name}, better, protocol, EACH_SCENE)
    made["by_scene"] = pd.Series(np.array(values, dtype=np.float64), index=scenes)
    return made


@lru_cache(maxsize=16)
def _scenes(ids: tuple[str, ...]) -> pd.Index:
    """The index of the values of scenes, one for all cells of a run."""
    import pandas as pd

    return pd.Index(ids)


def place_of(cell: Cell) -> dict[str, Any]:
    """What all rows of a cell have in common, whatever came of it."""
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
        "seed": cell.seed,
        "cell": cell_id(cell),
        "scene_count": len(cell.scenes.ids),
    }
    if cell.method.spec == PURE_NOISE:
        base |= {"channel": NO_CHANNEL, **dict.fromkeys(("psnr", "sigma", "peak_snr_db"), math.nan)}
    return base


def _cell_rows(state: CellState) -> Iterator[Row]:
    cell, pictures = state.cell, state.pictures
    if pictures is None:
        return
    manifest = pictures.manifest
    ids = _scenes(tuple(scene["id"] for scene in manifest["scenes"]))
    reference = cell.method.spec == PURE_NOISE
    power = math.nan if reference else _mean_power(manifest["scenes"])
    base = {**place_of(cell), "mean_snr_db": mean_snr_db(power, cell.channel.sigma)}
    for entry in state.scores.values():
        facts = entry.manifest
        better, protocol = facts["higher_is_better"], facts["protocol"]
        contributions = {} if reference else read_contributions(entry)
        for score in facts["scores"]:
            name, kept = score["metric"], contributions.get(score["metric"])
            made = _row(base, score, better[name], protocol[name])
            made["contributions"] = None if kept is None else kept.astype(np.float32)
            yield made
        for name, values in () if reference else facts["per_scene"].items():
            yield _each(base, ids, name, values, better[name], protocol[name])
    if not reference and "seconds" in manifest:  # nothing is known of what pictures made elsewhere cost
        yield from _cost_rows(base, manifest, ids, _blocks(cell))


def _blocks(cell: Cell) -> str:
    """What block_lost counts of a cell, and by which link; empty where nothing can be lost."""
    method = cell.method
    header = f"|header={HEADER_SCHEME.label}" if method.header == CODED else ""
    if not method.link:
        return f"side information whose CRC fails, one a scene{header}" if header else ""
    fails = "transport blocks whose CRC fails, or their header's" if header else "transport blocks whose CRC fails"
    return f"{fails}, one a scene|link={method.link}{header}"


def _cost_rows(base: Mapping[str, Any], manifest: Mapping[str, Any], ids: pd.Index, blocks: str) -> Iterator[Row]:
    scenes = manifest["scenes"]
    costs = [("bits", BITS_PROTOCOL), ("channel_uses", USES_PROTOCOL)]
    if all("energy" in scene for scene in scenes):  # cells of older runs kept none
        costs.append(("energy", ENERGY_PROTOCOL))
    if blocks:
        costs.append(("block_lost", blocks))
    for name, protocol in costs:
        values = np.array([scene[name] for scene in scenes], dtype=np.float64)
        score = {"metric": name, "value": values.mean(), "scenes": len(ids)}
        if (contributions := contributions_of_mean(values)) is not None:  # None: one scene
            score |= {"std": values.std(ddof=1), "stderr": standard_error(contributions)}
        yield _row(base, score, False, protocol)
        yield _each(base, ids, name, values, False, protocol)
        if name == "channel_uses":
            for follows in derived(score, _mean_power(scenes), base["sigma"], base["size"]):
                yield _row(base, follows, False, PROTOCOLS[follows["metric"]])
    if all("side_bytes" in scene for scene in scenes):
        free = np.mean([scene["side_bytes"] for scene in scenes])
        yield _row(base, {"metric": "side_bytes", "value": free, "scenes": len(ids)}, False, SIDE_PROTOCOL)
    seconds = manifest["seconds"] / len(ids)
    yield _row(base, {"metric": "seconds", "value": seconds, "scenes": len(ids)}, False, SECONDS_PROTOCOL)
    if (peak := manifest.get("peak_mib")) is not None:  # cells of older runs have none
        yield _row(base, {"metric": "memory", "value": peak, "scenes": len(ids)}, False, MEMORY_PROTOCOL)


def made_of(state: CellState) -> str:
    """A digest of all that the rows of a cell are made of."""
    assert state.pictures is not None
    scores = {name: entry.seal for name, entry in state.scores.items()}
    return digest([ROWS_VERSION, state.cell.method.profile, _blocks(state.cell), state.pictures.seal, scores])[:24]


def tidy_rows(states: list[CellState]) -> pd.DataFrame:
    """All numbers of the cells, in the plan's order, as rows in memory (bench/results/tidy.py)."""
    import pandas as pd

    rows = [row for state in states for row in _cell_rows(state)]
    return pd.DataFrame(rows, columns=[*COLUMNS, CONTRIBUTIONS, BY_SCENE])
