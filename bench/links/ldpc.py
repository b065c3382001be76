"""5G NR transport blocks over QAM, by Sionna (Apache-2.0): CRC, segmentation, LDPC, rate matching (TS 38.212).

A frame is the payload's length (3 bytes), the payload, and zeros up to the next transport block size. I and Q of a
symbol are two real channel uses in [-1, 1]. The receiver knows the scheme and how many symbols arrived, and is told
nothing of the noise: it estimates its variance from the symbols that it decodes.
"""

from __future__ import annotations

import contextlib
import io
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from bench.links.scheme import Scheme

LENGTH_BYTES = 3
#: Iterations of the decoder, belief propagation (Sionna's default, as their number), at most.
ITERATIONS = 20
#: Iterations of the estimate of the noise, and the least variance that it gives: a channel without noise is very good.
NOISE_ITERATIONS, LEAST_NOISE = 40, 1e-4


def coded_bits(size: int, scheme: Scheme) -> int:
    """Coded bits of a transport block of `size` bits, whole symbols."""
    assert scheme.rate is not None
    return math.ceil(size / scheme.rate / scheme.bits_per_symbol) * scheme.bits_per_symbol


@lru_cache(maxsize=4096)
def _is_block_size(size: int, scheme: Scheme) -> bool:
    from sionna.phy.nr.utils import calculate_tb_size

    assert scheme.rate is not None
    told = calculate_tb_size(
        modulation_order=scheme.bits_per_symbol,
        target_coderate=float(scheme.rate),
        target_tb_size=size,
        num_coded_bits=coded_bits(size, scheme),
        return_cw_length=False,
    )
    return int(told[0]) == size


