"""Names of digital links: modulation and code rate, `qpsk@0.4`, `64qam@2/3`, `qpsk@uncoded`, or `adaptive`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from bench.api.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

#: Square constellations by name: bits a complex symbol.
MODULATIONS = {"qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
#: What stands for the rate where nothing protects the bits.
UNCODED = "uncoded"
#: Code rates of 5G NR's LDPC codes, CRC not counted: with it the highest comes near 948/1024, where TS 38.214 ends.
LOWEST, HIGHEST = Fraction(1, 5), Fraction(8, 9)
#: Bits of the smallest transport block used (a size of TS 38.214): in smaller ones the CRC would take the code's
#: redundancy at the highest rate.
SMALLEST_BLOCK = 528
#: What stands for the best scheme of a table, by a sender that knows the channel.
ADAPTIVE = "adaptive"
#: The schemes that it chooses from (those of WITT, Yang et al. 2023), and the peak SNR in dB from which on at most 1 %
#: of blocks of 2,472 bits are lost on AWGN, with half a dB to spare (a slow test holds it).
SWITCHING = {
    "qpsk@1/3": 0.0,
    "qpsk@1/2": 2.0,
    "qpsk@2/3": 4.0,
    "16qam@1/2": 10.0,
    "16qam@2/3": 12.25,
    "64qam@1/2": 15.0,
    "64qam@3/4": 20.0,
}
#: For a channel that varies within a block: what the exponential effective SNR divides by, of the nearest scheme in
#: Sionna's table (sionna/sys/esm_params, MCS table 1 of TS 38.214).
SPREAD = {
    "qpsk@1/3": 1.70,
    "qpsk@1/2": 1.76,
    "qpsk@2/3": 1.82,
    "16qam@1/2": 5.16,
    "16qam@2/3": 6.50,
    "64qam@1/2": 12.92,
    "64qam@3/4": 24.51,
}
#: dB by which two SNRs may differ and be the same.
_ROUNDING = 1e-6
_SCHEME = re.compile(r"(?P<modulation>[a-z0-9]+)@(?P<rate>[a-z]+|\d+(?:\.\d+|/\d+)?)")


@dataclass(frozen=True)
class Scheme:
    """A modulation and a code rate.

    `rate` is information bits a coded bit, None where nothing protects the bits. `label` is the name as it was typed,
    `smallest_block` the bits of its smallest transport block.
    """

    label: str
    modulation: str
    rate: Fraction | None
    smallest_block: int = SMALLEST_BLOCK

    @property
    def bits_per_symbol(self) -> int:
        """Coded bits a complex symbol: 2, 4, 6 or 8."""
        return MODULATIONS[self.modulation]

    @property
    def power(self) -> float:
        """Mean square of I and Q, whose largest value is 1."""
        levels = 1 << self.bits_per_symbol // 2
        return (levels + 1) / (3 * (levels - 1))

    @property
    def efficiency(self) -> float:
        """Information bits a complex symbol, the frame's overhead aside."""
        return self.bits_per_symbol * float(self.rate or 1)


def parse_scheme(text: str) -> Scheme:
    """The link of a name, in any case; UsageError says what is wrong with it."""
    found = _SCHEME.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError(f"'{text}' is no link; write MODULATION@RATE, for example qpsk@0.4, 16qam@2/3 or qpsk@uncoded")
    modulation, typed = found["modulation"], found["rate"]
    if modulation not in MODULATIONS:
        raise UsageError(f"unknown modulation '{modulation}' of link '{text}'; known: {', '.join(MODULATIONS)}")
    if typed == UNCODED:
        return Scheme(found[0], modulation, None)
    try:
        rate = Fraction(typed)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"'{typed}' is no code rate of link '{text}'; write 0.4, 2/3 or {UNCODED}") from None
    if not LOWEST <= rate <= HIGHEST:
        raise UsageError(f"code rate {typed} of link '{text}' is outside {LOWEST} to {float(HIGHEST):.3f}")
    return Scheme(found[0], modulation, rate)


def holds(scheme: Scheme, snrs: Tensor) -> bool:
    """Whether an adaptive sender trusts a scheme of its table at these signal-to-noise ratios (linear, of symbols).

    Several ratios count as the one that an AWGN channel would have: the exponential effective SNR, which falls with the
    weakest symbols, and does not gain by those that are surer than the constellation has bits.
    """
    spread = SPREAD[scheme.label]
    known = snrs.double()
    snr = float(known if len(known) == 1 else -spread * (-known / spread).exp().mean().log())
    return snr > 0 and 10 * math.log10(snr / scheme.power) + _ROUNDING >= SWITCHING[scheme.label]


def best_scheme(known: Callable[[Scheme], Tensor]) -> tuple[Scheme, int]:
    """What an adaptive sender uses at the signal-to-noise ratios that it knows, by scheme, and its number in the table.

    It is the most efficient scheme that holds there; where none does, the most robust one.
    """
    table = [parse_scheme(label) for label in SWITCHING]
    return next(((s, n) for n, s in reversed(list(enumerate(table))) if holds(s, known(s))), (table[0], 0))
