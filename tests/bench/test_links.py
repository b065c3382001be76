"""Digital links: Sionna's codewords, closed-form error rates, and a receiver that knows nothing of the channel."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from bench.api.errors import UsageError
from bench.channels.awgn import Awgn
from bench.channels.packets import Packets
from bench.channels.rayleigh import Rayleigh
from bench.links.ldpc import (
    ITERATIONS,
    LEAST_NOISE,
    LENGTH_BYTES,
    block_size,
    coded_bits,
    frame_uses,
    log_likelihoods,
    modulate,
    noise_variance,
    receive,
    transmit,
)
from bench.links.scheme import MODULATIONS, SWITCHING, best_scheme, holds, parse_scheme

pytest.importorskip("sionna", reason="links need Sionna: pip install 'gesco-bench[links]'")
SCHEMES = ("qpsk@1/3", "qpsk@0.4", "qpsk@2/3", "qpsk@5/6", "16qam@2/3", "64qam@0.6", "64qam@3/4", "256qam@3/4")


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(payload=st.binary(max_size=400))
@settings(max_examples=5, deadline=None)
def test_a_payload_comes_back_whole_over_a_channel_without_noise(scheme: str, payload: bytes) -> None:
    known = parse_scheme(scheme)
    symbols = transmit(payload, known)
    assert symbols.abs().max() <= 1 + 1e-6
    assert receive(symbols, known) == payload


@pytest.mark.parametrize(
    ("scheme", "length", "graph", "blocks"),
    [
        *((scheme, 250, 1 if float((parse_scheme(scheme).rate or 0) * 1.01) > 0.67 else 2, 1) for scheme in SCHEMES),
        ("qpsk@1/5", 30, 2, 1),
        ("qpsk@0.4", 700, 1, 1),
        ("16qam@2/3", 3000, 1, 3),
        ("qpsk@1/5", 1000, 2, 3),
        ("qpsk@1/3", 1501, 1, 2),
    ],
)
def test_symbols_carry_the_codeword_of_sionnas_own_encoder(scheme: str, length: int, graph: int, blocks: int) -> None:
    """Both base graphs, one code block and several; repeated and punctured to the length by rate matching."""
    from sionna.phy.nr import TBEncoder

    known, payload = parse_scheme(scheme), np.random.default_rng(length).bytes(length)
    assert known.rate is not None
    size = block_size(8 * (len(payload) + LENGTH_BYTES), known)
    frame = len(payload).to_bytes(LENGTH_BYTES, "big") + payload
    bits = np.pad(np.unpackbits(np.frombuffer(frame, np.uint8)), (0, size - 8 * len(frame)))
    encoder = TBEncoder(size, coded_bits(size, known), float(known.rate), known.bits_per_symbol)
    assert encoder.tb_size == size  # nothing is cut off or filled up behind our back
    columns = encoder.ldpc_encoder.k_ldpc // encoder.ldpc_encoder.z
    assert (columns, encoder.num_cbs) == ({1: 22, 2: 10}[graph], blocks)
    codeword = encoder(torch.from_numpy(bits).float()[None])[0]
    assert torch.equal(transmit(payload, known), modulate(codeword, known))
    assert torch.equal((log_likelihoods(transmit(payload, known), known) > 0).float(), codeword)


@pytest.mark.parametrize(
    ("scheme", "length", "snr"), [("qpsk@0.4", 306, -0.2), ("16qam@1/2", 306, 8.9), ("qpsk@2/3", 1300, 3.1)]
)
def test_a_decoder_that_ends_early_finds_what_sionnas_finds_after_all_iterations(
    scheme: str, length: int, snr: float
) -> None:
    """Where about half of the blocks are lost, of one code block with CRC16 and of two with CRC24."""
    from sionna.phy.nr import TBDecoder, TBEncoder

    known, payload = parse_scheme(scheme), np.random.default_rng(length).bytes(length)
    assert known.rate is not None
    symbols, size = transmit(payload, known), block_size(8 * (length + LENGTH_BYTES), known)
    encoder = TBEncoder(size, coded_bits(size, known), float(known.rate), known.bits_per_symbol)
    whole = TBDecoder(encoder, num_bp_iter=ITERATIONS)
    found = []
    for seed in range(8):
        arrived = Awgn(snr, calibration="eq1").transmit(symbols, stream(seed))
        block, sound = whole((log_likelihoods(arrived, known) / noise_variance(arrived, known))[None])
        frame = np.packbits(block[0].numpy().astype(np.uint8)).tobytes()
        found.append((receive(arrived, known), frame[LENGTH_BYTES : LENGTH_BYTES + length] if sound else None))
    assert all(ours == theirs for ours, theirs in found)
    assert 0 < sum(ours is None for ours, _ in found) < len(found)


@pytest.mark.parametrize(("scheme", "psnr"), [("qpsk@0.4", 1), ("qpsk@5/6", 10), ("16qam@2/3", 15), ("64qam@3/4", 30)])
def test_blocks_decode_at_the_labels_that_their_scheme_is_meant_for(scheme: str, psnr: float) -> None:
    known, payload, channel = parse_scheme(scheme), bytes(range(256)) + bytes(50), Awgn(psnr)
    symbols = transmit(payload, known)
    received = [receive(channel.transmit(symbols, stream(seed)), known) for seed in range(8)]
    assert received == [payload] * 8


def test_a_block_that_is_not_sound_is_nothing_and_never_another_payload() -> None:
    known, payload = parse_scheme("64qam@3/4"), bytes(range(256))
    symbols = transmit(payload, known)
    assert all(receive(Awgn(1).transmit(symbols, stream(seed)), known) is None for seed in range(5))
    assert receive(symbols[:-7], known) is None
    assert receive(torch.zeros_like(symbols), known) is None


@pytest.mark.parametrize(("scheme", "snr"), [("qpsk@1/3", -1), ("qpsk@2/3", 30), ("16qam@1/2", 9), ("64qam@3/4", 19)])
@pytest.mark.parametrize("fading", [False, True])
def test_the_receiver_finds_the_noise_out_from_what_arrives(scheme: str, snr: float, fading: bool) -> None:
    known = parse_scheme(scheme)
    symbols = transmit(np.random.default_rng(0).bytes(300), known)
    channel = Rayleigh(snr, "eq1", block=16, interleaved=True) if fading else Awgn(snr, "eq1")
    estimates = [
        noise_variance(a, known, power) for a, power in (channel.observe(symbols, stream(k)) for k in range(9))
    ]
    assert np.mean(estimates) == pytest.approx(channel.sigma**2, rel=0.06)
    assert max(np.abs(np.array(estimates) / channel.sigma**2 - 1)) < 0.25


def test_without_noise_or_without_symbols_there_is_an_estimate_too() -> None:
    known = parse_scheme("64qam@3/4")
    symbols = transmit(bytes(200), known)
    assert noise_variance(symbols, known) == LEAST_NOISE
    assert math.isfinite(noise_variance(symbols, known, torch.zeros_like(symbols)))
    assert receive(torch.zeros_like(symbols), known, torch.zeros_like(symbols)) is None


def rails_agree(channel: Awgn | Rayleigh, expected: float) -> bool:
    """Whether bits of uncoded QPSK err as often as `expected`, those of I and of Q each in its 99.9 % interval.

    Of each rail the errors are independent: a complex symbol has one bit of it, and with blocks of 1 a gain of its own.
    """
    known, data = parse_scheme("qpsk@uncoded"), np.random.default_rng(1).bytes(40_000)
    arrived, power = channel.observe(transmit(data, known), stream(4))
    got = receive(arrived, known, power)
    assert got is not None
    wrong = np.unpackbits(np.frombuffer(data, np.uint8)) != np.unpackbits(np.frombuffer(got, np.uint8))
    intervals = (binomtest(int(w.sum()), len(w)).proportion_ci(0.999) for w in (wrong[::2], wrong[1::2]))
    return all(interval.low <= expected <= interval.high for interval in intervals)


@pytest.mark.parametrize("psnr", [10, 5, 1])
def test_uncoded_qpsk_errs_as_the_closed_form_says_on_awgn(psnr: float) -> None:
    """Q(sqrt(Es/N0)): I of peak 1 against noise of its own, sigma; Es/N0 is 1 / sigma^2 as both have twice that."""
    channel = Awgn(psnr, calibration="eq1")
    expected = 0.5 * math.erfc(1 / channel.sigma / math.sqrt(2))
    assert rails_agree(channel, expected)
    assert not rails_agree(channel, 1.5 * expected)


@pytest.mark.parametrize("psnr", [15, 5])
def test_uncoded_qpsk_errs_as_the_closed_form_says_on_rayleigh(psnr: float) -> None:
    channel = Rayleigh(psnr, calibration="eq1", block=1)
    snr = 1 / (2 * channel.sigma**2)  # Eb/N0, the mean over fades
    expected = 0.5 * (1 - math.sqrt(snr / (1 + snr)))
    assert rails_agree(channel, expected)
    assert not rails_agree(channel, 1.5 * expected)


@pytest.mark.parametrize("scheme", [*SWITCHING, "qpsk@1/5", "qpsk@5/6", "256qam@3/4"])
def test_capacity_is_never_beaten(scheme: str) -> None:
    """Where log2(1 + Es/N0) is less than the bits of payload a symbol, from a hair to 3 dB, nothing decodes."""
    known, payload = parse_scheme(scheme), np.random.default_rng(0).bytes(300)
    symbols = transmit(payload, known)
    needed = 8 * len(payload) / len(symbols)
    limit = 10 * math.log10((2**needed - 1) / known.power)  # as a peak SNR
    for below in (0.01, 1, 3):
        channel = Awgn(limit - below, calibration="eq1")
        assert all(receive(channel.transmit(symbols, stream(seed)), known) is None for seed in range(3))


def test_interleaving_and_gains_turn_outage_into_correctable_errors() -> None:
    known, payload = parse_scheme("qpsk@1/3"), bytes(300)
    symbols = transmit(payload, known)

    def lost(channel: Rayleigh, told: bool) -> int:
        seen = [channel.observe(symbols, stream(seed)) for seed in range(12)]
        return sum(receive(arrived, known, power if told else None) != payload for arrived, power in seen)

    spread = Rayleigh(5, block=230, interleaved=True)
    assert lost(spread, told=True) == 0 < lost(spread, told=False)
    assert lost(Rayleigh(5), told=True) > 0


@pytest.mark.parametrize("scheme", ["qpsk@2/3", "16qam@2/3", "64qam@0.6"])
@pytest.mark.parametrize(("packet", "loss"), [(1, 0.2), (64, 0.1)])
def test_a_decoder_takes_lost_symbols_as_erased_and_no_others(scheme: str, packet: int, loss: float) -> None:
    """A code of rate 2/3 puts right what is erased, I and Q lost one without the other or together."""
    known, payload = parse_scheme(scheme), bytes(range(250))
    symbols = transmit(payload, known)
    for seed in range(3):
        arrived, kept = Packets(100, packet=packet, loss=loss).observe(symbols, stream(seed))
        assert receive(arrived, known, kept) == payload


def lost_by_both(scheme: str, peak_snr_db: float, blocks: int, demapping: str = "maxlog") -> tuple[int, int]:
    """How many blocks our receiver loses, and Sionna's chain that knows the noise, of the same blocks and noise.

    The chain is their encoder, mapper, AWGN, demapper and decoder as they come, demapping as in their 5G receiver
    (`PUSCHReceiver`: max-log); `app` is the exact one.
    """
    from sionna.phy import config
    from sionna.phy.channel import AWGN
    from sionna.phy.mapping import Constellation, Demapper, Mapper
    from sionna.phy.nr import TBDecoder, TBEncoder

    known, rng = parse_scheme(scheme), np.random.default_rng(blocks)
    assert known.rate is not None
    payloads = [rng.bytes(306) for _ in range(blocks)]
    frames = [len(one).to_bytes(LENGTH_BYTES, "big") + one for one in payloads]
    size = block_size(8 * len(frames[0]), known)
    assert size == 8 * len(frames[0])
    sent = torch.stack([torch.from_numpy(np.unpackbits(np.frombuffer(one, np.uint8))) for one in frames]).float()
    points = Constellation("qam", known.bits_per_symbol)
    encoder = TBEncoder(size, coded_bits(size, known), float(known.rate), known.bits_per_symbol)
    noise = torch.tensor(1 / (known.power * 10 ** (peak_snr_db / 10)))
    config.seed = 7
    arrived = AWGN()(Mapper(constellation=points)(encoder(sent)), noise)
    found, _ = TBDecoder(encoder)(Demapper(demapping, constellation=points)(arrived, noise))
    peak = torch.view_as_real(points()).max()
    ours = [receive(torch.view_as_real(one) / peak, known) for one in arrived]
    assert all(mine in (None, payload) for mine, payload in zip(ours, payloads, strict=True))
    return sum(one is None for one in ours), int((found != sent).any(dim=1).sum())


#: Peak SNRs in dB at which about 70, 25 and 5 % of blocks are lost.
WATERFALLS = {
    "qpsk@1/3": (-1.3, -1.1, -0.9),
    "qpsk@0.4": (-0.3, -0.1, 0.1),
    "qpsk@1/2": (1.1, 1.25, 1.4),
    "qpsk@2/3": (2.9, 3.1, 3.3),
    "16qam@1/2": (8.75, 8.9, 9.05),
    "16qam@2/3": (11.2, 11.35, 11.5),
    "64qam@1/2": (14.1, 14.3, 14.5),
    "64qam@3/4": (18.8, 19.05, 19.3),
}


def agree(scheme: str, peak_snr_db: float, blocks: int) -> bool:
    """Whether the share of blocks that we lose is in the 95 % interval (Clopper and Pearson) of Sionna's chain."""
    ours, theirs = lost_by_both(scheme, peak_snr_db, blocks)
    interval = binomtest(theirs, blocks).proportion_ci(0.95)
    return bool(interval.low <= ours / blocks <= interval.high)


