"""The context codec of label maps: exact, small, and unimpressed by damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from methods.common.semantic.label_ctx import decode_labels, encode_labels


@given(
    labels=arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 34)),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_any_map_and_any_edges_come_back(labels: np.ndarray, seed: int) -> None:
    edges = np.random.default_rng(seed).integers(0, 2, labels.shape)
    data = encode_labels(labels, edges, 35)
    found, found_edges = decode_labels(data, *labels.shape, 35, with_edges=True)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(found_edges, edges)


def test_a_map_without_edges_comes_back() -> None:
    labels = np.add.outer(np.arange(16) // 4, np.arange(32) // 8)
    found, edges = decode_labels(encode_labels(labels, None, 8), 16, 32, 8, with_edges=False)
    np.testing.assert_array_equal(found, labels)
    assert edges is None


def test_one_region_costs_next_to_nothing() -> None:
    assert len(encode_labels(np.full((64, 128), 7), np.zeros((64, 128), int), 35)) <= 12


def test_damaged_bytes_are_some_map_or_no_map() -> None:
    labels = np.add.outer(np.arange(16) // 4, np.arange(32) // 8)
    data = encode_labels(labels, None, 12)
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(100):
        damaged = bytearray(data)
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        try:
            found, _ = decode_labels(bytes(damaged), 16, 32, 12, with_edges=False)
        except ValueError:
            outcomes.add("none")
        else:
            assert found.min() >= 0
            assert found.max() < 12
            outcomes.add("map")
    assert "map" in outcomes


def test_bytes_of_no_encoder_are_no_label_map() -> None:
    with pytest.raises(ValueError, match="no label map"):
        decode_labels(b"\xff" * 9, 64, 128, 35, with_edges=True)
