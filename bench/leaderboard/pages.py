"""What the templates and scripts of the site get: plain data made of the board."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench.api.files import safe_name
from bench.api.names import base_name
from bench.api.provenance import commit_in_words
from bench.api.scores import COSTS, DERIVED
from bench.channels.registry import channel_words
from bench.results.request import db
from bench.tables.model import arrow

if TYPE_CHECKING:
    from bench.leaderboard.board import Board, View
    from bench.leaderboard.methods import About
    from bench.results.files import Run
    from bench.results.scores import Score

#: How many of each chart.js has.
COLOURS, SHAPES, LINES = 8, 6, 6
#: What a modifier does to a curve: which of the scripts' dashes it has.
DASHES = {"+fds": 1, "-nofds": 2}
OTHER_DASH = 3


def page_names(methods: Sequence[str]) -> dict[str, str]:
    """The page of each method; names that look alike as files are told apart by a number."""
    names: dict[str, str] = {}
    for method in methods:
        stem, number = safe_name(method), 1
        while f"methods/{stem}.html".lower() in {name.lower() for name in names.values()}:
            number += 1
            stem = f"{safe_name(method)}-{number}"
        names[method] = f"methods/{stem}.html"
    return names


def looks(methods: Sequence[str], submitted: Collection[str] = ()) -> dict[str, dict[str, int]]:
    """Numbers of a colour, marker and dash a method; variants share a colour. Submissions are no specs."""
    base = {method: method if method in submitted else base_name(method) for method in methods}
    bases = list(dict.fromkeys(base.values()))
    found: dict[str, dict[str, int]] = {}
    others = dict.fromkeys(bases, 0)  # those share a dash: from the second on the markers differ
    for method in methods:
        number, rest = bases.index(base[method]), method.removeprefix(base[method])
        dash = DASHES.get(rest, OTHER_DASH) if rest else 0
        shape = number + (others[base[method]] if dash == OTHER_DASH else 0)
        others[base[method]] += dash == OTHER_DASH
        dash = (dash + number // COLOURS) % LINES  # where colours come again, lines differ
        found[method] = {"colour": number % COLOURS, "shape": shape % SHAPES, "dash": dash}
    return found


def level_words(board: Board, channel: str) -> dict[str, str]:
    """The peak SNR in dB behind each PSNR label of a channel, for people."""
    return {f"{psnr:g}": db(level) for (of, psnr), level in board.levels.items() if of == channel}


def titled(about: Mapping[str, About]) -> dict[str, str]:
    """Titles of methods, with their names where several have the same one."""
    titles = [one.title for one in about.values()]
    return {n: a.title if titles.count(a.title) == 1 else f"{a.title} ({a.name})" for n, a in about.items()}


def rounded(value: float | None) -> float | None:
    """Six significant digits, which is more than is printed; None for what is undefined."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _cell(one: Score | None) -> dict[str, Any] | None:
    if one is None:
        return None
    low, high = one.interval or (None, None)
    numbers = {"value": rounded(one.value), "low": rounded(low), "high": rounded(high)}
    return {**numbers, "rank": one.rank, "noise": one.noise}


def board_data(board: Board, about: Mapping[str, About]) -> dict[str, Any]:
    """The ranking page's data."""
    pages, look = page_names(board.methods), looks(board.methods, board.submissions)
    channels = dict.fromkeys(view.channel for view in board.views)
    labels = titled(about)
    return {
        "tracks": [{"key": track.key, "label": track.label} for track in board.tracks],
        "channels": {channel: channel_words(channel) for channel in channels},
        "levels": {channel: level_words(board, channel) for channel in channels},
        "meanLevels": {
            track.key: {channel: words for (of, channel), words in board.mean_levels.items() if of == track.key}
            for track in board.tracks
        },
        "costs": [*COSTS, *DERIVED],
        "methods": [
            {
                "name": name, "title": about[name].title, "page": pages[name],
                "label": labels[name], "submitted": about[name].submitted,
                "authors": list(about[name].authors), **look[name],
            }
            for name in board.methods
        ],
        "views": [
            {
                "track": view.track, "channel": view.channel, "metric": view.metric, "protocol": view.protocol,
                "higher": view.higher_is_better, "decimals": view.decimals, "psnrs": list(view.psnrs),
                "note": view.note, "reference": rounded(view.reference), "ceiling": rounded(view.ceiling),
                "rows": {name: [_cell(one) for one in row] for name, row in view.rows.items()},
            }
            for view in board.views
        ],
    }  # fmt: skip


