"""From label and instance maps to the one-hot maps that are sent, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench.api.errors import MethodError
from bench.api.lazy import F, Tensor, torch
from bench.api.scenes import Scene

#: The noise behind the paper's seven PSNRs (section 3.3), as standard deviations like the authors' code uses them.
NOISE_LEVELS = (0.9, 0.6, 0.36, 0.22, 0.13, 0.05, 0.0)

#: Which picture of ids the edges are taken from. "clipped" is that of SDM's and GESCO's loaders, which read the
#: instance picture as 8 bit: every id above 255 becomes 255, so borders between neighbouring things vanish.
Edges = Literal["instances", "clipped"]

#: What stands in the block: the paper's average and maximum, one of the two alone, or nothing.
POOLS = ("avg-max", "avg", "max", "none")
#: Maps as they come out of channel and FDS, or a decision for the strongest one at each pixel
DECISIONS = ("soft", "hard")


def check_labels(labels: Tensor, num_labels: int) -> None:
    """ValueError where label ids lie outside 0..num_labels - 1."""
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_labels):
        raise ValueError(
            f"label ids run from {int(labels.min())} to {int(labels.max())}, outside 0..{num_labels - 1}: "
            "the label map does not belong to this data set"
        )


def one_hot(labels: Tensor, num_labels: int) -> Tensor:
    """One binary map a label id: (B, H, W) int64 -> (B, num_labels, H, W) float32 in {0, 1}."""
    check_labels(labels, num_labels)
    maps = torch.zeros((*labels.shape, num_labels), device=labels.device)
    return maps.scatter_(3, labels[..., None], 1.0).permute(0, 3, 1, 2)


def instance_edges(labels: Tensor, instances: Tensor, edges: Edges = "instances") -> Tensor:
    """The instance-edge channel: (B, H, W) labels and instances -> (B, 1, H, W) float32 in {0, 1}.

    A pixel is 1 where its id differs from any of its four neighbours, so both sides of a border are marked. As in the
    official loaders (SPADE, CC-FPSE, SMIS, SDM, GESCO) the ids are those of Cityscapes's `instanceIds` pictures, in
    which a pixel without an instance carries its label: borders between regions of stuff are edges too. Instance ids
    are at least 1000 in every data set, so they never meet a label.
    """
    if edges == "clipped":
        instances = instances.clamp(max=255)
    ids = torch.where(instances > 0, instances, labels.to(instances.dtype))
    edge = torch.zeros_like(ids, dtype=torch.bool)
    across = ids[:, :, 1:] != ids[:, :, :-1]
    down = ids[:, 1:, :] != ids[:, :-1, :]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:, :] |= down
    edge[:, :-1, :] |= down
    return edge[:, None].float()


def semantic_maps(labels: Tensor, instances: Tensor, num_labels: int, with_edges: bool = True) -> Tensor:
    """One-hot maps, the instance-edge channel last: (B, H, W) twice -> (B, num_labels + with_edges, H, W) in {0, 1}."""
    maps = one_hot(labels, num_labels)
    return torch.cat([maps, instance_edges(labels, instances)], dim=1) if with_edges else maps


def scene_edges(scene: Scene, edges: Edges = "instances") -> Tensor:
    """`instance_edges` of a batch of scenes, (B, 1, H, W) in {0, 1}."""
    if scene.label_space.eight_bit_instances:
        edges = "instances"
    return instance_edges(scene.labels, scene.instances, edges)


def scene_maps(scene: Scene, edges: Edges = "instances") -> Tensor:
    """One-hot maps of scenes, the edge channel last where the data set has one: (B, C + E, H, W) in {0, 1}."""
    maps = one_hot(scene.labels, scene.label_space.size)
    return torch.cat([maps, scene_edges(scene, edges)], dim=1) if scene.label_space.edges else maps


def present_labels(labels: Tensor, num_labels: int) -> tuple[int, ...]:
    """Label ids that occur in one map (H, W), ascending: what GESCO's sender keeps (paper, section 3.2)."""
    counts = torch.bincount(labels.flatten(), minlength=num_labels)
    return tuple(int(i) for i in counts.nonzero().flatten())


