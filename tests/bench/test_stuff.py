"""The stuff renderer: determinism, agreement of its maps, class coverage, and size independence."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import bench.data.stuff.render as render
from bench.data.coco_stuff import COCO_STUFF
from bench.data.stuff.grounds import GROUNDS
from bench.data.stuff.patterns import PATTERNS
from bench.data.stuff.places import PLACES, RIDGES
from bench.data.stuff.render import SPLITS, RenderedScene, render_scene
from bench.data.stuff.world import THINGS, UNKNOWN, World, sample_world

ROOT = Path(__file__).resolve().parents[2]
SCENES = 1200
#: Category ids that COCO removed: 12 street sign, 26 hat, 29 shoe, 30 eye glasses, 45 plate, 66 mirror, 68 window,
#: 69 desk, 71 door, 83 blender, 91 hair brush (COCO-Stuff's labels.txt); labels are one less.
REMOVED = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}


@lru_cache(maxsize=1)
def many() -> tuple[RenderedScene, ...]:
    return tuple(render_scene("train", index) for index in range(SCENES))


def digest(scene: RenderedScene) -> str:
    total = hashlib.sha256()
    for array in (scene.image, scene.labels, scene.instances):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def world(split: str, index: int) -> World:
    return sample_world(render._generator(split, index, 0))


def test_a_scene_is_the_same_twice_and_in_another_process() -> None:
    first = digest(render_scene("val", 3))
    render_scene("val", 4)
    assert digest(render_scene("val", 3)) == first
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from test_stuff import digest\n"
        "from bench.data.stuff.render import render_scene\n"
        "render_scene('test', 9)\n"
        "print(digest(render_scene('val', 3)))"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(Path(__file__).parent)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == first


def test_splits_indices_and_renderer_versions_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {digest(render_scene(split, index)) for split in SPLITS for index in range(5)}
    monkeypatch.setattr(render, "RENDERER_VERSION", render.RENDERER_VERSION + 1)
    digests.add(digest(render_scene("train", 0)))
    assert len(digests) == 3 * 5 + 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (32, 48), (17, 40)])
def test_types_shapes_and_ranges(height: int, width: int) -> None:
    scene = render_scene("train", 1, height, width)
    assert (scene.image.shape, scene.image.dtype) == ((height, width, 3), np.uint8)
    assert (scene.labels.shape, scene.labels.dtype) == ((height, width), np.uint8)
    assert (scene.instances.shape, scene.instances.dtype) == ((height, width), np.int32)
    assert np.ptp(scene.image) > 60


def test_labels_are_those_that_coco_stuff_uses() -> None:
    seen = set(np.unique([scene.labels for scene in many()]).tolist())
    assert seen <= set(range(183)) - REMOVED
    assert {COCO_STUFF.names.index(name) for name in (*THINGS, *GROUNDS)} == set(range(182)) - REMOVED


def test_things_alone_have_instances_and_each_has_one_label() -> None:
    for scene in many():
        things = scene.labels < 91
        assert np.array_equal(scene.instances > 0, things)
        assert scene.instances[things].min(initial=1000) >= 1000
        for instance in np.unique(scene.instances[things]):
            assert len(np.unique(scene.labels[scene.instances == instance])) == 1


def test_every_class_is_in_one_scene_of_a_hundred() -> None:
    shares = np.mean([np.bincount(scene.labels.ravel(), minlength=183) >= 12 for scene in many()], axis=0)
    expected = sorted(set(range(183)) - REMOVED)
    rare = {COCO_STUFF.names[label]: float(shares[label]) for label in expected if shares[label] < 0.01}
    assert not rare


def test_scenes_hold_one_to_five_things_on_two_to_four_grounds() -> None:
    for index in range(200):
        scene = world("train", index)
        assert 1 <= len(scene.things) <= 5
        assert 2 <= len({region.label for region in scene.regions} - {UNKNOWN}) <= 5


def test_some_pixels_are_unlabelled_but_few() -> None:
    share = np.mean([scene.labels == UNKNOWN for scene in many()], axis=(1, 2))
    assert 0.2 < (share > 0).mean() < 0.5
    assert share.mean() < 0.03


def test_things_are_large_enough_to_be_recognised() -> None:
    sides = [
        max(np.ptp(rows), np.ptp(columns)) + 1
        for scene in many()[:200]
        for instance in np.unique(scene.instances[scene.instances > 0])
        for rows, columns in [np.nonzero(scene.instances == instance)]
    ]
    assert np.percentile(sides, 5) >= 12


def test_the_world_is_the_same_at_every_size() -> None:
    for index in range(12):
        small, large = render_scene("val", index), render_scene("val", index, 128, 128)
        assert (small.labels == large.labels[1::2, 1::2]).mean() > 0.93
        # over 1/16 of the side, so that neither the sensor's noise nor the finest texture counts
        coarse = [s.image.reshape(16, n, 16, n, 3).mean(axis=(1, 3)) for s, n in ((small, 4), (large, 8))]
        assert np.abs(coarse[0] - coarse[1]).mean() < 8  # two scenes differ by about 50


def test_a_class_varies_from_scene_to_scene_but_keeps_its_colour() -> None:
    """Mean colours of one ground: spread over scenes, yet nearer to each other than to another ground's."""

    def means(name: str) -> np.ndarray:
        label = COCO_STUFF.names.index(name)
        return np.array([s.image[s.labels == label].mean(axis=0) for s in many() if (s.labels == label).sum() > 200])

    grass, sand = means("grass"), means("sand")
    assert 2 < grass.std(axis=0).mean() < 25
    assert np.linalg.norm(grass.mean(axis=0) - sand.mean(axis=0)) > 3 * grass.std(axis=0).mean()


def test_tables_name_what_exists() -> None:
    named = {name for place in PLACES.values() for part in
             (place.back, place.middle, place.ground, place.standing, place.lying, place.hanging, place.top)
             for name in part}  # fmt: skip
    assert named == set(GROUNDS)
    assert set(RIDGES) <= set(GROUNDS)
    assert {ground.pattern for ground in GROUNDS.values()} == set(PATTERNS)
    assert {place for design in THINGS.values() for place in design.places} == set(PLACES)


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_gives_tones_from_0_to_2(name: str) -> None:
    v, u = np.meshgrid(np.linspace(-3, 9, 150, dtype=np.float32), np.linspace(-4, 8, 130, dtype=np.float32))
    for seed in (0, 4095):
        tone = PATTERNS[name](u, v, seed)
        assert tone.shape == u.shape
        assert tone.min() >= 0
        assert tone.max() <= 2
        assert np.ptp(tone) > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trainval", 0), "unknown split"),
        (("train", -1), "index"),
        (("train", 0, 64, -5), "size"),
        (("train", 0, 15, 128), "at least 16"),
    ],
)
def test_bad_input_is_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_scene(*arguments)
