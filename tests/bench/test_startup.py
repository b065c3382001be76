"""What only looks something up does not wait for libraries that compute: imports are counted, no clock is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: Libraries of networks, which take seconds to import.
NETWORKS = ("torch", "torchvision", "timm", "transformers", "lpips")
PLOTS = ("matplotlib", "seaborn")
_PROGRAM = """
import json, sys
from bench.cli import main
try:
    main()
finally:
    print(json.dumps([name for name in sys.modules if "." not in name]), file=sys.stderr)
"""
RUN = ("run", "--methods", "full_image,smis", "--psnr", "100", "--scenes", "2", "--metrics", "mIoU", "--device", "cpu")


def imported(*arguments: str) -> tuple[set[str], str]:
    """The top-level modules that a command imports, and what it prints."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.strip().splitlines()[-1])), done.stdout


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("startup")
    imported(*RUN, "--backend", "sequential", "--out", str(out))
    return out


def test_help_imports_no_numbers():
    modules, text = imported("--help")
    assert "run" in text
    assert modules.isdisjoint({*NETWORKS, *PLOTS, "numpy", "pandas", "pyarrow", "scipy"})


def test_a_plan_of_every_method_and_metric_imports_no_networks(tmp_path):
    modules, text = imported("run", "--dry-run", "--methods", "all", "--metrics", "all", "--out", str(tmp_path))
    assert "gesco on streets" in text
    assert modules.isdisjoint({*NETWORKS, *PLOTS, "pandas"})


def test_a_login_node_plans_for_gpus_that_it_does_not_have(tmp_path):
    (tmp_path / "bench.toml").write_text("[cluster]\ngpus = 1\n")
    there = ("--config", str(tmp_path / "bench.toml"), "--cluster", "slurm", "--jobs", "3", "--dry-run")
    modules, text = imported("run", "--methods", "gesco", "--psnr", "10", "--out", str(tmp_path), *there)
    assert "gesco on streets" in text
    assert "on 3 worker(s)" in text
    assert modules.isdisjoint(NETWORKS)


def test_a_cached_run_imports_neither_networks_nor_what_draws(computed):
    modules, text = imported(*RUN, "--out", str(computed))
    assert "2 cells: 0 computed, 2 from the cache" in text
    assert modules.isdisjoint({*NETWORKS, *PLOTS})


def test_a_plot_that_was_changed_is_drawn_again(computed):
    plot = next((computed / "plots").glob("*.png"))
    drawn = plot.read_bytes()
    plot.write_bytes(drawn[:-1])
    modules, _ = imported(*RUN, "--out", str(computed))
    assert "matplotlib" in modules
    assert plot.read_bytes() == drawn


@pytest.mark.parametrize("what", ["methods", "metrics", "datasets", "channels", "links", "samplers", "figures"])
def test_lists_import_no_networks(what):
    modules, text = imported("list", what)
    assert "what it is" in text
    assert modules.isdisjoint({*NETWORKS, *PLOTS, "pandas"})


def test_a_table_imports_no_networks():
    modules, text = imported("table", "mIoU", "--out", "results")
    assert "gesco" in text
    assert modules.isdisjoint({*NETWORKS, *PLOTS})
