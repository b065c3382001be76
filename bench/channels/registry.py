"""Channels by kind (entry-point group `bench.channels`), and the one reading of what results and people write.

`awgn-paper-peak`, `awgn:calibration=eq1`: a kind, then the values of its options in order or by name.
"""

from __future__ import annotations

import re
import typing
from typing import Any

from bench.api.channel import Channel
from bench.api.errors import BenchError, UsageError, nearest
from bench.api.registry import CHANNELS
from bench.api.specs import typed_value

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WRITTEN = re.compile(r"(?P<kind>[A-Za-z0-9_]+)(?P<values>(-[A-Za-z0-9_.]+)*)(?P<named>(:[A-Za-z_]+=[^:=\s]+)*)")


def build_channel(kind: str, psnr: float | None = None, options: Mapping[str, Any] | None = None) -> Channel:
    """A channel by kind, with the values of its options as they are or as text; `psnr` None is its best.

    UsageError names the nearest kind, option, convention or PSNR.
    """
    made = CHANNELS.load(kind)
    checked = check_options(made, options or {}, f" of the channel {made.kind}")
    return made(float(made.psnrs[0] if psnr is None else psnr), **checked)


def check_options(channel: type[Channel], options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options as values of their types; UsageError for one that does not exist or is of another type."""
    types = typing.get_type_hints(channel)
    checked = {}
    for name, value in options.items():
        if name not in channel.option_names():
            raise UsageError(f"unknown key '{name}'{where}{nearest(name, channel.option_names())}")
        kind = types[name]
        checked[name] = value if type(value) is kind else typed_value(value, kind, f"'{name}'{where}", UsageError)
    return checked


def parse_channel(text: str) -> tuple[str, dict[str, str]]:
    """Kind and options of `awgn-eq1-peak` or `awgn:calibration=eq1`; UsageError for what is neither."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"'{text[:80]}' is not a channel; write for example awgn or awgn:calibration=eq1")
    channel = CHANNELS.load(match["kind"])
    values, names = match["values"].split("-")[1:], channel.option_names()
    if len(values) > len(names):
        raise UsageError(f"the channel '{text}' has {len(values)} options; those of {channel.kind} are {names}")
    named = dict(part.split("=") for part in match["named"].split(":")[1:])
    return channel.kind, {**dict(zip(names, values, strict=False)), **named}


def read_channel(written: str | Mapping[str, Any], psnr: float | None = None) -> Channel:
    """The channel that results call `written`, in their column `channel` or as the identity in a cell's manifest.

    UsageError where there is no such channel (any more).
    """
    if isinstance(written, str):
        kind, options = parse_channel(written)
        return build_channel(kind, psnr, options)
    names = CHANNELS.load(written["kind"]).option_names()
    known = {name: written[name] for name in names if name in written}
    return build_channel(written["kind"], float(written["psnr"]) if psnr is None else psnr, known)


def channel_words(convention: str) -> str:
    """The results' column `channel` for captions: `awgn-paper-peak` is "AWGN, paper calibration, peak power"."""
    known = _installed(convention)
    return known.words if known else convention


def power_convention(convention: str) -> str:
    """The power that is 1 on a channel of the results: "peak" or "average"."""
    known = _installed(convention)
    return str(known.options.get("power", "peak")) if known else "peak"


def level_words(conventions: Iterable[str]) -> str:
    """What captions call the column `peak_snr_db` of these channels."""
    return " or ".join(dict.fromkeys((_installed(one) or Channel).level for one in conventions))


def _installed(convention: str) -> Channel | None:
    try:
        return read_channel(convention)
    except BenchError:  # of a package that is not here: its own name has to do
        return None
