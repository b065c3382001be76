"""What the leaderboard says, as data: sets of scenes, methods, and one view for each metric under one protocol.

Numbers are only put side by side where they can be compared: same data set, split, size and number of scenes, same
channel convention, same metric under the same protocol. Submissions stand beside this project's results on these
conditions, or in a view of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.api.errors import UsageError
from bench.api.names import PURE_NOISE
from bench.api.scores import score_info
from bench.results.files import Run, read_results
from bench.results.merge import about_scenes
from bench.results.ranking import explained, rank
from bench.results.request import mean_distances, side_words
from bench.results.schema import NO_CHANNEL, SCENE_SET
from bench.results.scores import Measured, Score, measured, of_methods, of_originals, read_metric
from bench.tables.model import decimals_for

if TYPE_CHECKING:
    import pandas as pd

    from bench.leaderboard.submission import Submission

log = logging.getLogger("bench")

UNRANKED_NOTE = "Not ranked: it depends on the machine."
SUBMITTED_NOTE = (
    "A submission that does not say what each scene contributes is compared by its standard error, and one that states "
    "none has no rank."
)
#: Columns that the mean SNR is told from.
MEAN_OF = ("track", "channel", "method", "peak_snr_db", "mean_snr_db")
#: What tells one number of the results from another.
NUMBER = ("track", "method", "channel", "psnr", "seed", "scene", "metric", "protocol")


@dataclass(frozen=True)
class Track:
    """A set of scenes. `fingerprint` is the digest of its scenes, None where only submissions have it and give none."""

    key: str
    dataset: str
    split: str
    size: str
    scenes: int
    fingerprint: str | None

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.dataset} {self.split}, {self.size}, {self.scenes} scenes"


@dataclass(frozen=True)
class SceneValues:
    """What scenes have of their own in a metric: for each method and PSNR values (n,) of the scenes `ids`, or None."""

    ids: tuple[str, ...]
    rows: Mapping[str, tuple[np.ndarray | None, ...]]


@dataclass(frozen=True)
class View:
    """One metric under one protocol on one track and channel: a column of `rows[method]` for each PSNR, best first.

    None stands where there is no number. `reference` is the metric's value of pure noise, `ceiling` what its evaluator
    says of the original pictures, `note` what the ranks rest on. `scenes` is None where no scene has a value.
    """

    track: str
    channel: str
    metric: str
    protocol: str
    higher_is_better: bool
    decimals: int
    psnrs: tuple[float, ...]
    rows: Mapping[str, tuple[Score | None, ...]]
    note: str
    reference: float | None
    ceiling: float | None
    scenes: SceneValues | None = field(repr=False)


@dataclass(frozen=True)
class Board:
    """Everything that the site shows of numbers.

    `parts` are scores of one class each that nothing tells from chance: they stand with the view of their whole.
    `levels` are peak SNRs in dB by channel and PSNR label. By track and channel: `means` says how far mean SNRs are
    below the peak SNR and of which methods, `sides` is a sentence on side information.
    """

    tracks: tuple[Track, ...]
    methods: tuple[str, ...]
    submissions: Mapping[str, Submission]
    views: tuple[View, ...]
    parts: tuple[View, ...]
    levels: Mapping[tuple[str, float], float]
    means: Mapping[tuple[str, str], Mapping[str, Sequence[str]]]
    sides: Mapping[tuple[str, str], str]
    runs: tuple[Run, ...]


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """The results in the folders; raises as `read_results` does."""
    return tuple(Run(folder, *read_results(folder)) for folder in folders)


def track_of(rows: pd.DataFrame) -> pd.Series[str]:
    """The key of the set of scenes that each row belongs to."""
    scenes = rows["scene_count"].astype(str)
    key: pd.Series[str] = rows["dataset"] + "-" + rows["split"] + "-" + rows["size"] + "-" + scenes
    return key


def build_board(runs: Sequence[Run], submissions: Sequence[Submission]) -> Board:
    """Everything in one board; UsageError for two methods of one name, or other scenes under one description."""
    import pandas as pd

    own = merged(runs)
    taken = [str(m) for m in own["method"].unique()]
    for submission in submissions:
        if submission.name in taken:
            raise UsageError(
                f"the name of submission '{submission.name}' is taken by a method of these results: rename one of "
                "them, or leave out the folder of results (--results) that has the other"
            )
        taken.append(submission.name)
    others = {s.name: (frame := s.frame()).assign(track=track_of(frame)) for s in submissions}
    tracks = tracks_of(runs, {s: others[s.name] for s in submissions})
    methods = (*(str(m) for m in of_methods(own)["method"].drop_duplicates()), *others)
    every = tuple(_views(own, others, [track.key for track in tracks]))
    views = tuple(view for view in every if not _is_bare(view))
    parts = tuple(view for view in every if _is_bare(view))
    levels = {
        (str(channel), float(str(psnr))): float(group["peak_snr_db"].iloc[0])
        for frame in (own, *others.values())
        for (channel, psnr), group in of_methods(frame).groupby(["channel", "psnr"])
    }
    together = pd.concat([of_methods(frame)[[*MEAN_OF]] for frame in (own, *others.values())])
    groups = {(str(t), str(c)): group for (t, c), group in together.groupby(["track", "channel"])}
    means = {key: mean_distances(group) for key, group in groups.items()}
    sides = {key: side_words(group) for key, group in groups.items()}
    return Board(tracks, methods, {s.name: s for s in submissions}, views, parts, levels, means, sides, tuple(runs))


def merged(runs: Sequence[Run]) -> pd.DataFrame:
    """The rows of all runs with their `track`. A number that several runs have is the first one's."""
    import pandas as pd

    frames = [run.frame.assign(track=track_of(run.frame)) for run in runs]
    together = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    if len(frames) == 1:
        return together
    twice = together.duplicated(list(NUMBER))
    if twice.any():
        methods = ", ".join(sorted(together[twice & (together["method"] != PURE_NOISE)]["method"].unique()))
        log.warning("several results hold the same cells of %s; the first folder's numbers are taken", methods)
    return together[~twice].reset_index(drop=True)


