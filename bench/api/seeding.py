"""Random generators that depend on what is drawn and for whom, and on nothing else.

A cell has two streams a scene. The channel's noise is keyed by data set, scene, channel and seed, deliberately not by
the method: methods that send the same symbols meet the same channel realisation. The receiver's stream is keyed by the
method as well. Neither knows of batches, jobs or other cells.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spaces: equal data gives equal text, whatever the order of its keys."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def text_digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest(data: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return text_digest(canonical(data))


def generator_for(*parts: Any) -> torch.Generator:
    """A CPU generator seeded with the first 63 bits of the SHA-256 of `parts` (JSON-serialisable)."""
    import torch

    return torch.Generator().manual_seed(int(digest(list(parts))[:16], 16) >> 1)


def channel_stream(dataset: str, scene_id: str, channel: dict[str, Any], seed: int) -> torch.Generator:
    """The noise that scene meets on that channel, the same for every method."""
    return generator_for("channel", dataset, scene_id, channel, seed)


def receiver_stream(dataset: str, scene_id: str, channel: dict[str, Any], seed: int, spec: str) -> torch.Generator:
    """The randomness of one method's receiver for that scene."""
    return generator_for("receiver", dataset, scene_id, channel, seed, spec)
