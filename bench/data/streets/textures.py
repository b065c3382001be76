"""Precomputed tileable noise, looked up by world coordinates."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
_SIDE = 256


@lru_cache(maxsize=1)
def fractal_table() -> Floats:
    """(256, 256) tileable fractal noise, zero mean, clipped to -1..1, amplitude falling as 1/frequency."""
    rng = np.random.Generator(np.random.PCG64(20240917))
    spectrum = np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE)))
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None] * _SIDE, np.fft.rfftfreq(_SIDE)[None] * _SIDE)
    spectrum *= 1 / np.maximum(frequency, 3.0) ** 1.05
    noise = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
    result: Floats = np.clip(noise / (2.2 * noise.std()), -1, 1).astype(np.float32)
    return result


@lru_cache(maxsize=1)
def hash_table() -> Floats:
    """(4096,) uniforms in 0..1 behind `cell_hash`."""
    return np.random.Generator(np.random.PCG64(77)).random(4096).astype(np.float32)


def fractal(s: Floats, t: Floats) -> Floats:
    """Bilinear, wrapping lookup of the fractal noise at texel coordinates s, t (2-D arrays)."""
    # Wrapped by hand first: remap holds coordinates in 16 bits.
    s = s - np.floor(s * (1 / _SIDE)) * _SIDE
    t = t - np.floor(t * (1 / _SIDE)) * _SIDE
    return np.asarray(cv2.remap(fractal_table(), s, t, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def cell_hash(i: Floats, j: Floats, seed: Floats | float) -> Floats:
    """A uniform in 0..1 per integer cell (i, j) and seed, the same wherever it is asked for."""
    code = i.astype(np.int64) * 7349 + j.astype(np.int64) * 1931 + np.asarray(seed).astype(np.int64) * 911
    result: Floats = hash_table()[(code ^ (code >> 5)) & 4095]
    return result
