"""The schema of the results: one row is one number, and a column is a field of `Row`.

Bits, channel uses, energy, seconds and memory are rows as well, and so is what follows from them
(bench/results/budgets.py). Rows of the method `pure_noise`, without channel or PSNR, are what the metrics say of pure
noise (bench/run/worker.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, get_type_hints

import numpy as np

from bench.api.errors import BenchError
from bench.api.scores import score_info

if TYPE_CHECKING:
    import pandas as pd

#: In the column `scene`: a number about the whole set; in memory, the numbers of each scene (bench/results/tidy.py).
WHOLE_SET, EACH_SCENE = "all", ""
NO_CHANNEL = "none"
LONGEST_TEXT = 300


class Row(TypedDict):
    """One number of the results, NaN where it is undefined."""

    dataset: str  # the data set that was asked for
    split: str
    size: str  # of the pictures, HEIGHTxWIDTH
    scale: str  # profile of the method's networks: embedded or paper
    method: str  # its spec, such as smis+fds
    channel: str  # kind and conventions, such as awgn-paper-peak
    psnr: float  # the channel's nominal PSNR in dB
    sigma: float  # standard deviation of its noise, for symbols of power 1
    peak_snr_db: float  # the channel's own (bench/channels)
    mean_snr_db: float  # what the method made of it: energy of all scenes over their channel uses, over sigma squared
    seed: int
    cell: str  # the pictures that the number is about, as their folder's name ends
    scene_count: int  # how many scenes they show
    scene: str  # a scene's id, or `WHOLE_SET`
    metric: str
    value: float
    std: float  # spread over scenes (ddof 1) of their own values; of set-level rows where scenes have any
    stderr: (
        float  # standard error of a set-level value as that of all scenes of the kind (metrics/stats/significance.py)
    )
    scenes: int  # how many scenes the number rests on
    higher_is_better: bool
    protocol: str  # how the number was made
    #: What each scene adds to a set-level score that is no mean of per-scene values, in the order of the cell's scenes,
    #: so that tables find ranks without the cache: float32 (n,). On disk it lies beside the rows.
    contributions: NotRequired[np.ndarray | None]
    by_scene: NotRequired[Any]  # in memory, a pandas Series: values of an `EACH_SCENE` row, by scene


CONTRIBUTIONS, BY_SCENE = "contributions", "by_scene"
KINDS: dict[str, type] = {
    name: kind for name, kind in get_type_hints(Row).items() if name not in (CONTRIBUTIONS, BY_SCENE)
}
COLUMNS = tuple(KINDS)
#: What tells one list of scenes from another.
SCENE_SET = ["dataset", "split", "size", "scene_count"]
#: What tells one cell's rows from another's.
CELL_OF_SEED = [*SCENE_SET, "method", "channel", "psnr", "seed"]
#: What tells one row from every other one.
ROW = (*CELL_OF_SEED, "scene", "metric")
#: Columns that earlier versions did not have (bench/results/merge.py makes them), or had in another form (`upgraded`).
ADDED = ("cell", "scene_count")
RENAMED = ("peak_snr_db", "mean_snr_db", "stderr")


def check_columns(frame: pd.DataFrame, path: Path, columns: Sequence[str]) -> None:
    """BenchError where a column is missing or of another type: texts have to be printable and short."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    missing = [name for name in columns if name not in frame]
    if missing:
        raise BenchError(f"{path} lacks the column(s) {', '.join(missing)}; write it with this version's `bench run`")
    for name in columns:
        if KINDS[name] is str:
            check_texts(frame[name].unique(), name, path)
        elif KINDS[name] is bool:
            if not is_bool_dtype(frame[name]):
                raise BenchError(f"{path}, column {name}: not all are true or false")
        elif not is_numeric_dtype(frame[name]) or is_bool_dtype(frame[name]):
            raise BenchError(f"{path}, column {name}: not all are numbers")


def check_texts(texts: Iterable[object], column: str, path: Path) -> None:
    """BenchError for what is no text that a terminal and a table can show."""
    for text in texts:
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT or not text.isprintable():
            told = f"{ascii(text)[:60]} is not printable text of 1 to {LONGEST_TEXT} characters"
            raise BenchError(f"{path}, column {column}: {told}")


def refuse_duplicates(frame: pd.DataFrame, where: str) -> None:
    """BenchError, in the name of `where`, for rows that name one number twice: it would weigh double."""
    twice = frame[frame.duplicated([column for column in ROW if column in frame])]
    if BY_SCENE in frame and twice.empty:
        twice = frame[[values is not None and not values.index.is_unique for values in frame[BY_SCENE]]]
    if len(twice):
        first = ", ".join(f"{column} {twice.iloc[0][column]}" for column in ROW if column in frame)
        shown = "".join(character if character.isprintable() else "?" for character in first)
        raise BenchError(
            f"{where} has {len(twice)} row(s) twice, the first of them {shown[:300]}; run the same "
            "`bench run` again to write it"
        )


def upgraded(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of an earlier version as this one writes them: the peak SNR was called otherwise, the mean SNR not kept.

    Standard errors of distances stood among the spreads; those of other scores of the whole set follow from the draws
    that were kept of them, scores over 1000 resamples of the scenes.
    """
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
