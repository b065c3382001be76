"""What the trainings of the embedded evaluators share, and what each of them must keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from bench.api.errors import MethodError, MetricError
from metrics.evaluators import training
from metrics.evaluators.embedded import EVALUATORS, SPECS
from tests.metrics.evaluator_scenes import Blocks, task_of, trained

CPU = torch.device("cpu")
SMALL = {kind: replace(specs["streets"], size=Blocks.size, widths=(8, 8, 8, 8)) for kind, specs in SPECS.items()}
every_kind = pytest.mark.parametrize("kind", SPECS)


class Interrupted(Exception):
    pass


class Breaking(Blocks):
    """The same scenes from a source that breaks at the ninth training batch."""

    def batch(self, indices):
        if len(indices) == 4:  # class weights ask for more scenes at once
            self.served = getattr(self, "served", 0) + 1
            if self.served > 8:
                raise Interrupted
        return super().batch(indices)


@every_kind
def test_interrupted_training_ends_where_uninterrupted_training_ends(kind, tmp_path):
    whole = load_file(trained(SMALL[kind], tmp_path / "whole", 12, Blocks(16, 1)))
    with pytest.raises(Interrupted):
        trained(SMALL[kind], tmp_path / "parts", 12, Breaking(16, 1))
    assert torch.load(tmp_path / "parts" / "run" / "checkpoint.pt", weights_only=True)["step"] == 5
    parts = load_file(trained(SMALL[kind], tmp_path / "parts", 12, Breaking(16, 1)))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    other = load_file(trained(SMALL[kind], tmp_path / "other seed", 12, Blocks(16, 1), seed=2))
    assert not all(torch.equal(whole[key], other[key]) for key in whole)


@every_kind
def test_what_is_written_is_float16_with_its_origin_and_is_measured_for_its_card(kind, tmp_path):
    spec = SMALL[kind]
    path = trained(spec, tmp_path, 2, Blocks(16, 1))
    with safe_open(path, framework="pt") as file:
        assert spec.record in file.metadata()
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118
    splits = {"val": Blocks(4, 2), "test": Blocks(6, 3)}
    told = task_of(spec).measure(path, splits.__getitem__)
    assert f"`{spec.metric}` asks on `streets`" in told
    assert "| 4 val scenes | 6 test scenes |" in told
    reader = EVALUATORS[kind](spec, path, CPU)
    assert reader.protocol == f"{spec.version}@32x32"


@every_kind
def test_the_averaged_network_is_drawn_and_validated_the_same_way_every_time(kind):
    torch.manual_seed(0)
    task, scene = task_of(SMALL[kind]), Blocks(4, 1).batch(range(4))
    drawn = task.sample(scene, torch.Generator())
    assert drawn.shape == scene.image.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1
    first, again = (task.validation(scene, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first == again
    assert first["loss"] > 0


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    trained(SMALL["depth"], tmp_path, 2, Blocks(16, 1))
    with pytest.raises(MethodError, match=r"another recipe \(widths was \[8, 8, 8, 8\], now \[8, 8, 16, 8\]"):
        trained(replace(SMALL["depth"], widths=(8, 8, 16, 8)), tmp_path, 2, Blocks(16, 1))


def test_the_rate_warms_up_and_falls_along_half_a_cosine():
    task = task_of(SMALL["depth"])
    task.steps = 1100
    assert [task.rate(step) / 3e-3 for step in (0, 49, 100, 600, 1099)] == pytest.approx(
        [1 / 101, 50 / 101, 1, 0.5, 0], abs=1e-5
    )
    task.steps = 20  # a tenth of the steps, where that is less
    assert [task.rate(step) / 3e-3 for step in (0, 1, 2)] == pytest.approx([1 / 3, 2 / 3, 1])


def damage(path: Path, change) -> None:
    from safetensors.torch import load_file, save_file

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


@every_kind
def test_files_that_are_damaged_or_of_something_else_are_refused(kind, tmp_path):
    spec, reader = SMALL[kind], EVALUATORS[kind]
    path = trained(spec, tmp_path, 2, Blocks(16, 1))
    good = path.read_bytes()

    def refused(reason: str) -> None:
        with pytest.raises(MetricError, match=rf"{path.name} does not hold.*{reason}.*bench train {kind} --dataset"):
            reader(spec, path, CPU)

    for content in (b"", b"nonsense", good[: len(good) // 2]):
        path.write_bytes(content)
        refused("")
    other = next(name for name in SPECS if name != kind)
    path.write_bytes(trained(SMALL[other], tmp_path / "other", 2, Blocks(16, 1)).read_bytes())
    refused("something else")

    def of_another_version(tensors, metadata):
        metadata[spec.record] = metadata[spec.record].replace(spec.version, "streets-v0")

    def not_a_number(tensors, metadata):
        tensors["stem.conv.weight"][0, 0, 0, 0] = float("nan")

    def without_origin(tensors, metadata):
        del metadata[spec.record]

    def of_another_layout(tensors, metadata):
        del tensors["middle.conv.bias"]

    for change, reason in (
        (of_another_version, "streets-v0"),
        (not_a_number, "no numbers"),
        (without_origin, "something else"),
    ):
        path.write_bytes(good)
        damage(path, change)
        refused(reason)
    path.write_bytes(good)
    damage(path, of_another_layout)
    with pytest.raises(MetricError, match=rf"{path.name} does not hold.*missing middle.conv.bias.*bench train {kind} "):
        reader(spec, path, CPU).answer(Blocks(1, 1).image)


@every_kind
def test_a_file_that_is_replaced_between_its_identity_and_its_network_is_refused(kind, tmp_path):
    spec = SMALL[kind]
    path = trained(spec, tmp_path, 2, Blocks(16, 1))
    evaluator = EVALUATORS[kind](spec, path, CPU)
    path.write_bytes(trained(spec, tmp_path / "other", 2, Blocks(16, 1), seed=2).read_bytes())
    with pytest.raises(MetricError, match=f"{path.name} was replaced while it was read"):
        evaluator.answer(Blocks(1, 1).image)


@every_kind
def test_a_missing_file_says_where_it_was_looked_for(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.api.weights.PACKAGED", (tmp_path / "package",))
    with pytest.raises(MetricError, match=rf"missing.*mine.*package.*bench train {kind} --dataset streets"):
        EVALUATORS[kind].load("streets", tmp_path / "mine", CPU)


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
    values = {
        "4 val scenes": {"mIoU": 0.5, "IoU[car]": 0.25, "IoU[bus]": float("nan"), "IoU[road]": 0.75},
        "6 test scenes": {"mIoU": 0.5, "IoU[car]": 0.5, "IoU[bus]": float("nan"), "IoU[road]": float("nan")},
    }
    assert training.table(values).splitlines()[2:] == [
        "| mIoU | 0.5000 | 0.5000 |",
        "| IoU[car] | 0.2500 | 0.5000 |",
        "| IoU[road] | 0.7500 | nan |",
    ]
