"""The semantic front end: maps, edges, absent-class drop, codecs and FDS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.api.errors import MethodError
from bench.api.method import MethodContext, Received
from bench.api.scenes import LabelSpace, Scene
from bench.data.ade20k import ADE20K
from bench.data.coco_stuff import COCO_STUFF
from methods.common.semantic.codec import CARRIED, CODECS
from methods.common.semantic.frontend import SemanticMethod
from methods.common.semantic.maps import (
    POOLS,
    fast_denoise,
    instance_edges,
    keep_channels,
    one_hot,
    pack_labels,
    present_labels,
    restore_channels,
    unpack_labels,
)

LABELS = hnp.arrays(np.int64, (12, 16), elements=st.integers(0, 6))


def maps_of(labels: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(labels)[None]
    return torch.cat([one_hot(tensor, 7), instance_edges(tensor, torch.zeros_like(tensor))], dim=1)[0]


@settings(max_examples=30, deadline=None)
@given(LABELS)
def test_maps_are_a_partition_and_give_the_labels_back(labels: np.ndarray) -> None:
    maps = maps_of(labels)[:7]
    assert torch.equal(maps.sum(0), torch.ones(12, 16))
    assert np.array_equal(maps.argmax(0).numpy(), labels)


@settings(max_examples=30, deadline=None)
@given(LABELS)
def test_dropping_absent_classes_loses_nothing(labels: np.ndarray) -> None:
    maps = maps_of(labels)
    kept = (*present_labels(torch.from_numpy(labels), 7), 7)
    assert torch.equal(restore_channels(keep_channels(maps, kept), kept, 8), maps)


def test_labels_outside_the_label_space_are_refused() -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.6"):
        one_hot(torch.full((1, 2, 2), 9), 7)


def test_edges_mark_both_sides_of_stuff_and_of_instances() -> None:
    labels = torch.tensor([[[1, 1, 1, 2]]])
    instances = torch.tensor([[[1000, 1001, 0, 0]]], dtype=torch.int32)
    assert instance_edges(labels, instances).flatten().tolist() == [1, 1, 1, 1]
    assert instance_edges(labels, torch.zeros_like(instances)).flatten().tolist() == [0, 0, 1, 1]


def test_clipped_edges_lose_the_borders_between_things() -> None:
    labels = torch.tensor([[[26, 26, 26, 7]]])
    instances = torch.tensor([[[26000, 26001, 0, 0]]], dtype=torch.int32)  # two cars, a group of cars, road
    assert instance_edges(labels, instances).flatten().tolist() == [1, 1, 1, 1]
    assert instance_edges(labels, instances, "clipped").flatten().tolist() == [0, 1, 1, 1]


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.float32, (3, 9, 11), elements=st.floats(-2, 2, width=32)))
def test_fds_is_average_then_maximum_of_three_by_three(maps: np.ndarray) -> None:
    padded = np.pad(maps.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    mean = sum(padded[:, i : i + 9, j : j + 11] for i in range(3) for j in range(3)) / 9
    padded = np.pad(mean, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    expected = np.max([padded[:, i : i + 9, j : j + 11] for i in range(3) for j in range(3)], axis=0)
    assert np.allclose(fast_denoise(torch.from_numpy(maps)).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in CODECS if n != "jpeg"])
@settings(max_examples=15, deadline=None)
@given(labels=LABELS)
def test_lossless_codecs_give_the_maps_back(name: str, labels: np.ndarray) -> None:
    maps = maps_of(labels).numpy()
    encoded = CODECS[name](maps, 7)
    assert np.array_equal(encoded.decoded, maps)
    assert encoded.bits == 8 * sum(len(part) for part in encoded.payload) > 0


def test_jpeg_changes_maps_little_and_costs_real_bytes() -> None:
    labels = np.repeat(np.arange(4, dtype=np.int64), 64).reshape(16, 16)
    maps = maps_of(labels).numpy()
    encoded = CODECS["jpeg"](maps, 7)
    assert 0 < np.abs(encoded.decoded - maps).mean() < 0.1
    assert encoded.decoded.min() >= 0
    assert encoded.decoded.max() <= 1
    assert len(encoded.payload) == len(maps)


def test_packing_needs_disjoint_maps() -> None:
    with pytest.raises(ValueError, match="overlap"):
        CODECS["label-png"](np.ones((3, 4, 4), np.float32), 3)


def test_pooling_is_the_papers_or_a_part_of_it() -> None:
    maps = torch.rand((2, 6, 7), generator=torch.Generator().manual_seed(0))
    average = torch.nn.functional.avg_pool2d(maps, 3, stride=1, padding=1)
    maximum = torch.nn.functional.max_pool2d(maps, 3, stride=1, padding=1)
    both = torch.nn.functional.max_pool2d(average, 3, stride=1, padding=1)
    expected = {"avg-max": both, "avg": average, "max": maximum, "none": maps}
    assert set(expected) == set(POOLS)
    assert all(torch.equal(fast_denoise(maps, pool), made) for pool, made in expected.items())
    assert torch.equal(fast_denoise(maps), both)
    with pytest.raises(ValueError, match="unknown pooling 'mean'"):
        fast_denoise(maps, "mean")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_a_list_of_kept_classes_is_a_bit_mask_in_whole_bytes(case: tuple[int, set[int]]) -> None:
    size, labels = case
    packed = pack_labels(sorted(labels), size)
    assert len(packed) == -(-size // 8)
    assert unpack_labels(packed, size) == tuple(sorted(labels))
    with pytest.raises(ValueError, match="a list of kept classes is"):
        unpack_labels(packed + b"\0", size)


class Shown(SemanticMethod):
    """Shows the first three of the maps that reach the generator."""

    name = "shown"
    title = "Shown"

    def generate(self, maps: torch.Tensor, rngs: Sequence[torch.Generator]) -> torch.Tensor:
        return maps[:, :3]


def shown(space: LabelSpace | None = None, **options: Any) -> Shown:
    names = tuple("abcdefg")
    space = space or LabelSpace("seven", names, ((0, 0, 0),) * 7, tuple(range(7)))
    return Shown(MethodContext(space.name, space, 6, 7), options)


def scene_of(labels: torch.Tensor, space: LabelSpace) -> Scene:
    image, instances = torch.zeros(1, 3, *labels.shape), torch.zeros(1, *labels.shape, dtype=torch.int32)
    return Scene(image, labels[None], instances, None, ("a",), space)


def test_on_a_data_set_without_edges_a_method_that_uses_them_sends_labels_alone() -> None:
    """ADE20K has no instances, and its published networks no edge channel: 151 channels, unknown last."""
    labels = torch.tensor([0, 3, 150]).repeat(14).reshape(6, 7)
    scene, one_map_a_class = scene_of(labels, ADE20K), one_hot(labels[None], 151)
    method = shown(ADE20K)
    assert (method.num_channels, ADE20K.map_channels, COCO_STUFF.map_channels) == (151, 151, 184)
    assert torch.equal(method.send(scene).symbols[0], one_map_a_class[0])
    dropping = shown(ADE20K, drop_absent=True)
    sent = dropping.send(scene)
    assert torch.equal(sent.symbols[0], one_map_a_class[0, [0, 3, 150]])
    assert torch.equal(dropping.received_maps(Received(sent.symbols, sent.side_info)), one_map_a_class)
    for codec in CARRIED:
        digital = shown(ADE20K, codec=codec)
        [payload] = digital.encode(scene)
        assert torch.equal(torch.from_numpy(digital._read(payload)), one_map_a_class[0]), codec


def test_a_folder_of_ones_own_without_instances_keeps_the_edges_of_its_labels() -> None:
    method = shown()
    labels = torch.tensor([0, 3, 6]).repeat(14).reshape(6, 7)
    assert method.num_channels == 8
    assert method.send(scene_of(labels, method.context.label_space)).symbols[0][-1].any()


def test_the_pooling_is_in_the_identity_only_where_it_changes_something() -> None:
    """Cells computed before there was a choice stay valid: the default's identity is what it was then."""
    assert "pool" not in shown().identity()["options"]
    assert "pool" not in shown(fds=True).identity()["options"]
    assert "pool" not in shown(pool="max").identity()["options"]  # no block, nothing to pool in
    assert shown(fds=True, pool="max").identity()["options"]["pool"] == "max"
    assert shown(fds=True).options["pool"] == "avg-max"
    with pytest.raises(MethodError, match="unknown pool 'mean' for shown; known: avg-max, avg, max, none"):
        shown(pool="mean")


