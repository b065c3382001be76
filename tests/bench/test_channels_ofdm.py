"""OFDM over 3GPP's delay profiles: the profiles' statistics, what pilots and prefix cost, and what pilots tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.channels.ofdm import PREFIX, PROFILES, SLOT, SUBCARRIERS, Ofdm

pytest.importorskip("sionna", reason="OFDM needs Sionna: pip install 'gesco-bench[links]'")


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_cyclic_prefix_is_held_against_the_profiles_own_delays(profile: str) -> None:
    from sionna.phy.channel.tr38901 import TDL

    assert float(TDL(profile[-1].upper(), 1.0, 3.5e9).delays.max()) == pytest.approx(PROFILES[profile], rel=1e-5)


def test_gains_differ_over_the_band_as_the_power_delay_profile_says() -> None:
    """The correlation of gains some carriers apart is the profile's Fourier transform; 600 scenes."""
    from sionna.phy.channel.tr38901 import TDL

    model = TDL("C", 500e-9, 3.5e9)
    gains = torch.stack([Ofdm(10, spread=500.0)._grid(2, stream(seed))[0][0] for seed in range(600)])
    assert gains.abs().square().mean() == pytest.approx(1, abs=0.05)
    for carriers in (10, 50, 200):
        turned = torch.exp(-2j * torch.pi * carriers * 15e3 * model.delays)
        expected = complex((model.mean_powers * turned).sum())
        found = complex((gains[:, carriers:] * gains[:, :-carriers].conj()).mean())
        assert abs(found - expected) < 0.1
        assert abs(found) < 1 - 0.0005 * carriers


def test_gains_change_in_time_with_the_doppler_frequency_alone() -> None:
    symbols = 100 * 2 * SUBCARRIERS
    still, moving = (Ofdm(10, doppler=d)._grid(symbols, stream())[0] for d in (0.0, 100.0))
    torch.testing.assert_close(still, still[:1].expand_as(still))
    assert torch.equal(still[:1].abs() > 0, moving[:1].abs() > 0)
    assert (moving[0] - moving[-1]).abs().mean() > 0.3  # 117 symbols of 71 us, 0.8 of a Doppler period later


def test_a_scene_pays_for_whole_symbols_pilots_and_prefixes() -> None:
    """13 symbols of data are 3 slots: 13 + 3 OFDM symbols of 256 + 18 samples each, I and Q."""
    sent = torch.full((12 * 2 * SUBCARRIERS + 10,), 0.5)
    channel = Ofdm(10)
    assert (SLOT, SUBCARRIERS, PREFIX) == (7, 256, 18)
    assert channel.uses(sent) == 2 * 274 * 16
    assert channel.energy(sent) == pytest.approx((0.25 * 6154 + 3 * 512) * 274 / 256)
    assert replace(channel, power="average").energy(sent) == pytest.approx((6154 + 3 * 512) * 274 / 256)


def test_pilots_tell_the_gains_up_to_their_noise() -> None:
    symbols = torch.ones(40_000)
    for_free, told = Ofdm(20).observe(symbols, stream())[1], Ofdm(20, estimate="pilots").observe(symbols, stream())[1]
    assert for_free is not None
    assert told is not None
    error = (told - for_free).mean()  # |h + e|^2 has |e|^2 more in the mean, sigma^2
    assert error == pytest.approx(Ofdm(20).sigma ** 2, rel=0.3)
    exact, rough = (Ofdm(100, estimate=e).transmit(symbols, stream()) for e in ("perfect", "pilots"))
    assert torch.equal(exact, rough)


def test_sionnas_own_random_numbers_are_left_as_they_were() -> None:
    from sionna.phy import config

    before = config.torch_rng("cpu").get_state()
    Ofdm(10).transmit(torch.ones(10), stream())
    assert torch.equal(config.torch_rng("cpu").get_state(), before)