def tracks_of(runs: Sequence[Run], submitted: Mapping[Submission, pd.DataFrame]) -> tuple[Track, ...]:
    """The sets of scenes; UsageError for one that has other scenes than what came before under its description."""
    found: dict[str, Track] = {}
    parts = [
        (f"the results in {run.folder}", run.frame, lambda name, count, run=run: fingerprint_of(run, name, count))
        for run in runs
    ]
    for submission, frame in submitted.items():
        stated = submission.data["provenance"].get("fingerprints", {})
        parts.append((f"submission {submission.name}", frame, lambda name, _, stated=stated: stated.get(name)))
    for what, frame, fingerprints in parts:
        for track in _tracks_in(frame.assign(track=track_of(frame)), fingerprints):
            known = found.setdefault(track.key, track)
            if known.fingerprint is None:
                found[track.key] = track
            elif track.fingerprint not in (None, known.fingerprint):
                raise UsageError(
                    f"the scenes of {what} are called {track.label} but are not those of the results before it: "
                    f"fingerprint {str(track.fingerprint)[:12]}, not {known.fingerprint[:12]}"
                )
    return tuple(found.values())


def fingerprint_of(run: Run, dataset: str, scenes: int) -> str | None:
    """The digest of a data set's so many scenes in a run, None where its provenance has none."""
    about = about_scenes(run.facts, dataset, scenes)
    return None if about is None else about["fingerprint"]


def _tracks_in(rows: pd.DataFrame, fingerprint: Callable[[str, int], str | None]) -> Iterator[Track]:
    for (key, dataset, split, size, count), _ in rows.groupby(["track", *SCENE_SET], sort=False):
        scenes = int(str(count))
        yield Track(str(key), str(dataset), str(split), str(size), scenes, fingerprint(str(dataset), scenes))


