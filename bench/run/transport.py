"""How what a method sends gets over the channel: as symbols, repeated where a budget allows, or as bytes over a link.

Both are the harness's: it modulates, codes, repeats, combines and counts. A method gives symbols or bytes and gets
symbols or bytes back; that a block was lost is found here. Side information is free of error and counted in bytes, or
goes ahead of the symbols in a frame of its own, over the same realisation of the channel.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bench.api.channel import PAPER_PSNRS
from bench.api.errors import BenchError, UsageError
from bench.api.lazy import torch
from bench.api.method import Method, Received, Transmission
from bench.api.specs import CODED
from bench.channels.awgn import Awgn
from bench.links import ldpc
from bench.links.scheme import ADAPTIVE, SWITCHING, Scheme, best_scheme, holds, parse_scheme
from bench.run.contract import accepted, accepted_payloads, house_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from bench.api.channel import Channel
    from bench.api.scenes import Scene
    from bench.run.plan import MethodPlan

#: Bumped when the harness's framing, coding or concealment changes what a link's receiver shows.
LINK_VERSION = 3
#: What carries side information that is sent coded: the most robust scheme there is, in blocks as small as it has.
HEADER_SCHEME = replace(parse_scheme("qpsk@1/5"), smallest_block=24)


@dataclass(frozen=True)
class OnAir(Transmission):
    """A transmission as it goes over the air; `shapes` are those that the method's own symbols had.

    `frames` are the real channel uses of the frame at the beginning of each scene's symbols that carries its side
    information; empty where that travels free of error. `snr_db` is what a method that knows the channel is told.
    """

    shapes: tuple[torch.Size, ...] = ()
    frames: tuple[int, ...] = ()
    snr_db: tuple[float, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """One scene's symbols behind the channel, and what the receiver's end knows of their power |h|^2, or None."""

    symbols: Tensor
    power: Tensor | None


@dataclass(frozen=True)
class Delivered:
    """What a receiver is given of a batch, a payload or None a scene where a link carried it.

    `lost` says which scenes' blocks were lost (None where none could be); a method that sends symbols shows there what
    it shows of a payload that was lost.
    """

    what: Received | tuple[bytes | None, ...]
    lost: tuple[bool, ...] | None = None

    def shown_by(self, receiver: Method, rngs: Sequence[torch.Generator], scenes: Sequence[int]) -> Any:
        """The receiver's pictures of the scenes at these positions of the batch, unchecked."""
        with house_rules():
            if not isinstance(self.what, Received):
                return receiver.decode([self.what[k] for k in scenes], [rngs[k] for k in scenes])
            gone = [k for k in scenes if self.lost and self.lost[k]]
            sound = [k for k in scenes if k not in gone]
            shown = []
            if sound:
                symbols = tuple(self.what.symbols[k] for k in sound)
                told = tuple(self.what.snr_db[k] for k in sound) if self.what.snr_db else ()
                received = Received(symbols, tuple(self.what.side_info[k] for k in sound), told)
                shown.append(receiver.receive(received, [rngs[k] for k in sound]))
            if gone:
                shown.append(receiver.decode([None] * len(gone), [rngs[k] for k in gone]))
            return shown[0] if len(shown) == 1 else torch.cat(shown)[torch.tensor([*sound, *gone]).argsort()]


@dataclass(frozen=True)
class Header:
    """Side information sent coded: a frame of HEADER_SCHEME ahead of each scene's symbols.

    It has the method's bytes and the `channel_bytes` that the channel's own ends exchange. Those are zeros here: QPSK's
    energy and the code's errors depend on no bit. Where there is nothing to say no frame is sent.
    """

    channel_bytes: int

    def _content(self, side_info: bytes) -> bytes:
        return side_info + bytes(self.channel_bytes)

    def uses(self, side_info: bytes) -> int:
        """The frame's real channel uses."""
        content = self._content(side_info)
        return ldpc.frame_uses(content, HEADER_SCHEME) if content else 0

    def symbols(self, side_info: bytes) -> Tensor:
        """The frame's real symbols, flat."""
        content = self._content(side_info)
        return ldpc.transmit(content, HEADER_SCHEME).flatten() if content else torch.zeros(0)

    def lost(self, arrival: Arrival, side_info: bytes) -> bool:
        """Whether a frame's CRC fails; an error that it does not find counts as found."""
        content, symbols = self._content(side_info), arrival.symbols.reshape(-1, 2)
        if not content or not len(symbols):
            return bool(content)
        power = None if arrival.power is None else arrival.power.reshape(-1, 2)
        return ldpc.receive(symbols, HEADER_SCHEME, power) != content


