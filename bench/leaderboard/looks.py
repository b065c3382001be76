"""How methods look in charts and tables: colour, mark, dash and fill, so that no two of them look the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.api.names import base_name, carried, option_in, way_of
from bench.api.specs import DIGITAL, LINK
from bench.links.scheme import ADAPTIVE

if TYPE_CHECKING:
    from bench.leaderboard.board import Board

#: How many of each assets/looks.js has. Marks and dashes have no common divisor: variants that take the next of both
#: come back to a pair of them after 42.
COLOURS, MARKS, DASHES = 8, 7, 6
#: Variants that look alike beside every method; others follow in their order.
KNOWN = {"": 0, "+fds": 1, "-nofds": 2}
#: assets/looks.js's dashes of what is sent as it is, of a link with the method's own codec, and of links with others.
ANALOGUE_DASH, OWN_DASH, CODEC_DASHES = 2, 0, (1, 3, 4, 5)


def looks(methods: Sequence[str], submitted: Collection[str] = ()) -> dict[str, dict[str, int]]:
    """Numbers of a colour, mark and dash a method, and whether marks are hollow; submissions are no specs.

    Variants of a method share its colour and differ in mark and dash.
    """
    base = {method: method if method in submitted else base_name(method) for method in methods}
    bases = list(dict.fromkeys(base.values()))
    others = dict.fromkeys(bases, max(KNOWN.values()))
    found: dict[str, dict[str, int]] = {}
    for method in methods:
        variant = KNOWN.get(method.removeprefix(base[method]))
        if variant is None:
            variant = others[base[method]] = others[base[method]] + 1
        found[method] = _look(bases.index(base[method]), variant)
    return found


def _look(base: int, variant: int) -> dict[str, int]:
    """Hollow marks tell methods apart whose colour comes again."""
    turn, hollow = base // COLOURS, (base // COLOURS + variant // (MARKS * DASHES)) % 2
    return {
        "colour": base % COLOURS, "mark": (base + variant) % MARKS, "dash": (variant + 2 * turn) % DASHES,
        "hollow": hollow,
    }  # fmt: skip


def ways(board: Board) -> dict[str, Mapping[str, Any]]:
    """How each method is sent, and how that looks on the budget page: colour and mark of the method behind the way.

    Names of submissions are no specs, so that they are told apart by themselves.
    """
    names = board.methods
    carriers = list(dict.fromkeys(name if name in board.submissions else carried(name) for name in names))
    codecs = list(dict.fromkeys(filter(None, (option_in(name, "codec") for name in names))))
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        spec, digital = name not in board.submissions, DIGITAL in name
        codec = option_in(name, "codec") if digital else None
        number = carriers.index(carried(name) if spec else name)
        dash = CODEC_DASHES[codecs.index(codec) % len(CODEC_DASHES)] if codec else OWN_DASH
        kind = "analogue" if not digital else "adaptive" if option_in(name, LINK) == ADAPTIVE else "fixed"
        found[name] = {
            "carrier": carriers[number], "way": way_of(name) if spec else name, "kind": kind,
            "sent": f"link, {codec}" if codec else "link" if digital else "analogue",
            "colour": number % COLOURS, "mark": number % MARKS, "dash": dash if digital else ANALOGUE_DASH,
            "hollow": int(kind == "adaptive"),
        }  # fmt: skip
    return found
