"""Frequency-selective fading under OFDM: 3GPP's tapped delay lines (TR 38.901), by Sionna (Apache-2.0).

SUBCARRIERS carriers are SPACING Hz apart (3.84 MHz at CARRIER). Complex symbols, two real ones each, fill them carrier
after carrier, then OFDM symbol after OFDM symbol, so that a code block spreads over the whole band. A scene takes whole
OFDM symbols; carriers left over in the last are empty. Ahead of each SLOT - 1 of them goes one that is all pilots, QPSK
at the peak power, and every one has a cyclic prefix of PREFIX samples. Pilots, prefixes and empty carriers are counted
as channel uses, the first two as energy.

The prefix is longer than all delays (what is not is refused) and gains last for an OFDM symbol, so that a resource
element meets one complex gain and noise, and no other's symbol. Peak power is that of a resource element: the peaks of
the waveform are not limited. The mean of |h|^2 over realisations is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import UsageError, known_name
from bench.channels.fading import CSI, CSI_WORDS, WithGains, faded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SUBCARRIERS, SPACING, CARRIER = 256, 15e3, 3.5e9
#: Samples of the cyclic prefix: NR's normal one, 144 of 2048.
PREFIX = 18
#: OFDM symbols that share a pilot symbol, the first of them.
SLOT = 7
#: Profile -> its longest delay, in delay spreads (TR 38.901, tables 7.7.2).
PROFILES = {"tdl-a": 9.6586, "tdl-b": 4.7834, "tdl-c": 8.6523, "tdl-d": 12.525, "tdl-e": 20.6519}
ESTIMATES = ("perfect", "pilots")


@lru_cache(maxsize=4)
def _taps(profile: str, spread: float, doppler: float) -> Any:
    """Sionna's model of a profile."""
    from sionna.phy import SPEED_OF_LIGHT
    from sionna.phy.channel.tr38901 import TDL

    speed = doppler * SPEED_OF_LIGHT / CARRIER
    return TDL(profile[-1].upper(), spread * 1e-9, CARRIER, min_speed=speed, device="cpu")


@dataclass(frozen=True)
class Ofdm(WithGains):
    """A delay profile of `spread` ns (RMS), its gains changing in time with a maximum Doppler frequency in Hz.

    With `estimate` "perfect" the receiver's end divides by the gains themselves, with "pilots" by those measured at the
    pilot of the same carrier and slot (least squares). `csi` is as for fading.
    """

    profile: str = "tdl-c"
    spread: float = 300.0
    doppler: float = 0.0
    csi: str = "receiver"
    estimate: str = "perfect"

    kind: ClassVar[str] = "ofdm"
    title: ClassVar[str] = "OFDM"

    def __post_init__(self) -> None:
        """UsageError as for AWGN, for unknown names, and for delays or a Doppler frequency too large for this OFDM."""
        object.__setattr__(self, "profile", known_name(self.profile, PROFILES, "delay profile"))
        object.__setattr__(self, "csi", known_name(self.csi, CSI, "channel state information"))
        object.__setattr__(self, "estimate", known_name(self.estimate, ESTIMATES, "estimate of the gains"))
        longest = 1e9 * PREFIX / SUBCARRIERS / SPACING / PROFILES[self.profile]
        if not 0 < self.spread <= longest:
            raise UsageError(
                f"spread {self.spread:g} of channel ofdm is no number of ns that the cyclic prefix covers: at most "
                f"{math.floor(longest)} for {self.profile}"
            )
        if not 0 <= self.doppler <= SPACING / 50:
            raise UsageError(f"doppler {self.doppler:g} of channel ofdm is no number of Hz from 0 to {SPACING / 50:g}")
        super().__post_init__()

    @property
    def effects(self) -> tuple[str, ...]:
        """Profile, waveform and what is known to whom."""
        known = f"gains {CSI_WORDS[self.csi]}"
        if self.csi != "none" and self.estimate == "pilots":
            known += ", as estimated at the pilots"
        return (
            f"{self.profile.upper()}, delay spread {self.spread:g} ns, Doppler {self.doppler:g} Hz",
            f"{SUBCARRIERS} carriers, 1 pilot in {SLOT} symbols and cyclic prefix {PREFIX}/{SUBCARRIERS} counted",
            known,
        )

    def _symbols(self, uses: int) -> tuple[int, int]:
        """OFDM symbols that so many real symbols take: those with data, and those with pilots."""
        data = -(-uses // (2 * SUBCARRIERS))
        return data, -(-data // (SLOT - 1))

    def uses(self, symbols: Tensor) -> int:
        """Real samples of whole OFDM symbols, pilots and prefixes among them."""
        return 2 * (SUBCARRIERS + PREFIX) * sum(self._symbols(symbols.numel()))

    def energy(self, symbols: Tensor) -> float:
        """That of symbols and pilots, and of the prefixes in proportion."""
        pilots = 2.0 * SUBCARRIERS * self._symbols(symbols.numel())[1]
        return (super().energy(symbols) + pilots) * (1 + PREFIX / SUBCARRIERS)

    def _grid(self, uses: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The gains of all carriers of the OFDM symbols with data, and of their slots' pilots: (symbols, carriers).

        One number is drawn from `generator`, however many symbols there are.
        """
        import torch

        if find_spec("sionna") is None:
            raise UsageError("channel ofdm needs Sionna: pip install 'gesco-bench[links]'")
        from sionna.phy import config
        from sionna.phy.channel import cir_to_ofdm_channel, subcarrier_frequencies

        data, pilots = self._symbols(uses)
        model = _taps(self.profile, self.spread, self.doppler)
        frequencies = subcarrier_frequencies(SUBCARRIERS, SPACING, device="cpu")
        rng = config.torch_rng("cpu")  # Sionna's own, which its models draw from
        before = rng.get_state()
        rng.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            paths = model(1, data + pilots, SPACING / (1 + PREFIX / SUBCARRIERS))
        finally:
            rng.set_state(before)
        gains = cir_to_ofdm_channel(frequencies, *paths)[0, 0, 0, 0, 0]
        place = torch.arange(data + pilots)
        return gains[place % SLOT > 0], gains[::SLOT].repeat_interleave(SLOT - 1, dim=0)[:data]

    def gains(self, uses: int, generator: torch.Generator) -> Tensor:
        """Those of the carriers with data, filled one after the other."""
        return self._grid(uses, generator)[0].flatten()[: -(-uses // 2)]

    def observe(self, symbols: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """The symbols as they arrive, and unless `csi` is "none" the power |h|^2 of each as the receiver knows it."""
        import torch

        clean = symbols.detach().to("cpu", torch.float32).flatten()
        count = -(-clean.numel() // 2)
        gains, at_pilots = self._grid(clean.numel(), generator)
        noise = self.noise(clean, (2 * count,), generator)
        known = None if self.csi == "none" else gains
        if known is not None and self.estimate == "pilots":
            slots = torch.randn(*at_pilots[:: SLOT - 1].shape, 2, generator=generator) * (self.sigma / math.sqrt(2))
            known = at_pilots + torch.view_as_complex(slots).repeat_interleave(SLOT - 1, dim=0)[: len(at_pilots)]
        return faded(
            clean, gains.flatten()[:count], noise, None if known is None else known.flatten()[:count], symbols.shape
        )

    @property
    def realisation(self) -> dict[str, Any]:
        """Neither what is known nor how it is estimated changes gains or noise."""
        return replace(self, csi="receiver", estimate="perfect").identity()
