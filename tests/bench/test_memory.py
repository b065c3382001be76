"""The memory that a cell takes is measured between two moments, not since the process began."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

import bench.api.device
from bench.api.device import PeakMemory

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux sets the mark back")


def taken_and_given_back(mib: int) -> None:
    """Memory straight from the system: an allocator may keep what it is given back, as its environment tells it to."""
    with mmap.mmap(-1, mib * 2**20) as pages:
        for start in range(0, len(pages), mmap.PAGESIZE):
            pages[start] = 1


@linux
def test_the_peak_is_of_what_was_allocated_since() -> None:
    taken_and_given_back(128)
    before = PeakMemory("cpu")
    start = before.mib()
    assert start is not None
    taken_and_given_back(64)
    peak = before.mib()
    assert peak is not None
    assert 60 < peak - start < 100
    after = PeakMemory("cpu").mib()
    assert after is not None
    assert after < peak - 50


def test_a_system_that_does_not_tell_gives_no_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench.api.device, "_RESET", tmp_path / "absent" / "clear_refs")
    assert PeakMemory("cpu").mib() is None
    monkeypatch.setattr(bench.api.device, "_RESET", tmp_path / "clear_refs")
    monkeypatch.setattr(bench.api.device, "_STATUS", tmp_path / "status")
    (tmp_path / "status").write_text("Name: x\n")
    assert PeakMemory("cpu").mib() is None
