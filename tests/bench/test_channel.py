"""The channel: sigmas of both calibrations, the noise really added, power conventions, reproducibility."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api.channel import PAPER_PSNRS
from bench.api.errors import UsageError
from bench.api.seeding import channel_stream, generator_for, receiver_stream
from bench.channels.awgn import Awgn
from bench.channels.registry import build_channel, channel_words, parse_channel, read_channel

#: DESIGN.md, "The channel, exactly": PSNR -> (paper's sigma, sigma of Eq. 1, true ratio in dB of the paper's sigma).
TABLE = {
    100: (0.0, 1e-5, math.inf),
    30: (0.05, 0.0316, 26.0),
    20: (0.13, 0.100, 17.7),
    15: (0.22, 0.178, 13.2),
    10: (0.36, 0.316, 8.9),
    5: (0.6, 0.562, 4.4),
    1: (0.9, 0.891, 0.9),
}
psnrs = st.sampled_from(PAPER_PSNRS)
seeds = st.integers(0, 2**32)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("psnr", TABLE)
def test_sigmas_are_those_of_the_paper_and_of_its_equation(psnr: int) -> None:
    paper, equation, true_db = TABLE[psnr]
    assert Awgn(psnr).sigma == paper
    assert Awgn(psnr, "eq1").sigma == pytest.approx(equation, rel=5e-3)
    assert Awgn(psnr).peak_snr_db == pytest.approx(true_db, abs=0.05)


@given(st.floats(-10, 100))
def test_eq1_gives_back_its_own_psnr(psnr: float) -> None:
    channel = Awgn(psnr, "eq1")
    assert 10 * math.log10(1 / channel.sigma**2) == pytest.approx(psnr, abs=1e-9)
    assert channel.peak_snr_db == pytest.approx(psnr, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(psnrs, st.sampled_from(("paper", "eq1")), seeds, st.floats(-1, 1))
def test_noise_has_mean_zero_and_the_sigma_it_says(psnr: float, calibration: str, seed: int, level: float) -> None:
    channel = Awgn(psnr, calibration)
    symbols = torch.full((40_000,), level)
    noise = (channel.transmit(symbols, rng(seed)) - symbols).double()
    assert float(noise.std()) == pytest.approx(channel.sigma, rel=0.03, abs=1e-6)
    assert abs(float(noise.mean())) <= 6 * channel.sigma / 200 + 1e-6


@settings(deadline=None, max_examples=20)
@given(psnrs, seeds, st.floats(0.01, 1))
def test_average_power_keeps_the_ratio_of_power_to_noise(psnr: float, seed: int, amplitude: float) -> None:
    """Whatever the symbols' own power, the noise that is left after scaling back is sigma times their rms."""
    symbols = amplitude * (torch.rand(40_000, generator=rng(seed + 1)) < 0.2).float()
    channel = Awgn(psnr, "paper", "average")
    noise = (channel.transmit(symbols, rng(seed)) - symbols).double()
    rms = float(symbols.double().square().mean().sqrt())
    assert float(noise.std()) == pytest.approx(channel.sigma * rms, rel=0.03, abs=1e-6)


def test_average_power_equals_scaling_to_unit_power_and_back() -> None:
    symbols = torch.rand((3, 8, 8), generator=rng(1))
    channel = Awgn(10, "paper", "average")
    rms = symbols.square().mean().sqrt()
    by_hand = (symbols / rms + 0.36 * torch.randn(symbols.shape, generator=rng(2))) * rms
    torch.testing.assert_close(channel.transmit(symbols, rng(2)), by_hand)


def test_average_power_of_silence_is_plain_noise() -> None:
    received = Awgn(10, "paper", "average").transmit(torch.zeros(10_000), rng())
    assert float(received.std()) == pytest.approx(0.36, rel=0.05)


@given(psnrs, st.sampled_from(("peak", "average")), seeds)
def test_same_generator_same_noise_and_symbols_untouched(psnr: float, power: str, seed: int) -> None:
    channel = Awgn(psnr, "paper", power)
    symbols = torch.rand((2, 5), generator=rng(3))
    before = symbols.clone()
    first, second = channel.transmit(symbols, rng(seed)), channel.transmit(symbols, rng(seed))
    assert torch.equal(first, second)
    assert torch.equal(symbols, before)
    assert first.dtype == torch.float32
    assert first.shape == symbols.shape