def test_blocks_are_lost_as_often_as_in_sionnas_own_chain() -> None:
    assert agree("qpsk@2/3", 3.1, 40)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", WATERFALLS)
def test_blocks_of_each_scheme_are_lost_as_often_as_in_sionnas_own_chain(scheme: str) -> None:
    assert [agree(scheme, peak_snr_db, 200) for peak_snr_db in WATERFALLS[scheme]] == [True] * 3


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SWITCHING)
def test_an_adaptive_sender_switches_where_a_scheme_holds(scheme: str) -> None:
    """At most 1 % of blocks lost from there on, more than that a dB below."""
    known, payload = parse_scheme(scheme), bytes(300)
    symbols = transmit(payload, known)

    def lost(peak_snr_db: float) -> int:
        channel = Awgn(peak_snr_db, calibration="eq1")
        return sum(receive(channel.transmit(symbols, stream(seed)), known) is None for seed in range(200))

    assert binomtest(lost(SWITCHING[scheme]), 200, 0.01, alternative="greater").pvalue > 0.01
    assert lost(SWITCHING[scheme] - 1) > 2


def test_an_adaptive_sender_takes_the_most_efficient_scheme_that_holds() -> None:
    def chosen(channel: Awgn) -> str:
        return best_scheme(lambda scheme: channel.known_snrs(0, scheme.power, stream(0)))[0].label

    by_peak = [chosen(Awgn(snr, calibration="eq1")) for snr in (-5, 0.9, 4.4, 8.9, 10, 13.2, 17.7, 26)]
    fewest, most = ["qpsk@1/3"] * 2, ["16qam@1/2", "16qam@2/3", "64qam@1/2", "64qam@3/4"]
    assert by_peak == [*fewest, "qpsk@2/3", "qpsk@2/3", *most]
    # average power scales 16-QAM up by 2.55 dB and 64-QAM by 3.68, so that they hold earlier
    assert [chosen(Awgn(snr, "eq1", "average")) for snr in (4.4, 7.5, 9.8)] == ["qpsk@2/3", "16qam@1/2", "16qam@2/3"]


