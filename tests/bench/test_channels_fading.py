"""Fading and loss: their statistics, what is known to whom, and that a scene's realisation is its own."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from bench.api.channel import Channel
from bench.api.errors import UsageError
from bench.channels.ofdm import Ofdm
from bench.channels.packets import Packets
from bench.channels.rayleigh import Rayleigh
from bench.channels.registry import read_channel
from bench.channels.rician import Rician

ALL: list[Channel] = [
    Rayleigh(10),
    Rayleigh(10, block=16, interleaved=True),
    Rician(10, block=8),
    Packets(10, packet=4),
    Ofdm(10),
    Ofdm(10, profile="tdl-d", spread=30.0, doppler=50.0, estimate="pilots"),
]


def needs_sionna(channel: Channel) -> None:
    if isinstance(channel, Ofdm) and find_spec("sionna") is None:
        pytest.skip("OFDM needs Sionna: pip install 'gesco-bench[links]'")


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channel", ALL, ids=lambda c: c.convention)
def test_a_realisation_belongs_to_its_generator(channel: Channel) -> None:
    needs_sionna(channel)
    symbols = torch.rand(5, 7, 3) * 2 - 1
    first, again, other = (channel.transmit(symbols, stream(seed)) for seed in (1, 1, 2))
    assert first.shape == symbols.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("channel", ALL, ids=lambda c: c.convention)
def test_what_results_call_a_channel_says_all_about_it(channel: Channel) -> None:
    assert read_channel(channel.convention, channel.psnr) == channel


def test_gains_have_a_mean_square_of_one_and_last_for_a_block() -> None:
    gains = Rayleigh(10, block=4).gains(80_000, stream())
    assert gains.abs().square().mean() == pytest.approx(1, abs=0.02)
    blocks = gains.view(-1, 4)
    assert torch.equal(blocks, blocks[:, :1].expand_as(blocks))
    assert len(blocks[:, 0].real.unique()) > 0.99 * len(blocks)


def test_a_line_of_sight_is_what_is_left_of_the_mean() -> None:
    gains = Rician(10, block=1, k=4).gains(80_000, stream())
    assert gains.real.mean() == pytest.approx((4 / 5) ** 0.5, abs=0.01)
    assert gains.abs().square().mean() == pytest.approx(1, abs=0.01)


def test_interleaving_spreads_a_block_and_keeps_symbols_in_their_places() -> None:
    symbols = torch.rand(4096) * 2 - 1
    spread = Rayleigh(100, block=64, interleaved=True)
    assert spread.sigma == 0
    torch.testing.assert_close(spread.transmit(symbols, stream()), symbols, rtol=1e-4, atol=1e-4)
    gains = spread.gains(4096, stream())
    assert (gains[1:] == gains[:-1]).float().mean() < 0.1


def test_the_receiver_knows_what_csi_says() -> None:
    symbols = torch.ones(2000)
    known, power = Rayleigh(100, block=1).observe(symbols, stream())
    unknown, nothing = Rayleigh(100, block=1, csi="none").observe(symbols, stream())
    torch.testing.assert_close(known, symbols, rtol=1e-4, atol=1e-4)
    assert power is not None
    assert power.mean() == pytest.approx(1, abs=0.1)
    assert nothing is None
    assert (unknown - symbols).abs().mean() > 0.3


def test_lost_packets_are_zero_and_known() -> None:
    arrived, power = Packets(100, packet=50, loss=0.3).observe(torch.ones(100_000), stream())
    assert power is not None
    assert torch.equal(arrived, power)
    packets = arrived.view(-1, 50)
    assert torch.equal(packets, packets[:, :1].expand_as(packets))
    assert packets[:, 0].mean() == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (Rayleigh, {"block": -1}, "block -1 of channel rayleigh"),
        (Rayleigh, {"csi": "all"}, "unknown channel state information 'all'"),
        (Rician, {"k": -1.0}, "k -1.0 of channel rician"),
        (Packets, {"loss": 2.0}, "loss 2.0 of channel packets"),
        (Packets, {"packet": 0}, "packet 0 of channel packets"),
        (Ofdm, {"profile": "tdl-x"}, "unknown delay profile 'tdl-x'"),
        (Ofdm, {"spread": 600.0}, "at most 541 for tdl-c"),
        (Ofdm, {"doppler": -1.0}, "doppler -1 of channel ofdm"),
        (Ofdm, {"estimate": "blind"}, "unknown estimate of the gains 'blind'"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Channel], options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        kind(10, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "channel",
    [Rayleigh(10, block=8), Rayleigh(10, block=3, interleaved=True, power="average"), Rician(10), Ofdm(10)],
    ids=lambda c: c.convention,
)
def test_a_sender_that_knows_the_channel_meets_the_very_gains_that_it_saw(channel: Rayleigh | Rician | Ofdm) -> None:
    needs_sionna(channel)
    symbols = torch.rand(801) * 2 - 1
    both = replace(channel, csi="both")
    assert both.realisation == channel.realisation
    assert both.identity() != channel.identity()
    (arrived, power), (plain, _) = (c.observe(symbols, stream(3)) for c in (both, channel))
    assert torch.equal(arrived, plain)
    assert power is not None
    mean_square = 1.0 if channel.power == "average" else 0.25
    seen = both.known_snrs(801, 0.25, stream(3)) * channel.sigma**2 / mean_square
    torch.testing.assert_close(seen, power.flatten()[::2], rtol=1e-5, atol=0)
    nominal = channel.known_snrs(801, 0.25, stream(3))
    assert nominal.tolist() == pytest.approx([mean_square / channel.sigma**2])


def test_what_nobody_knows_stays_another_realisation_as_it_was() -> None:
    assert Rayleigh(10, csi="none").realisation == Rayleigh(10, csi="none").identity()
