"""DRN as published: layouts, the filled weights behind the golden arrays, and a weights file made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from metrics.evaluators.segmenters.drn import weights_file
from tests.methods.reference_fill import filled_state

DATA = Path(__file__).parent / "data"
LAYOUTS: dict[str, list] = json.loads((DATA / "drn_layout.json").read_text())


def golden(name: str) -> dict[str, np.ndarray]:
    """Input and outputs of the official network with the filled weights, one picture of 64x128.

    `image_uint8` (64, 128, 3); `seg_lowres` (1, 19, 8, 16); `log_softmax_strided` (1, 19, 22, 43): every third row and
    column, so that each of the 64 phases of the enlargement occurs; `classes` (64, 128): argmax of the whole; `floor`:
    the official code's float32 against its float64, for log-softmax and logits; `fill_checksum`.
    """
    with np.load(DATA / "drn_small.npz") as file:
        return {key.removeprefix(f"{name}."): file[key] for key in file.files if key.startswith(f"{name}.")}


def filled(name: str) -> dict[str, torch.Tensor]:
    """The filled weights of a network."""
    return {key: torch.from_numpy(value) for key, value in filled_state(LAYOUTS[name]).items()}


def write_filled(name: str, folder: Path) -> Path:
    """A weights file as `bench weights import` leaves it, with the filled weights."""
    path = folder / weights_file(name)
    save_file(filled(name), path)
    return path