@pytest.mark.parametrize("name", MODULATIONS)
def test_the_power_of_a_constellation_is_that_of_its_symbols(name: str) -> None:
    known = parse_scheme(f"{name}@uncoded")
    every = b"".join(value.to_bytes(3, "big") for value in range(0, 2**24, 4099))
    assert float(transmit(every, known).square().mean()) == pytest.approx(known.power, rel=0.02)


def test_symbols_of_several_strengths_count_as_less_than_their_mean() -> None:
    known = parse_scheme("qpsk@1/2")
    strong = 10 ** ((SWITCHING["qpsk@1/2"] + 3) / 10)
    assert holds(known, torch.full((10,), strong))
    assert not holds(known, torch.tensor([0.01, 100 * strong]))  # half of the bits are gone, whatever the rest has
    assert holds(known, torch.tensor([0.9 * strong, 1.1 * strong]))
    assert not holds(known, torch.zeros(3))


@pytest.mark.parametrize(("scheme", "length"), [("qpsk@1/3", 300), ("64qam@3/4", 1), ("256qam@uncoded", 55)])
def test_a_frames_length_is_known_before_it_is_made(scheme: str, length: int) -> None:
    known = parse_scheme(scheme)
    assert frame_uses(bytes(length), known) == transmit(bytes(length), known).numel()


def test_names_of_links_are_checked() -> None:
    assert parse_scheme("16QAM@2/3").rate == Fraction(2, 3)
    assert parse_scheme("16qam@0.5").efficiency == 2
    for wrong, why in {
        "qpsk": "is no link",
        "8psk@0.5": f"known: {', '.join(MODULATIONS)}",
        "qpsk@0.99": "outside",
        "qpsk@1/0": "is no code rate",
        "qpsk@half": "is no code rate",
    }.items():
        with pytest.raises(UsageError, match=why):
            parse_scheme(wrong)