def test_a_hard_decision_is_for_the_strongest_class_that_was_sent() -> None:
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(7, (6, 7), generator=generator)
    clean = torch.cat(
        [torch.nn.functional.one_hot(labels, 7).permute(2, 0, 1).float(), torch.rand((1, 6, 7), generator=generator)]
    )
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=generator)
    hard = shown(decision="hard")
    maps = hard.received_maps(Received((noisy, torch.zeros_like(noisy)), (b"", b"")))
    assert torch.equal(maps[0, :-1], clean[:-1])
    assert torch.equal(maps[0, -1], noisy[-1])  # edges are no classes
    assert not maps[1].any()  # a lost payload
    dropping = shown(decision="hard", drop_absent=True, fds=True)
    header = pack_labels([2, 5], 7)
    both = Received((torch.full((3, 6, 7), -1.0),), (header,))
    assert not dropping.received_maps(both)[0, [0, 1, 3, 4, 6]].any()  # others are below zero, yet sent
    assert torch.equal(dropping.received_maps(both)[0, :-1].sum(0), torch.ones(6, 7))


def test_the_decision_is_in_the_identity_where_it_is_hard() -> None:
    assert "decision" not in shown().identity()["options"]
    assert shown(decision="hard").identity()["options"]["decision"] == "hard"
    with pytest.raises(MethodError, match="unknown decision 'firm' for shown; known: soft, hard"):
        shown(decision="firm")


def test_the_receiver_pools_as_asked() -> None:
    symbols = torch.rand((8, 6, 7), generator=torch.Generator().manual_seed(1))
    received = Received((symbols,), (b"",))
    for pool in POOLS:
        assert torch.equal(shown(fds=True, pool=pool).received_maps(received)[0], fast_denoise(symbols, pool))
    assert torch.equal(shown(pool="max").received_maps(received)[0], symbols)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 1), (7, 9)])
def test_the_blocks_maximum_is_that_of_the_library(size: tuple[int, int]) -> None:
    maps = torch.randn(3, *size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fast_denoise(maps, "max"), F.max_pool2d(maps, 3, stride=1, padding=1))