def test_the_paper_channel_at_100_db_changes_nothing() -> None:
    symbols = torch.rand((3, 4, 4), generator=rng(4))
    assert torch.equal(Awgn(100).transmit(symbols, rng()), symbols)


def test_labels_and_identities_tell_every_channel_apart() -> None:
    channels = [
        Awgn(psnr, calibration, power)
        for psnr in PAPER_PSNRS
        for calibration in ("paper", "eq1")
        for power in ("peak", "average")
    ]
    assert len({c.label for c in channels}) == len(channels)
    assert len({str(sorted(c.identity().items())) for c in channels}) == len(channels)
    assert Awgn(10).label == "awgn-paper-peak@10"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("awgn", 12), "did you mean 10?"),
        (("awgn", 12), "--calibration eq1"),
        (("agwn", 10), "did you mean 'awgn'?"),
        (("awgn", 10, {"calibration": "papr"}), "did you mean 'paper'?"),
        (("awgn", 10, {"power": "averag"}), "did you mean 'average'?"),
        (("awgn", 10, {"powr": "peak"}), "unknown key 'powr' of the channel awgn; did you mean 'power'?"),
        (("awgn", 10, {"power": 3}), "'power' of the channel awgn: Input should be a valid string"),
        (("awgn", math.nan, {"calibration": "eq1"}), "not a number of dB"),
    ],
)
def test_what_does_not_exist_is_named_with_its_nearest(arguments: tuple, told: str) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]+$") as error:
        build_channel(*arguments)
    assert told in str(error.value)


@pytest.mark.parametrize("calibration", ["paper", "eq1"])
@pytest.mark.parametrize("power", ["peak", "average"])
def test_what_results_call_a_channel_gives_it_back(calibration: str, power: str) -> None:
    channel = Awgn(10, calibration, power)
    assert read_channel(channel.convention, 10) == channel
    assert read_channel(channel.identity()) == channel
    assert read_channel(channel.identity(), 5) == Awgn(5, calibration, power)
    assert read_channel(f"awgn:power={power}:calibration={calibration}", 10) == channel


def test_the_identity_of_stored_cells_stays() -> None:
    stored = {"kind": "awgn", "psnr": 10.0, "calibration": "paper", "power": "peak", "sigma": 0.36}
    assert build_channel("awgn", 10).identity() == stored


def test_captions_say_the_conventions_in_words_and_a_foreign_one_by_its_own() -> None:
    assert channel_words("awgn-paper-peak") == "AWGN, paper calibration, peak power"
    assert channel_words("nakagami:m=2") == "nakagami:m=2"


@pytest.mark.parametrize("text", ["", "awgn:", "awgn:power", "awgn-a-b-c", "awgn power", "agwn:power=peak"])
def test_what_is_no_channel_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]+$"):
        parse_channel(text)


def test_other_psnrs_work_under_eq1() -> None:
    assert build_channel("awgn", 12, {"calibration": "eq1"}).sigma == pytest.approx(10**-0.6)


def test_streams_depend_on_every_part_and_the_channel_not_on_the_method() -> None:
    channel = Awgn(10).identity()

    def drawn(generator: torch.Generator) -> tuple[float, ...]:
        return tuple(torch.randn(4, generator=generator).tolist())

    streams = {
        "channel": channel_stream("streets", "a", channel, 0),
        "dataset": channel_stream("stuff", "a", channel, 0),
        "scene": channel_stream("streets", "b", channel, 0),
        "psnr": channel_stream("streets", "a", Awgn(5).identity(), 0),
        "seed": channel_stream("streets", "a", channel, 1),
        "receiver": receiver_stream("streets", "a", channel, 0, "smis"),
        "method": receiver_stream("streets", "a", channel, 0, "gesco"),
    }
    values = {name: drawn(stream) for name, stream in streams.items()}
    assert len(set(values.values())) == len(values)
    assert drawn(channel_stream("streets", "a", channel, 0)) == values["channel"]


def test_the_seed_of_a_generator_never_changes() -> None:
    """A golden value: another seeding would silently invalidate every cached cell and published number."""
    assert generator_for("channel", "streets", "test-000000", {"b": 1, "a": 2}, 0).initial_seed() == (
        generator_for("channel", "streets", "test-000000", {"a": 2, "b": 1}, 0).initial_seed()
    )
    assert generator_for("x", 1).initial_seed() == 3215593782986296288