def pack_labels(labels: Sequence[int], num_labels: int) -> bytes:
    """A list of label ids as a bit mask, one bit an id, the first id in the highest bit: ceil(num_labels / 8) bytes."""
    mask = np.zeros(num_labels, dtype=bool)
    mask[list(labels)] = True
    return np.packbits(mask).tobytes()


def unpack_labels(packed: bytes, num_labels: int) -> tuple[int, ...]:
    """The ascending label ids of a mask made by `pack_labels`; ValueError for a mask of another length."""
    if len(packed) != -(-num_labels // 8):
        raise ValueError(
            f"a list of kept classes is {-(-num_labels // 8)} bytes for {num_labels} labels, not {len(packed)}"
        )
    mask = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=num_labels)
    return tuple(int(label) for label in mask.nonzero()[0])


def keep_channels(maps: Tensor, kept: Sequence[int]) -> Tensor:
    """Drop the absent classes: (C + E, H, W) -> (K + E, H, W), where E counts the channels behind the classes.

    `kept` indexes channels, edge channel included where it is to be sent.
    """
    return maps[list(kept)]


def restore_channels(received: Tensor, kept: Sequence[int], num_channels: int) -> Tensor:
    """The "Pad" of the paper's Eq. 2: (K, H, W) -> (num_channels, H, W) with zero maps for what was dropped."""
    full = received.new_zeros((num_channels, *received.shape[1:]))
    full[list(kept)] = received
    return full


def strongest(classes: Tensor) -> Tensor:
    """The label of each pixel, (B, C, H, W) received class maps -> (B, 1, H, W) int64: that of its strongest map.

    Among those that were sent: a map that is zero everywhere was dropped. For clean maps it is the label itself.
    """
    dropped = classes.abs().amax(dim=(2, 3), keepdim=True) == 0
    return classes.masked_fill(dropped, -torch.inf).argmax(dim=1, keepdim=True)


def decided(maps: Tensor, num_labels: int) -> Tensor:
    """Received maps (B, C + E, H, W) with a one and zeros for the `num_labels` classes; edges stay as they came.

    The decision is `strongest`'s; where nothing came, and all maps are zero, they stay so.
    """
    classes, edges = maps[:, :num_labels], maps[:, num_labels:]
    came = classes.abs().amax(dim=(1, 2, 3), keepdim=True) > 0
    hard = torch.zeros_like(classes).scatter_(1, strongest(classes), 1.0)
    return torch.cat([hard * came, edges], dim=1)


def fast_denoise(maps: Tensor, pool: str = "avg-max") -> Tensor:
    """The fast-denoising semantic (FDS) block, paper Eq. 2: MaxPool3x3(AvgPool3x3(y)) on (..., C, H, W) maps.

    Stride 1, padding 1; `pool` of `POOLS` is for ablations. The average removes noise spikes, the maximum keeps the
    regions of ones. Zero padding counts in the average, as in the authors' published code. The third step of Eq. 2,
    padding the classes that the sender dropped with clean zero maps, is `restore_channels`. Nothing is clamped or
    binarised: even a clean map comes out dilated.
    """
    if pool not in POOLS:
        raise ValueError(f"unknown pooling '{pool}'; known: {', '.join(POOLS)}")
    steps = () if pool == "none" else pool.split("-")
    if "avg" in steps:
        maps = F.avg_pool2d(maps, 3, stride=1, padding=1)
    return _max_pool3(maps) if "max" in steps else maps


def _max_pool3(maps: Tensor) -> Tensor:
    """`F.max_pool2d(maps, 3, stride=1, padding=1)`, rows then columns: that one also finds where, 28 times as slow."""
    for axis in (-2, -1):
        length, before = maps.shape[axis] - 1, maps
        maps = before.clone()
        for start, other in ((1, 0), (0, 1)):
            part = maps.narrow(axis, start, length)
            torch.maximum(part, before.narrow(axis, other, length), out=part)
    return maps


def check_noise_levels(levels: Sequence[float]) -> None:
    """MethodError for levels that are no standard deviations."""
    if not levels or min(levels) < 0:
        raise MethodError(f"noise_levels are standard deviations and cannot be negative: {levels}")