def sample_data(board: Board, about: Mapping[str, About], indices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sample browser's data, from the indices of samples; `folder`s are below samples/NUMBER/."""
    pages, sets = page_names(board.methods), []
    for number, index in enumerate(indices):
        for one in index["sets"]:
            height, width = one["size"]
            label = f"{one['dataset']} {one['split']}, {height}x{width}"
            methods = [
                {**m, "title": about[m["spec"]].title, "page": pages[m["spec"]]}
                for m in one["methods"]
                if m["spec"] in about
            ]
            scenes = [{"id": scene["id"], "folder": f"{number}/{scene['folder']}"} for scene in one["scenes"]]
            sets.append({
                **one, "key": f"{number}-{one['dataset']}-{one['split']}-{height}x{width}", "label": label,
                "methods": methods, "scenes": scenes, "channelWords": channel_words(one["channel"]),
                "levels": level_words(board, one["channel"]), "meanLevels": _mean_words(board, one),
            })  # fmt: skip
    return {"sets": sets}


def _mean_words(board: Board, samples: Mapping[str, Any]) -> str:
    """The sentence on mean SNRs of the board's track that a set of samples is from; empty where it has none."""
    height, width = samples["size"]
    stem = f"{samples['dataset']}-{samples['split']}-{height}x{width}-"
    found = (w for (track, of), w in board.mean_levels.items() if track.startswith(stem) and of == samples["channel"])
    return next(found, "")


def method_tables(board: Board, method: str) -> list[dict[str, Any]]:
    """A method's numbers: a table for each set of scenes and channel, a row for each metric and protocol."""
    tables = []
    labels = {track.key: track.label for track in board.tracks}
    for track, channel in dict.fromkeys((v.track, v.channel) for v in board.views if method in v.rows):
        views = [v for v in board.views if (v.track, v.channel) == (track, channel) and method in v.rows]
        psnrs = sorted({psnr for view in views for psnr in view.psnrs}, reverse=True)
        names = [view.metric for view in views]
        rows = [
            {
                "metric": view.metric if names.count(view.metric) == 1 else f"{view.metric} ({view.protocol})",
                "arrow": arrow(view.higher_is_better),
                "cells": [_printed(view, method, psnr) for psnr in psnrs],
            }
            for view in views
        ]
        title, words = labels[track], channel_words(channel)
        tables.append({"title": title, "channel": words, "psnrs": [f"{p:g}" for p in psnrs], "rows": rows})
    return tables


def _printed(view: View, method: str, psnr: float) -> dict[str, Any] | None:
    one = view.rows[method][view.psnrs.index(psnr)] if psnr in view.psnrs else None
    if one is None:
        return None
    ranks = [other.rank for row in view.rows.values() if (other := row[view.psnrs.index(psnr)])]

    def number(value: float) -> str:
        return f"{value:,.{view.decimals}f}" if math.isfinite(value) else "undefined"

    tied = "=" if ranks.count(one.rank) > 1 else ""
    return {
        "value": "noise" if one.noise else number(one.value),
        "interval": f"[{', '.join(map(number, one.interval))}]" if one.interval else "",
        "rank": f"rank {one.rank}{tied} of {len(ranks)}" if one.rank else "",
        "best": one.rank == 1,
    }


def board_links(board: Board, method: str) -> Iterator[dict[str, str]]:
    """Addresses of the ranking with only this method's curve in colour."""
    for track in board.tracks:
        if any(view.track == track.key and method in view.rows for view in board.views):
            yield {"hash": urlencode({"track": track.key, "show": method}), "label": track.label}


def run_facts(run: Run) -> dict[str, Any]:
    """Provenance of one run for people."""
    facts = run.facts
    commit = commit_in_words(facts)
    commits = dict.fromkeys(commit_in_words(one) for one in reversed(facts["runs"]))
    commands = dict.fromkeys(str(one["command"]) for one in facts["runs"] if one.get("command"))
    packages = ", ".join(f"{name} {version}" for name, version in facts.get("packages", {}).items())
    scenes = "; ".join(
        f"{d['dataset']}: {d['scenes_used']} scenes of {d['split']}, fingerprint {str(d['fingerprint'])[:12]}"
        for d in facts["sets"].values()
    )
    pairs = {
        "Command": "; ".join(commands), "Commit": ", ".join(commits), "Date": facts.get("date"), "Scenes": scenes,
        "Processor": facts.get("cpu"), "Devices": ", ".join(facts.get("devices", [])), "Python": facts.get("python"),
        "Packages": packages, "Left out": "; ".join([*facts.get("left_out", []), *facts.get("failures", [])]),
        "Notes": "; ".join(facts.get("notes", [])),
    }  # fmt: skip
    date = str(facts.get("date", ""))[:10]
    return {"date": date, "commit": commit[:8], "pairs": [(key, value) for key, value in pairs.items() if value]}
