"""One number counts once: what is named twice runs once, and all readers refuse results that hold a row twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import TOML, Answer
from table_frames import at10, method_rows

from bench.api.errors import BenchError
from bench.results.dataset import RESULTS
from bench.results.files import write_results
from bench.results.parquet import FACTS_KEY
from bench.results.schema import ROW

Cli = Callable[..., Answer]
ONCE = ("run", "--methods", "fake_pixels,fake_maps", "--psnr", "100,10", "--seeds", "0,1", "--out", "once")


def numbers(folder: Path) -> pd.DataFrame:
    """The rows but for what a clock or the memory says."""
    rows, _ = method_rows(folder)
    return rows[~rows["metric"].isin(["seconds", "memory"])].reset_index(drop=True)


def test_what_the_command_line_names_twice_counts_once(cli: Cli, fakes: Path) -> None:
    assert cli(*ONCE).code == 0
    twice = cli(
        "run", "--methods", "fake_pixels,fake_maps,fake_pixels", "--psnr", "100,10,10.0,1e1", "--seeds", "0,0,0,0,1",
        "--metrics", "FakeMSE,fakemse", "--datasets", "streets,streets", "--out", "twice",
    )  # fmt: skip
    assert twice.code == 0, twice.err
    assert "8 cells:" in twice.out
    pd.testing.assert_frame_equal(numbers(fakes / "once"), numbers(fakes / "twice"))
    table = cli("table", "FakeMSE", "--out", "once").out
    assert table == cli("table", "FakeMSE", "--out", "twice").out
    assert "seeds 0, 1" in table


def test_what_bench_toml_names_twice_counts_once(cli: Cli, fakes: Path) -> None:
    assert cli(*ONCE).code == 0
    lists = 'seeds = [0, 0, 0, 0, 1]\npsnr = [100, 10, 10.0]\ndatasets = ["streets", "streets"]\n'
    toml = TOML.replace("[run]", f"[run]\n{lists}").replace('["fake_pixels"]', '["fake_pixels", "fake_maps", "all"]')
    toml = toml.replace('"all"', '"fake_maps"').replace('["FakeMSE"]', '["FakeMSE", "FakeMSE"]')
    (fakes / "bench.toml").write_text(toml)
    assert cli("run", "--out", "twice").code == 0
    pd.testing.assert_frame_equal(numbers(fakes / "once"), numbers(fakes / "twice"))


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """A folder of results in which one row stands twice, written around the check."""
    folder = tmp_path / "doubled"
    rows = at10({"a": 0.5, "b": 0.4})
    facts = {"datasets": {"streets": {"fingerprint": "0" * 64}}, "metrics": {}}
    folder.mkdir()
    table = pa.Table.from_pandas(pd.concat([rows, rows.iloc[1:]]), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({FACTS_KEY: json.dumps(facts).encode()}), folder / RESULTS)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("table", "mIoU", "--out"),
        ("plot", "psnr", "--out"),
        ("sheet", "--out"),
        ("leaderboard", "build", "--out", "site", "--results"),
        ("regress", "--baseline"),
    ],
)
def test_whatever_reads_results_refuses_a_row_that_is_there_twice(
    cli: Cli, doubled: Path, command: tuple[str, ...]
) -> None:
    answer = cli(*command, str(doubled))
    assert answer.code in (1, 2)
    assert "has 1 row(s) twice" in answer.err
    assert "method b" in answer.err
    assert "Traceback" not in answer.err


def test_no_row_is_written_twice(tmp_path: Path) -> None:
    rows = at10({"a": 0.5})
    with pytest.raises(BenchError, match=r"1 row\(s\) twice"):
        write_results(pd.concat([rows, rows]), {}, tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("column", ROW)
def test_rows_that_differ_in_anything_that_names_them_are_no_duplicates(tmp_path: Path, column: str) -> None:
    rows = at10({"a": 0.5})
    others = {"psnr": 7, "seed": 7, "scene_count": 7, "size": "7x7"}
    other = rows.assign(**{column: others.get(column, "other")})
    write_results(pd.concat([rows, other]), {}, tmp_path)
    assert len(method_rows(tmp_path)[0]) == 2
