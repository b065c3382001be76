"""What the trainings of the embedded evaluators share, and what each of them must keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bench.api.metric import MetricError
from metrics.evaluators import training
from metrics.evaluators.embedded import EmbeddedJudge
from metrics.evaluators.embedded_depth import EmbeddedDepth
from metrics.evaluators.embedded_detector import EmbeddedDetector
from metrics.evaluators.trainers import TRAINERS
from tests.metrics.evaluator_scenes import Blocks

CPU = torch.device("cpu")
SPECS = {
    kind: replace(trainer.specs["streets"], size=Blocks.size, widths=(8, 8, 8, 8)) for kind, trainer in TRAINERS.items()
}
READERS = {"judge": EmbeddedJudge, "detector": EmbeddedDetector, "depth": EmbeddedDepth}
every_kind = pytest.mark.parametrize("kind", TRAINERS)


def train(kind: str, folder: Path, steps: int, scenes: Blocks | None = None, seed: int = 1) -> Path:
    path = folder / SPECS[kind].weights_file
    course = training.Course(steps, 4, seed, CPU, folder / "checkpoint", lambda line: None)
    held_out = {"val": Blocks(4, 2), "test": Blocks(6, 3)}
    TRAINERS[kind].train(SPECS[kind], scenes or Blocks(16, 1), held_out, path, course)
    return path


class Interrupted(Exception):
    pass


class Breaking(Blocks):
    """The same scenes from a source that breaks at the ninth training batch."""

    served = 0

    def batch(self, indices):
        self.served += len(indices) == 4  # class weights ask for more scenes at once
        if self.served > 8:
            raise Interrupted
        return super().batch(indices)


@every_kind
def test_interrupted_training_ends_where_uninterrupted_training_ends(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 5)
    whole = train(kind, tmp_path / "whole", 12)
    with pytest.raises(Interrupted):
        train(kind, tmp_path / "parts", 12, Breaking(16, 1))
    assert not (tmp_path / "parts" / SPECS[kind].weights_file).exists()
    resumed = Breaking(16, 1)
    parts = train(kind, tmp_path / "parts", 12, resumed)
    assert resumed.served == 12 - 5
    assert whole.read_bytes() == parts.read_bytes()
    other = train(kind, tmp_path / "other seed", 12, seed=2)
    assert whole.read_bytes() != other.read_bytes()


@every_kind
def test_what_is_written_is_float16_with_its_origin_and_a_card(kind, tmp_path):
    path = train(kind, tmp_path, 2)
    with safe_open(path, framework="pt") as file:
        assert set(file.metadata()) == {kind}
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118
    card = path.with_suffix(".md").read_text()
    assert f"# The streets {SPECS[kind].title} (" in card
    assert f"`bench train {kind} --dataset streets --scenes 16 --steps 2 --seed 1`" in card
    assert "4 val scenes" in card
    assert "6 test scenes" in card
    reader = READERS[kind](SPECS[kind], path, CPU)
    assert reader.protocol == f"{SPECS[kind].version}@32x32"


@every_kind
def test_checkpoints_of_other_settings_and_broken_ones_are_refused(kind, tmp_path):
    train(kind, tmp_path, 2)
    with pytest.raises(MetricError, match=r"other settings.*'steps': 2.*'steps': 3.*remove it"):
        train(kind, tmp_path, 3)
    checkpoint = tmp_path / "checkpoint" / f"streets_{kind}.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(MetricError, match=rf"{checkpoint.name} cannot be continued.*remove it"):
        train(kind, tmp_path, 2)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, monkeypatch):
    train("depth", tmp_path, 2)
    monkeypatch.setitem(SPECS, "depth", replace(SPECS["depth"], widths=(8, 8, 16, 8)))
    with pytest.raises(MetricError, match="cannot be continued"):
        train("depth", tmp_path, 2)


def damage(path: Path, change) -> None:
    from safetensors.torch import load_file, save_file

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


@every_kind
def test_files_that_are_damaged_or_of_something_else_are_refused(kind, tmp_path):
    path = train(kind, tmp_path, 2)
    good, reader = path.read_bytes(), READERS[kind]

    def refused(reason: str) -> None:
        with pytest.raises(MetricError, match=rf"{path.name} does not hold.*{reason}.*bench train {kind} --dataset"):
            reader(SPECS[kind], path, CPU)

    for content in (b"", b"nonsense", good[: len(good) // 2]):
        path.write_bytes(content)
        refused("")
    other = next(name for name in TRAINERS if name != kind)
    path.write_bytes(train(other, tmp_path / "other", 2).read_bytes())
    refused("something else")

    def of_another_version(tensors, metadata):
        metadata[kind] = metadata[kind].replace(SPECS[kind].version, "streets-v0")

    def not_a_number(tensors, metadata):
        tensors["stem.conv.weight"][0, 0, 0, 0] = float("nan")

    def without_origin(tensors, metadata):
        del metadata[kind]

    def of_another_layout(tensors, metadata):
        del tensors["middle.conv.bias"]

    for change, reason in (
        (of_another_version, "streets-v0"),
        (not_a_number, "no numbers"),
        (without_origin, "something else"),
        (of_another_layout, "Error"),
    ):
        path.write_bytes(good)
        damage(path, change)
        refused(reason)


@every_kind
def test_a_missing_file_says_where_it_was_looked_for(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.api.weights.PACKAGED", (tmp_path / "package",))
    with pytest.raises(MetricError, match=rf"missing.*mine.*package.*bench train {kind} --dataset streets"):
        READERS[kind].load("streets", tmp_path / "mine", CPU)


def test_every_epoch_shows_every_scene_once():
    walk = [n for step in range(10) for n in training.scene_indices(0, 10, step * 4, 4)]
    for epoch in range(4):
        assert sorted(walk[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert walk[:10] != walk[10:20]


def test_augmentation_keeps_pictures_and_maps_together():
    scenes = Blocks(16, 1)
    images, (labels, instances) = training.augment(
        scenes.image, [scenes.labels, scenes.instances], torch.Generator().manual_seed(0)
    )
    mirrored = (labels != scenes.labels).flatten(1).any(dim=1)
    assert 0 < mirrored.sum() < 16
    for ours, theirs in ((labels, scenes.labels), (instances, scenes.instances)):
        torch.testing.assert_close(ours[mirrored], theirs[mirrored].flip(-1))
        torch.testing.assert_close(ours[~mirrored], theirs[~mirrored])
    straight = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    assert (straight - scenes.image).abs().mean() < 0.15
    assert images.min() >= 0
    assert images.max() <= 1


def test_the_table_of_a_card_leaves_out_what_occurs_nowhere():
    values = {"4 val scenes": np.array([0.25, np.nan, 0.75]), "6 test scenes": np.array([0.5, np.nan, np.nan])}
    assert training.table(values, (24, 25, 26), "mean").splitlines()[2:] == [
        "| 24 | 0.250 | 0.500 |",
        "| 26 | 0.750 | nan |",
        "| mean | **0.5000** | **0.5000** |",
    ]
