"""What tables, figures and pages are made of: a run's results, what the user chose of them, and captions for it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import UsageError, known_name
from bench.api.names import PURE_NOISE, base_name, metric_variants, resolve_metrics
from bench.api.registry import METRICS
from bench.api.specs import CODED, HEADER, LINK
from bench.api.unpackaged import UNPACKAGED
from bench.channels.registry import channel_words, level_words, parse_channel
from bench.config import ChannelSection, Config
from bench.links.scheme import ADAPTIVE
from bench.results.dataset import Choice, Only
from bench.results.files import Run, read_results
from bench.results.schema import SCENE_SET
from bench.results.scores import of_methods, of_scenes
from bench.results.tidy import scenes_of
from bench.run.setting import without_weights

if TYPE_CHECKING:
    import pandas as pd

#: The PSNR of the paper's Figures 1 and 5 and of its Tables 4 and 5.
PSNR = 10.0
_METHOD = re.compile(r": the method (\w+),")


@dataclass(frozen=True)
class Request(Run):
    """A run's results, and choices that are empty where the figure is to choose.

    `to` is where pictures that have to be computed are kept; `scenes` is a number, or ids; `say` gets lines for people
    about what takes time.
    """

    to: Path
    methods: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    psnrs: tuple[float, ...] = ()
    scenes: int | tuple[str, ...] | None = None
    config: Config = field(default_factory=Config)
    say: Callable[[str], None] = lambda line: None

    @property
    def commit(self) -> str:
        """The commits that computed the results, shortened."""
        commits = self.facts.get("cells_computed_at") or [self.facts.get("commit") or "unknown"]
        parts = [str(c).partition("+") for c in commits]
        return ", ".join(f"{commit[:8]}{plus}{rest}" for commit, plus, rest in parts)

    def provenance(self, rows: pd.DataFrame) -> str:
        """The sentences below every figure: commit, scenes, seeds, channel, code without a package."""
        told = code_notes(self.facts, [str(method) for method in rows["method"].unique()])
        return " ".join([f"gesco-bench {self.commit}: {scene_set_title(rows)}.", side_words(rows), *told])


@dataclass(frozen=True)
class Part:
    """One set of scenes on one channel: `frame` has all rows, `rows` the set-level ones of methods."""

    key: str
    channel: str
    frame: pd.DataFrame
    rows: pd.DataFrame

    @property
    def methods(self) -> list[str]:
        """In the order of the results."""
        return [str(m) for m in self.rows["method"].drop_duplicates()]

    @property
    def psnrs(self) -> list[float]:
        """From the best channel to the worst, as tables print them."""
        return sorted((float(p) for p in self.rows["psnr"].unique()), reverse=True)

    def first(self, column: str) -> Any:
        """The value of a column, which is the same in all rows (or the first one, for seeds)."""
        return self.rows[column].iloc[0]


def read_request(folder: Path, to: Path, scores: Choice | None = None, **choices: Any) -> Request:
    """The results in `folder`, with the choices; raises as `read_results` does, UsageError for unknown methods.

    Of all scores those that `scores` chooses are read, and of methods the chosen ones.
    """
    asked = choices.get("methods") or ()

    def methods(known: list[str]) -> Collection[str]:
        return asked if asked and set(asked) <= set(known) else known

    return select(Request(folder, *read_results(folder, only=Only(scores, methods)), to, **choices))


def computed_again(config: Config, opened_as: str, channel: str, **run: Any) -> Config:
    """The configuration for cells of results: their data set, channel and weights, and the values of `run`."""
    kind, options = parse_channel(channel)
    config = without_weights(config)
    section = config.run.model_copy(update={"datasets": (opened_as,), **run})
    return config.model_copy(update={"run": section, "channel": ChannelSection(kind=kind, **options)})


def select(request: Request) -> Request:
    """The same with the rows of the chosen methods only, in the order chosen; UsageError names the nearest one."""
    if of_methods(request.frame).empty:
        raise UsageError(f"the results in {request.folder} hold no numbers; run `bench run --out {request.folder}`")
    if not request.methods:
        return request
    known = [str(m) for m in of_methods(request.frame)["method"].drop_duplicates()]
    where = f" of the results in {request.folder}"
    try:
        methods = tuple(known_name(name, known, "method", where) for name in request.methods)
    except UsageError as error:
        raise UsageError(f"{error}; a `bench run` that names it among its --methods computes it") from None
    chosen = request.frame[request.frame["method"].isin([*methods, PURE_NOISE])]
    order = {method: number for number, method in enumerate((*methods, PURE_NOISE))}
    ordered = chosen.sort_values("method", key=lambda m: m.map(order), kind="stable")
    return replace(request, methods=methods, frame=ordered)


def parts(request: Request) -> Iterator[Part]:
    """Each set of scenes and channel convention of the results that has anything of what was chosen.

    One folder may hold data sets with other PSNRs, metrics and scenes. UsageError for a PSNR or a metric that none has.
    """
    whole = of_methods(request.frame)
    for metric in request.metrics:
        choose_metrics(whole, metric)
    found = []
    for (*scenes, channel), rows in whole.groupby([*SCENE_SET, "channel"], sort=False):
        own = of_scenes(request.frame, scenes)
        own = own[(own["channel"] == channel) | (own["method"] == PURE_NOISE)]
        found.append(Part("-".join(str(part) for part in (*scenes, channel)), str(channel), own, rows))
    for psnr in request.psnrs:
        if not any(psnr in part.psnrs for part in found):
            there = ", ".join(f"{p:g}" for p in sorted({p for part in found for p in part.psnrs}, reverse=True))
            raise UsageError(
                f"PSNR {psnr:g} was not run on {' or '.join(part.key for part in found)}, only {there}; a `bench run` "
                "that names it among its --psnr computes it"
            )
    fitting = [part for part in found if _fits(part, request)]
    yield from fitting or found


def _fits(part: Part, request: Request) -> bool:
    metrics = part.rows["metric"].unique()
    scenes = set(request.scenes) if isinstance(request.scenes, tuple) else set()
    return (
        (not request.psnrs or any(psnr in part.psnrs for psnr in request.psnrs))
        and (not request.metrics or any(metric_variants(metric, metrics) for metric in request.metrics))
        and (not scenes or not scenes.isdisjoint(scenes_of(part.frame)))
    )


def chosen_psnrs(request: Request, part: Part, default: Sequence[float]) -> list[float]:
    """Those of the PSNRs asked for, else of `default`, that were run here, else the middle one; best channel first."""
    wanted = [p for p in request.psnrs or default if p in part.psnrs]
    return sorted(wanted, reverse=True) or [part.psnrs[len(part.psnrs) // 2]]


def choose_metrics(rows: pd.DataFrame, typed: str) -> list[str]:
    """The metrics of the set-level `rows` that are meant; UsageError says how to compute one that they lack."""
    known = sorted(rows["metric"].unique())
    try:
        return resolve_metrics(typed, known)
    except UsageError as error:
        raise UsageError(f"{error}{computed_by(typed)}") from None


def computed_by(typed: str) -> str:
    """`; ... computes it` for a metric that exists but is not in the results, else nothing."""
    try:
        names = ",".join(resolve_metrics(typed, METRICS.names()))
    except UsageError:
        return ""
    return f"; `bench run --metrics {names}` computes {names}, which these results lack"


def listed(rows: pd.DataFrame, column: str) -> str:
    """The different values of a column, in their order, as words."""
    return ", ".join(str(v) for v in rows[column].drop_duplicates())


def scene_set_title(rows: pd.DataFrame) -> str:
    """Data set, split, size, scale, scenes, seeds and channels of rows, for captions."""
    channels = " and ".join(channel_words(str(c)) for c in rows["channel"].drop_duplicates())
    return (
        f"{listed(rows, 'dataset')} {listed(rows, 'split')} at {listed(rows, 'size')} (scale: "
        f"{listed(rows, 'scale')}), {listed(rows, 'scenes')} scenes, seeds {listed(rows, 'seed')}; {channels}"
    )


#: What captions say of methods that know the channel, by what their specs show.
_KNOWING = {
    "link=adaptive: the sender knows the channel, its nominal SNR or with csi=both its gains.": re.compile(
        f":{LINK}={ADAPTIVE}"
    ),
    "adaptive=True: both ends know the channel's nominal SNR.": re.compile(":adaptive=true", re.IGNORECASE),
}


def side_words(rows: pd.DataFrame) -> str:
    """How side information reaches the receivers of the methods in `rows`, and which of these know the channel."""
    methods = [str(method) for method in rows["method"].drop_duplicates()]
    coded = [method for method in methods if f":{HEADER}={CODED}" in method]
    but = f"; {', '.join(coded)}: sent coded, and can be lost" if coded else ""
    words = f"Side information is free of error and counted in bytes{but}."
    if len(coded) == len(methods):
        words = "Side information is sent coded, ahead of the symbols, and can be lost."
    known = [said for said, knows in _KNOWING.items() if any(knows.search(method) for method in methods)]
    return " ".join([words, *known])


def code_notes(facts: Mapping[str, Any], methods: Collection[str]) -> list[str]:
    """Which parts of results, among them these methods, are code that no distribution holds, as provenance says."""
    told = [str(line) for line in facts.get("notes", ()) if str(line).startswith(UNPACKAGED)]
    bases = {base_name(method) for method in methods}
    shown = [line for line in told if not (found := _METHOD.search(line)) or found[1] in bases]
    return [f"{line[0].upper()}{line[1:]}." for line in shown]


def db(level: float) -> str:
    """A ratio in dB as printed."""
    return "∞" if level == math.inf else f"{level:.1f}"


def peak_levels(rows: pd.DataFrame, psnrs: Sequence[float]) -> str:
    """`peak SNR 8.9, 4.4 dB`: behind each label, in the order of `psnrs`."""

    def words(psnr: float) -> str:
        levels = rows[rows["psnr"] == psnr]["peak_snr_db"].drop_duplicates()
        return " or ".join(db(float(level)) for level in levels)

    return f"{level_words(map(str, rows['channel'].unique()))} {', '.join(words(psnr) for psnr in psnrs)} dB"


def mean_levels(rows: pd.DataFrame, apart: bool = True) -> str:
    """A sentence on the mean SNR of the methods in set-level rows: how far it is below the peak SNR.

    With `apart` for each method, else the range of all.

    The peak SNR belongs to the channel, the mean SNR is what a method made of it: 0/1 maps and images have a mean power
    far below their peak power of 1, so under the peak convention it is lower, by what a method sends.
    """
    if not apart:
        distance = _distance(rows)
        than = " than the peak SNR" if distance.endswith("lower") else ""
        return f"Mean SNR, of what a method sends: {distance}{than}."
    by_distance = mean_distances(rows)
    parts = list(by_distance)
    if len(parts) > 1:
        parts = [f"{distance} ({', '.join(names)})" for distance, names in by_distance.items()]
    return f"Mean SNR, of what a method sends: {'; '.join(parts)}."


def mean_distances(rows: pd.DataFrame) -> dict[str, list[str]]:
    """How far the mean SNR is below the peak SNR, in words -> the methods in set-level rows of which it is."""
    by_distance: dict[str, list[str]] = {}
    for method, own in rows.groupby("method", sort=False):
        by_distance.setdefault(_distance(own), []).append(str(method))
    return by_distance


def _distance(rows: pd.DataFrame) -> str:
    """How far the mean SNR of one method's rows is below the peak SNR, in words."""
    peak, mean = (rows[name].to_numpy(dtype=np.float64) for name in ("peak_snr_db", "mean_snr_db"))
    known = np.isfinite(peak) & ~np.isnan(mean)
    below = np.unique((peak[known] - mean[known]).round(1))
    if not len(below):
        noisy = np.isfinite(peak).any()
        return "unknown" if noisy or not (mean == math.inf).any() else "∞, without noise"
    if np.isinf(below).all():
        return "none, nothing but zeros is sent"
    low, high = below.min(), below.max()
    if high == 0:
        return "the peak SNR"
    return f"{low:.1f} dB lower" if low == high else f"{low:.1f} to {high:.1f} dB lower"
