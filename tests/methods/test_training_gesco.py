"""GESCO's recipe: its noise, its options, its validation loss."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.api.errors import MethodError
from bench.train.record import validation_losses
from bench.train.trainer import train
from methods.common.semantic.maps import scene_maps
from methods.gesco.task import (
    NOISE_LEVELS,
    NOISE_WEIGHTS,
    PUBLISHED_LEVELS,
    Corruption,
    corrupted_maps,
    draw_noise_levels,
)
from tests.methods.tiny_training import TinyScenes, TinyTask, run_in, scalars, tiny_gesco


def test_without_options_the_noise_is_the_papers() -> None:
    usual = Corruption()
    assert (usual.noise, usual.levels, usual.weights) == ("independent", NOISE_LEVELS, NOISE_WEIGHTS)
    recipe = tiny_gesco().recipe()
    assert (recipe["noise_levels"], recipe["noise_weights"]) == (list(NOISE_LEVELS), list(NOISE_WEIGHTS))
    assert "noise" not in recipe  # nor any other new key: checkpoints from before go on
    assert set(recipe["network"]) == {
        "map_channels", "width", "multipliers", "blocks", "attention_factors", "head_channels", "spade_hidden",
        "groups", "dropout", "patch",
    }  # fmt: skip


def test_levels_and_weights_can_be_set() -> None:
    task = tiny_gesco({"noise_levels": "0.5,0.1,0", "noise_weights": "1,1,8", "drop_rate": "0.5"})
    levels, weights = task.corruption.levels, task.corruption.weights
    drawn = Counter(draw_noise_levels(5000, torch.Generator().manual_seed(0), levels, weights).tolist())
    assert drawn[0.0] / 5000 == pytest.approx(0.8, abs=0.02)
    assert task.recipe()["noise_levels"] == [0.5, 0.1, 0.0]
    assert task.recipe()["drop_rate"] == 0.5
    assert Corruption(noise_levels=(0.5, 0.0)).weights == (1.0, 3.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"noise_levels": "0.5,-0.1"}, "cannot be negative"),
        ({"noise_levels": "0.5,0.1", "noise_weights": "1,2,3"}, "3 entries for 2 noise_levels"),
        ({"noise_weights": "0,0,0,0,0,0,0"}, "all zero"),
        ({"noise": "pink"}, "'independent' or 'broadcast'"),
        ({"width": "6"}, "cannot be built"),
        ({"multipliers": "1,2,2,2,2"}, "multiples of 16, not 8x8"),
        ({"batch_size": "0"}, "at least 1"),
        ({"map_channels": "7"}, "unknown training option"),
    ],
)
def test_impossible_recipes_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        tiny_gesco(options)


def test_broadcast_noise_is_one_map_for_all_channels() -> None:
    task = tiny_gesco({"noise": "broadcast"})
    assert task.corruption.levels == tuple(dict.fromkeys(PUBLISHED_LEVELS))
    assert task.corruption.weights == (1, 1, 1, 1, 1, 1, 3)
    assert task.recipe()["noise"] == "broadcast"
    scene = TinyScenes().batch([0, 1])
    clean = scene_maps(scene)
    clean[:, 0] = 0.0  # a class that is absent
    noisy = corrupted_maps(clean, torch.tensor([0.5, 0.0]), torch.Generator().manual_seed(0), False, "broadcast")
    noise = noisy[0] - clean[0]
    torch.testing.assert_close(noise[0], noise[1])
    torch.testing.assert_close(noise[0], noise[2])
    assert 0.3 < float(noise.std()) < 0.7
    assert torch.equal(noisy[1], clean[1])
    independent = corrupted_maps(clean, torch.tensor([0.5, 0.0]), torch.Generator().manual_seed(0), False)[0] - clean[0]
    assert not independent[0].any()
    assert not torch.allclose(independent[1], independent[2])


def test_the_share_of_null_labels_is_the_drop_rate() -> None:
    for rate in (0.0, 0.25, 1.0):
        task = tiny_gesco({"drop_rate": rate, "noise_levels": [0.0]})
        generator = torch.Generator().manual_seed(0)
        scene = TinyScenes(100).batch(list(range(100)))
        empty = [not one.any() for one in task.conditioning(scene, generator, 0)]
        assert sum(empty) / 100 == pytest.approx(rate, abs=0.12)


def test_the_validation_loss_is_a_function_of_the_averaged_network_alone(tmp_path: Path) -> None:
    scenes = TinyScenes(5)
    task = tiny_gesco()
    state = torch.get_rng_state()
    before = validation_losses(task, scenes)
    assert set(before) == {"loss", "denoising", "variational"}
    assert validation_losses(task, scenes) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert before["denoising"] == pytest.approx(1.0, abs=0.2)  # the untrained network predicts no noise at all

    task.step(scenes.batch([0, 1]), torch.Generator().manual_seed(0), 0)
    after = validation_losses(task, scenes)
    assert after != before
    with torch.no_grad():
        task.network.out[-1].bias.add_(1.0)  # the live network, which is not what ships
    assert validation_losses(task, scenes) == after


def test_validation_is_logged_and_does_not_touch_the_training(tmp_path: Path) -> None:
    def state(folder: str, every: int) -> dict[str, torch.Tensor]:
        task = tiny_gesco()
        run = run_in(tmp_path / folder, 10, validate_every=every)
        train(task, TinyScenes(), run, {}, lambda line: None, TinyScenes(3))
        return task.export()

    with_validation, without = state("with", 4), state("without", 0)
    assert all(torch.equal(with_validation[key], without[key]) for key in without)
    assert [step for step, _ in scalars(tmp_path / "with")["val/denoising"]] == [4, 8, 10]
    assert not [name for name in scalars(tmp_path / "without") if name.startswith("val/")]
    assert TinyTask().validation(TinyScenes().batch([0]), torch.Generator()) == {}


@pytest.mark.gpu
def test_maps_and_noise_are_made_on_the_gpu_and_follow_the_trainers_generator() -> None:
    cpu = tiny_gesco()
    task = type(cpu)(replace(cpu.context, device=torch.device("cuda")), cpu.profile)
    scene = TinyScenes().batch([0, 1])
    maps = []
    for seed in (1, 1, 2):
        moved, generator = task._on_device(scene, torch.Generator().manual_seed(seed))
        assert moved.labels.is_cuda
        maps.append(task.conditioning(moved, generator, 0))
        assert maps[-1].is_cuda
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])
