"""The data of the site's pages, in scripts that pages load when they need them.

A page that is opened from disk may load scripts and no other files, so each file of load/ is one call with JSON in it
(assets/common.js). `board.js` says what there is; every set of scenes on a channel has a file with its scores. What
only some pages ask for lies beside it, by the number of the view: intervals of differences (`SET/pairs-3.js`),
resampled scores (`SET/draws-3.js`), values by class (`SET/classes-3.js`) and scenes' own values, a method a file
(`SET/scenes-3-12.js`, their names in `SET/scenes.js`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.channel import PAPER_PSNRS
from bench.api.scenes import facts_of
from bench.api.scores import FAMILIES, score_info, stem
from bench.channels.awgn import Awgn
from bench.channels.registry import channel_words
from bench.leaderboard.looks import looks, ways
from bench.leaderboard.names import level_words, method_ids, page_names, set_names, short_hash, titled
from bench.leaderboard.packed import half_widths, packed, resampled
from bench.results.published import paper_values
from bench.tables.build import PAPER_TABLES

if TYPE_CHECKING:
    from bench.leaderboard.board import Board, SceneValues, Track, View
    from bench.leaderboard.methods import About
    from bench.results.scores import Score

FOLDER = "load"


def write_loads(board: Board, about: Mapping[str, About], draft: Path) -> None:
    """Write all files of load/ but that of samples."""
    write_load(draft, "board", board_data(board, about))
    for (track, channel), name in set_names(board).items():
        write_load(draft, f"sets/{name}", set_data(board, track, channel))
        for part, data in _beside(board, track, channel):
            write_load(draft, f"sets/{name}/{part}", data)


def write_load(draft: Path, name: str, data: Any) -> None:
    """Write one file of load/."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("\\", "\\\\").replace("'", "\\'")
    file = draft / FOLDER / f"{name}.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"Site.receive('{name}', '{text}');\n", encoding="ascii")


def views_of(board: Board, track: str, channel: str) -> list[View]:
    """The views of one set."""
    return [view for view in board.views if (view.track, view.channel) == (track, channel)]


def _beside(board: Board, track: str, channel: str) -> Iterator[tuple[str, Any]]:
    """What lies beside a set's file."""
    views, methods = views_of(board, track, channel), board.methods
    ids = sorted({scene for view in views if view.scenes for scene in view.scenes.ids})
    if ids:
        yield "scenes", ids
    for number, view in enumerate(views):
        columns = list(zip(*view.rows.values(), strict=True))
        if _has_pairs(view):
            yield f"pairs-{number}", [packed(half_widths(column)) for column in columns]
        if _has_draws(view):
            yield f"draws-{number}", [packed(resampled(column)) for column in columns]
        if parts := _parts(view, board):
            yield f"classes-{number}", [_by_class(part, view, methods) for part in parts]
        for method, row in view.scenes.rows.items() if view.scenes else ():
            yield f"scenes-{number}-{methods.index(method)}", [_aligned(one, view.scenes, ids) for one in row]


def _has_pairs(view: View) -> bool:
    scores = [one for row in view.rows.values() for one in row]
    return not score_info(view.metric).machine and sum(one is not None and one.testable for one in scores) > 1


def _has_draws(view: View) -> bool:
    info = score_info(view.metric)
    return info.family != "cost" and not info.part_of


def _parts(view: View, board: Board) -> list[View]:
    """The scores of single classes that a view is made of: those with a view of their own, and the others."""
    place = (view.track, view.channel, view.protocol, view.metric)
    return [
        one
        for one in (*board.views, *board.parts)
        if (one.track, one.channel, one.protocol, score_info(one.metric).part_of) == place
    ]


def _by_class(part: View, whole: View, methods: Sequence[str]) -> dict[str, Any]:
    """The values of one class at the PSNRs of the whole."""
    _, _, inside = part.metric.removesuffix("]").partition("[")
    _, _, variant = whole.metric.removesuffix("]").partition("[")
    return {
        "name": inside.removeprefix(f"{variant}:") if variant else inside, "decimals": part.decimals,
        "rows": [
            [methods.index(name), [one and rounded(one.value) for one in map(cells.get, whole.psnrs)]]
            for name, row in part.rows.items()
            for cells in [dict(zip(part.psnrs, row, strict=True))]
        ],
    }  # fmt: skip


def _aligned(values: np.ndarray | None, of: SceneValues | None, ids: Sequence[str]) -> list[object] | None:
    """Values of a method's scenes as packed, in the order of the set's scenes."""
    if values is None or of is None:
        return None
    made = np.full(len(ids), np.nan)
    made[np.searchsorted(ids, of.ids)] = values
    return packed(made)


