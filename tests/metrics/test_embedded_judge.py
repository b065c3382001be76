"""The embedded judges: their layout, their files, their training."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.api.metric import MetricError
from metrics.evaluators import train_embedded, training
from metrics.evaluators.block_unet import from_blocks, to_blocks
from metrics.evaluators.classes import EVALUATED_IDS, IGNORED, train_ids
from metrics.evaluators.embedded import SPECS, EmbeddedJudge, JudgeNet

CPU = torch.device("cpu")
STREETS = SPECS["streets"]
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
        return SimpleNamespace(image=self.image[list(indices)], labels=self.labels[list(indices)])


def train(folder, steps, scenes=None):
    course = training.Course(steps, 4, 1, CPU, folder / "checkpoint", lambda line: None)
    path = folder / WEIGHTS_FILE
    return train_embedded.train_judge(STREETS, scenes or Chequers(16, 1), {"val": Chequers(4, 2)}, path, course)["val"]


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
    network = JudgeNet(STREETS)
    for _ in range(3):
        network(torch.rand(4, 3, 64, 128))  # moves the running statistics away from 0 and 1
    pictures = torch.rand(2, 3, 64, 128)
    with torch.no_grad():
        expected = network.eval()(pictures)
        torch.testing.assert_close(network.fuse()(pictures), expected, atol=1e-4, rtol=1e-4)


def test_one_corner_of_each_block_gives_its_part_of_all_logits():
    torch.manual_seed(0)
    network = JudgeNet(SPECS["stuff"]).eval()
    pictures = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        whole = network(pictures)
        assert whole.shape == (2, 16, 16, 4, 182)
        for corner in range(4):
            part = network(pictures, corner)
            torch.testing.assert_close(part, whole[..., corner : corner + 1, :], atol=1e-5, rtol=1e-5)


def test_sparse_training_sees_every_corner(tmp_path):
    """A pixel's class is learnt although each step looks at a quarter of the pixels."""
    spec = replace(STREETS, sparse=True)
    val, course = Chequers(4, 2), training.Course(80, 4, 1, CPU, tmp_path, lambda line: None)
    miou = train_embedded.train_judge(spec, Chequers(16, 1), {"val": val}, tmp_path / "j.safetensors", course)["val"]
    right = EmbeddedJudge(spec, tmp_path / "j.safetensors", CPU).predict(val.image) == val.labels
    corners = to_blocks(right.float())[to_blocks(val.labels)[..., 0] != 0].mean(dim=0)
    assert corners.min() > 0.8
    assert miou > 0.5


def test_training_learns_and_the_written_file_is_what_was_scored(tmp_path):
    miou = train(tmp_path, steps=80)
    judge = EmbeddedJudge(STREETS, tmp_path / WEIGHTS_FILE, CPU)
    val = Chequers(4, 2)
    predicted = judge.predict(val.image).numpy()
    evaluated = (val.labels != 0).numpy()
    accuracy = (predicted == val.labels.numpy())[evaluated].mean()
    assert accuracy > 0.8
    assert miou > 0.5
    card = (tmp_path / WEIGHTS_FILE).with_suffix(".md").read_text()
    assert f"{miou:.4f}" in card
    assert "Seed 1" in card


def test_pictures_of_another_size_are_judged_at_the_judges_size(tmp_path):
    train(tmp_path, steps=60)
    judge = EmbeddedJudge(STREETS, tmp_path / WEIGHTS_FILE, CPU)
    scene = Chequers(1, 5)
    large = torch.nn.functional.interpolate(scene.image, (128, 256), mode="nearest")
    enlarged = judge.predict(large)
    assert enlarged.shape == (1, 128, 256)
    assert (enlarged[:, ::2, ::2] == judge.predict(scene.image)).float().mean() > 0.9


@pytest.mark.parametrize("content", [b"nonsense", b""])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(MetricError, match=WEIGHTS_FILE):
        EmbeddedJudge(STREETS, tmp_path / WEIGHTS_FILE, CPU)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.api.weights.PACKAGED", (tmp_path / "package",))
    with pytest.raises(MetricError, match=r"missing.*mine.*package.*bench train judge --dataset streets"):
        EmbeddedJudge.load("streets", tmp_path / "mine", CPU)
