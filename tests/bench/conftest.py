"""Fixtures of the harness's tests: the fakes as an installed package, and a small run of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bench_fakes
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
#: The bench.toml of the tests: few, tiny, quickly rendered scenes.
TOML = """
[run]
scenes = 3
metrics = ["FakeMSE"]
methods = ["fake_pixels"]
backend = "sequential"
jobs = 1
device = "cpu"

[data.streets]
size = [32, 64]
"""


@dataclass
class Answer:
    """What a command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def fake_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes `bench_fakes` an installed distribution with entry points."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "bench_fakes-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-fakes\nVersion: 0\n")
    groups = {"bench.methods": bench_fakes.METHODS, "bench.metrics": bench_fakes.METRICS}
    lines = [
        f"[{group}]\n" + "".join(f"{name} = bench_fakes:{cls}\n" for name, cls in points.items())
        for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def fakes(fake_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The fakes installed, here and in processes started from here; a working folder of its own with a bench.toml."""
    import bench.api.registry
    import bench.api.scores
    from bench.run.worker import WORKER

    monkeypatch.syspath_prepend(str(fake_package))
    paths = [str(fake_package), str(Path(__file__).parent), str(ROOT)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "bench.toml").write_text(TOML)
    monkeypatch.chdir(folder)
    bench.api.registry._points.cache_clear()
    bench.api.scores.find_score.cache_clear()
    WORKER.pictures.clear()  # fakes of one identity misbehave in different ways
    WORKER.measured.clear()
    yield folder
    bench.api.registry._points.cache_clear()
    bench.api.scores.find_score.cache_clear()


@pytest.fixture
def cli(fakes: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs `bench ARGUMENTS` in this process."""
    from bench.cli import main

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capfd.readouterr()
        return Answer(code, said.out, said.err)

    return call


@pytest.fixture
def start(fakes: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `bench ARGUMENTS` as a process group of its own, which Ctrl-C reaches though the tests may run in the
    background of a shell, where it is ignored."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from bench.cli import main; main()"

    def call(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    return call


def manifests(out: Path) -> dict[str, int]:
    """Cell folders under `out` and when their manifest was written, in nanoseconds."""
    return {str(f.parent.relative_to(out)): f.stat().st_mtime_ns for f in (out / "cells").rglob("manifest.json")}


def pictures(out: Path) -> dict[str, bytes]:
    """Every picture of a cell under `out`, read without any code of the project, by its folder and name."""
    found = {}
    for path in sorted((out / "cells").rglob("pack.zip")):
        with zipfile.ZipFile(path) as pack:
            found |= {f"{path.parent.relative_to(out)}/{name}": pack.read(name) for name in pack.namelist()}
    return found


def shown(folder: Path) -> list[np.ndarray]:
    """The pictures of a cell, read without any code of the project."""
    with zipfile.ZipFile(folder / "pack.zip") as pack:
        return [np.array(Image.open(io.BytesIO(pack.read(name)))) for name in sorted(pack.namelist())]
