"""Mixed precision: what runs in which format, and loss scaling that survives a checkpoint. On the CPU, whose autocast
follows the same rules; with a GPU also there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api.errors import MethodError
from bench.api.training.update import resolve
from bench.train.trainer import train
from tests.methods.tiny_training import TinyScenes, TinyTask, randomise, run_in, state_of, tiny_gesco

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def quiet(line: str) -> None:
    """A report that nobody reads."""


def test_auto_is_bfloat16_on_cuda_and_float32_on_the_cpu() -> None:
    every = ("float32", "bfloat16", "float16")
    assert resolve("auto", CUDA, every) == "bfloat16"
    assert resolve("auto", CPU, every) == "float32"
    assert resolve("auto", CUDA, ("float32",)) == "float32"
    assert resolve("float16", CPU, every) == "float16"
    with pytest.raises(MethodError, match=r"float16; it does in: float32"):
        resolve("float16", CPU, ("float32",))


def first_step(precision: Any) -> tuple[dict[str, float], dict[str, torch.Tensor], set[torch.dtype]]:
    """Losses of one step, the state after it, and the types that the network's convolutions returned."""
    task = tiny_gesco()
    randomise(task)
    task.prepare(precision, False)
    kinds: set[torch.dtype] = set()
    task.network.input_blocks[1][0].in_layers[2].register_forward_hook(lambda m, i, output: kinds.add(output.dtype))
    losses = task.step(TinyScenes().batch([0, 1]), torch.Generator().manual_seed(0), 0)
    return losses, state_of(task), kinds


@pytest.mark.parametrize(("precision", "kind"), [("bfloat16", torch.bfloat16), ("float16", torch.float16)])
def test_the_network_runs_in_half_precision_and_everything_else_stays_float32(
    precision: str, kind: torch.dtype
) -> None:
    exact, _, exact_kinds = first_step("float32")
    losses, state, kinds = first_step(precision)
    assert (exact_kinds, kinds) == ({torch.float32}, {kind})
    assert all(value.dtype == torch.float32 for value in state.values())
    for name in ("loss", "denoising", "gradient_norm"):
        assert losses[name] == pytest.approx(exact[name], rel=0.02)
        assert losses[name] != exact[name]


def test_loss_scaling_resumes_exactly(tmp_path: Path) -> None:
    def begin(folder: str, **changes: Any) -> tuple[Any, dict[str, Any]]:
        task = tiny_gesco()
        return task, train(task, TinyScenes(), run_in(tmp_path / folder, precision="float16", **changes), {}, quiet)

    whole, _ = begin("whole")
    begin("parts", time_limit=0.0)
    state = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)
    assert state["scaler"]["scale"] > 0
    assert state["recipe"]["precision"] == "float16"
    parts, _ = begin("parts")
    expected, found = state_of(whole), state_of(parts)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert parts.scaler.state_dict() == whole.scaler.state_dict()


def test_an_overflow_of_float16_skips_the_step_and_lowers_the_scale() -> None:
    task = tiny_gesco()
    task.prepare("float16", False)
    task.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = {k: v.clone() for k, v in task.network.state_dict().items()}
    losses = task.step(TinyScenes().batch([0, 1]), torch.Generator().manual_seed(0), 0)
    assert "gradient_norm" not in losses
    assert losses["loss_scale"] == 2.0**39
    assert all(torch.equal(before[k], v) for k, v in task.network.state_dict().items())


def test_a_checkpoint_is_not_continued_in_another_precision(tmp_path: Path) -> None:
    train(tiny_gesco(), TinyScenes(), run_in(tmp_path, 5), {}, quiet)
    with pytest.raises(MethodError, match="precision was None, now 'bfloat16'"):
        train(tiny_gesco(), TinyScenes(), run_in(tmp_path, 10, precision="bfloat16"), {}, quiet)


def test_a_method_without_mixed_precision_says_so(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="does not train in float16"):
        train(TinyTask(), TinyScenes(), run_in(tmp_path, precision="float16"), {}, quiet)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_training_on_a_gpu_resumes_exactly(tmp_path: Path, precision: Any) -> None:
    from dataclasses import replace

    def begin(folder: str, **changes: Any) -> Any:
        cpu = tiny_gesco()
        task = type(cpu)(replace(cpu.context, device=CUDA), cpu.profile)
        train(task, TinyScenes(), run_in(tmp_path / folder, precision=precision, **changes), {}, quiet)
        return task

    whole = begin("whole", validate_every=5, sample_every=20)
    begin("parts", time_limit=0.0)
    parts = begin("parts")
    expected, found = state_of(whole), state_of(parts)
    assert all(torch.allclose(expected[key], found[key], rtol=1e-4, atol=1e-6) for key in expected)
