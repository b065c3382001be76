"""`label-ctx`: a label map and its edges by adaptive arithmetic coding in context. Lossless.

A pixel's label mostly equals that of a neighbour that was coded before it: west, north, north-west or north-east. In
that order the coder asks "is it this one's?", each answer with a probability that was counted so far among pixels
whose four neighbours agree in the same way; a label that none of them has costs log2(labels) bits. Edges come behind,
each pixel's in the context of the neighbours whose label differs (there an edge is nearly certain) and of six edge
pixels before it. The counts begin equal in every scene, so a scene's bits belong to it alone.

Pixels of one wave, x + 2 y = t, depend on earlier waves only and are coded together; counts grow after each wave. The
range coder is constriction's; probabilities are ratios of small counts, so both sides have the same to the last bit.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from bench.api.memory import remembered

#: Pixels around the picture, so that every neighbour has a place; they have the label NOWHERE.
_PAD = 2
_NOWHERE = -1
#: What a count begins with (Krichevsky and Trofimov's estimator has 0.5; fewer suits contexts that are nearly certain).
_START = 0.4
_CONTEXTS = 64 * 4
_EDGE_CONTEXTS = 16 * 64

#: (probabilities of 1, the true answers or None) -> the answers, for the decoder out of its stream.
_Bits = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]
#: (how many, the true labels or None) -> labels.
_Labels = Callable[[int, "np.ndarray | None"], np.ndarray]


@lru_cache(maxsize=4)
def _waves(height: int, width: int) -> list[np.ndarray]:
    """Flat places in the padded picture, wave by wave."""
    y, x = np.divmod(np.arange(height * width), width)
    wave = x + 2 * y
    order = np.argsort(wave, kind="stable")
    places = ((y + _PAD) * (width + 2 * _PAD) + x + _PAD)[order]
    return np.split(places, np.cumsum(np.bincount(wave))[:-1])


class _Counts:
    """How often the answer was no and yes in each context."""

    def __init__(self, contexts: int) -> None:
        self._counts = np.full((contexts, 2), _START)

    def answers(self, ask: _Bits, contexts: np.ndarray, true: np.ndarray | None) -> np.ndarray:
        """Code one wave's answers, (n,) bool, and count them."""
        counts = self._counts[contexts]
        answers = ask(counts[:, 1] / (counts[:, 0] + counts[:, 1]), true)
        np.add.at(self._counts, (contexts, answers.astype(np.int64)), 1)
        return answers


def _code_labels(waves: list[np.ndarray], row: int, ask: _Bits, spell: _Labels, out: np.ndarray, true: bool) -> None:
    """Code the labels `out` (flat, padded) where they are `true`, else fill it from the stream."""
    known = np.full_like(out, _NOWHERE)
    counts = _Counts(_CONTEXTS)
    for places in waves:
        near = np.stack([known[places - 1], known[places - row], known[places - row - 1], known[places - row + 1]])
        west, north, north_west, north_east = near
        agreement = (
            (west == north)
            + 2 * (west == north_west)
            + 4 * (west == north_east)
            + 8 * (north == north_west)
            + 16 * (north == north_east)
            + 32 * (north_west == north_east)
        )
        open_pixels = np.ones(len(places), dtype=bool)
        for candidate in range(4):
            seen = (near[:candidate] == near[candidate]).any(axis=0)
            asked = np.flatnonzero(open_pixels & (near[candidate] != _NOWHERE) & ~seen)
            if not len(asked):
                continue
            truth = out[places[asked]] == near[candidate, asked] if true else None
            hits = asked[counts.answers(ask, 4 * agreement[asked] + candidate, truth)]
            known[places[hits]] = near[candidate, hits]
            open_pixels[hits] = False
        rest = places[open_pixels]
        if len(rest):
            known[rest] = spell(len(rest), out[rest] if true else None)
    out[:] = known


