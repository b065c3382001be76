"""A third party's method, installed from its own package into a fresh environment, runs beside the built-in ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "example_plugin"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with this project, the example plug-in and a broken one.

    What the project depends on is seen through a path into the running environment, so nothing is downloaded. Sources
    are copied first, because a build leaves files beside them.
    """
    pytest.importorskip("pip", reason="installs with pip")
    folder = tmp_path_factory.mktemp("plugin")
    project, plugin = folder / "project", folder / "example_plugin"
    project.mkdir()
    for package in ("bench", "methods", "metrics"):
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, project)
    shutil.copytree(PLUGIN, plugin, ignore=shutil.ignore_patterns("__pycache__"))

    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(folder / "venv" / "bin" / "python"), "install", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--no-compile", str(project), str(plugin)),
        ],
        check=True,
        env=_clean(folder),
        timeout=300,
    )

    (site / "broken_plugin.py").write_text("import a_package_that_is_not_there\n")
    info = site / "broken_plugin-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[bench.methods]\nbroken = broken_plugin:Broken\n")
    return folder


def _clean(folder: Path) -> dict[str, str]:
    """The environment's variables without any that would show the checkout or a user's own weights."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GESCO_BENCH", "PIP_"))}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def run(environment: Path) -> Run:
    """Runs `bench run ARGUMENTS` in the environment."""
    work = environment / "work"
    work.mkdir()

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment / "venv" / "bin" / "bench", "run", "--out", "out", *arguments],
            cwd=work,
            env=_clean(environment),
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


def test_the_plugin_runs_in_a_sweep_beside_the_built_in_methods(environment: Path, run: Run) -> None:
    done = run(
        "--methods", "label_paint,full_image", "--psnr", "100,10", "--scenes", "4", "--metrics", "mIoU",
        "--device", "cpu", "--jobs", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    installed = subprocess.run(
        [environment / "venv" / "bin" / "python", "-c", "import bench, label_paint; print(bench.__file__)"],
        cwd=environment / "work", env=_clean(environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert installed.stdout.startswith(str(environment / "venv")), "this must not be the checkout"
    rows = pd.read_parquet(environment / "work" / "out" / "results.parquet")
    rows = rows[(rows["metric"] == "mIoU") & (rows["scene"] == "all") & (rows["method"] != "pure_noise")]
    assert set(zip(rows["method"], rows["psnr"], strict=True)) == {
        (method, psnr) for method in ("label_paint", "full_image") for psnr in (100.0, 10.0)
    }
    assert (rows["scenes"] == 4).all()
    clean = rows[rows["psnr"] == 100].set_index("method")["value"]
    assert 0.1 < clean["label_paint"] < clean["full_image"], "flat colours say something, but less than the picture"
    assert "label_paint" in done.stdout


def test_all_takes_plugins_in_and_names_the_broken_one(run: Run) -> None:
    done = run("--methods", "all", "--psnr", "100", "--scenes", "1", "--metrics", "mIoU", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "label_paint on streets" in done.stdout
    assert "gesco on streets" in done.stdout
    named = next(line for line in done.stdout.splitlines() if "broken" in line)
    assert named.startswith("left out: method 'broken' of broken-plugin cannot be imported (broken_plugin:Broken)")
    assert "a_package_that_is_not_there" in named
