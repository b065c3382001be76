"""Many runs in one folder: nothing of an earlier one is lost, nothing is there twice, and nothing that cannot be
compared stands in one table."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bench_fakes
import pandas as pd
import pytest
from conftest import Answer, manifests
from table_frames import all_rows, at10, method_rows

from bench.config import load_config
from bench.results.compute import compute
from bench.results.files import add_results, whole_results
from bench.results.merge import of_schema_1
from bench.run.execute import Outcome, Task
from bench.run.plan import make_plan
from bench.run.runner import _tasks

Cli = Callable[..., Answer]


def run(cli: Cli, *arguments: str, code: int = 0) -> Answer:
    answer = cli("run", "--out", "o", *arguments)
    assert answer.code == code, answer.err
    return answer


def cells(folder: Path) -> set[tuple[str, float, int]]:
    """(method, PSNR, number of scenes) of the results."""
    rows, _ = method_rows(folder)
    return set(rows[["method", "psnr", "scene_count"]].itertuples(index=False, name=None))


def heads(text: str) -> list[str]:
    """First words of the lines of a table."""
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def test_a_second_run_keeps_the_baselines_of_the_first(cli: Cli, fakes: Path) -> None:
    run(cli, "--methods", "fake_pixels", "--psnr", "10,5", "--metrics", "FakeMSE,LPIPS")
    second = run(cli, "--methods", "fake_maps", "--psnr", "10,5", "--metrics", "FakeMSE,LPIPS")
    assert {"fake_pixels", "fake_maps"} <= set(heads(second.out))  # the end of the run shows both
    assert cells(fakes / "o") == {(m, p, 3) for m in ("fake_pixels", "fake_maps") for p in (10.0, 5.0)}
    assert heads(cli("table", "FakeMSE", "--out", "o").out)[2:4] == ["fake_pixels", "fake_maps"]
    _, facts = method_rows(fakes / "o")
    assert [one["command"].split()[5] for one in facts["runs"]] == ["fake_pixels", "fake_maps"]
    assert [len(one["cell_ids"]) for one in facts["runs"]] == [2, 3]  # the second one's, and the pure noise of both
    assert all(one["commit"] == facts["commit"] for one in facts["runs"])
    assert len(facts["cell_folders"]) == 4
    assert all((fakes / "o" / folder).is_dir() for folder in facts["cell_folders"])


def test_the_same_run_again_changes_nothing(cli: Cli, fakes: Path) -> None:
    run(cli, "--psnr", "10,5")
    before = all_rows(fakes / "o")
    run(cli, "--psnr", "10,5")
    after, facts = all_rows(fakes / "o"), whole_results(fakes / "o")[1]
    assert before.drop(columns="contributions").equals(after.drop(columns="contributions"))
    assert len(facts["runs"]) == 1


def test_replace_leaves_nothing_of_earlier_runs(cli: Cli, fakes: Path) -> None:
    run(cli, "--psnr", "10")
    run(cli, "--psnr", "5", "--replace")
    assert cells(fakes / "o") == {("fake_pixels", 5.0, 3)}
    assert len(manifests(fakes / "o")) == 2  # their pictures stay in the cache


def test_a_metric_measured_later_stands_beside_the_others_of_its_cell(cli: Cli, fakes: Path) -> None:
    run(cli, "--psnr", "10", "--metrics", "FakeMSE")
    run(cli, "--psnr", "10", "--metrics", "FakeRatio")
    rows, facts = method_rows(fakes / "o")
    assert {"FakeMSE", "FakeRatio"} <= set(rows["metric"])
    assert len(facts["runs"]) == 2
    assert set(facts["sets"]["streets/test/32x64/3"]["metrics"]) == {"FakeMSE", "FakeRatio"}


def test_a_method_with_other_code_or_weights_replaces_its_cells_and_is_never_there_twice(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cli, "--methods", "fake_pixels,fake_maps", "--psnr", "10,5")
    monkeypatch.setattr(bench_fakes.FakePixels, "code_version", 7)
    monkeypatch.setattr(bench_fakes.FakePixels, "default_options", {"gain": 0.5})
    answer = run(cli, "--methods", "fake_pixels", "--psnr", "10")
    assert "fake_pixels on streets (3 scenes) has other weights, options or code now: 2 older cell(s)" in answer.err
    # the older cell at PSNR 5 is of another fake_pixels: in one row with the new one it would say something wrong
    assert cells(fakes / "o") == {("fake_pixels", 10.0, 3), ("fake_maps", 10.0, 3), ("fake_maps", 5.0, 3)}
    rows, facts = method_rows(fakes / "o")
    assert not rows.duplicated(["method", "psnr", "seed", "scene", "metric"]).any()
    assert facts["sets"]["streets/test/32x64/3"]["methods"]["fake_pixels"]["code_version"] == 7
    assert len(facts["cell_folders"]) == 3


def test_a_metric_that_measures_otherwise_is_not_mixed_with_its_older_numbers(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cli, "--methods", "fake_pixels,fake_maps", "--psnr", "10")
    monkeypatch.setattr(bench_fakes.FakeMse, "protocol", "sum over pixels")
    answer = run(cli, "--methods", "fake_pixels", "--psnr", "10")
    assert "FakeMSE on streets (3 scenes) is measured otherwise now" in answer.err
    rows, _ = method_rows(fakes / "o")
    assert set(rows[rows["metric"] == "FakeMSE"]["method"]) == {"fake_pixels"}
    assert set(rows[rows["metric"] == "bits"]["method"]) == {"fake_pixels", "fake_maps"}


def test_a_trial_of_few_scenes_does_not_mix_with_the_real_run(cli: Cli, fakes: Path) -> None:
    run(cli, "--psnr", "10", "--scenes", "3")
    alone = cli("table", "FakeMSE", "--out", "o").out
    run(cli, "--methods", "fake_pixels,fake_maps", "--psnr", "10", "--scenes", "2")
    both = cli("table", "FakeMSE", "--out", "o").out
    assert both.startswith(alone)
    assert "3 scenes" in alone
    assert "2 scenes" in both.removeprefix(alone)
    assert cli("plot", "--metrics", "FakeMSE", "--out", "o", "--to", "f", "--format", "png").code == 0
    assert len(list((fakes / "f").glob("*.png"))) == 2
    assert cli("sheet", "--out", "o", "--to", "s", "--psnr", "10").code == 0
    assert sorted(file.name for file in (fakes / "s").iterdir()) == [
        "sheet-streets-test-32x64-2.png", "sheet-streets-test-32x64-3.png",
    ]  # fmt: skip


def test_seeds_that_only_some_methods_have_are_said(cli: Cli) -> None:
    run(cli, "--methods", "fake_pixels,fake_maps", "--psnr", "10")
    run(cli, "--methods", "fake_maps", "--psnr", "10", "--seeds", "1")
    table = cli("table", "FakeMSE", "--out", "o", "--format", "md").out
    assert "seeds 0, 1;" in table
    assert "Not over all of these seeds: fake_pixels (0)." in table


def test_damaged_rows_of_other_cells_are_told_of_before_anything_is_computed(cli: Cli, fakes: Path) -> None:
    run(cli, "--psnr", "10")
    path = next((fakes / "o" / "rows").rglob("method=fake_pixels/set-*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    answer = run(cli, "--psnr", "5", code=1)
    assert ".parquet is damaged" in answer.err
    assert "1 of the cells that it is about are not among those of this run" in answer.err
    assert "--replace" in answer.err
    assert len(manifests(fakes / "o")) == 1
    run(cli, "--psnr", "5", "--replace")
    assert cells(fakes / "o") == {("fake_pixels", 5.0, 3)}


def test_any_damaged_file_of_the_results_is_made_good_by_the_run_that_wrote_it(cli: Cli, fakes: Path) -> None:
    run(cli, "--methods", "fake_pixels,fake_maps", "--psnr", "10,5")
    out = fakes / "o"
    files = {path: path.read_bytes() for room in ("rows", "draws") for path in (out / room).rglob("*.parquet")}
    files[out / "provenance.json"] = b""
    whole = all_rows(out)
    for number, (path, data) in enumerate(files.items()):
        flipped = bytearray(path.read_bytes())
        flipped[len(flipped) // 2] ^= 1 << number % 8
        path.write_bytes(flipped[: len(flipped) - number % 2])
        answer = cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "10,5", "--out", "o")
        assert answer.code == 0, answer.err
        assert f"{path.relative_to(fakes)} " in answer.err
        assert "made anew of its cells" in answer.err or "made good from its copy" in answer.err
        assert "4 cells: 0 computed, 4 from the cache" in answer.out
        pd.testing.assert_frame_equal(all_rows(out), whole, check_exact=True)
        assert not data or path.read_bytes() == data


def test_a_manifest_that_is_damaged_beside_its_copy_is_not_written_over(cli: Cli, fakes: Path) -> None:
    run(cli, "--psnr", "10")
    for name in ("provenance.json", ".provenance.json"):
        (fakes / "o" / name).write_text("{")
    answer = cli("run", "--psnr", "10", "--out", "o")
    assert answer.code == 1
    assert "provenance.json is damaged" in answer.err
    assert "--replace" in answer.err
    run(cli, "--psnr", "10", "--replace")
    assert cells(fakes / "o") == {("fake_pixels", 10.0, 3)}


@pytest.mark.parametrize("done", [1, 3])
def test_a_run_that_ends_early_has_added_what_was_finished_and_the_next_one_makes_the_same_rows(
    cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    options = ("--methods", "fake_pixels,fake_maps", "--psnr", "10,5")
    run(cli, *options, "--out", "whole")
    monkeypatch.setattr("bench.results.gather.SECONDS", 0.0)
    monkeypatch.setattr("bench.results.gather.SHARE", math.inf)
    config = load_config()
    asked = {"out": fakes / "o", "methods": ("fake_pixels", "fake_maps"), "psnr": (10.0, 5.0)}
    config = config.model_copy(update={"run": config.run.model_copy(update=asked)})

    def ends(tasks: Sequence[Task], outcomes: Iterator[Outcome], workers: int) -> Iterator[Outcome]:
        yield from (next(outcomes) for _ in range(done))
        raise KeyboardInterrupt

    # what is finished first is not what comes first
    monkeypatch.setattr("bench.run.runner._tasks", lambda *a, make=_tasks: make(*a)[::-1])
    with pytest.raises(KeyboardInterrupt):
        compute(make_plan(config), config, ends)
    assert len(all_rows(fakes / "o")["cell"].unique()) == done
    run(cli, *options)
    clocked = ["seconds", "memory"]
    one, two = (all_rows(fakes / out) for out in ("whole", "o"))
    one, two = (rows[~rows["metric"].isin(clocked)].reset_index(drop=True) for rows in (one, two))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert len(whole_results(fakes / "o")[1]["runs"]) == 1


def part(method: str, **facts: Any) -> Any:
    rows = at10({method: 0.5}).assign(cell=f"cell-of-{method}")
    told = {"command": f"bench run --methods {method}", "methods": {method: {"name": method}}, **facts}
    frame, made = of_schema_1(rows, told)
    made["runs"][0]["cell_ids"] = [f"cell-of-{method}"]
    return frame, made


def test_runs_that_end_at_the_same_moment_lose_nothing(tmp_path: Path) -> None:
    methods = [f"m{k}" for k in range(6)]
    threads = [threading.Thread(target=add_results, args=([part(m)], tmp_path)) for m in methods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows, facts = method_rows(tmp_path)
    assert sorted(rows["method"]) == methods
    assert len(facts["runs"]) == 6


def test_scenes_of_another_content_take_the_place_of_those_of_their_name(tmp_path: Path) -> None:
    one = {"datasets": {"streets": {"fingerprint": "one"}}}
    add_results([part("old", **one), part("older", **one)], tmp_path)
    _, notes = add_results([part("new", datasets={"streets": {"fingerprint": "two"}})], tmp_path)
    assert method_rows(tmp_path)[0]["method"].tolist() == ["new"]
    assert "the scenes of streets (32 scenes) have another content now" in notes[0]
    assert "2 older cell(s)" in notes[0]


def test_results_of_several_folders_are_merged_in_one(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "a").code == 0
    assert cli("run", "--methods", "fake_maps", "--psnr", "10", "--out", "b").code == 0
    assert cli("run", "--psnr", "5", "--out", "c").code == 0
    answer = cli("merge", "a", "b", "c", "--out", "o")
    assert answer.code == 0, answer.err
    assert cells(fakes / "o") == {("fake_pixels", 10.0, 3), ("fake_maps", 10.0, 3), ("fake_pixels", 5.0, 3)}
    assert [one["command"].split()[-1] for one in whole_results(fakes / "o")[1]["runs"]] == ["a", "b", "c"]
    nowhere = cli("merge", "a", "nowhere", "--out", "p")
    assert nowhere.code == 2
    assert not (fakes / "p").exists()
