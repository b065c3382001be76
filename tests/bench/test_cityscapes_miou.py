"""mIoU on a Cityscapes root, from bench.toml to the results: judge by name, its weights, its protocol in every row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TOML, Answer
from scene_roots import cityscapes_root
from table_frames import method_rows

from tests.metrics.drn_data import write_filled

ARGUMENTS = ("--datasets", "cityscapes", "--methods", "fake_pixels", "--psnr", "100", "--metrics", "mIoU")


@pytest.fixture
def root(fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of two scenes, read at 32x64; no weights are installed."""
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(weights))
    settings = '[data.cityscapes]\nsize = [32, 64]\n[metrics.mIoU.evaluators]\ncityscapes = "drn_d_22@generated"\n'
    (fakes / "bench.toml").write_text(TOML + settings)
    return cityscapes_root(tmp_path / "cityscapes")


def test_the_configured_judge_scores_and_is_named_in_every_row(
    cli: Callable[..., Answer], root: Path, tmp_path: Path
) -> None:
    write_filled("drn_d_22", tmp_path / "weights")
    done = cli("run", "--root", str(root), "--out", "out", *ARGUMENTS)
    assert done.code == 0, done.err
    rows, facts = method_rows(Path("out"))
    rows = rows[rows["metric"].str.startswith("mIoU")]
    assert set(rows["metric"]) == {"mIoU", "mIoU[judge]", "mIoU[original]", "mIoU[35]", "mIoU[scene]"}
    assert rows["protocol"].str.contains("judge=DRN-D-22@generated|19 classes", regex=False).all()
    values = rows[rows["scene"] == "all"].set_index("metric")["value"]
    assert values["mIoU[judge]"] == 1.0, "full pictures over a clean channel"
    assert values["mIoU"] == values["mIoU[original]"] < 0.1, "a judge of random weights"
    assert "judge=DRN-D-22@generated" in cli("table", "mIoU", "--out", "out").out
    assert len(facts["metrics"]["mIoU"]["weights_sha256"]) == 64


def test_without_weights_the_metric_is_left_out_and_the_pictures_are_made(
    cli: Callable[..., Answer], root: Path
) -> None:
    done = cli("run", "--root", str(root), "--out", "out", *ARGUMENTS)
    assert done.code == 0, done.err
    told = next(line for line in done.err.splitlines() if line.startswith("left out: mIoU is not computed"))
    assert "drn_d_22-cityscapes.safetensors" in told
    assert "bench weights import drn_d_22 drn_d_22_cityscapes.pth --dataset cityscapes" in told
    rows, _ = method_rows(Path("out"))
    assert not rows["metric"].str.startswith("mIoU").any()
    assert "bits" in set(rows["metric"])
