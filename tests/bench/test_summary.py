"""Summaries are apart from measurements: arrays once measured serve every later estimator, column and version."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import bench_fakes
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Answer
from scipy import stats
from table_frames import all_rows, method_rows

import bench.run.cell
from bench.api.files import Draft, Entry, open_entry
from bench.api.metric import MetricContext, Score
from bench.data.cityscapes import CITYSCAPES
from bench.results.schema import CONTRIBUTIONS
from bench.run.summary import left_out, packed, summarised, summary_version, unpacked
from metrics.stats.significance import standard_error

Cli = Callable[..., Answer]
RUN = ("run", "--metrics", "FakeMSE,FakeRatio", "--psnr", "10", "--scenes", "6", "--out", "o")


def entries(out: Path, metric: str = "") -> list[Entry]:
    found = [open_entry(file.parent) for file in sorted((out / "metrics").rglob(f"{metric}*/manifest.json"))]
    return [entry for entry in found if entry is not None]


def as_before(entry: Entry, out: Path) -> None:
    """Write a measurement as versions did that knew no summaries: one protocol and direction, arrays alone."""
    facts = {key: value for key, value in entry.manifest.items() if key not in ("schema", "files", "summary")}
    (protocol,) = set(facts["protocol"].values())
    scores = [{key: value for key, value in score.items() if key != "stderr"} for score in facts["scores"]]
    arrays = entry.read("arrays.npz")
    shutil.rmtree(entry.path)
    with Draft(out) as draft:
        draft.write("arrays.npz", arrays)
        draft.publish(entry.path, {**facts, "protocol": protocol, "higher_is_better": False, "scores": scores})


def nobody(*_: object, **__: object) -> NoReturn:
    raise AssertionError("pictures were looked at")


def test_measurements_of_earlier_versions_are_summarised_again_without_a_look_at_pictures(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*RUN).code == 0
    rows = all_rows(fakes / "o")
    made = {entry.path: entry for entry in entries(fakes / "o")}
    assert len(made) == 4  # two metrics, of the cell and of pure noise
    for entry in made.values():
        as_before(entry, fakes / "o")
    for kind in (bench_fakes.FakeMse, bench_fakes.FakeRatio):
        monkeypatch.setattr(kind, "measure", nobody)
    monkeypatch.setattr(bench.run.cell, "read_picture", nobody)
    again = cli(*RUN)
    assert again.code == 0, again.err
    for entry in entries(fakes / "o"):
        before = made[entry.path].manifest
        assert {k: v for k, v in entry.manifest.items() if k != "files"} == {
            k: v for k, v in before.items() if k != "files"
        }
    after = all_rows(fakes / "o")
    pictures = ~rows["metric"].isin(["seconds", "memory"])
    assert rows[pictures].drop(columns=CONTRIBUTIONS).equals(after[pictures].drop(columns=CONTRIBUTIONS))
    assert not list((fakes / "o" / "tmp").iterdir())


def test_a_picture_is_decoded_once_for_all_metrics_of_its_cell(cli: Cli, fakes: Path, monkeypatch: Any) -> None:
    decoded: list[str] = []
    read = bench.run.cell.read_picture

    def counting(pictures: Entry, position: int) -> np.ndarray:
        decoded.append(f"{pictures.path}, {position}")
        return read(pictures, position)

    monkeypatch.setattr(bench.run.cell, "read_picture", counting)
    assert cli(*RUN, "--seeds", "71").code == 0
    assert len(entries(fakes / "o")) == 4  # two metrics, of the cell and of pure noise
    assert len(set(decoded)) == len(decoded) >= 6


def test_another_summary_is_made_of_the_same_arrays_and_kept(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubled(self: bench_fakes.FakeRatio, measured: Mapping[str, np.ndarray]) -> list[Score]:
        return [Score(self.name, 2 * float(measured["error"].sum() / measured["power"].sum()), None, 6)]

    assert cli(*RUN).code == 0
    (entry,) = [e for e in entries(fakes / "o", "FakeRatio") if e.manifest["key"]["cell"]["spec"] == "fake_pixels"]
    monkeypatch.setattr(bench_fakes.FakeRatio, "measure", nobody)
    monkeypatch.setattr(bench_fakes.FakeRatio, "summarise", doubled)
    assert cli(*RUN).code == 0  # the version says that nothing changed
    assert open_entry(entry.path).manifest["scores"] == entry.manifest["scores"]  # type: ignore[union-attr]
    monkeypatch.setattr(bench_fakes.FakeRatio, "summary_version", 2)
    assert cli(*RUN).code == 0
    new = open_entry(entry.path)
    assert new is not None
    assert new.manifest["scores"][0]["value"] == pytest.approx(2 * entry.manifest["scores"][0]["value"])
    assert new.manifest["key"] == entry.manifest["key"]
    written = (entry.path / "manifest.json").stat().st_mtime_ns
    assert cli(*RUN).code == 0
    assert (entry.path / "manifest.json").stat().st_mtime_ns == written


def test_a_measurement_whose_arrays_are_damaged_is_measured_again(cli: Cli, fakes: Path) -> None:
    assert cli(*RUN).code == 0
    for entry in entries(fakes / "o"):
        as_before(entry, fakes / "o")
        data = bytearray((entry.path / "arrays.npz").read_bytes())
        data[60] ^= 1
        (entry.path / "arrays.npz").write_bytes(data)
    again = cli(*RUN)
    assert again.code == 0, again.err
    assert "damaged cache entry" in again.err
    assert all("summary" in entry.manifest for entry in entries(fakes / "o"))


def test_a_folder_is_replaced_only_where_it_is_the_one_that_was_meant(tmp_path: Path) -> None:
    def published(content: bytes, replaced: Entry | None = None) -> Entry:
        with Draft(tmp_path) as draft:
            draft.write("a", content)
            return draft.publish(tmp_path / "x", {}, replaced)

    first = published(b"1")
    assert published(b"2").read("a") == b"1"
    second = published(b"2", first)
    assert second.read("a") == b"2"
    assert published(b"3", first).read("a") == b"2"  # another run was faster
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def ratio() -> bench_fakes.FakeRatio:
    return bench_fakes.FakeRatio(MetricContext("streets", CITYSCAPES))


def test_standard_errors_are_those_of_leaving_scenes_out(ratio: bench_fakes.FakeRatio) -> None:
    rng = np.random.default_rng(0)
    measured = {"error": rng.gamma(2, 1, 50), "power": rng.gamma(4, 1, 50)}
    facts, kept = summarised(ratio, measured)
    whole = measured["error"].sum() / measured["power"].sum()
    without = [np.delete(measured["error"], k).sum() / np.delete(measured["power"], k).sum() for k in range(50)]
    np.testing.assert_allclose(kept["FakeRatio"], 49 * (whole - np.array(without)), rtol=1e-9)
    (score,) = facts["scores"]
    assert score["stderr"] == pytest.approx(standard_error(kept["FakeRatio"]))
    # of a ratio, to first order: the deviations from the ratio over the mean below
    linear = (measured["error"] - whole * measured["power"]) / measured["power"].mean()
    assert score["stderr"] == pytest.approx(stats.sem(linear), rel=0.03)
    assert score["std"] is None
    assert facts["summary"] == summary_version(ratio)
    json.dumps(facts, allow_nan=False)


def test_a_score_that_is_undefined_without_some_scene_has_no_standard_error(ratio: bench_fakes.FakeRatio) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        facts, kept = summarised(ratio, {"error": np.array([1.0, 0, 0]), "power": np.array([2.0, 0, 0])})
    assert kept == {}
    assert facts["scores"][0]["stderr"] is None
    assert left_out(ratio, {"error": np.ones(1), "power": np.ones(1)}, 1) == {}


def test_means_have_spread_and_standard_error_of_their_scenes(cli: Cli, fakes: Path) -> None:
    """`std` and `stderr` are two columns of results, each of them one thing: of metrics and of costs."""
    answer = cli("run", "--methods", "fake_maps", "--metrics", "FakeMSE", "--psnr", "10", "--scenes", "7", "--out", "o")
    assert answer.code == 0, answer.err
    rows, _ = method_rows(fakes / "o")
    for metric in ("FakeMSE", "bits", "channel_uses"):
        own = rows[rows["metric"] == metric]
        (whole,) = own[own["scene"] == "all"].to_dict("records")
        values = own[own["scene"] != "all"]["value"]
        assert len(values) == 7
        assert whole["std"] == pytest.approx(values.std(ddof=1))
        assert whole["stderr"] == pytest.approx(values.std(ddof=1) / math.sqrt(7))
        assert own[own["scene"] != "all"][["std", "stderr"]].isna().all(axis=None)
    assert {"value", "std", "stderr", "scenes"} <= set(pq.read_table(fakes / "o" / "rows").column_names)


def test_arrays_are_packed_without_loss() -> None:
    arrays: dict[str, Any] = {"a": np.arange(6).reshape(2, 3), "b[c]": np.array([np.nan, 1e-300])}
    back = unpacked(packed(arrays))
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
