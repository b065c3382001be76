"""The shared trainer: exact resume, guarded checkpoints, a clear stop on a loss that is not finite or diverges."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.api.errors import MethodError
from bench.train.checkpoint import previous
from bench.train.trainer import train
from tests.methods.tiny_training import TinyScenes, TinyTask, run_in, scalars, state_of, tiny_gesco


def quiet(line: str) -> None:
    """A report that nobody reads."""


@pytest.mark.parametrize("make", [TinyTask, tiny_gesco])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, make: type) -> None:
    whole = make()
    first = train(whole, TinyScenes(), run_in(tmp_path / "whole"), {}, quiet)
    # stops in the middle of a log window and of a checkpoint interval
    stopped = train(make(), TinyScenes(), replace(run_in(tmp_path / "parts"), time_limit=0.0), {}, quiet)
    assert (stopped["steps"], stopped["finished"]) == (1, False)
    time.sleep(1.1)  # TensorBoard reads its files in the order of their names, which begin with whole seconds
    parts = make(seed=5) if make is tiny_gesco else make()  # its own initial weights play no part
    summary = train(parts, TinyScenes(), run_in(tmp_path / "parts"), {}, quiet)
    expected, found = state_of(whole), state_of(parts)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert summary["losses"] == first["losses"]
    assert summary["finished"]
    assert summary["images_seen"] == 20 * whole.batch_size
    assert scalars(tmp_path / "parts") == scalars(tmp_path / "whole")


def test_a_training_that_failed_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    whole, first, second = TinyTask(), TinyTask(explode_at=13), TinyTask()
    train(whole, TinyScenes(), run_in(tmp_path / "whole"), {}, quiet)
    with pytest.raises(MethodError):
        train(first, TinyScenes(), run_in(tmp_path / "parts"), {}, quiet)
    train(second, TinyScenes(), run_in(tmp_path / "parts"), {}, quiet)
    assert first.losses[:10] + second.losses == whole.losses
    assert all(torch.equal(second.export()[key], value) for key, value in whole.export().items())


def test_a_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"loss is not finite at step 13.*checkpoint\.pt"):
        train(TinyTask(explode_at=13), TinyScenes(), run_in(tmp_path), {}, quiet)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 10


def test_a_training_that_diverges_stops_and_never_overwrites_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"it diverges: at step 50 loss is .* times its usual .*checkpoint\.pt"):
        train(TinyTask(diverge_at=36), TinyScenes(), run_in(tmp_path, 200), {}, quiet)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 35
    assert torch.load(tmp_path / "checkpoint.previous.pt", weights_only=True)["step"] == 30


def test_a_learning_rate_that_is_far_too_high_is_told_as_divergence(tmp_path: Path) -> None:
    """The diverging network itself, not a made-up number: a good start, then a rate 10,000 times too high."""
    task = tiny_gesco({"gradient_clip": "1e9"})
    good = task.learning_rate
    task.learning_rate = lambda step: good(step) if step < 40 else 10.0  # type: ignore[method-assign]
    with pytest.raises(MethodError, match=r"training stopped: (it diverges|.* not finite)"):
        train(task, TinyScenes(), run_in(tmp_path, 300), {}, quiet)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] <= 45


@pytest.mark.parametrize("change", ["recipe", "data", "seed", "less"])
def test_a_checkpoint_is_not_continued_by_another_recipe(tmp_path: Path, change: str) -> None:
    train(TinyTask(), TinyScenes(), run_in(tmp_path), {"data": "x"}, quiet)
    task = TinyTask(rate=1e-3) if change == "recipe" else TinyTask()
    run = replace(run_in(tmp_path, 30), seed=4) if change == "seed" else run_in(tmp_path, 30)
    provenance = {"data": {"data": "y"}, "less": {}}.get(change, {"data": "x"})
    with pytest.raises(MethodError, match="another recipe"):
        train(task, TinyScenes(), run, provenance, quiet)


def test_a_checkpoint_from_before_there_were_scalers_and_log_windows_goes_on(tmp_path: Path) -> None:
    whole, parts = tiny_gesco(), tiny_gesco()
    train(whole, TinyScenes(), run_in(tmp_path / "whole"), {}, quiet)
    train(tiny_gesco(), TinyScenes(), run_in(tmp_path / "parts", time_limit=0.0, checkpoint_every=1), {}, quiet)
    path = tmp_path / "parts" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in state.items() if k not in ("log", "scaler")}, path)
    train(parts, TinyScenes(), run_in(tmp_path / "parts"), {}, quiet)
    expected, found = state_of(whole), state_of(parts)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_damaged_checkpoint_is_named_with_the_one_before_it(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(MethodError, match=r"cannot be read.*start from scratch"):
        train(TinyTask(), TinyScenes(), run_in(tmp_path), {}, quiet)
    (tmp_path / "checkpoint.pt").unlink()
    train(TinyTask(), TinyScenes(), run_in(tmp_path), {}, quiet)
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(MethodError, match=r"go on from .*checkpoint\.previous\.pt"):
        train(TinyTask(), TinyScenes(), run_in(tmp_path), {}, quiet)
    (tmp_path / "checkpoint.pt").unlink()
    said: list[str] = []
    train(TinyTask(), TinyScenes(), run_in(tmp_path), {}, said.append)
    assert said[0].startswith("resuming at step 15 of 20")


def test_a_full_disk_leaves_the_checkpoints_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(TinyTask(), TinyScenes(), run_in(tmp_path), {}, quiet)
    kept = {p: p.read_bytes() for p in (tmp_path / "checkpoint.pt", previous(tmp_path / "checkpoint.pt"))}

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        train(TinyTask(), TinyScenes(), run_in(tmp_path, 30), {}, quiet)
    assert {p: p.read_bytes() for p in kept} == kept
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_the_time_limit_leaves_a_checkpoint(tmp_path: Path) -> None:
    summary = train(TinyTask(), TinyScenes(), replace(run_in(tmp_path), time_limit=0.0), {}, quiet)
    assert not summary["finished"]
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == summary["steps"] == 1


def test_fewer_scenes_than_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"3 scenes are fewer than one batch of 4.*batch_size"):
        train(TinyTask(), TinyScenes(3), run_in(tmp_path), {}, quiet)


def test_a_sample_sheet_shows_originals_above_samples(tmp_path: Path) -> None:
    train(TinyTask(), TinyScenes(), run_in(tmp_path, 5, sample_every=5), {}, quiet)
    with Image.open(tmp_path / "samples-0000005.png") as sheet:
        assert sheet.size == (8 * 8, 2 * 8)
        pixels = torch.from_numpy(np.array(sheet)).long()
    assert torch.equal(pixels[:8], pixels[8:])  # this task's samples are the originals
    assert torch.equal(pixels[:8, 8:16], (TinyScenes().images[1] * 255).round().permute(1, 2, 0).long())


def test_gradient_checkpointing_is_refused_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="diffusion methods only"):
        train(TinyTask(), TinyScenes(), run_in(tmp_path, checkpoint_gradients=True), {}, quiet)