def board_data(board: Board, about: Mapping[str, About]) -> dict[str, Any]:
    """What there is: methods, tracks, and sets, which are tracks on a channel."""
    pages, labels, ids = page_names(board.methods), titled(about), method_ids(board.methods)
    look, sent = looks(board.methods, board.submissions), ways(board)
    keys = [track.key for track in board.tracks]
    return {
        "tracks": [track.label for track in board.tracks],
        "sets": [
            {
                "id": name, "track": keys.index(track), "channel": channel_words(channel),
                "levels": level_words(board, channel),
            }
            for (track, channel), name in set_names(board).items()
        ],
        "families": FAMILIES,
        "methods": [
            {
                "id": ids[name], "name": name, "title": about[name].title, "label": labels[name], "page": pages[name],
                "authors": list(about[name].authors), "submitted": about[name].submitted, "look": look[name],
                "sent": sent[name],
            }
            for name in board.methods
        ],
    }  # fmt: skip


def set_data(board: Board, track: str, channel: str) -> dict[str, Any]:
    """All scores of one set."""
    views = views_of(board, track, channel)
    (of,) = (one for one in board.tracks if one.key == track)
    return {
        "values": _values(of),
        "means": [[words, list(names)] for words, names in board.means[track, channel].items()],
        "side": board.sides[track, channel],
        "views": [{**_view(view, views, board), "paper": _paper(view, of.dataset, board.methods)} for view in views],
    }


def _values(track: Track) -> int:
    """Twice the values of a picture: real channel uses over it are the bandwidth ratio."""
    height, width = (int(side) for side in track.size.split("x"))
    return 6 * height * width


def _id(view: View, views: Sequence[View]) -> str:
    """The name of one of a set's views in addresses: the metric's, with digits where it has several protocols."""
    alike = [one for one in views if one.metric == view.metric]
    return view.metric if alike[0] is view else f"{view.metric}~{short_hash(view.protocol)}"


def _is_part(view: View, views: Sequence[View]) -> bool:
    """Whether it stands behind another score under the same protocol, as AP50[car] and AP50[judge] do behind AP50."""
    behind = {stem(view.metric), score_info(view.metric).part_of} - {view.metric}
    return any(one.metric in behind and one.protocol == view.protocol for one in views)


def _view(view: View, views: Sequence[View], board: Board) -> dict[str, Any]:
    ambiguous = [one.metric for one in views].count(view.metric) > 1
    info, methods = score_info(view.metric), board.methods
    return {
        "id": _id(view, views), "metric": view.metric,
        "title": f"{view.metric} ({view.protocol})" if ambiguous else view.metric, "protocol": view.protocol,
        "family": FAMILIES.index(info.family), "main": info.shown == "always", "part": _is_part(view, views),
        "class": bool(info.part_of), "classes": bool(_parts(view, board)), "higher": view.higher_is_better,
        "decimals": view.decimals, "psnrs": list(view.psnrs), "note": view.note, "reference": rounded(view.reference),
        "ceiling": rounded(view.ceiling), "pairs": _has_pairs(view), "draws": _has_draws(view),
        "scenes": [methods.index(name) for name in view.scenes.rows] if view.scenes else [],
        "rows": [[methods.index(name), [_cell(one) for one in row]] for name, row in view.rows.items()],
    }  # fmt: skip


def _paper(view: View, dataset: str, methods: Sequence[str]) -> dict[str, Any] | None:
    """The paper's values of a metric, where the channel is the paper's, and how far they are of the same thing."""
    found = paper_values(dataset, view.metric, PAPER_TABLES)
    rows: dict[str, list[tuple[float, float]]] = {}
    for (method, psnr), one in found.items():
        if one.value is not None and psnr in view.psnrs and method in methods:
            rows.setdefault(method, []).append((psnr, one.value))
    if not rows or view.channel != Awgn(PAPER_PSNRS[0]).convention:
        return None
    counterpart = str(facts_of(dataset).counterpart)
    return {
        "dataset": facts_of(counterpart).title, "same": dataset == counterpart,
        "substitute": score_info(view.metric).substitute,
        "rows": [[methods.index(method), row] for method, row in rows.items()],
    }  # fmt: skip


def rounded(value: float | None) -> float | None:
    """Six significant digits, which is more than is printed; None for what is undefined."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _cell(one: Score | None) -> list[Any] | None:
    """Value, ends of the interval, rank, and 1 for noise; what is None at the end is left out."""
    if one is None:
        return None
    low, high = one.interval or (None, None)
    cell: list[Any] = [rounded(one.value), rounded(low), rounded(high), one.rank, int(one.noise) or None]
    while len(cell) > 1 and cell[-1] is None:
        cell.pop()
    return cell