def _code_edges(
    waves: list[np.ndarray], row: int, ask: _Bits, labels: np.ndarray, edges: np.ndarray, true: bool
) -> None:
    """Code the edges (flat, padded) behind their labels, or fill them from the stream."""
    known = np.zeros_like(edges)
    counts = _Counts(_EDGE_CONTEXTS)
    for places in waves:
        around = (places - 1, places - row, places + 1, places + row)
        before = (places - 1, places - row, places - row - 1, places - row + 1, places - 2, places - 2 * row)
        differs = [((labels[p] != labels[places]) & (labels[p] != _NOWHERE)).astype(np.int64) for p in around]
        bits = [*differs, *(known[p] for p in before)]
        context = sum(bit << position for position, bit in enumerate(bits))
        known[places] = counts.answers(ask, np.asarray(context), edges[places] == 1 if true else None)
    edges[:] = known


def _padded(values: np.ndarray | None, height: int, width: int, border: int) -> np.ndarray:
    picture = np.full((height + 2 * _PAD, width + 2 * _PAD), border, dtype=np.int64)
    if values is not None:
        picture[_PAD:-_PAD, _PAD:-_PAD] = values
    return picture.ravel()


def encode_labels(labels: np.ndarray, edges: np.ndarray | None, num_labels: int) -> bytes:
    """A label map (H, W), ids 0..num_labels - 1, and its edges (H, W) in {0, 1}, or None, as bytes."""
    from constriction import stream

    height, width = labels.shape
    coder, bit = stream.queue.RangeEncoder(), stream.model.Bernoulli(perfect=False)
    label = stream.model.Uniform(num_labels)

    def ask(chances: np.ndarray, true: np.ndarray | None) -> np.ndarray:
        assert true is not None
        coder.encode(true.astype(np.int32), bit, chances)
        return true

    def spell(count: int, true: np.ndarray | None) -> np.ndarray:
        assert true is not None
        coder.encode(true.astype(np.int32), label)
        return true

    waves, row = _waves(height, width), width + 2 * _PAD
    flat = _padded(labels, height, width, _NOWHERE)
    _code_labels(waves, row, ask, spell, flat, true=True)
    if edges is not None:
        _code_edges(waves, row, ask, flat, _padded(edges, height, width, 0), true=True)
    words = np.asarray(coder.get_compressed()).astype(">u4").tobytes()
    return bytes(words.rstrip(b"\0"))  # the decoder reads zeros where a stream has ended


@remembered
def decode_labels(
    data: bytes, height: int, width: int, num_labels: int, with_edges: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """The label map and the edges, (H, W) int64 each, behind bytes of `encode_labels`.

    Bytes that were damaged decode to some map, or raise ValueError.
    """
    from constriction import stream

    words = np.frombuffer(data + b"\0" * (-len(data) % 4), dtype=">u4").astype(np.uint32)
    coder, bit = stream.queue.RangeDecoder(words), stream.model.Bernoulli(perfect=False)
    label = stream.model.Uniform(num_labels)

    def ask(chances: np.ndarray, true: np.ndarray | None) -> np.ndarray:
        return np.asarray(coder.decode(bit, chances)).astype(bool)

    def spell(count: int, true: np.ndarray | None) -> np.ndarray:
        return np.asarray(coder.decode(label, count)).astype(np.int64)

    waves, row = _waves(height, width), width + 2 * _PAD
    flat, edges = _padded(None, height, width, _NOWHERE), _padded(None, height, width, 0)
    try:
        _code_labels(waves, row, ask, spell, flat, true=False)
        if with_edges:
            _code_edges(waves, row, ask, flat, edges, true=False)
    except AssertionError as error:  # constriction's word for a stream that no encoder makes
        raise ValueError(f"no label map: {error}") from None
    shape = (height + 2 * _PAD, row)
    inside = (slice(_PAD, -_PAD), slice(_PAD, -_PAD))
    return flat.reshape(shape)[inside], edges.reshape(shape)[inside] if with_edges else None