def _views(own: pd.DataFrame, others: Mapping[str, pd.DataFrame], tracks: Sequence[str]) -> Iterator[View]:
    """Views in the order of tracks, channels, and metrics with qualities first."""
    for track in tracks:
        mine = own[own["track"] == track]
        theirs = {name: frame[frame["track"] == track] for name, frame in others.items()}
        whole = [of_methods(frame) for frame in (mine, *theirs.values())]
        cells = dict.fromkeys(
            cell for frame in whole for cell in zip(frame["channel"], frame["metric"], frame["protocol"], strict=True)
        )
        by_protocol = {str(protocol): rows for protocol, rows in mine.groupby("protocol", sort=False)}
        channels = dict.fromkeys(channel for channel, _, _ in cells)
        for channel in channels:
            wanted = [cell for cell in cells if cell[0] == channel and not score_info(cell[1]).of_originals]
            for _, metric, protocol in sorted(wanted, key=lambda cell: score_info(cell[1]).family == "cost"):
                rows = by_protocol.get(protocol)
                parts = {name: f[f["protocol"] == protocol] for name, f in theirs.items()}
                yield _view(track, str(channel), str(metric), str(protocol), rows, parts)


def _is_bare(view: View) -> bool:
    scores = (one for row in view.rows.values() for one in row)
    return bool(score_info(view.metric).part_of) and not any(one is not None and one.testable for one in scores)


def _view(
    track: str, channel: str, metric: str, protocol: str, own: pd.DataFrame | None, others: Mapping[str, pd.DataFrame]
) -> View:
    data, ceiling = None, None
    scores: dict[tuple[str, float], Score] = {}
    by_scene: dict[tuple[str, float], pd.Series] = {}
    if own is not None:
        rows = own[own["channel"].isin([channel, NO_CHANNEL])]
        ceiling = of_originals(rows, metric)
        if _has(rows, channel, metric):
            data = measured(rows, metric)
            scores = {(m, p): one for (_, m, p), one in data.scores.items()}
            by_scene |= _by_scene(rows, data)
    found = [data] if data else []
    for name, frame in others.items():
        rows = frame[frame["channel"] == channel]
        if not _has(rows, channel, metric):
            continue
        theirs = measured(rows, metric)
        standard = data or theirs
        for (_, _, psnr), one in theirs.scores.items():
            scores[name, psnr] = replace(one, noise=standard.beyond(one.value))
        by_scene |= _by_scene(rows, theirs)
        found.append(theirs)
    psnrs = tuple(sorted({psnr for _, psnr in scores}, reverse=True))
    decimals = decimals_for([s.value for s in scores.values() if not s.noise])
    methods = list(dict.fromkeys(method for method, _ in scores))
    columns = [[scores.get((method, psnr)) for method in methods] for psnr in psnrs]
    higher = found[0].higher_is_better
    ranking = rank([[] if score_info(metric).machine else column for column in columns], [higher] * len(columns))
    placed = {
        method: tuple(
            (here := column[k]) and replace(here, rank=places[k] if places else None)
            for column, places in zip(columns, ranking.ranks, strict=True)
        )
        for k, method in enumerate(methods)
    }
    told = explained(ranking, "") if len(methods) > 1 else ""
    submitted = SUBMITTED_NOTE if len(found) > 1 or data is None else ""
    note = UNRANKED_NOTE if score_info(metric).machine else " ".join(filter(None, [told, submitted]))
    reference = data.reference if data else None
    scenes = _scene_values(by_scene, psnrs)
    return View(track, channel, metric, protocol, higher, decimals, psnrs, placed, note, reference, ceiling, scenes)


def _by_scene(rows: pd.DataFrame, data: Measured) -> dict[tuple[str, float], pd.Series]:
    """Scenes' own values by method and PSNR: of the metric, or of the one that is declared to be its scenes'."""
    info = score_info(data.metric)
    if info.family == "cost":
        return {}
    if not data.by_scene and info.scenes and (rows["metric"] == info.scenes).any():
        data = read_metric(rows, info.scenes)
    return {(method, psnr): values for (_, method, psnr), values in data.by_scene.items()}


def _scene_values(found: Mapping[tuple[str, float], pd.Series], psnrs: Sequence[float]) -> SceneValues | None:
    if not found:
        return None
    ids = sorted({str(scene) for values in found.values() for scene in values.index})
    aligned = {key: values.reindex(ids).to_numpy(dtype=np.float32) for key, values in found.items()}
    methods = dict.fromkeys(method for method, _ in found)
    return SceneValues(tuple(ids), {m: tuple(aligned.get((m, p)) for p in psnrs) for m in methods})


def _has(rows: pd.DataFrame, channel: str, metric: str) -> bool:
    whole = of_methods(rows)
    return bool(((whole["metric"] == metric) & (whole["channel"] == channel)).any())
