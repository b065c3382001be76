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
from table_frames import at10, method_rows, per_scene

from bench.api.errors import BenchError
from bench.api.files import BLOCK
from bench.results import dataset
from bench.results.dataset import Only
from bench.results.files import read_results, write_one_file, write_results
from bench.results.gather import check_earlier
from bench.results.parquet import FACTS_KEY, intact, write_sealed
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
    rng = np.random.default_rng(0)
    (folder / ".provenance.json").unlink()  # of which the other would be made good
    for path in (*folder.rglob("*.parquet"), folder / "provenance.json"):
        data = path.read_bytes()
        for bit in rng.integers(8 * len(data), size=40):
            path.write_bytes(flipped(data, int(bit)))
            with pytest.raises(BenchError, match="is damaged"):
                method_rows(folder)
            with pytest.raises(BenchError, match="is damaged"):
                check_earlier(folder, [])
        path.write_bytes(data)
    assert method_rows(folder)[0]["value"].tolist() == [0.63, 0.41]


def test_what_is_not_read_is_not_verified_and_what_is_read_is(tmp_path: Path) -> None:
    """Filters leave groups of rows out: a damaged one is found by whoever reads it, and the manifest's own check."""
    scenes = {"a": np.random.default_rng(0).random(40_000)}
    rows = pd.concat([per_scene(scenes, metric=metric) for metric in ("one", "two")], ignore_index=True)
    write_results(rows, FACTS, tmp_path)
    (path,) = (tmp_path / "rows").rglob("scenes-*.parquet")
    data = path.read_bytes()
    assert len(data) > 2 * BLOCK
    path.write_bytes(flipped(data, 8 * 1000))  # of the first metric
    kept, _ = read_results(tmp_path, only=Only(lambda known: {"two"}))
    assert np.array_equal(kept["by_scene"].iloc[-1].to_numpy(), scenes["a"])
    for only in (Only(), Only(lambda known: {"one"})):
        with pytest.raises(BenchError, match="is damaged"):
            read_results(tmp_path, only=only)
    with pytest.raises(BenchError, match="is damaged"):
        check_earlier(tmp_path, [])


def test_only_the_methods_and_psnrs_asked_for_are_read_and_always_pure_noise(tmp_path: Path) -> None:
    rows = pd.concat([at10({"gesco": 0.6, "spade": 0.4}), at10({"gesco": 0.5}).assign(psnr=1.0)])
    noise = at10({"pure_noise": 0.0}).assign(channel="none", psnr=np.nan)
    write_results(pd.concat([rows, noise], ignore_index=True), FACTS, tmp_path)
    (path,) = (tmp_path / "rows").rglob("method=spade/*.parquet")
    path.write_bytes(flipped(path.read_bytes(), 100))  # which nobody asks for
    kept, _ = read_results(tmp_path, only=Only(methods=lambda known: [name for name in known if name == "gesco"]))
    assert kept["value"].tolist() == [0.6, 0.5, 0.0]
    kept, _ = read_results(tmp_path, only=Only(methods=lambda known: ["gesco"], psnrs=[1.0]))
    assert kept["value"].tolist() == [0.5, 0.0]


def test_no_flipped_bit_of_one_file_of_an_earlier_version_goes_unnoticed(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "old" / "results.parquet"
    write_one_file(folder, path)
    data = path.read_bytes()
    assert intact(data)
    assert not [bit for bit in range(3, 8 * len(data), 8) if intact(flipped(data, bit))]  # one bit of every byte
    for bit in np.random.default_rng(0).integers(8 * len(data), size=60):
        path.write_bytes(flipped(data, int(bit)))
        with pytest.raises(BenchError, match="is damaged"):
            method_rows(path.parent)
    path.write_bytes(data)
    assert method_rows(path.parent)[0]["value"].tolist() == [0.63, 0.41]


def test_one_file_of_an_earlier_version_becomes_a_data_set_that_says_the_same(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    rows, facts = method_rows(folder)
    old = tmp_path / "old"
    write_one_file(folder, old / "results.parquet")
    (old / "results.csv").write_text("of the same version")
    was = cli("table", "mIoU", "--out", str(old)).out
    answer = cli("merge", str(old), "--out", str(old))
    assert answer.code == 0, answer.err
    assert not list(old.glob("results.*"))
    assert cli("table", "mIoU", "--out", str(old)).out == was
    pd.testing.assert_frame_equal(method_rows(old)[0], rows)
    assert method_rows(old)[1] == facts


def test_a_kill_between_the_files_leaves_the_old_results_or_the_new_ones(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    write_one_file(folder, old / "results.parquet")
    (old / "provenance.json").write_text("{}")  # as earlier versions wrote it beside

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for what in ("write_atomically", "remove_others"):
        with monkeypatch.context() as patch:
            patch.setattr(dataset, what, killed)
            with pytest.raises(KeyboardInterrupt):
                write_results(ROWS.assign(value=[0.5, 0.6]), FACTS, old)
        assert method_rows(old)[0]["value"].tolist() == ([0.63, 0.41] if what == "write_atomically" else [0.5, 0.6])
    write_results(ROWS, FACTS, old)
    assert method_rows(old)[0]["value"].tolist() == [0.63, 0.41]
    named = json.loads((old / "provenance.json").read_text())["parts"]
    files = {path.relative_to(old).as_posix() for path in old.rglob("*.parquet")}
    assert files == {name for part in named for name in part["files"]}


@pytest.mark.parametrize(
    "command",
    [("table", "mIoU", "--out"), ("plot", "--out"), ("sheet", "--out"), ("regress", "--baseline"),
     ("leaderboard", "build", "--out", "site", "--results")],
)  # fmt: skip
def test_every_reader_refuses_damaged_results_in_one_line(cli: Cli, folder: Path, command: tuple[str, ...]) -> None:
    path = next(folder.rglob("set-*.parquet"))
    path.write_bytes(flipped(path.read_bytes(), 8 * 200))
    answer = cli(*command, str(folder))
    assert answer.code in (1, 2)
    (line,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert f"{path.name} is damaged: it is not what was written (its SHA-256 differs)" in line


def test_a_broken_provenance_json_is_an_error(folder: Path) -> None:
    file = folder / "provenance.json"
    text = file.read_text()
    ran = text.replace("bench run", "bench ran")
    for broken in (ran, text[:-20], "[]", "[" * 100_000, text.replace("{", "\x00"), text.replace("rows/", "../rows/")):
        file.write_text(broken)
        with pytest.raises(BenchError, match=r"provenance\.json is damaged"):
            method_rows(folder)
    file.write_text(text)
    method_rows(folder)


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
    table = pa.Table.from_pandas(ROWS, preserve_index=False)
    write_sealed(tmp_path / "results.parquet", [table], {"schema": 2, "runs": 3}, [])
    with pytest.raises(BenchError, match="not as `bench run` writes results"):
        method_rows(tmp_path)
