"""`objects` and `depth` from scenes to tables, with the networks that ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer

from bench.results.files import read_results
from bench.results.schema import WHOLE_SET

Cli = Callable[..., Answer]
TOML = """
[run]
methods = ["full_image"]
metrics = ["objects", "depth"]
backend = "sequential"
jobs = 1
device = "cpu"
"""


def test_a_run_measures_objects_and_depth_and_tables_show_them(cli: Cli, fakes: Path) -> None:
    (fakes / "bench.toml").write_text(TOML)
    answer = cli("run", "--psnr", "100,1", "--scenes", "6", "--out", "out")
    assert answer.code == 0, answer.err
    assert "left out" not in answer.err
    rows, _ = read_results(fakes / "out")
    whole = rows[rows["scene"] == WHOLE_SET]
    clean, noisy = (
        whole[(whole["psnr"] == psnr) & (whole["method"] == "full_image")].set_index("metric")["value"]
        for psnr in (100.0, 1.0)
    )
    # without noise the picture is the original
    for name, value in (("AP50[judge]", 1.0), ("recall[judge]", 1.0), ("delta1[judge]", 1.0), ("AbsRel[judge]", 0.0)):
        assert clean[name] == pytest.approx(value, abs=1e-9)
    for name, sign in (("AP50", 1), ("recall", 1), ("delta1", 1), ("AbsRel", -1), ("RMSE", -1)):
        assert clean[name] == clean[f"{name}[original]"]
        assert sign * clean[name] > sign * noisy[name]
        assert sign * clean[f"{name}[judge]"] > sign * noisy[f"{name}[judge]"]
        assert whole[whole["metric"] == name]["higher_is_better"].eq(sign > 0).all()
    assert clean["AP50[car]"] == clean["AP50[original:car]"] > 0.5
    assert clean["delta1"] > 0.75

    for what, style, expected in (
        ("objects", "text", ("AP50[judge] ↑", "recall ↑", "AP50[judge:car] ↑", "The originals themselves have AP50 ")),
        ("depth", "md", ("| AbsRel[judge] ↓ | 100 | 1 |", "| delta1 ↑ | 100 | 1 |", "RMSE ↓ |")),
        ("AP50", "csv", ("psnr_100_mean,psnr_100_std",)),
        ("recall[judge:car]", "text", ("recall[judge:car] ↑",)),
    ):
        shown = cli("table", what, "--out", "out", "--format", style, "--psnr", "1")
        assert shown.code == 0, shown.err
        for words in expected:
            assert words in shown.out


def test_a_data_set_without_networks_is_measured_without_them(cli: Cli, fakes: Path) -> None:
    (fakes / "bench.toml").write_text(TOML)
    answer = cli("run", "--datasets", "stuff", "--psnr", "100", "--scenes", "1", "--out", "out")
    assert answer.code == 0, answer.err
    assert "objects is not computed for stuff: objects is skipped on `stuff`: no detector is known for it" in answer.err
    assert (
        "depth is skipped on `stuff`: no depth network is known for it; there are some for ade20k, camvid, "
        in answer.err
    )
