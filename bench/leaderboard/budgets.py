"""What the budget page of the site gets: quality beside channel uses and energy of every way to send, at every PSNR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.api.names import carried, option_in, way_of
from bench.api.scores import score_info, stem
from bench.api.specs import DIGITAL, LINK
from bench.channels.registry import channel_words
from bench.leaderboard.pages import COLOURS, SHAPES, level_words, page_names, rounded, titled
from bench.links.scheme import ADAPTIVE

if TYPE_CHECKING:
    from bench.leaderboard.board import Board, View
    from bench.leaderboard.methods import About

#: chart.js's dashes of what is sent as it is, of a link with the method's own codec, and of links with others.
ANALOGUE_DASH, OWN_DASH, CODEC_DASHES = 2, 0, (1, 3, 4, 5)


def budget_data(board: Board, about: Mapping[str, About]) -> dict[str, Any]:
    """Sets of views by track and channel, those with channel uses only; methods look like what they carry."""
    sets = [_set(board, track.key, channel, track.size) for track in board.tracks
            for channel in dict.fromkeys(v.channel for v in board.views if v.track == track.key)]  # fmt: skip
    found = [one for one in sets if one["views"]]
    named = [name for name in board.methods if any(name in one["costs"] for one in found)]
    return {
        "tracks": {track.key: track.label for track in board.tracks},
        "methods": list(_methods(board, about, named)),
        "sets": found,
    }


def _methods(board: Board, about: Mapping[str, About], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """How each is sent; names of submissions are no specs, so that they are told apart by themselves."""
    pages, labels = page_names(board.methods), titled(about)
    carriers = list(dict.fromkeys(name if name in board.submissions else carried(name) for name in names))
    codecs = list(dict.fromkeys(filter(None, (option_in(name, "codec") for name in names))))
    for name in names:
        spec, digital = name not in board.submissions, DIGITAL in name
        codec = option_in(name, "codec") if digital else None
        number = carriers.index(carried(name) if spec else name)
        dash = CODEC_DASHES[codecs.index(codec) % len(CODEC_DASHES)] if codec else OWN_DASH
        adaptive = option_in(name, LINK) == ADAPTIVE
        yield {
            "name": name, "label": labels[name], "page": pages[name], "method": carriers[number],
            "way": way_of(name) if spec else name,
            "kind": "analogue" if not digital else "adaptive" if adaptive else "fixed",
            "sent": f"fixed link, {codec}" if codec else "fixed link" if digital else "analogue",
            "colour": number % COLOURS, "shape": number % SHAPES, "dash": dash if digital else ANALOGUE_DASH,
        }  # fmt: skip


def _set(board: Board, track: str, channel: str, size: str) -> dict[str, Any]:
    """Everything on one set of scenes over one channel; without views where nothing says what it cost."""
    own = [view for view in board.views if (view.track, view.channel) == (track, channel)]
    spent = {name: {p: _costs(own, name, p) for p in _psnrs(own)} for name in _names(own)}
    spent = {name: costs for name, costs in spent.items() if any(uses for uses, *_ in costs.values())}
    views = [view for view in own if _is_quality(view, own) and not spent.keys().isdisjoint(view.rows)]
    psnrs = _psnrs(views)
    uses = [spends for costs in spent.values() for p in psnrs if (spends := costs[p][0])]
    height, width = (int(side) for side in size.split("x"))
    metrics = [view.metric for view in views]
    return {
        "track": track, "channel": channel, "words": channel_words(channel), "levels": level_words(board, channel),
        "psnrs": psnrs, "values": 6 * height * width, "ends": [0.8 * min(uses, default=1), 1.25 * max(uses, default=1)],
        "costs": {name: [costs[p] for p in psnrs] for name, costs in spent.items()},
        "views": [_view(view, metrics.count(view.metric) > 1, spent) for view in views],
    }  # fmt: skip


def _view(view: View, ambiguous: bool, spent: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's values, each with the ends of its interval; `domain` holds all of them, so that no axis moves."""
    rows = {name: [one and [rounded(one.value), *map(rounded, one.interval or (None, None))] for one in row]
            for name, row in view.rows.items() if name in spent}  # fmt: skip
    numbers = [number for row in rows.values() for cell in row if cell for number in cell if number is not None]
    return {
        "title": f"{view.metric} ({view.protocol})" if ambiguous else view.metric, "protocol": view.protocol,
        "higher": view.higher_is_better, "decimals": view.decimals, "psnrs": list(view.psnrs), "rows": rows,
        "domain": [min(numbers, default=0), max(numbers, default=1)],
    }  # fmt: skip


def _is_quality(view: View, views: Sequence[View]) -> bool:
    """Whether it is no cost, and no part of another score under the same protocol, as AP50[car] is of AP50."""
    whole = stem(view.metric)
    part = whole != view.metric and any((o.metric, o.protocol) == (whole, view.protocol) for o in views)
    return score_info(view.metric).family != "cost" and not part


def _psnrs(views: Sequence[View]) -> list[float]:
    return sorted({psnr for view in views for psnr in view.psnrs}, reverse=True)


def _names(views: Sequence[View]) -> list[str]:
    return list(dict.fromkeys(name for view in views for name in view.rows))


def _costs(views: Sequence[View], name: str, psnr: float) -> list[float | None]:
    """Channel uses, energy and share of lost blocks of a scene, None where nothing says it."""
    own = [view for view in views if name in view.rows and psnr in view.psnrs]
    cells = {view.metric: one for view in own if (one := view.rows[name][view.psnrs.index(psnr)])}
    return [rounded(cells[cost].value) if cost in cells else None for cost in ("channel_uses", "energy", "block_lost")]
