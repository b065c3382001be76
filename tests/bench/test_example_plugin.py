"""A third party's method, installed from its own package into a fresh environment, runs beside the built-in ones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from plugin_environment import bench, clean, make_environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with this project, the example plug-in and a broken one."""
    pytest.importorskip("pip", reason="installs with pip")
    folder = tmp_path_factory.mktemp("plugin")
    site = make_environment(folder)
    (site / "broken_plugin.py").write_text("import a_package_that_is_not_there\n")
    info = site / "broken_plugin-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[bench.methods]\nbroken = broken_plugin:Broken\n")
    return folder


@pytest.fixture(scope="module")
def run(environment: Path) -> Run:
    """Runs `bench run ARGUMENTS` in the environment."""
    work = environment / "work"
    work.mkdir()
    return lambda *arguments: bench(environment, work, "run", "--out", "out", *arguments)


def test_the_plugin_runs_in_a_sweep_beside_the_built_in_methods(environment: Path, run: Run) -> None:
    done = run(
        "--methods", "label_paint,full_image", "--psnr", "100,10", "--scenes", "4", "--metrics", "mIoU",
        "--device", "cpu", "--jobs", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    installed = subprocess.run(
        [environment / "venv" / "bin" / "python", "-c", "import bench, label_paint; print(bench.__file__)"],
        cwd=environment / "work", env=clean(environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert installed.stdout.startswith(str(environment / "venv")), "this must not be the checkout"
    rows = pd.read_parquet(environment / "work" / "out" / "results.parquet")
    rows = rows[(rows["metric"] == "mIoU") & (rows["scene"] == "all") & (rows["method"] != "pure_noise")]
    assert set(zip(rows["method"], rows["psnr"], strict=True)) == {
        (method, psnr) for method in ("label_paint", "full_image") for psnr in (100.0, 10.0)
    }
    assert (rows["scenes"] == 4).all()
    at_100 = rows[rows["psnr"] == 100].set_index("method")["value"]
    assert 0.1 < at_100["label_paint"] < at_100["full_image"], "flat colours say something, but less than the picture"
    assert "label_paint" in done.stdout


def test_all_takes_plugins_in_and_names_the_broken_one(run: Run) -> None:
    done = run("--methods", "all", "--psnr", "100", "--scenes", "1", "--metrics", "mIoU", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "label_paint on streets" in done.stdout
    assert "gesco on streets" in done.stdout
    named = next(line for line in done.stdout.splitlines() if "broken" in line)
    assert named.startswith("left out: method 'broken' of broken-plugin cannot be imported (broken_plugin:Broken)")
    assert "a_package_that_is_not_there" in named
