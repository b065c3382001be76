"""How what a method sends gets over the channel: as symbols, repeated where a budget allows, or as bytes over a link.

Both are the harness's: it modulates, codes, repeats, combines and counts. A method gives symbols or bytes and gets
symbols or bytes back; that a block was lost is found here.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bench.api.channel import PAPER_PSNRS
from bench.api.errors import BenchError, UsageError
from bench.api.lazy import torch
from bench.api.method import Method, Received, Transmission
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
LINK_VERSION = 2


@dataclass(frozen=True)
class OnAir(Transmission):
    """A transmission as it goes over the air; `shapes` are those that the method's own symbols had."""

    shapes: tuple[torch.Size, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """One scene's symbols behind the channel, and what the receiver's end knows of their power |h|^2, or None."""

    symbols: Tensor
    power: Tensor | None


@dataclass(frozen=True)
class Delivered:
    """What a receiver is given of a batch, a payload or None a scene where a link carried it.

    `lost` says which scenes' blocks were lost (None without a link).
    """

    what: Received | tuple[bytes | None, ...]
    lost: tuple[bool, ...] | None = None

    def shown_by(self, receiver: Method, rngs: Sequence[torch.Generator], scenes: Sequence[int]) -> Any:
        """The receiver's pictures of the scenes at these positions of the batch, unchecked."""
        streams = [rngs[k] for k in scenes]
        with house_rules():
            if not isinstance(self.what, Received):
                return receiver.decode([self.what[k] for k in scenes], streams)
            symbols = tuple(self.what.symbols[k] for k in scenes)
            return receiver.receive(Received(symbols, tuple(self.what.side_info[k] for k in scenes)), streams)


@dataclass(frozen=True)
class Analogue:
    """Symbols as the method makes them, with a budget of `uses` again and again until it is used up.

    Copies are added in proportion to their power (maximum-ratio combining; their mean, where it is the same).
    """

    spec: str
    uses: int = 0

    def send(self, sender: Method, scene: Scene) -> OnAir:
        """A batch's symbols, checked. BenchError where the budget is below what the method sends."""
        with house_rules():
            sent = sender.send(scene)
        sent = accepted(sent, scene, self.spec)
        shapes = tuple(one.shape for one in sent.symbols)
        symbols = tuple(self._repeated(one.flatten()) for one in sent.symbols) if self.uses else sent.symbols
        return OnAir(symbols, sent.side_info, sent.bits, shapes)

    def _repeated(self, symbols: Tensor) -> Tensor:
        if not 0 < len(symbols) <= self.uses:
            raise BenchError(f"{self.spec} sends {len(symbols):,} symbols for a scene: more than uses={self.uses:,}")
        return symbols.repeat(-(-self.uses // len(symbols)))[: self.uses]

    def deliver(self, sent: OnAir, arrivals: Sequence[Arrival]) -> Delivered:
        """The symbols of what arrived, copies combined."""
        symbols = tuple(a.symbols for a in arrivals)
        if self.uses:
            symbols = tuple(_combined(a, shape) for a, shape in zip(arrivals, sent.shapes, strict=True))
        return Delivered(Received(symbols, sent.side_info))


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
    #: What tells the receiver which scheme an adaptive sender chose, free of error and counted.
    header: bytes = b""
    #: Where the sender knows each scene's realisation: the links that it chooses from, the most efficient first, and
    #: the signal-to-noise ratios of a scene's frame, by its place in the batch, scheme and length.
    choices: tuple[Digital, ...] = ()
    known: Callable[[int, Scheme, int], Tensor] | None = None

    def send(self, sender: Method, scene: Scene) -> OnAir:
        """The symbols of a batch's payloads, which are checked first; none of a payload that has no room."""
        chosen = self._chosen(sender, scene)
        symbols = tuple(torch.zeros((0, 2)) if p is None else ldpc.transmit(p, way.scheme) for way, p in chosen)
        bits = tuple(8 * len(payload or b"") for _, payload in chosen)
        return OnAir(symbols, tuple(way.header for way, _ in chosen), bits)

    def _payloads(self, sender: Method, scene: Scene) -> tuple[bytes | None, ...]:
        with suppress(UsageError):  # a budget that holds no frame of the scheme that an adaptive sender is left with
            room = ldpc.room(self.uses, self.scheme) if self.uses else None
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
        schemes = {way.header: way.scheme for way in self.choices or (self,)}
        payloads = tuple(
            ldpc.receive(a.symbols, schemes[header], a.power) if a.symbols.numel() else None
            for a, header in zip(arrivals, sent.side_info, strict=True)
        )
        return Delivered(payloads, tuple(payload is None for payload in payloads))


def check_transport(method: MethodPlan) -> None:
    """UsageError for a link that is none, a budget in which no frame ever fits, and where Sionna is missing."""
    way = transport(method, Awgn(PAPER_PSNRS[0]))
    if not isinstance(way, Digital):
        return
    if find_spec("sionna") is None:
        raise UsageError(f"{method.spec} needs Sionna for its link: pip install 'gesco-bench[links]'")
    if method.uses and not ldpc.surely_holds_a_frame(method.uses, way.scheme):
        ldpc.room(method.uses, way.scheme)  # raises where it does not


def transport(
    method: MethodPlan, channel: Channel, streams: Callable[[], Sequence[torch.Generator]] | None = None
) -> Analogue | Digital:
    """How the cells of a method get over a channel. UsageError for a link that is none.

    The sender of an adaptive link, and only that one, knows the channel: its nominal SNR, or where that is foreseen the
    realisation that a batch's scenes will meet, drawn from their `streams`, which are made anew for each look.
    """
    if not method.link:
        return Analogue(method.spec, method.uses)
    if method.link != ADAPTIVE:
        return Digital(method.spec, parse_scheme(method.link), method.uses)
    if streams is None or not channel.foreseen:
        scheme, number = best_scheme(lambda one: channel.known_snrs(0, one.power, torch.Generator()))
        return Digital(method.spec, scheme, method.uses, bytes([number]))

    def known(position: int, scheme: Scheme, uses: int) -> Tensor:
        return channel.known_snrs(uses, scheme.power, streams()[position])

    table = [Digital(method.spec, parse_scheme(s), method.uses, bytes([n])) for n, s in enumerate(SWITCHING)]
    return replace(table[0], choices=tuple(reversed(table)), known=known)
