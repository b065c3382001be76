"""The embedded segmenters: their layout, their files, their training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.api.errors import MetricError
from bench.api.scenes import Scene
from bench.data.cityscapes import CITYSCAPES
from metrics.evaluators.block_unet import from_blocks, to_blocks
from metrics.evaluators.embedded import SPECS, EmbeddedSegmenter
from metrics.evaluators.labels import EVALUATED_IDS, IGNORED, train_ids
from metrics.evaluators.segmenters.embedded import SegmenterNet
from tests.metrics.evaluator_scenes import task_of, trained

CPU = torch.device("cpu")
STREETS = SPECS["segmenter"]["streets"]
WEIGHTS_FILE = STREETS.weights_file


class Chequers:
    """Scenes of 16x16 squares, one colour a label: easy enough to learn in a few steps."""

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.tensor([7, 11, 21, 26, 0])[torch.randint(0, 5, (count, 4, 8), generator=generator)]
        self.labels = labels.repeat_interleave(16, dim=1).repeat_interleave(16, dim=2)
        colours = torch.rand(34, 3, generator=torch.Generator().manual_seed(0))
        self.image = colours[self.labels].permute(0, 3, 1, 2).contiguous()

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices):
        image, labels = self.image[list(indices)], self.labels[list(indices)]
        return Scene(image, labels, torch.zeros_like(labels).int(), None, tuple(map(str, indices)), CITYSCAPES)


def test_train_ids_follow_cityscapes():
    """trainId of labels 7, 8, 11 ... 33, as in cityscapesScripts' labels.py; all others are ignored."""
    assert train_ids(np.array([7, 8, 11, 26, 33])).tolist() == [0, 1, 2, 13, 18]
    others = [label for label in range(256) if label not in EVALUATED_IDS]
    assert (train_ids(torch.tensor(others)) == IGNORED).all()
    with pytest.raises(ValueError, match="label ids are"):
        train_ids(np.array([-1]))


def test_blocks_keep_every_pixel_in_its_place():
    pixels = torch.arange(2 * 6 * 8).reshape(2, 6, 8)
    blocks = to_blocks(pixels)
    assert blocks[0, 0, 0].tolist() == [0, 1, 8, 9]
    torch.testing.assert_close(from_blocks(blocks[..., None])[:, 0], pixels)


def test_folding_the_normalisation_changes_no_logit():
    torch.manual_seed(0)
    network = SegmenterNet(STREETS)
    for _ in range(3):
        network(torch.rand(4, 3, 64, 128))  # moves the running statistics away from 0 and 1
    pictures = torch.rand(2, 3, 64, 128)
    with torch.no_grad():
        expected = network.eval()(pictures)
        torch.testing.assert_close(network.fuse()(pictures), expected, atol=1e-4, rtol=1e-4)


def test_one_corner_of_each_block_gives_its_part_of_all_logits():
    torch.manual_seed(0)
    network = SegmenterNet(SPECS["segmenter"]["stuff"]).eval()
    pictures = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        whole = network(pictures)
        assert whole.shape == (2, 16, 16, 4, 182)
        for corner in range(4):
            part = network(pictures, corner)
            torch.testing.assert_close(part, whole[..., corner : corner + 1, :], atol=1e-5, rtol=1e-5)


def test_sparse_training_sees_every_corner(tmp_path):
    """A pixel's class is learnt although each step looks at a quarter of the pixels."""
    path, val = trained(STREETS, tmp_path, 80, Chequers(16, 1), sparse=True), Chequers(4, 2)
    right = EmbeddedSegmenter(STREETS, path, CPU).predict(val.image) == val.labels
    corners = to_blocks(right.float())[to_blocks(val.labels)[..., 0] != 0].mean(dim=0)
    assert corners.min() > 0.8
    assert task_of(STREETS).evaluate(path, val)["mIoU"] > 0.5
    assert task_of(SPECS["segmenter"]["stuff"]).settings.sparse
    assert not task_of(STREETS).settings.sparse


def test_training_learns_and_the_written_file_is_what_is_scored(tmp_path):
    path, val = trained(STREETS, tmp_path, 80, Chequers(16, 1)), Chequers(4, 2)
    predicted = EmbeddedSegmenter(STREETS, path, CPU).predict(val.image).numpy()
    evaluated = (val.labels != 0).numpy()
    accuracy = (predicted == val.labels.numpy())[evaluated].mean()
    assert accuracy > 0.8
    told = task_of(STREETS).measure(path, lambda split: val)
    miou = task_of(STREETS).evaluate(path, val)["mIoU"]
    assert miou > 0.5
    assert f"| mIoU | {miou:.4f} |" in told
    assert "| IoU[road] |" in told


def test_pictures_of_another_size_are_segmented_at_the_networks_size(tmp_path):
    segmenter = EmbeddedSegmenter(STREETS, trained(STREETS, tmp_path, 60, Chequers(16, 1)), CPU)
    scene = Chequers(1, 5)
    large = torch.nn.functional.interpolate(scene.image, (128, 256), mode="nearest")
    enlarged = segmenter.predict(large)
    assert enlarged.shape == (1, 128, 256)
    assert (enlarged[:, ::2, ::2] == segmenter.predict(scene.image)).float().mean() > 0.9


@pytest.mark.parametrize("content", [b"nonsense", b""])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(MetricError, match=WEIGHTS_FILE):
        EmbeddedSegmenter(STREETS, tmp_path / WEIGHTS_FILE, CPU)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.api.weights.PACKAGED", (tmp_path / "package",))
    with pytest.raises(MetricError, match=r"missing.*mine.*package.*bench train segmenter --dataset streets"):
        EmbeddedSegmenter.load("streets", tmp_path / "mine", CPU)
