"""Additive white Gaussian noise, at two calibrations and two power conventions.

The paper's Eq. 1 is PSNR = 10 log10(P / sigma^2) with P = 1, so sigma = 10^(-PSNR / 20). The paper also lists, for the
same PSNRs, {0.9, 0.6, 0.36, 0.22, 0.13, 0.05, 0.00} and calls them variances; they match standard deviations, and the
authors' code multiplies N(0, 1) by them. Both are here: calibration "paper" is that list as standard deviations (the
default, it reproduces the paper), "eq1" is the equation.

Power: P = 1 is the *peak* power of the 0/1 maps and of images in [0, 1] (power "peak", the paper's). Power "average"
scales a scene's symbols to unit *mean* power before the noise; the receiver's end of the channel scales them back
with the same factor, which travels as an error-free header of one float32 a scene, counted as side information.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.api.channel import Channel
from bench.api.errors import UsageError, known_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

#: PSNR label -> standard deviation, as listed in the paper (section 4) and used by the authors' code.
PAPER_SIGMAS: dict[float, float] = {100: 0.0, 30: 0.05, 20: 0.13, 15: 0.22, 10: 0.36, 5: 0.6, 1: 0.9}
CALIBRATIONS = ("paper", "eq1")
POWERS = ("peak", "average")


@dataclass(frozen=True)
class Noisy(Channel):
    """What channels with white Gaussian noise have: the calibrations and power conventions described above.

    With power "average" the P of `peak_snr_db` is the mean power: only then it is a scene's mean signal-to-noise ratio
    too.
    """

    calibration: str = "paper"
    power: str = "peak"

    def __post_init__(self) -> None:
        """UsageError with the nearest calibration, power convention or PSNR for one that does not exist."""
        # the names as they are written in a channel's label and identity, whatever case they were typed in
        object.__setattr__(self, "calibration", known_name(self.calibration, CALIBRATIONS, "calibration"))
        object.__setattr__(self, "power", known_name(self.power, POWERS, "power convention"))
        super().__post_init__()
        if self.calibration == "paper" and self.psnr not in PAPER_SIGMAS:
            closest = min(PAPER_SIGMAS, key=lambda known: abs(known - self.psnr))
            known = ", ".join(f"{p:g}" for p in PAPER_SIGMAS)
            raise UsageError(
                f"unknown PSNR {self.psnr:g}: the paper's calibration lists {known}; did you mean {closest:g}? "
                "For any other value use --calibration eq1"
            )

    @property
    def sigma(self) -> float:
        """The paper's, or that of Eq. 1."""
        return PAPER_SIGMAS[self.psnr] if self.calibration == "paper" else 10 ** (-self.psnr / 20)

    @property
    def words(self) -> str:
        """What the channel does beside the noise, then both conventions by name."""
        return ", ".join([self.title, *self.effects, f"{self.calibration} calibration", f"{self.power} power"])

    @property
    def effects(self) -> tuple[str, ...]:
        """What captions say of anything but the noise."""
        return ()

    @property
    def header_bytes(self) -> int:
        """The scale, one float32, under average power."""
        return 4 if self.power == "average" else 0

    def energy(self, symbols: Tensor) -> float:
        """Sum of squares after the scaling of average power, which makes it one a symbol."""
        energy = super().energy(symbols)
        return float(symbols.numel()) if self.power == "average" and energy > 0 else energy

    def nominal_snr(self, power: float) -> float:
        """Under average power that of symbols with a mean square of 1, whatever `power` says."""
        return super().nominal_snr(1.0 if self.power == "average" else power)

    def noise(self, clean: Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Noise of a shape for one scene's symbols `clean`: sigma times N(0, 1), float32."""
        import torch

        noise = torch.randn(shape, generator=generator, dtype=torch.float32) * self.sigma
        if self.power == "average" and clean.numel():
            rms = float(clean.double().square().mean().sqrt())
            noise = noise * (rms or 1.0)  # scaling to unit mean power and back leaves the noise scaled by the rms
        return noise


@dataclass(frozen=True)
class Awgn(Noisy):
    """Additive white Gaussian noise, and nothing else."""

    kind: ClassVar[str] = "awgn"
    title: ClassVar[str] = "AWGN"

    @property
    def convention(self) -> str:
        """`awgn-CALIBRATION-POWER`, as it stands in all results and names of cells."""
        return f"awgn-{self.calibration}-{self.power}"

    def transmit(self, symbols: Tensor, generator: torch.Generator) -> Tensor:
        """Symbols plus sigma times N(0, 1)."""
        import torch

        clean = symbols.detach().to("cpu", torch.float32)
        return clean + self.noise(clean, clean.shape, generator)
