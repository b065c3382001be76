"""A fresh virtual environment with this project and the example plug-in in it, each installed with pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "plugin"
#: Files of the project that an installation needs.
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


def make_environment(folder: Path, editable: bool = False, plugins: Sequence[Path] = (PLUGIN,)) -> Path:
    """Install copies of the project (FOLDER/project, with `editable` in place) and of plug-ins, each a folder, into
    FOLDER/venv; its site-packages.

    What the project depends on is seen through a path into the running environment, so nothing is downloaded. Sources
    are copied first, because a build leaves files beside them.
    """
    project, copies = folder / "project", [folder / "plugins" / plugin.name for plugin in plugins]
    project.mkdir()
    for package in ("bench", "methods", "metrics"):
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, project)
    for plugin, copy in zip(plugins, copies, strict=True):
        shutil.copytree(plugin, copy, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in dependencies))
    installed = (*(("--editable",) if editable else ()), str(project), *map(str, copies))
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(folder / "venv" / "bin" / "python"), "install", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--no-compile", *installed),
        ],
        check=True,
        env=clean(folder),
    )
    return site


def clean(folder: Path) -> dict[str, str]:
    """The environment's variables without any that would show the checkout or a user's own weights."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GESCO_BENCH", "PIP_", "GIT_"))}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder), "OMP_NUM_THREADS": "1"}


def bench(folder: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`bench ARGUMENTS` of the environment in FOLDER, in the working folder `work`."""
    command = [folder / "venv" / "bin" / "bench", *arguments]
    return subprocess.run(command, cwd=work, env=clean(folder), capture_output=True, text=True)
