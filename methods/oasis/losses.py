"""OASIS's losses: (labels + 1)-way cross-entropy and LabelMix (Schönfeld et al., ICLR 2021, sections 3.1 and 3.2).

Targets are *shares*: (B, labels, h, w), how much of each of the discriminator's pixels belongs to each label, one-hot
where its pixels are the picture's. Index 0 of the logits is "fake", index c + 1 the label c.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def class_weights(shares: Tensor, ignore_first: bool) -> Tensor:
    """Weights (labels,) that give every label of the batch the same total: the inverse of its frequency (Eq. 1).

    N H W / (pixels of the label * number of labels that occur), 0 for absent ones and, with `ignore_first`, for
    label 0. The authors take frequencies over the batch too.
    """
    counts = shares.sum((0, 2, 3))
    if ignore_first:
        counts = counts.clone()
        counts[0] = 0
    present = counts > 0
    pixels = shares.shape[0] * shares.shape[2] * shares.shape[3]
    return torch.where(present, pixels / (counts.clamp_min(1e-12) * present.sum()), 0.0)


def real_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy towards the labels, mean over pixels; `targets` are shares times class weights.

    The discriminator's loss on true pictures and, with the same targets, the generator's on its own (Eq. 1 and 2).
    """
    return -(_log_probabilities(logits)[..., 1:] * targets.permute(0, 2, 3, 1)).sum(-1).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Cross-entropy towards "fake", mean over pixels: the discriminator's loss on generated pictures (Eq. 1)."""
    return -_log_probabilities(logits)[..., 0].mean()


def _log_probabilities(logits: Tensor) -> Tensor:
    """(B, labels + 1, h, w) to (B, h, w, labels + 1): with the classes last a CPU is several times as fast."""
    return F.log_softmax(logits.permute(0, 2, 3, 1), dim=-1)


def mixing_mask(labels: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """LabelMix's mask (B, 1, H, W) of 0 and 1: in every scene, each label's pixels are all 1 or all 0 by a fair coin.

    `labels` (B, H, W) are ids below `number`; so the mask's borders are borders between classes.
    """
    coins = torch.randint(0, 2, (len(labels), number), generator=generator).to(labels.device)
    return coins.gather(1, labels.flatten(1)).reshape(labels.shape)[:, None].float()


def mix(mask: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """`first` where the mask is 1, `second` where it is 0 (LabelMix, Eq. 3)."""
    return torch.lerp(second, first, mask)


def label_mix_loss(mixed: Tensor, mask: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """Mean squared error between the logits of a mixed picture and the mix of both pictures' logits (Eq. 4)."""
    return F.mse_loss(mixed, mix(mask, real, fake))
