"""A start trusts what was verified before, and no byte becomes a number that is not what was written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer, pictures
from table_frames import all_rows

import bench.results.files
import bench.results.rows
import bench.run.verified
from bench.api.files import Entry
from bench.run.verified import FILE

Cli = Callable[..., Answer]
RUN = ("run", "--psnr", "10,5", "--metrics", "FakeMSE,FakeRatio", "--out", "o")


@pytest.fixture
def finished(cli: Cli, fakes: Path) -> Path:
    assert cli(*RUN).code == 0
    return fakes / "o"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sealed folders of which every byte is read."""
    found: list[Path] = []
    verify = Entry.verify

    def told(self: Entry) -> None:
        found.append(self.path)
        verify(self)

    monkeypatch.setattr(Entry, "verify", told)
    return found


def folders(out: Path) -> list[Path]:
    return sorted(file.parent for file in out.rglob("manifest.json"))


def test_a_start_reads_nothing_that_was_verified_and_verify_reads_all(
    cli: Cli, finished: Path, verified: list[Path]
) -> None:
    assert "0 computed, 2 from the cache" in cli(*RUN).out
    assert not verified
    assert "0 computed, 2 from the cache" in cli(*RUN, "--verify").out
    assert sorted(verified) == folders(finished)


def test_what_has_another_size_or_time_is_read_again(cli: Cli, finished: Path, verified: list[Path]) -> None:
    touched = next((finished / "cells").rglob("pack.zip"))
    os.utime(touched)
    assert "0 computed, 2 from the cache" in cli(*RUN).out
    assert verified == [touched.parent]


@pytest.mark.parametrize("what", ["pack.zip", "manifest.json"])
def test_a_flipped_byte_whose_file_keeps_its_time_of_change_is_found(cli: Cli, finished: Path, what: str) -> None:
    before, rows = pictures(finished), all_rows(finished)
    path = next((finished / "cells").rglob(what))
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = cli(*RUN)
    assert again.code == 0
    assert "1 computed, 1 from the cache" in again.out
    assert "damaged cache entry" in again.err
    assert pictures(finished) == before
    assert (
        all_rows(finished)["value"]
        .drop(rows.index[rows["metric"].isin(["seconds", "memory"])])
        .equals(rows["value"].drop(rows.index[rows["metric"].isin(["seconds", "memory"])]))
    )


def test_a_flipped_byte_that_no_time_tells_of_is_found_before_it_is_a_number(
    cli: Cli, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that forgets: size and times are those that were verified."""
    rows = all_rows(finished)
    states = bench.run.verified._states
    then = {folder: states(folder, [file.name for file in folder.iterdir()]) for folder in folders(finished)}
    monkeypatch.setattr(
        bench.run.verified, "_states", lambda folder, names: {name: then[folder][name] for name in names}
    )
    for path in (finished / "metrics").rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 4
            path.write_bytes(data)
    again = cli(*RUN, "--replace")  # which makes all rows of the cache
    assert again.code == 0, again.err
    assert "the cache has changed, every byte of it is read" in again.err
    clocked = rows["metric"].isin(["seconds", "memory"])
    assert all_rows(finished)[~clocked].equals(rows[~clocked])


def test_damage_to_the_record_costs_only_time(cli: Cli, finished: Path, verified: list[Path]) -> None:
    record = finished / FILE
    data = bytearray(record.read_bytes())
    for place in (3, len(data) // 2):
        record.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        verified.clear()
        assert "0 computed, 2 from the cache" in cli(*RUN).out
        assert sorted(verified) == folders(finished)


def test_rows_that_are_there_are_made_once(cli: Cli, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(
        "bench.results.gather.tidy_rows",
        lambda states, rows=bench.results.rows.tidy_rows: made.extend(states) or rows(states),
    )
    files = {path: path.stat().st_mtime_ns for path in finished.rglob("*.parquet")}
    assert cli(*RUN).code == 0
    assert not made
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.parquet")} == files
    assert cli(*RUN[:2], "10,5,1", *RUN[3:]).code == 0
    assert len(made) == 1


def test_rows_that_another_measurement_pushed_out_are_made_again(cli: Cli, finished: Path) -> None:
    rows = all_rows(finished)
    assert cli("run", "--psnr", "10,5", "--metrics", "FakeMSE", "--out", "o").code == 0
    assert cli(*RUN).code == 0
    clocked = rows["metric"].isin(["seconds", "memory"])
    key = ["psnr", "scene", "metric"]
    again = all_rows(finished)
    one, two = (frame[~frame["metric"].isin(["seconds", "memory"])].sort_values(key) for frame in (rows, again))
    assert one["value"].tolist() == two["value"].tolist()
    assert clocked.any()
