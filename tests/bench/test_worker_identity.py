"""A worker that would compute something else than was planned refuses: nothing is stored under the plan's digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_fakes
import pytest

import bench.run.runner
from bench.config import load_config
from bench.run.plan import Plan, make_plan
from bench.run.runner import RunReport, run_plan
from bench.run.worker import WORKER


def plan_of(**run: Any) -> Plan:
    config = load_config()
    return make_plan(config.model_copy(update={"run": config.run.model_copy(update={"psnr": (10.0,), **run})}))


def run(plan: Plan, out: Path) -> RunReport:
    WORKER.__init__()  # type: ignore[misc]  # nothing kept from other tests, as in a process of its own
    return run_plan(plan, out, 1, 8, "sequential")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights file of `fake_pixels`."""
    file = tmp_path / "weights"
    file.write_bytes(b"first")
    digest = property(lambda self: hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(bench_fakes.FakePixels, "weights_digest", lambda self: digest.fget(self))  # type: ignore[misc]
    return file


def test_weights_replaced_since_the_plan_are_refused_with_both_digests(fakes: Path, weights: Path) -> None:
    plan = plan_of()
    planned, found = (hashlib.sha256(text).hexdigest() for text in (b"first", b"second"))
    weights.write_bytes(b"second")
    report = run(plan, fakes / "out")
    ((what, message, _),) = [failure for failure in report.failures if "fake_pixels" in failure[0]]
    assert what.startswith("fake_pixels on streets")
    assert f"fake_pixels is not what was planned: weights_sha256 {planned} in the plan, {found} here" in message
    assert not list((fakes / "out" / "cells").rglob("manifest.json"))
    weights.write_bytes(b"first")
    assert run(plan, fakes / "out").failures == []


def test_another_version_of_a_methods_code_is_refused(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    monkeypatch.setattr(bench_fakes.FakePixels, "code_version", 7)
    report = run(plan, fakes / "out")
    assert any("code_version 1 in the plan, 7 here" in message for _, message, _ in report.failures)
    assert not list((fakes / "out" / "cells").rglob("manifest.json"))


def test_another_version_of_a_metric_is_refused(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    monkeypatch.setattr(bench_fakes.FakeMse, "code_version", 7)
    report = run(plan, fakes / "out")
    assert any("FakeMSE is not what was planned: code_version 1 in the plan, 7" in m for _, m, _ in report.failures)
    assert not list((fakes / "out" / "metrics").rglob("manifest.json"))


def test_a_worker_with_other_code_or_packages_refuses(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    facts = bench.run.runner.code_provenance()
    other = {**facts, "source_sha256": "f" * 64, "packages": {**facts["packages"], "torch": "1.0"}}
    monkeypatch.setattr(bench.run.runner, "code_provenance", lambda: other)
    report = run(plan, fakes / "out")
    assert len(report.failures) == 2  # the cell and its reference
    for _, message, _ in report.failures:
        assert "this worker's code is not that of the plan: torch 1.0 in the plan" in message
        assert f"source {'f' * 12} in the plan, {facts['source_sha256'][:12]} here" in message
    assert not list((fakes / "out" / "cells").rglob("manifest.json"))


def test_pure_noise_needs_no_identity_of_a_method(fakes: Path) -> None:
    plan = plan_of()
    assert run(replace(plan, cells=()), fakes / "out").failures == []
