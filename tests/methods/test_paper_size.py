"""At paper size every network runs from an imported checkpoint within 24 GB of memory (minutes each: --slow)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.checkpoints.catalogue import load_catalogue

ROOT = Path(__file__).parents[2]
LIMIT_GIB = 24e9 / 2**30
#: SMIS has no network for COCO-Stuff; GESCO's variants are its network again.
CASES = [
    (entry.name, entry.dataset, entry.size)
    for entry in load_catalogue().entries
    if (entry.name, entry.dataset) != ("smis", "coco_stuff") and entry.name not in ("gesco_published", "gesco_labels")
]


def paper_size(what: str, name: str, dataset: str, folder: Path) -> dict[str, Any]:
    """Run `paper_size.py` in a process of its own, so that the peak of memory is that of this network alone."""
    command = [sys.executable, "-m", "tests.methods.paper_size", what, name, dataset, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{what} {name} {dataset}: {found['seconds']:.0f} s, peak {found['peak_gib']:.1f} GiB")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dataset", "size"), CASES, ids=lambda value: str(value))
def test_paper_size_network_runs_from_its_imported_checkpoint(
    tmp_path: Path, name: str, dataset: str, size: tuple[int, int] | None
) -> None:
    assert paper_size("import", name, dataset, tmp_path)["peak_gib"] < LIMIT_GIB
    found = paper_size("forward", name, dataset, tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()  # gigabytes, which pytest would keep
    assert found["peak_gib"] < LIMIT_GIB
    assert found["finite"]
    assert found["spread"] > 0
    assert found["shape"][-2:] == list(size or (256, 512))
