"""Deterministic weights for the parity tests: each tensor is a function of its key alone.

The rule is that of the reference sheet behind `data/*_small.npz`: standard-normal float32 draws seeded by the CRC-32 of
the key, scaled by what the last component of the key is. `weight_v` is half a power step from `weight_u`, so that u
and v are not converged and an implementation that recomputes the largest singular value fails.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np


def filled_state(rows: list[tuple[str, list[int], str]]) -> dict[str, np.ndarray]:
    """Arrays for rows of (key, shape, dtype)."""
    state = {key: _tensor(key, tuple(shape)) for key, shape, _ in rows if not key.endswith("weight_v")}
    for key, _, _ in rows:
        if key.endswith("weight_v"):
            stem = key.removesuffix("weight_v")
            matrix = state[stem + "weight_orig"].astype(np.float64)
            state[key] = _unit(matrix.reshape(len(matrix), -1).T @ state[stem + "weight_u"].astype(np.float64))
    return {key: state[key] for key, _, _ in rows}


def with_widths(rows: list[list[Any]], widths: dict[int, int]) -> list[list[Any]]:
    """The same rows where every size that is a key of `widths` is its value: a network for other conditioning."""
    return [[key, [widths.get(size, size) for size in shape], dtype] for key, shape, dtype in rows]


def checksum(state: dict[str, np.ndarray]) -> tuple[float, float]:
    """Sum and sum of magnitudes over all tensors, in float64, keys in order."""
    arrays = [np.asarray(state[key], np.float64) for key in sorted(state)]
    return float(sum(a.sum() for a in arrays)), float(sum(np.abs(a).sum() for a in arrays))


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.sqrt(np.dot(vector, vector))).astype(np.float32)


def _tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    draw = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(size=shape, dtype=np.float32)
    if leaf == "running_mean":
        return np.float32(0.1) * draw
    if leaf == "running_var":
        return np.float32(1) + np.float32(0.1) * np.abs(draw)
    if leaf == "bias":
        return np.float32(0.02) * draw
    if leaf == "weight_u":
        return _unit(draw.astype(np.float64))
    if leaf not in ("weight", "weight_orig"):
        raise KeyError(f"no rule for {key}")
    if len(shape) == 1:
        return np.float32(1) + np.float32(0.1) * draw
    gain = 0.7 if key == "conv_img.weight" else 1.2
    return draw * np.float32(gain / np.sqrt(np.prod(shape[1:])))
