"""Small data sets: scenes that are changed, held-out losses, and a training that ends by them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.scenes import Scene
from bench.api.training.augment import Augmentation
from bench.train.trainer import train
from tests.methods.tiny_training import SPACE, TinyScenes, TinyTask, run_in, state_of


class HeldOutTask(TinyTask):
    """Its held-out losses are these, in their order; on training scenes it is 1."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.waiting = list(losses)

    def validation(self, scene: Scene, generator: torch.Generator) -> dict[str, float]:
        return {"loss": self.waiting.pop(0) if len(scene) == 1 and self.waiting else 1.0}


def run(task: HeldOutTask, folder: Path, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    settings = run_in(folder, 20, validate_every=2, **changes)
    return train(task, TinyScenes(), settings, {}, said.append, TinyScenes(1)), said


def test_the_network_of_the_lowest_held_out_loss_is_kept_and_the_training_ends(tmp_path: Path) -> None:
    task = HeldOutTask([3, 2, 2.5, 2.2])
    summary, said = run(task, tmp_path / "stopped", patience=2)
    assert summary["best"] == {"step": 4, "loss": 2}
    assert (summary["finished"], summary["steps"], summary["images_seen"]) == (True, 20, 8 * 4)
    assert "ended at step 8: the held-out loss falls no more" in said
    whole = TinyTask()
    train(whole, TinyScenes(), run_in(tmp_path / "whole", 4), {}, said.append)
    kept = state_of(task)
    assert all(torch.equal(value, kept[name]) for name, value in state_of(whole).items())
    again = HeldOutTask([])
    assert run(again, tmp_path / "stopped", patience=2)[0]["best"] == {"step": 4, "loss": 2}
    assert again.losses == []  # nothing was left to do
    assert all(torch.equal(value, kept[name]) for name, value in state_of(again).items())


def test_an_interrupted_training_ends_at_the_same_step(tmp_path: Path) -> None:
    losses = [3, 2, 2.5, 2.2]
    whole = run(HeldOutTask(losses), tmp_path / "whole", patience=2)[0]
    first = HeldOutTask(losses)
    first.explode_at = 6
    with pytest.raises(MethodError):
        run(first, tmp_path / "parts", patience=2)
    second = HeldOutTask(losses[2:])  # the checkpoint is that of step 5, behind two of the losses
    parts = run(second, tmp_path / "parts", patience=2)[0]
    assert (parts["best"], parts["images_seen"]) == (whole["best"], whole["images_seen"])


@pytest.mark.parametrize(("loss", "warns"), [(1.2, False), (1.3, True)])
def test_how_far_it_overfits_is_said_in_the_end(tmp_path: Path, loss: float, warns: bool) -> None:
    task = HeldOutTask([5.0] * 10 + [loss])
    summary, said = run(task, tmp_path)
    told = f"loss on 1 held-out scenes {loss:.4f}, on training scenes 1.0000"
    assert said[-1].startswith("warning: the network overfits: " + told if warns else told)
    assert (summary["held_out_loss"], summary["seen_loss"]) == (loss, 1.0)
    assert "best" not in summary


def test_known_scenes_are_those_at_even_distances(tmp_path: Path) -> None:
    """The first ones of a list are often of one drive."""
    asked: list[int] = []

    class Known(TinyScenes):
        def batch(self, indices: list[int]) -> Scene:
            asked.extend(indices)
            return super().batch(indices)

    settings = run_in(tmp_path, 20, validate_every=2)
    train(HeldOutTask([]), Known(10), settings, {}, lambda _: None, TinyScenes(2))
    assert asked[-2:] == [0, 5]


def a_scene(count: int = 3) -> Scene:
    """Pictures whose red is their label, with instances and depth of the same shape."""
    labels = torch.randint(0, 2, (count, 2, 3), generator=torch.Generator().manual_seed(0))
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    image = torch.stack([labels.float(), torch.full(labels.shape, 0.5), torch.full(labels.shape, 0.5)], dim=1)
    ids = tuple(map(str, range(count)))
    return Scene(image, labels, (labels * 1000).int(), 4 + 4 * labels.float(), ids, SPACE)


def test_nothing_is_changed_or_drawn_where_nothing_is_asked_for() -> None:
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    scene = a_scene()
    assert Augmentation().apply(scene, generator) is scene
    assert torch.equal(generator.get_state(), before)
    assert Augmentation().recipe() == {}


def test_pictures_and_maps_are_mirrored_and_cropped_together() -> None:
    scene = a_scene(16)
    mirrored = Augmentation(flip=True).apply(scene, torch.Generator().manual_seed(1))
    flips = [not torch.equal(a, b) for a, b in zip(scene.labels, mirrored.labels, strict=True)]
    assert 0 < sum(flips) < 16
    assert torch.equal(mirrored.image[:, 0].long(), mirrored.labels)
    cropped = Augmentation(crop=0.5).apply(scene, torch.Generator().manual_seed(1))
    assert cropped.image.shape == scene.image.shape
    assert torch.equal(cropped.instances, (cropped.labels * 1000).int())
    agree = (cropped.image[:, 0] > 0.5) == (cropped.labels == 1)
    assert agree.float().mean() > 0.95  # edges may fall to either side by half a pixel
    assert cropped.depth is not None
    shares = cropped.depth / (4 + 4 * cropped.labels)
    assert ((shares >= 0.5) & (shares <= 1)).all()
    assert all(len(one.unique()) <= 2 for one in cropped.depth)
    coloured = Augmentation(colour=0.3).apply(scene, torch.Generator().manual_seed(1))
    assert not torch.equal(coloured.image, scene.image)
    assert 0 <= coloured.image.min() <= coloured.image.max() <= 1
    assert coloured.labels is scene.labels


@pytest.mark.parametrize("options", [{"crop": 0.0}, {"crop": 1.5}, {"colour": 1.0}, {"colour": -0.1}])
def test_shares_that_are_none_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(MethodError, match="a share"):
        Augmentation(**options)


def test_a_resumed_training_sees_the_same_changes_and_another_recipe_is_refused(tmp_path: Path) -> None:
    changes = {"augmentation": Augmentation(flip=True, crop=0.5, colour=0.2)}
    whole, parts, plain = TinyTask(), TinyTask(), TinyTask()
    train(whole, TinyScenes(), run_in(tmp_path / "whole", 10, **changes), {}, print)
    train(TinyTask(), TinyScenes(), run_in(tmp_path / "parts", 5, **changes), {}, print)
    train(parts, TinyScenes(), run_in(tmp_path / "parts", 10, **changes), {}, print)
    assert all(torch.equal(value, state_of(parts)[name]) for name, value in state_of(whole).items())
    train(plain, TinyScenes(), run_in(tmp_path / "plain", 10), {}, print)
    assert not all(torch.equal(value, state_of(plain)[name]) for name, value in state_of(whole).items())
    with pytest.raises(MethodError, match="belongs to another recipe"):
        train(plain, TinyScenes(), run_in(tmp_path / "whole", 12), {}, print)
