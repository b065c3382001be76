"""What is read as results is what was written: every byte counts, files of different runs are noticed, and what is no
results file is one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Answer
from table_frames import at10, method_rows

from bench.api.errors import BenchError
from bench.results.files import write_results
from bench.results.parquet import FACTS_KEY, intact, pack
from bench.results.schema import COLUMNS, CONTRIBUTIONS

Cli = Callable[..., Answer]
ROWS = at10({"gesco": 0.63, "spade": 0.41}, std=0.1)
FACTS = {"datasets": {"streets": {"fingerprint": "f"}}, "metrics": {}, "methods": {}, "command": "bench run"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_results(ROWS, FACTS, tmp_path / "o")
    return tmp_path / "o"


def flipped(data: bytes, bit: int) -> bytes:
    made = bytearray(data)
    made[bit // 8] ^= 1 << bit % 8
    return bytes(made)


def as_schema_1(folder: Path, frame: pd.DataFrame, facts: object = FACTS) -> Path:
    """Results as they were written before there were digests."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {FACTS_KEY: json.dumps(facts).encode()}
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(told)
    pq.write_table(table, folder / "results.parquet")
    (folder / "provenance.json").unlink(missing_ok=True)
    return folder


def test_no_flipped_bit_of_the_results_goes_unnoticed(folder: Path) -> None:
    path = folder / "results.parquet"
    data = path.read_bytes()
    assert intact(data)
    assert not [bit for bit in range(3, 8 * len(data), 8) if intact(flipped(data, bit))]  # one bit of every byte
    (folder / "provenance.json").unlink()  # the file alone tells
    for bit in np.random.default_rng(0).integers(8 * len(data), size=60):
        path.write_bytes(flipped(data, int(bit)))
        with pytest.raises(BenchError, match="is damaged"):
            method_rows(folder)
    path.write_bytes(data)
    assert method_rows(folder)[0]["value"].tolist() == [0.63, 0.41]


@pytest.mark.parametrize(
    "command",
    [("table", "mIoU", "--out"), ("plot", "--out"), ("sheet", "--out"), ("regress", "--baseline"),
     ("leaderboard", "build", "--out", "site", "--results")],
)  # fmt: skip
def test_every_reader_refuses_damaged_results_in_one_line(cli: Cli, folder: Path, command: tuple[str, ...]) -> None:
    path = folder / "results.parquet"
    path.write_bytes(flipped(path.read_bytes(), 8 * 200))
    answer = cli(*command, str(folder))
    assert answer.code in (1, 2)
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert "results.parquet is damaged: it is not what was written (its SHA-256 differs)" in line


def test_a_broken_provenance_json_is_an_error(folder: Path) -> None:
    file = folder / "provenance.json"
    text = file.read_text()
    for broken in (text.replace("bench run", "bench ran"), text[:-20], "[]", "[" * 100_000, text.replace("{", "\x00")):
        file.write_text(broken)
        with pytest.raises(BenchError, match=r"provenance\.json is damaged"):
            method_rows(folder)
    file.write_text(text)
    method_rows(folder)


def test_files_of_different_runs_are_noticed_and_the_next_run_makes_them_good(
    cli: Cli, fakes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left of a run that was killed between writing its files."""
    out = fakes / "o"
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    old = {name: (out / name).read_bytes() for name in ("provenance.json", "results.csv")}
    assert cli("run", "--psnr", "5", "--out", "o").code == 0
    (out / "provenance.json").write_bytes(old["provenance.json"])
    answer = cli("table", "FakeMSE", "--out", "o")
    assert answer.code == 1
    assert "provenance.json is of another run than results.parquet beside it" in answer.err
    assert cli("run", "--psnr", "5", "--out", "o").code == 0
    assert cli("table", "FakeMSE", "--out", "o").out.splitlines()[0].split() == ["FakeMSE", "↓", "10", "5"]
    (out / "results.csv").write_bytes(old["results.csv"])
    assert "results.csv is of another run than results.parquet" in cli("table", "FakeMSE", "--out", "o").err


def test_results_without_a_digest_are_read_and_said_to_be_unverified(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = ROWS.drop(columns=["cell", "scene_count"])
    rows, facts = method_rows(as_schema_1(tmp_path, old))
    assert rows["value"].tolist() == [0.63, 0.41]
    assert rows["scene_count"].tolist() == [32, 32]
    assert [run["command"] for run in facts["runs"]] == ["bench run"]
    assert "without a digest" in caplog.text


REFUSED = {
    "has schema 3, and this gesco-bench reads schemas up to 2": (ROWS, {**FACTS, "schema": 3}),
    "damaged or not ours": (ROWS, []),
    "its seal (SHA-256) is missing": (ROWS, {**FACTS, "schema": 2}),
    "not as `bench run` writes results": (ROWS, {**FACTS, "methods": 7}),
    "lacks the column(s) metric": (ROWS.drop(columns="metric"), FACTS),
    "column value: not all are numbers": (ROWS.assign(value="0.5"), FACTS),
    "5) is not printable text of 1 to 300 characters": (ROWS.assign(method=5), FACTS),
    "column psnr: not all are numbers": (ROWS.assign(psnr=True), FACTS),
    "column higher_is_better: not all are true or false": (ROWS.assign(higher_is_better=1.0), FACTS),
    "column size: '64' is no height and width": (ROWS.assign(size="64"), FACTS),
    r"column method: 'a\x1b[31mred' is not printable text": (ROWS.assign(method="a\x1b[31mred"), FACTS),
    r"column protocol: 'a\nb' is not printable text": (ROWS.assign(protocol="a\nb"), FACTS),
    "is not printable text of 1 to 300": (ROWS.assign(scene="s" * 301), FACTS),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_no_results_file_is_one_line_that_says_why(cli: Cli, tmp_path: Path, told: str) -> None:
    frame, facts = REFUSED[told]
    answer = cli("table", "mIoU", "--out", str(as_schema_1(tmp_path / "o", frame, facts)))
    assert answer.code == 1
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert told in line
    assert line.isprintable()


def test_a_column_that_we_do_not_know_is_left_alone(tmp_path: Path) -> None:
    more = ROWS.assign(note="x", when=pd.Timestamp("2026-01-01"), parts=[[1], [2]])
    rows, _ = method_rows(as_schema_1(tmp_path, more))
    assert tuple(rows.columns) == (*COLUMNS, CONTRIBUTIONS)


def test_escape_sequences_in_the_provenance_do_not_reach_a_terminal(tmp_path: Path) -> None:
    facts = {**FACTS, "command": "bench run \x1b[2J", "notes": ["two\nlines \u202e"]}
    _, told = method_rows(as_schema_1(tmp_path, ROWS, facts))
    assert told["command"] == r"bench run \x1b[2J"
    assert told["notes"] == [r"two lines \u202e"]


def test_a_sealed_file_with_a_strange_provenance_is_refused(tmp_path: Path) -> None:
    """A seal shows that nothing changed, not who wrote it."""
    data = pack(pa.Table.from_pandas(ROWS, preserve_index=False), {"schema": 2, "runs": 3}, [], [])
    (tmp_path / "results.parquet").write_bytes(data)
    with pytest.raises(BenchError, match="not as `bench run` writes results"):
        method_rows(tmp_path)
