"""Files of the user's that have the names of this project's packages, beside `python -m bench` and on PYTHONPATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

NAMES = ("metrics.py", "methods.py", "random.py", "typer.py", "torch.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of scripts that must not be imported."""
    for name in NAMES:
        (tmp_path / name).write_text("raise SystemExit('imported ' + __file__)\n")
    return tmp_path


def run(folder: Path, *arguments: str, path: str = str(ROOT), script: bool = False) -> subprocess.CompletedProcess[str]:
    """`python -m bench ARGUMENTS` in a folder, or what the command `bench` does."""
    how = ("-c", "from bench.cli import main; main()") if script else ("-m", "bench")
    environment = {**os.environ, "PYTHONPATH": path, "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.run(
        [sys.executable, *how, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("arguments", [("table", "bits"), ("run", "--methods", "nobody", "--dry-run")])
def test_files_in_the_current_folder_are_not_taken_for_our_packages(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert "imported" not in done.stdout + done.stderr
    assert "there are no results" in done.stderr or "nobody" in done.stderr


@pytest.mark.parametrize("name", ["metrics", "methods"])
@pytest.mark.parametrize("package", [False, True])
def test_a_file_on_pythonpath_that_hides_a_package_is_named_in_one_line(
    tmp_path: Path, name: str, package: bool
) -> None:
    hiding = tmp_path / "scripts" / (f"{name}/__init__.py" if package else f"{name}.py")
    hiding.parent.mkdir(parents=True)
    hiding.touch()
    for script in (False, True):
        done = run(tmp_path, "--help", path=f"{tmp_path / 'scripts'}{os.pathsep}{ROOT}", script=script)
        assert done.returncode == 1
        assert done.stderr == (
            f"error: {hiding} hides this project's package `{name}`: rename it, or take its folder off Python's path "
            "(PYTHONPATH)\n"
        )


def test_a_checkout_runs_from_its_own_folder(tmp_path: Path) -> None:
    for package in ("bench", "methods", "metrics"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    (tmp_path / "bench" / "tables" / "named.py").write_text("raise SystemExit('this checkout')\n")
    assert run(tmp_path, "table", "bits", path="").stderr == "this checkout\n"