def _behind(frames: Sequence[Tensor], symbols: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Symbols, flat, each behind its scene's frame; as they are where there are no frames."""
    if not frames:
        return tuple(symbols)
    return tuple(torch.cat([frame, one.flatten()]) for frame, one in zip(frames, symbols, strict=True))


def _opened(
    header: Header | None, sent: OnAir, arrivals: Sequence[Arrival]
) -> tuple[Sequence[Arrival], Sequence[bool]]:
    """What arrived behind the headers, flat where there are some, and which of these were lost."""
    if header is None:
        return arrivals, [False] * len(arrivals)
    heads, rest = [], []
    for arrival, uses in zip(arrivals, sent.frames, strict=True):
        symbols, power = arrival.symbols, arrival.power
        heads.append(Arrival(symbols[:uses], None if power is None else power[:uses]))
        rest.append(Arrival(symbols[uses:], None if power is None else power[uses:]))
    return rest, [header.lost(head, side_info) for head, side_info in zip(heads, sent.side_info, strict=True)]


@dataclass(frozen=True)
class Analogue:
    """Symbols as the method makes them, with a budget of `uses` again and again until it is used up.

    Copies are added in proportion to their power (maximum-ratio combining; their mean, where it is the same).
    """

    spec: str
    #: The signal-to-noise ratio (linear) that a method is told which knows the channel, by its symbols' power.
    nominal: Callable[[float], float]
    uses: int = 0
    header: Header | None = None

    def send(self, sender: Method, scene: Scene) -> OnAir:
        """A batch's symbols, checked. BenchError where the budget is below what the method sends."""
        told = self._told(sender, len(scene))
        with house_rules():
            sent = sender.send_knowing(scene, told) if told else sender.send(scene)
        sent = accepted(sent, scene, self.spec)
        frames = tuple(self.header.symbols(one) for one in sent.side_info) if self.header else ()
        lengths = tuple(len(frame) for frame in frames)
        symbols = sent.symbols
        if self.uses:
            spent = lengths or (0,) * len(symbols)
            symbols = tuple(self._repeated(one.flatten(), ahead) for one, ahead in zip(symbols, spent, strict=True))
        shapes = tuple(one.shape for one in sent.symbols)
        return OnAir(_behind(frames, symbols), sent.side_info, sent.bits, shapes, lengths, told)

    def _told(self, sender: Method, scenes: int) -> tuple[float, ...]:
        if sender.known_power is None:
            return ()
        ratio = self.nominal(sender.known_power)
        return (10 * math.log10(ratio) if ratio < math.inf else math.inf,) * scenes

    def _repeated(self, symbols: Tensor, ahead: int) -> Tensor:
        """Symbols again and again, up to what the frame ahead of them leaves of the budget."""
        left, least = self.uses - ahead, len(symbols) + ahead
        if not 0 < len(symbols) <= left:
            raise BenchError(f"{self.spec} sends {least:,} symbols for a scene: more than uses={self.uses:,}")
        return symbols.repeat(-(-left // len(symbols)))[:left]

    def deliver(self, sent: OnAir, arrivals: Sequence[Arrival]) -> Delivered:
        """The symbols of what arrived, copies combined, and which scenes' headers did not."""
        arrivals, lost = _opened(self.header, sent, arrivals)
        place = _combined if self.uses else _reshaped
        symbols = tuple(place(a, shape) for a, shape in zip(arrivals, sent.shapes, strict=True))
        return Delivered(Received(symbols, sent.side_info, sent.snr_db), tuple(lost) if self.header else None)


def _reshaped(arrival: Arrival, shape: torch.Size) -> Tensor:
    """Symbols in the shape that they had."""
    return arrival.symbols.reshape(shape)


def _combined(arrival: Arrival, shape: torch.Size) -> Tensor:
    """Copies of symbols, one after the other, as one tensor of `shape`; 0 where all copies of one are lost."""
    weight = torch.ones_like(arrival.symbols) if arrival.power is None else arrival.power
    place = torch.arange(len(weight)) % shape.numel()
    total = torch.zeros(shape.numel()).index_add_(0, place, arrival.symbols * weight)
    weights = torch.zeros(shape.numel()).index_add_(0, place, weight)
    return torch.where(weights > 0, total / weights, 0.0).reshape(shape)


@dataclass(frozen=True)
class Digital:
    """Payloads over a link; with a budget of `uses` a payload has at most the bytes that fit into it."""

    spec: str
    scheme: Scheme
    uses: int = 0
    #: What tells the receiver which scheme an adaptive sender chose: side information.
    number: bytes = b""
    #: Where the sender knows each scene's realisation: the links that it chooses from, the most efficient first, and
    #: the signal-to-noise ratios of a scene's frame, by its place in the batch, scheme and length.
    choices: tuple[Digital, ...] = ()
    known: Callable[[int, Scheme, int], Tensor] | None = None
    header: Header | None = None

    @property
    def room(self) -> int | None:
        """Bytes that a payload may have, None for any number; UsageError for a budget that holds no frame."""
        if not self.uses:
            return None
        return ldpc.room(self.uses - (self.header.uses(self.number) if self.header else 0), self.scheme)

    def send(self, sender: Method, scene: Scene) -> OnAir:
        """The symbols of a batch's payloads, which are checked first; none of a payload that has no room."""
        chosen = self._chosen(sender, scene)
        symbols = tuple(torch.zeros((0, 2)) if p is None else ldpc.transmit(p, way.scheme) for way, p in chosen)
        bits = tuple(8 * len(payload or b"") for _, payload in chosen)
        side_info = tuple(way.number for way, _ in chosen)
        frames: tuple[Tensor, ...] = ()
        if self.header:  # where nothing is sent nothing is said of it
            sends = [payload is not None for _, payload in chosen]
            frames = tuple(
                self.header.symbols(n) if s else torch.zeros(0) for n, s in zip(side_info, sends, strict=True)
            )
        return OnAir(_behind(frames, symbols), side_info, bits, (), tuple(len(frame) for frame in frames))

    def _payloads(self, sender: Method, scene: Scene) -> tuple[bytes | None, ...]:
        with suppress(UsageError):  # a budget that holds no frame of the scheme that an adaptive sender is left with
            room = self.room
            with house_rules():
                encoded = sender.encode(scene, room)
            return accepted_payloads(encoded, scene, self.spec, room)
        return (None,) * len(scene)

    def _chosen(self, sender: Method, scene: Scene) -> list[tuple[Digital, bytes | None]]:
        """Each scene's link and payload."""
        ways = self.choices or (self,)
        payloads = ways[0]._payloads(sender, scene)
        chosen: dict[int, tuple[Digital, bytes | None]] = {}
        for way in ways:
            if way is not ways[0] and self.uses:  # another scheme has other room
                payloads = way._payloads(sender, scene)
            for k, payload in enumerate(payloads):
                if k not in chosen and (way is ways[-1] or self._holds(k, way.scheme, payload)):
                    chosen[k] = (way, payload)
            if len(chosen) == len(payloads):
                break
        return [chosen[k] for k in range(len(payloads))]

    def _holds(self, position: int, scheme: Scheme, payload: bytes | None) -> bool:
        if payload is None or self.known is None:
            return False
        return holds(scheme, self.known(position, scheme, ldpc.frame_uses(payload, scheme)))

    def deliver(self, sent: OnAir, arrivals: Sequence[Arrival]) -> Delivered:
        """The payloads that arrived whole, and None for the others."""
        schemes = {way.number: way.scheme for way in self.choices or (self,)}
        arrivals, lost = _opened(self.header, sent, arrivals)
        payloads = tuple(
            None if gone or not a.symbols.numel() else _payload(a, schemes[number])
            for a, number, gone in zip(arrivals, sent.side_info, lost, strict=True)
        )
        return Delivered(payloads, tuple(payload is None for payload in payloads))


def _payload(arrival: Arrival, scheme: Scheme) -> bytes | None:
    power = None if arrival.power is None else arrival.power.reshape(-1, 2)
    return ldpc.receive(arrival.symbols.reshape(-1, 2), scheme, power)


def check_transport(method: MethodPlan) -> None:
    """UsageError for a link that is none, a budget in which no frame ever fits, and where Sionna is missing."""
    way = transport(method, Awgn(PAPER_PSNRS[0]))
    if not isinstance(way, Digital) and way.header is None:
        return
    if find_spec("sionna") is None:
        raise UsageError(f"{method.spec} needs Sionna for its link: pip install 'gesco-bench[links]'")
    if not isinstance(way, Digital) or not method.uses:
        return
    if way.header or not ldpc.surely_holds_a_frame(method.uses, way.scheme):
        assert way.room is not None  # asking raises where it does not


def transport(
    method: MethodPlan, channel: Channel, streams: Callable[[], Sequence[torch.Generator]] | None = None
) -> Analogue | Digital:
    """How the cells of a method get over a channel. UsageError for a link that is none.

    The sender of an adaptive link, and only that one, knows the channel: its nominal SNR, or where that is foreseen the
    realisation that a batch's scenes will meet, drawn from their `streams`, which are made anew for each look.
    """
    header = Header(channel.header_bytes) if method.header == CODED else None
    if not method.link:
        return Analogue(method.spec, channel.nominal_snr, method.uses, header)
    if method.link != ADAPTIVE:
        return Digital(method.spec, parse_scheme(method.link), method.uses, header=header)
    if streams is None or not channel.foreseen:
        scheme, number = best_scheme(lambda one: channel.known_snrs(0, one.power, torch.Generator()))
        return Digital(method.spec, scheme, method.uses, bytes([number]), header=header)
    ahead = header.uses(b"0") if header else 0  # those of any scheme's number

    def known(position: int, scheme: Scheme, uses: int) -> Tensor:
        return channel.known_snrs(ahead + uses, scheme.power, streams()[position])[ahead // 2 :]

    table = [
        Digital(method.spec, parse_scheme(s), method.uses, bytes([n]), header=header) for n, s in enumerate(SWITCHING)
    ]
    return replace(table[0], choices=tuple(reversed(table)), known=known)
