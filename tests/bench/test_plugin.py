"""What third parties add, installed from their own package into a fresh environment, runs beside what is built in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_environment import bench, clean, make_environment
from table_frames import all_rows

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
    (folder / "work").mkdir()
    return folder


@pytest.fixture(scope="module")
def run(environment: Path) -> Run:
    """Runs `bench COMMAND --out out ARGUMENTS` in the environment."""
    return lambda command, *arguments: bench(environment, environment / "work", command, "--out", "out", *arguments)


def test_plugins_run_in_a_sweep_and_stand_in_tables_beside_what_is_built_in(environment: Path, run: Run) -> None:
    done = run(
        "run", "--methods", "label_paint,full_image", "--psnr", "100,10", "--scenes", "6", "--metrics", "mIoU,MAE",
        "--datasets", "streets,discs", "--channel", "erasures:erased=0.25", "--device", "cpu", "--jobs", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    installed = subprocess.run(
        [environment / "venv" / "bin" / "python", "-c", "import bench, label_paint; print(bench.__file__)"],
        cwd=environment / "work", env=clean(environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert installed.stdout.startswith(str(environment / "venv")), "this must not be the checkout"
    rows = all_rows(environment / "work" / "out")
    rows = rows[rows["metric"].isin(["mIoU", "MAE"]) & (rows["scene"] == "all") & (rows["method"] != "pure_noise")]
    assert set(zip(rows["dataset"], rows["method"], rows["psnr"], rows["metric"], strict=True)) == {
        (dataset, method, psnr, metric)
        for dataset, metric in (("streets", "mIoU"), ("streets", "MAE"), ("discs", "MAE"))
        for method in ("label_paint", "full_image")
        for psnr in (100.0, 10.0)
    }
    assert "left out: mIoU is not computed for discs" in done.stderr
    assert (rows["scenes"] == 6).all()
    assert set(zip(rows["channel"], rows["sigma"].round(6), strict=True)) == {
        ("erasures:erased=0.25", 0.00001), ("erasures:erased=0.25", 0.316228)
    }  # fmt: skip
    at_100 = rows[(rows["psnr"] == 100) & (rows["dataset"] == "streets")].pivot(
        index="method", columns="metric", values="value"
    )
    assert at_100.loc["label_paint", "mIoU"] > at_100.loc["full_image", "mIoU"] > 0.1, "maps survive lost symbols"
    assert at_100.loc["label_paint", "MAE"] > at_100.loc["full_image", "MAE"] > 0.05, "lost pixels are black"
    assert "label_paint" in done.stdout
    assert "MAE ↓" in done.stdout, "its class says that its table ends a run"
    table = run("table", "MAE")
    assert table.returncode == 0, table.stderr
    assert "label_paint" in table.stdout
    assert "full_image" in table.stdout
    assert "discs test at 32x64" in table.stdout
    words = " ".join(table.stdout.split())
    assert "Erasures, erased 0.25." in words
    assert "(peak SNR of what is kept 100.0, 10.0 dB)" in words


def test_a_plugins_metric_is_plotted_and_regressed_like_ours(environment: Path, run: Run) -> None:
    done = run("plot", "psnr")
    assert done.returncode == 0, done.stderr
    drawn = "".join(file.read_text() for file in (environment / "work" / "out" / "plots").glob("psnr-*.svg"))
    assert "MAE ↓" in drawn
    again = bench(
        environment, environment / "work", "regress", "--baseline", "out", "--out", "again", "--metrics", "MAE",
        "--methods", "label_paint", "--psnr", "100", "--datasets", "streets",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    (compared,) = json.loads((environment / "work" / "again" / "report.json").read_text())["comparisons"]
    assert (compared["metric"], compared["floor"]) == ("MAE", 0.005)
    assert compared["basis"] == "sign flips of the scenes' differences"


def test_all_takes_plugins_in_and_names_the_broken_one(run: Run) -> None:
    done = run("run", "--methods", "all", "--psnr", "100", "--scenes", "1", "--metrics", "mIoU", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "label_paint on streets" in done.stdout
    assert "gesco on streets" in done.stdout
    named = next(line for line in done.stdout.splitlines() if "broken" in line)
    assert named.startswith("left out: method 'broken' of broken-plugin cannot be imported (broken_plugin:Broken)")
    assert "a_package_that_is_not_there" in named
