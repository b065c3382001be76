"""What the templates and scripts of the site get: plain data made of the board."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench.api.provenance import commit_in_words
from bench.channels.registry import channel_words
from bench.leaderboard.names import level_words, method_ids, page_names, set_names
from bench.tables.model import arrow

if TYPE_CHECKING:
    from bench.leaderboard.board import Board, View
    from bench.leaderboard.methods import About
    from bench.results.files import Run


def sample_data(board: Board, about: Mapping[str, About], indices: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sample browser's sets, from the indices of samples; `folder`s are below samples/NUMBER/."""
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
            of = _of_board(board, one)
            known = of in board.means
            of_board = set_names(board).get(of)
            sets.append({
                **one, "key": one["dataset"] if not number else f"{one['dataset']}-{number}", "label": label,
                "set": of_board, "methods": methods, "scenes": scenes, "channelWords": channel_words(one["channel"]),
                "levels": level_words(board, one["channel"]), "side": board.sides[of] if known else "",
                "means": [[words, list(names)] for words, names in board.means[of].items()] if known else [],
            })  # fmt: skip
    return sets


def _of_board(board: Board, samples: Mapping[str, Any]) -> tuple[str, str]:
    """Track and channel that a set of samples is from; an empty track where the board has none."""
    height, width = samples["size"]
    stem = f"{samples['dataset']}-{samples['split']}-{height}x{width}-"
    tracks = (track for track, of in board.means if track.startswith(stem) and of == samples["channel"])
    return next(tracks, ""), samples["channel"]


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
    labels = {track.key: track.label for track in board.tracks}
    ids, named = method_ids(board.methods), set_names(board)
    for track in dict.fromkeys(view.track for view in board.views if method in view.rows):
        channel = next(view.channel for view in board.views if view.track == track and method in view.rows)
        yield {"hash": urlencode({"set": named[track, channel], "show": ids[method]}), "label": labels[track]}


#: A path on the machine that measured, from the root of its disk or from somebody's home.
_LOCAL = re.compile(r"(?<![\w.:/~])(?:~|/|[A-Za-z]:\\)[^\s'\",;:]*[/\\]([^\s'\",;:/\\]+)/?")


def published(text: str) -> str:
    """A text without the folders of the machine that it was written on: of a path its last part is left."""
    return _LOCAL.sub(r"…/\1", text)


def published_facts(facts: Any) -> Any:
    """JSON data whose texts are as `published` makes them."""
    if isinstance(facts, dict):
        return {key: published_facts(value) for key, value in facts.items()}
    if isinstance(facts, list):
        return [published_facts(value) for value in facts]
    return published(facts) if isinstance(facts, str) else facts


def run_facts(run: Run, number: int, runs: int) -> dict[str, Any]:
    """Provenance of one of so many runs for people, without repetitions and without paths of its machine."""
    facts = run.facts
    commits = dict.fromkeys(commit_in_words(one)[:12] for one in reversed(facts["runs"]))
    commands = dict.fromkeys(published(str(one["command"])) for one in facts["runs"] if one.get("command"))
    scenes = [
        f"{d['dataset']}: {d['scenes_used']} scenes of {d['split']}, fingerprint {str(d['fingerprint'])[:12]}"
        for d in facts["sets"].values()
    ]
    pairs: dict[str, Sequence[str]] = {
        "Commands": list(commands), "Commits": [", ".join(commits)], "Scenes": scenes,
        "Machine": [", ".join(filter(None, [facts.get("cpu"), *facts.get("devices", [])]))],
        "Versions": [f"Python {facts.get('python')}", *(f"{n} {v}" for n, v in facts.get("packages", {}).items())],
        "Left out": [published(text) for text in (*facts.get("left_out", []), *facts.get("failures", []))],
        "Notes": [published(text) for text in facts.get("notes", [])],
    }  # fmt: skip
    pairs["Versions"] = [", ".join(pairs["Versions"])]
    date, which = str(facts.get("date", ""))[:10], f"Run {number + 1}" if runs > 1 else "The run"
    return {
        "words": f"results of {date}, commit {next(iter(commits), 'unknown')[:8]}", "title": f"{which}, {date}",
        "pairs": [(key, values) for key, values in pairs.items() if any(values)],
    }  # fmt: skip
