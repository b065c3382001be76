"""What methods and sets of scenes are called: on pages, in files and in addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.api.files import safe_name
from bench.api.seeding import digest
from bench.results.request import db

if TYPE_CHECKING:
    from bench.leaderboard.board import Board
    from bench.leaderboard.methods import About

#: A name that is short enough for an address as it is.
_SHORT = re.compile(r"[a-z0-9_-]{1,20}")


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


def titled(about: Mapping[str, About]) -> dict[str, str]:
    """Titles of methods, with their names where several have the same one."""
    titles = [one.title for one in about.values()]
    return {n: a.title if titles.count(a.title) == 1 else f"{a.title} ({a.name})" for n, a in about.items()}


def level_words(board: Board, channel: str) -> dict[str, str]:
    """The peak SNR in dB behind each PSNR label of a channel, for people."""
    return {f"{psnr:g}": db(level) for (of, psnr), level in board.levels.items() if of == channel}


def set_names(board: Board) -> dict[tuple[str, str], str]:
    """The name in files and addresses of each set of scenes on a channel: the data set's, for the first of it.

    Results are anybody's, so only a name that can do no harm in a path stands as it is.
    """
    datasets = {track.key: track.dataset for track in board.tracks}
    found: dict[tuple[str, str], str] = {}
    for key in dict.fromkeys((view.track, view.channel) for view in board.views):
        dataset = datasets[key[0]] if _SHORT.fullmatch(datasets[key[0]]) else f"~{short_hash(datasets[key[0]])}"
        found[key] = f"{dataset}-{short_hash(*key)}" if dataset in found.values() else dataset
    return found


def method_ids(methods: Sequence[str]) -> dict[str, str]:
    """What methods are called in addresses: their names where those are short, else digits that say nothing."""
    return {name: name if _SHORT.fullmatch(name) else f"~{short_hash(name)}" for name in methods}


def short_hash(*texts: str) -> str:
    """Digits that stand for texts in addresses."""
    return digest(list(texts))[:6]