def block_size(bits: int, scheme: Scheme) -> int:
    """The smallest transport block that holds `bits`; sizes are whole bytes."""
    size = max(scheme.smallest_block, -(-bits // 8) * 8)
    while not _is_block_size(size, scheme):
        size += 8
    return size


def _largest_block(bits: int, scheme: Scheme) -> int | None:
    """The largest transport block of at most so many coded bits; None where they hold none."""
    assert scheme.rate is not None
    size = int(bits * scheme.rate) // 8 * 8
    while size >= scheme.smallest_block:
        if coded_bits(size, scheme) <= bits and _is_block_size(size, scheme):
            return size
        size -= 8
    return None


def room(uses: int, scheme: Scheme) -> int:
    """Bytes of the largest payload whose frame takes at most so many real channel uses; UsageError where none does."""
    bits = uses // 2 * scheme.bits_per_symbol
    if scheme.rate is None:
        return bits // 8
    size = _largest_block(bits, scheme)
    if size is None:
        least = 2 * coded_bits(block_size(1, scheme), scheme) // scheme.bits_per_symbol
        raise UsageError(f"uses={uses} holds no frame of link {scheme.label}; the smallest takes {least} channel uses")
    return size // 8 - LENGTH_BYTES


def frame_uses(payload: bytes, scheme: Scheme) -> int:
    """Real channel uses of a payload's frame."""
    bits = 8 * len(payload)
    if scheme.rate is not None:
        bits = coded_bits(block_size(bits + 8 * LENGTH_BYTES, scheme), scheme)
    return 2 * -(-bits // scheme.bits_per_symbol)


def surely_holds_a_frame(uses: int, scheme: Scheme) -> bool:
    """Whether so many channel uses hold two smallest blocks, and so some block.

    It is told without Sionna, which takes seconds to import: a plan asks this, and `room` only below it.
    """
    return scheme.rate is None or uses // 2 * scheme.bits_per_symbol >= coded_bits(2 * scheme.smallest_block, scheme)


@lru_cache(maxsize=64)  # payloads differ from scene to scene; a code takes 0.15 s to make, and 6 MB
def _code(size: int, scheme: Scheme) -> tuple[Any, Any, Any, Any]:
    """Sionna's encoder of one transport block size, its descrambler, and the decoders of its code and of its CRC."""
    from sionna.phy.fec.crc import CRCDecoder
    from sionna.phy.fec.ldpc import LDPC5GDecoder
    from sionna.phy.fec.scrambling import Descrambler
    from sionna.phy.nr import TBEncoder

    assert scheme.rate is not None
    with contextlib.redirect_stdout(io.StringIO()):  # it prints remarks
        encoder = TBEncoder(
            target_tb_size=size,
            num_coded_bits=coded_bits(size, scheme),
            target_coderate=float(scheme.rate),
            num_bits_per_symbol=scheme.bits_per_symbol,
            device="cpu",
        )
    crc = CRCDecoder(encoder.tb_crc_encoder, device="cpu")
    decoder = LDPC5GDecoder(encoder.ldpc_encoder, return_state=True, device="cpu")
    return encoder, Descrambler(encoder.scrambler, binary=False, device="cpu"), decoder, crc


@lru_cache(maxsize=8)
def _mapping(bits_per_symbol: int, device: str) -> tuple[Any, Any, float]:
    """Sionna's mapper and max-log demapper, and the largest I or Q of the constellation."""
    import torch
    from sionna.phy.mapping import Constellation, Demapper, Mapper

    constellation = Constellation("qam", bits_per_symbol, device=device)
    mapper = Mapper(constellation=constellation, device=device)
    demapper = Demapper("maxlog", constellation=constellation, device=device)
    return mapper, demapper, float(torch.view_as_real(constellation()).abs().max())


def _bits(data: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8))


def modulate(bits: Tensor, scheme: Scheme) -> Tensor:
    """Coded bits, (n,) of 0 and 1, as real symbols (n / bits_per_symbol, 2) float32 in [-1, 1]: I and Q."""
    import torch

    mapper, _, peak = _mapping(scheme.bits_per_symbol, str(bits.device))
    return torch.view_as_real(mapper(bits.float()[None])[0]) / peak


def log_likelihoods(symbols: Tensor, scheme: Scheme) -> Tensor:
    """Max-log likelihood ratios (n,) of received symbols (n / bits_per_symbol, 2) at noise of variance 1.

    Positive is a bit of 1. Those at another variance are in inverse proportion to it.
    """
    import torch

    _, demapper, peak = _mapping(scheme.bits_per_symbol, str(symbols.device))
    received = torch.view_as_complex(symbols.float().contiguous() * peak)[None]
    llr: Tensor = demapper(received, torch.tensor(2 * peak**2, device=symbols.device))[0]
    return llr


def noise_variance(symbols: Tensor, scheme: Scheme, power: Tensor | None = None) -> float:
    """The variance of the noise on I and on Q, estimated from received symbols (S, 2) alone.

    It is the most likely one for levels that are sent equally often (expectation maximisation, which starts from the
    mean square). With `power` (S, 2), the known |h|^2 of symbols divided by h, it is that before the division.
    """
    import torch

    weight = torch.ones_like(symbols) if power is None else power
    there = weight > 0
    received, weight = symbols[there], weight[there]
    levels = torch.linspace(-1, 1, 1 << scheme.bits_per_symbol // 2)
    away = (received - levels[:, None]).square() * weight
    variance = (weight * (received.square() - scheme.power)).mean()
    for _ in range(NOISE_ITERATIONS):
        likely = (-away / (2 * variance.clamp(min=LEAST_NOISE))).softmax(dim=0)
        variance = (likely * away).sum(dim=0).mean()
    return max(float(variance), LEAST_NOISE) if len(received) else 1.0


def _decoded(llr: Tensor, size: int, scheme: Scheme) -> Tensor | None:
    """The transport block behind its coded bits' likelihoods, (size,) of 0 and 1; None where its CRC fails.

    This is Sionna's `TBDecoder`, one iteration after the other, and it ends early: where an iteration changes no bit
    and the CRC holds. As there, CRCs of code blocks are cut off, and that of the whole block decides (16 bits up to a
    size of 3,824, else 24).
    """
    import torch

    encoder, descrambler, decoder, crc = _code(size, scheme)
    punctured = encoder.ldpc_encoder.n * encoder.num_cbs - encoder.cw_lengths_sum
    llr = torch.nn.functional.pad(descrambler(llr[None, None])[0, 0], (0, punctured))
    blocks = llr[encoder.output_perm_inv].view(encoder.num_cbs, -1)
    inner = encoder.cb_crc_encoder.crc_length if encoder.cb_crc_encoder else 0
    state, before = None, None
    for iteration in range(1, ITERATIONS + 1):
        bits, state = decoder(blocks, num_iter=1, msg_v2c=state)
        if iteration == ITERATIONS or (before is not None and torch.equal(bits, before)):
            block, sound = crc(bits[:, : bits.shape[1] - inner].reshape(1, -1))
            if sound:
                found: Tensor = block[0]
                return found
        before = bits
    return None


def transmit(payload: bytes, scheme: Scheme) -> Tensor:
    """A payload as real symbols (S, 2) float32 in [-1, 1]; without a code its bits go as they are, filled up with 0."""
    import torch

    if scheme.rate is None:
        bits = _bits(payload)
        bits = np.pad(bits, (0, -len(bits) % scheme.bits_per_symbol))
        return modulate(torch.from_numpy(bits), scheme)
    frame = len(payload).to_bytes(LENGTH_BYTES, "big") + payload
    size = block_size(8 * len(frame), scheme)
    bits = np.pad(_bits(frame), (0, size - 8 * len(frame)))
    return modulate(_code(size, scheme)[0](torch.from_numpy(bits).float()[None])[0], scheme)


def receive(symbols: Tensor, scheme: Scheme, power: Tensor | None = None) -> bytes | None:
    """The payload behind received symbols (S, 2); None where the transport block's CRC fails.

    Without a code nothing is checked: the bytes are hard decisions, whatever arrived. `power` (S, 2) is |h|^2 of each
    symbol, where the receiver knows it: likelihoods are in proportion to it once the symbols are divided by h.
    """
    llr = log_likelihoods(symbols, scheme)
    if power is not None:
        llr = llr * power.repeat(1, scheme.bits_per_symbol // 2).flatten()  # bits are I's and Q's in turn (TS 38.211)
    if scheme.rate is None:
        bits = (llr > 0).cpu().numpy().astype(np.uint8)
        return np.packbits(bits[: len(bits) // 8 * 8]).tobytes()
    size = _largest_block(len(llr), scheme)
    if size is None or coded_bits(size, scheme) != len(llr):
        return None  # no frame of this scheme has so many symbols
    scaled = llr / noise_variance(symbols, scheme, power)
    block = _decoded(scaled, size, scheme)
    if block is None:
        return None
    frame = np.packbits(block.numpy().astype(np.uint8)).tobytes()
    length = int.from_bytes(frame[:LENGTH_BYTES], "big")
    return frame[LENGTH_BYTES : LENGTH_BYTES + length] if length <= len(frame) - LENGTH_BYTES else None
