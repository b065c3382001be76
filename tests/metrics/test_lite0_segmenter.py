"""The segmenter on ImageNet features, and the wider scenes that the second segmenter of `streets` learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.api.metric import MetricContext
from bench.api.tensors import write_weights
from bench.data.registry import open_dataset
from metrics.evaluators.block_unet import from_blocks
from metrics.evaluators.embedded import SPECS, EmbeddedSegmenter, spec_for_training
from metrics.evaluators.registry import load_segmenter
from metrics.evaluators.segmenters.lite0 import Lite0Net, from_imagenet
from metrics.lite0 import lite0_file, load_lite0
from tests.metrics.evaluator_scenes import Blocks, task_of

WIDE = SPECS["segmenter"]["streets_wide"]
SMALL = replace(WIDE, dataset="streets", size=Blocks.size, widths=(8,))


def test_every_pixel_has_its_logits_and_one_corner_of_a_block_has_the_same():
    torch.manual_seed(0)
    network, pictures = Lite0Net(SMALL).eval(), torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        logits = network(pictures)
        assert logits.shape == (2, 16, 16, 4, len(SMALL.classes))
        assert torch.equal(network(pictures, 2)[..., 0, :], logits[..., 2, :])
        pictures[:, :, 30:, 30:] = 0.5
        changed = (network(pictures) != logits).any(dim=-1)
    assert from_blocks(changed[..., None])[:, 0, 31, 31].all()


def test_training_starts_from_imagenets_features():
    ours = from_imagenet(SMALL).encoder.state_dict()
    theirs = load_lite0(lite0_file()).state_dict()
    assert ours
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_folding_the_pyramid_changes_no_logit():
    torch.manual_seed(0)
    network, pictures = Lite0Net(SMALL), torch.rand(4, 3, 32, 32)
    for _ in range(3):
        network(pictures)
    with torch.inference_mode():
        before = network.eval()(pictures)
        torch.testing.assert_close(network.fuse()(pictures), before, atol=1e-4, rtol=1e-4)


def test_ones_own_training_is_read_by_what_its_card_says(tmp_path: Path):
    spec = spec_for_training("segmenter", "streets", (64, 128), open_dataset("streets").label_space, "lite0")
    spec = replace(spec, size=Blocks.size, widths=(8,))
    task = task_of(spec, {"batch_size": 4})
    task.step(Blocks(4, 1).batch(range(4)), torch.Generator(), 0)
    path = tmp_path / "mine" / spec.weights_file
    path.parent.mkdir()
    write_weights(path, task.export(), {task.record: {**task.facts(), "size": Blocks.size, "recipe": task.recipe()}})
    segmenter = EmbeddedSegmenter.load("streets", None, "cpu", f"own:{path.parent}")
    assert segmenter.protocol == f"streets-segmenter-lite0(weights {path.parent.name})@32x32"
    labels = segmenter.predict(torch.rand(2, 3, 32, 32))
    assert set(np.unique(labels)) <= set(spec.classes)


def test_a_network_that_there_is_not_is_refused():
    space = open_dataset("streets").label_space
    with pytest.raises(MetricError, match="option network=resnet: the segmenter has one of unet, lite0"):
        spec_for_training("segmenter", "streets", (64, 128), space, "resnet")
    with pytest.raises(MetricError, match="option network=lite0: the detector has no choice"):
        spec_for_training("detector", "streets", (64, 128), space, "lite0")


def test_the_second_segmenter_judges_streets_when_it_is_named():
    streets = open_dataset("streets")
    context = MetricContext("streets", streets.label_space, evaluator="streets_wide")
    segmenter = load_segmenter(context)
    assert segmenter.protocol == "streets-wide-lite0-v1@64x128"
    scenes = [streets.load("val", scene) for scene in streets.ids("val", 8)]
    pictures = torch.stack([torch.from_numpy(scene.image).permute(2, 0, 1) for scene in scenes]) / 255
    truth = np.stack([scene.labels for scene in scenes])
    assert (segmenter.predict(pictures).numpy() == truth).mean() > 0.9


def test_wider_scenes_are_others_and_the_usual_ones_stay():
    usual, wide = open_dataset("streets"), open_dataset("streets_wide")
    one, other = usual.load("train", "train-000003"), wide.load("train", "train-000003")
    assert (one.labels != other.labels).mean() > 0.1
    assert set(np.unique(other.labels)) <= set(range(len(usual.label_space.names)))
    assert wide.fingerprint("train", ["train-000003"]) != usual.fingerprint("train", ["train-000003"])
