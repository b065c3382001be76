"""The command line: quick help, one-line errors with exit codes, and one folder that all commands agree on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Answer, manifests

Cli = Callable[..., Answer]

MISTAKES = {
    ("run", "--methods", "fake_pixel"): "unknown method 'fake_pixel'; did you mean 'fake_pixels'?",
    ("run", "--methods", "fake_pixels:gian=2"): "did you mean 'gain'?",
    ("run", "--datasets", "street"): "unknown data set 'street'; did you mean 'streets'?",
    ("run", "--psnr", "12"): "unknown PSNR 12: the paper's calibration lists 100, 30, 20, 15, 10, 5, 1",
    ("run", "--psnr", "ten"): "--psnr 'ten' is not a number",
    ("run", "--metrics", "FakeMES"): "unknown metric 'FakeMES'; did you mean 'FakeMSE'?",
    ("run", "--split", "tset"): "unknown split 'tset' of streets; did you mean 'test'?",
    ("run", "--seeds", "a"): "--seeds 'a' is not a whole number",
    ("run", "--scenes", "0"): "--scenes: Input should be greater than or equal to 1 (got 0)",
    ("run", "--calibration", "papr"): "unknown calibration 'papr'; did you mean 'paper'?",
    ("run", "--power", "mean"): "unknown power convention 'mean'",
    ("run", "--device", "cpuu"): "unknown device 'cpuu'; did you mean 'cpu'?",
    ("run", "--device", "cuda:97"): "device 'cuda:97' is not visible",
    ("run", "--backend", "loki", "--jobs", "2"): "unknown backend 'loki'; did you mean 'loky'?",
    ("run", "--backend", "dask"): "unknown backend 'dask'; known: loky, threading, sequential",
    ("run", "--cluster", "slrum"): "unknown cluster 'slrum'; did you mean 'slurm'?",
    ("run", "--cluster", "local:x"): "local takes a number of workers, as in local:4",
    ("run", "--cluster", "local:2", "--device", "cuda:0"): "unknown device 'cuda:0' of a cluster's workers",
    ("run", "--cluster", "local:2", "--detach"): "--detach leaves cells to a running scheduler: name one",
    ("run", "--cluster", "slurm"): "--cluster slurm: there is no `sbatch` here",
    ("run", "--cluster", "slurm", "--jobs", "0"): "say with --jobs how many workers to ask SLURM for",
    ("run", "--detach"): "--detach leaves cells to a running scheduler: name one with --cluster tcp://HOST:8786",
    ("run", "--config", "absent.toml"): "there is no configuration file absent.toml",
    ("table", "FakeMSE", "--out", "nowhere"): "there are no results in nowhere",
    ("plot", "--out", "nowhere"): "there are no results in nowhere",
    ("plot", "bist", "--out", "nowhere"): "unknown figure 'bist'; did you mean 'bits'?",
    ("plot", "--format", "gif", "--out", "nowhere"): "unknown format 'gif'",
    ("sheet", "--out", "nowhere"): "there are no results in nowhere",
    ("sheet", "--out", "a" * 5000): f"there can be no {'a' * 80}...: the name is too long",
    ("plot", "--out", "a" * 5000): "the name is too long",
    ("sheet", "--psnr", "x"): "--psnr 'x' is not a number",
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=lambda arguments: " ".join(arguments)[:60])
def test_mistakes_are_one_line_and_exit_code_two(cli: Cli, fakes: Path, arguments: tuple[str, ...]) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert MISTAKES[arguments] in lines[0]
    assert manifests(fakes) == {}


def test_an_unknown_key_in_bench_toml_is_one_line_too(cli: Cli, fakes: Path) -> None:
    (fakes / "bench.toml").write_text("[run]\nsceens = 3\n")
    answer = cli("run")
    assert (answer.code, answer.err) == (
        2,
        "error: unknown key 'sceens' in [run] of bench.toml; did you mean 'scenes'?\n",
    )


def test_a_missing_data_root_is_named_with_its_remedy(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GESCO_BENCH_CITYSCAPES_ROOT", raising=False)
    answer = cli("run", "--datasets", "cityscapes")
    assert answer.code == 1
    assert answer.err.startswith("error: cityscapes needs a data root: give --root FOLDER")
    assert answer.err.count("\n") == 1
    answer = cli("run", "--datasets", "cityscapes", "--root", "/absent")
    assert answer.code == 1
    assert "/absent" in answer.err


def test_one_root_for_two_data_sets_is_refused(cli: Cli) -> None:
    answer = cli("run", "--datasets", "cityscapes,camvid", "--root", ".")
    assert answer.code == 2
    assert "--root belongs to one data set" in answer.err


@pytest.mark.parametrize("arguments", [(), ("run",), ("table",), ("plot",), ("sheet",), ("doctor",), ("data",)])
def test_help_is_there_for_every_command(cli: Cli, arguments: tuple[str, ...]) -> None:
    answer = cli(*arguments, "--help")
    assert answer.code == 0
    assert "Usage:" in answer.out


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv = ['bench', '--help']\n"
        "from bench.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'seaborn', 'joblib', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_a_dry_run_tells_the_plan_and_touches_nothing(cli: Cli, fakes: Path) -> None:
    answer = cli("run", "--psnr", "10,5", "--out", "o", "--dry-run")
    assert answer.code == 0
    assert "fake_pixels on streets, awgn-paper-peak@10, seed 0: to compute, about 3 s (a guess)" in answer.out
    assert "2 cells, 0 cached" in answer.out
    assert "3 scenes of split test at 32x64" in answer.out
    assert not (fakes / "o").exists()
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    answer = cli("run", "--psnr", "10,5", "--metrics", "FakeMSE,FakeFID", "--out", "o", "--dry-run")
    assert "awgn-paper-peak@10, seed 0: cached, to measure: FakeFID[tiny]" in answer.out
    assert "2 cells, 1 cached" in answer.out
    assert "guess" not in answer.out  # the first cell's seconds are the estimate for the second


def test_commands_read_the_last_run_or_the_folder_they_are_given(cli: Cli, fakes: Path) -> None:
    assert "there are no results in results" in cli("table", "bits").err
    assert cli("run", "--psnr", "10", "--out", "first").code == 0
    assert cli("run", "--psnr", "5", "--out", "second").code == 0
    assert cli("table", "FakeMSE").out.splitlines()[0].split() == ["FakeMSE", "↓", "5"]
    assert cli("table", "FakeMSE", "--out", "first").out.splitlines()[0].split() == ["FakeMSE", "↓", "10"]


def test_a_run_ends_with_where_things_are(cli: Cli, fakes: Path) -> None:
    answer = cli("run", "--psnr", "10", "--out", "o")
    for told in ("1 cells: 1 computed, 0 from the cache", "o/rows", "o/draws", "o/provenance.json", "o/cells"):
        assert told in answer.out


def test_doctor_names_every_gap_and_exits_with_zero(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GESCO_BENCH_CAMVID_ROOT", raising=False)
    answer = cli("doctor")
    assert answer.code == 0
    assert "ok   streets at 32x64, rendered on demand" in answer.out
    assert "gap  camvid needs a data root" in answer.out
    assert re.match(r"ready: streets with \d+ methods and \d+ metrics; streets_wide with .*; stuff with ", answer.out)
    ready, gaps = answer.out.split("\noptional gaps\n")
    assert "gap  " not in ready
    assert "ok   " not in gaps
    names = [line.split(":")[0] for line in gaps.splitlines() if line.startswith("  gap  ")]
    assert len(names) == len(set(names))
    assert "ok   fake_pixels: needs no weights, scale embedded" in answer.out
    assert "gap  FakeMisfit: no judge for streets" in answer.out
    assert "ok   FakeMSE: mean over pixels" in answer.out
