"""The street renderer: determinism, agreement of its maps, class coverage, and size independence."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.data.streets.classes import EVALUATION_IDS, SKY
from bench.data.streets.raster import SKY_DEPTH_M
from bench.data.streets.render import SPLITS, RenderedStreet, boxes_from_instances, render_street

ROOT = Path(__file__).resolve().parents[2]
SCENES = 150


@lru_cache(maxsize=1)
def many() -> tuple[RenderedStreet, ...]:
    return tuple(render_street("train", index) for index in range(SCENES))


def digest(scene: RenderedStreet) -> str:
    total = hashlib.sha256()
    for array in (scene.image, scene.labels, scene.instances, scene.depth):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def test_a_scene_is_the_same_twice_and_in_another_process() -> None:
    first = digest(render_street("val", 3))
    render_street("val", 4)
    assert digest(render_street("val", 3)) == first
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from test_streets import digest\n"
        "from bench.data.streets.render import render_street\n"
        "render_street('test', 9)\n"
        "print(digest(render_street('val', 3)))"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(Path(__file__).parent)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == first


def test_splits_and_indices_differ() -> None:
    digests = {digest(render_street(split, index)) for split in SPLITS for index in range(5)}
    assert len(digests) == 3 * 5


@pytest.mark.parametrize(("height", "width"), [(64, 128), (64, 64), (96, 96), (17, 40), (48, 150)])
def test_types_shapes_and_ranges(height: int, width: int) -> None:
    scene = render_street("train", 1, height, width)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert scene.labels.shape == scene.instances.shape == scene.depth.shape == (height, width)
    assert scene.labels.dtype == np.uint8
    assert scene.instances.dtype == np.int32
    assert scene.depth.dtype == np.float32
    assert set(np.unique(scene.labels)) <= set(EVALUATION_IDS)
    assert np.ptp(scene.image) > 60


def test_instances_agree_with_labels() -> None:
    for scene in many():
        things = scene.labels >= 24
        assert np.array_equal(scene.instances > 0, things)
        assert np.array_equal(scene.instances[things] // 1000, scene.labels[things])


def test_depth_is_positive_and_only_the_sky_is_far() -> None:
    for scene in many():
        sky = scene.labels == SKY
        assert np.all(scene.depth > 0)
        assert np.allclose(scene.depth[sky], SKY_DEPTH_M)
        assert np.all(scene.depth[~sky] < SKY_DEPTH_M)


def test_things_stand_in_front_of_the_ground_they_hide() -> None:
    """Below the horizon a thing is nearer than the ground whose place it takes, seen beside it in its row."""
    checked = 0
    for scene in many():
        ground = np.isin(scene.labels, (7, 8, 22))
        for box in boxes_from_instances(scene.instances):
            rows = scene.depth[box.y0 : box.y1]
            for row in range(box.y0, box.y1):
                beside = rows[row - box.y0][ground[row]]
                own = rows[row - box.y0][scene.instances[row] == box.instance]
                # All ground in a row lies at one depth: the camera does not roll. Far away one row spans
                # several metres, too coarse to compare.
                if len(beside) and len(own) and beside.max() < 15:
                    assert own.min() <= beside.max() * 1.1
                    checked += 1
    assert checked > 1000


def test_every_evaluation_class_is_common_enough() -> None:
    counts = np.array([np.bincount(scene.labels.ravel(), minlength=34) for scene in many()])
    share = (counts >= 12).mean(axis=0)
    rare = {label: float(share[label]) for label in EVALUATION_IDS if share[label] < 0.08}
    assert not rare


def test_the_world_is_the_same_at_every_size() -> None:
    agreement = []
    for index in range(8):
        small, large = render_street("val", index), render_street("val", index, 128, 256)
        agreement.append((small.labels == large.labels[1::2, 1::2]).mean())
        ids = set(np.unique(small.instances[small.instances > 0]).tolist())
        assert ids <= set(np.unique(large.instances).tolist())
    assert min(agreement) > 0.88


def test_a_wider_image_shows_the_same_middle() -> None:
    wide, square = render_street("val", 0, 64, 128), render_street("val", 0, 64, 64)
    assert np.array_equal(wide.labels[:, 32:96], square.labels)


def test_a_larger_image_is_sharper_not_just_bigger() -> None:
    for index in range(2):
        small, large = render_street("val", index), render_street("val", index, 256, 512)
        grown = cv2.resize(small.image, (512, 256), interpolation=cv2.INTER_CUBIC)
        detail = [
            np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)).mean()
            for image in (large.image, grown)
        ]
        assert detail[0] > 1.5 * detail[1]


def test_boxes_enclose_their_instances() -> None:
    for scene in many()[:30]:
        boxes = boxes_from_instances(scene.instances)
        assert [box.instance for box in boxes] == np.unique(scene.instances[scene.instances > 0]).tolist()
        for box in boxes:
            mask = scene.instances == box.instance
            assert mask[box.y0 : box.y1, box.x0 : box.x1].sum() == mask.sum()
            for edge in (mask[box.y0], mask[box.y1 - 1], mask[:, box.x0], mask[:, box.x1 - 1]):
                assert edge.any()
            assert box.label == box.instance // 1000


def test_no_boxes_without_instances() -> None:
    assert boxes_from_instances(np.zeros((16, 16), np.int32)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trainval", 0), "unknown split"),
        (("train", -1), "index"),
        (("train", 0, 0, 128), "size"),
        (("train", 0, 64, -5), "size"),
        (("train", 0, 15, 128), "at least 16"),
    ],
)
def test_bad_input_is_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_street(*arguments)
