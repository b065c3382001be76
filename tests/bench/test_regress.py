"""`bench regress` from the command line, with small methods whose changes are known."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from conftest import ROOT, TOML, Answer, manifests
from PIL import Image
from regress_frames import workflow
from table_frames import method_rows

from bench.cli.regress import regress
from bench.regress.run import code_digest
from bench.results.files import read_results, write_results
from bench.results.tidy import unfolded

Cli = Callable[..., Answer]
DARK = "\n[methods.fake_pixels]\noptions = { gain = 0.7 }\n"


@pytest.fixture(autouse=True)
def _no_job_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def base(cli: Cli, fakes: Path) -> Path:
    """A baseline of four cells over eight scenes."""
    answer = cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "100,30", "--scenes", "8", "--out", "base")
    assert answer.code == 0, answer.err
    return fakes / "base"


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())  # type: ignore[no-any-return]


def verdicts(folder: Path) -> dict[tuple[str, float], str]:
    """(method, PSNR) -> verdict of FakeMSE."""
    made = report(folder)["comparisons"]
    return {(c["method"], c["psnr"]): c["verdict"] for c in made if c["metric"] == "FakeMSE"}


def scenes(facts: dict[str, Any]) -> dict[str, Any]:
    """What the provenance says of the one list of scenes."""
    return facts["sets"]["streets/test/32x64/8"]  # type: ignore[no-any-return]


def edited(
    base: Path, frame_changes: dict[str, Any], fact_changes: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Write the baseline again with columns assigned and its provenance changed."""
    frame, facts = read_results(base)
    if fact_changes is not None:
        fact_changes(facts)
    write_results(frame.assign(**frame_changes), facts, base)


ALL = [("fake_maps", 30.0), ("fake_maps", 100.0), ("fake_pixels", 30.0), ("fake_pixels", 100.0)]


def test_nothing_testable_leaves_with_two_and_says_why(cli: Cli, fakes: Path) -> None:
    run = ("run", "--psnr", "10", "--scenes", "8", "--metrics", "FakeRatio,FakeMSE", "--out", "base")
    assert cli(*run).code == 0
    answer = cli("regress", "--baseline", "base", "--metrics", "FakeRatio", "--scenes", "7", "--out", "r")
    assert answer.code == 2
    assert answer.out.splitlines()[-1] == "NOTHING TESTED: 1 untested"
    assert "FakeRatio (1 comparison): the baseline has it over 8 scenes as a whole, not over these 7" in answer.out
    assert "nothing is known about regressions" in answer.err
    assert (report(fakes / "r")["regressed"], report(fakes / "r")["tested_nothing"]) == (False, True)
    answer = cli("regress", "--baseline", "base", "--scenes", "7", "--out", "r")
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "no regression: 1 same, 1 untested")


def test_unchanged_code_is_the_same_and_leaves_with_zero(cli: Cli, base: Path, fakes: Path) -> None:
    answer = cli("regress", "--baseline", "base", "--out", "r")
    assert answer.code == 0, answer.err
    assert verdicts(fakes / "r") == dict.fromkeys(ALL, "same")
    assert answer.out.splitlines()[-1] == "no regression: 4 same"
    made = report(fakes / "r")
    assert {c["change"] for c in made["comparisons"]} == {0.0}  # the same seeds: the very same pictures
    assert {c["p"] for c in made["comparisons"]} == {1.0}
    assert sorted(f.name for f in (fakes / "r").iterdir() if f.is_file()) == ["junit.xml", "report.json", "report.md"]
    assert len(manifests(next((fakes / "r").glob("code-*")))) == 4
    costs = {(c["method"], c["psnr"], c["cost"]): c["factor"] for c in made["costs"]}
    assert {what for *_, what in costs} - {"memory"} == {
        "bits",
        "channel_uses",
        "energy",
        "side_bytes",
        "seconds",
    }  # memory: on Linux
    assert {factor for (*_, what), factor in costs.items() if what in ("bits", "channel_uses", "energy")} == {1.0}
    assert answer.code == cli("regress", "--baseline", "base", "--methods", "all", "--psnr", "all", "--out", "r").code


def test_other_seeds_raise_no_alarm(cli: Cli, base: Path, fakes: Path) -> None:
    answer = cli("regress", "--baseline", "base", "--seeds", "5", "--out", "r")
    assert answer.code == 0, answer.out
    assert set(verdicts(fakes / "r").values()) == {"same"}
    made = report(fakes / "r")
    assert any(c["change"] for c in made["comparisons"])  # other noise, other numbers
    assert {"what": "seeds", "baseline": "0", "rerun": "5"} in made["changes"]
    assert "other noise in the rerun (seeds 5; baseline 0)" in " ".join(answer.out.split())


def test_a_broken_method_is_named_and_leaves_with_one(
    cli: Cli, base: Path, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(fakes / "summary.md"))
    (fakes / "summary.md").write_text("before\n")
    (fakes / "bench.toml").write_text(TOML + DARK)
    answer = cli("regress", "--baseline", "base", "--out", "r")
    assert answer.code == 1, answer.err
    worse = {key for key, verdict in verdicts(fakes / "r").items() if verdict == "worse"}
    assert worse == {("fake_pixels", 30.0), ("fake_pixels", 100.0)}
    assert {"what": "option gain of fake_pixels", "baseline": "1.0", "rerun": "0.7"} in report(fakes / "r")["changes"]
    assert (fakes / "summary.md").read_text() == "before\n" + (fakes / "r" / "report.md").read_text()
    assert (fakes / "r" / "report.md").read_text().count("| **worse** |") == 2
    suite = ElementTree.parse(fakes / "r" / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    (fakes / "bench.toml").write_text(TOML)  # mended: the sheet of the earlier report goes
    assert (fakes / "r" / "worst-scenes.png").is_file()
    assert cli("regress", "--baseline", "base", "--out", "r").code == 0
    assert not (fakes / "r" / "worst-scenes.png").exists()


def test_the_worst_scenes_stand_beside_the_originals_and_the_baselines(cli: Cli, base: Path, fakes: Path) -> None:
    """Columns from the left: original, baseline (which equals it without noise), and the darkened rerun."""
    (fakes / "bench.toml").write_text(TOML + DARK)
    arguments = ("regress", "--baseline", "base", "--methods", "fake_pixels", "--psnr", "100", "--out", "r")
    assert cli(*arguments).code == 1
    with Image.open(fakes / "r" / "worst-scenes.png") as image:
        sheet = np.array(image.convert("RGB")).astype(float)
    made = report(fakes / "r")
    scenes = made["scenes"]["streets"]
    columns = [sheet[48:176, left : left + 256] for left in (8, 272, 536)]
    assert np.array_equal(columns[0], columns[1])
    assert np.abs(columns[2] - 0.7 * columns[0]).max() <= 1
    frame, _ = method_rows(next((fakes / "r").glob("code-*")))
    mse = frame[(frame["metric"] == "FakeMSE") & (frame["scene"] != "all")].set_index("scene")["value"]
    source = importlib.import_module("bench.data.registry").open_dataset("streets", None, (32, 64))
    worst = source.load("test", mse.idxmax()).image.repeat(4, axis=0).repeat(4, axis=1)
    assert mse.idxmax() in scenes
    assert np.array_equal(columns[0], worst)
    (base / "cells").rename(base / "moved")  # results without their cache, as they are committed
    assert cli(*arguments).code == 1
    with Image.open(fakes / "r" / "worst-scenes.png") as image:
        assert np.array_equal(np.array(image.convert("RGB"))[48:176, 272:528], sheet[48:176, 536:792])


def test_a_provenance_that_points_elsewhere_opens_nothing(cli: Cli, base: Path, fakes: Path) -> None:
    from bench.regress.baseline import read_baseline
    from bench.regress.model import CellName
    from bench.regress.worst import _baseline_entry

    cell = CellName("streets", "awgn-paper-peak", "fake_pixels", 30.0)
    made = read_baseline(base)
    assert _baseline_entry(made, cell, 0) is not None
    (base / "cells").rename(fakes / "outside")
    moved = [name.replace("cells/", "../outside/", 1) for name in made.facts["cell_folders"]]
    edited(base, {}, lambda facts: facts.update(cell_folders=moved))
    assert _baseline_entry(read_baseline(base), cell, 0) is None


def test_part_of_the_baseline_can_be_chosen(cli: Cli, base: Path, fakes: Path) -> None:
    answer = cli(
        "regress", "--baseline", "base", "--methods", "fake_maps", "--psnr", "30", "--scenes", "7", "--out", "r"
    )
    assert answer.code == 0, answer.err
    assert verdicts(fakes / "r") == {("fake_maps", 30.0): "same"}
    assert len(report(fakes / "r")["scenes"]["streets"]) == 7
    frame, facts = read_results(base)
    write_results(frame[(frame["method"] != "fake_maps") | (frame["psnr"] == 30)], facts, base)
    assert cli("regress", "--baseline", "base", "--methods", "fake_maps", "--out", "r").code == 0
    assert verdicts(fakes / "r") == {("fake_maps", 30.0): "same"}  # at 100 the baseline has another method only


def test_what_only_one_side_has_is_new_or_missing(cli: Cli, base: Path, fakes: Path) -> None:
    frame, _ = read_results(base)
    edited(base, {"method": frame["method"].replace("fake_maps", "of_a_removed_plugin")})
    answer = cli("regress", "--baseline", "base", "--out", "r")
    assert answer.code == 0, answer.err
    assert verdicts(fakes / "r") == {
        ("fake_pixels", 100.0): "same", ("fake_pixels", 30.0): "same",
        ("of_a_removed_plugin", 100.0): "missing", ("of_a_removed_plugin", 30.0): "missing",
    }  # fmt: skip
    assert "unknown method 'of_a_removed_plugin'" in answer.out
    answer = cli("regress", "--baseline", "base", "--methods", "fake_pixels,fake_network", "--psnr", "30", "--out", "r")
    assert answer.code == 0, answer.err
    assert verdicts(fakes / "r") == {("fake_pixels", 30.0): "same", ("fake_network", 30.0): "new"}


def test_a_method_that_crashes_now_fails_the_check(cli: Cli, base: Path, fakes: Path) -> None:
    frame, _ = read_results(base)
    edited(base, {"method": frame["method"].replace("fake_maps", "fake_faulty")})
    answer = cli("regress", "--baseline", "base", "--out", "r")
    assert answer.code == 1
    assert "failed: fake_faulty on streets, awgn-paper-peak@30, seed 0" in answer.out
    assert {v for (m, _), v in verdicts(fakes / "r").items() if m == "fake_faulty"} == {"missing"}
    assert answer.out.splitlines()[-1].startswith("REGRESSION")


def refused(cli: Cli, *arguments: str) -> str:
    """The one line that `bench regress` ends with, nothing having been run."""
    answer = cli("regress", "--baseline", "base", "--out", "r", *arguments)
    assert answer.code == 2, answer.out
    assert not Path("r").exists()
    lines = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


MISTAKES = {
    ("--methods", "fake_pixel"): "did you mean 'fake_pixels'?; the baseline does not have it either",
    (
        "--methods",
        "fake_network",
    ): "would be rerun; it holds fake_pixels, fake_maps at PSNR 100, 30",
    ("--psnr", "20"): "nothing of the baseline would be rerun",
    ("--psnr", "ten"): "--psnr 'ten' is not a number",
    ("--scenes", "9"): "--scenes 9: the baseline has 8 scenes of streets",
    ("--metrics", "FakeFID"): "the baseline has no metric 'FakeFID[tiny]'",
    ("--datasets", "street"): "unknown data set 'street' of the baseline; did you mean 'streets'?",
    ("--baseline", "elsewhere"): "there are no results in elsewhere",
    ("--config", "absent.toml"): "there is no configuration file absent.toml",
}


def test_what_cannot_be_compared_is_one_line_and_exit_code_two(cli: Cli, base: Path, fakes: Path) -> None:
    for arguments, message in MISTAKES.items():
        assert message in refused(cli, *arguments)
    (fakes / "bench.toml").write_text(TOML.replace("[32, 64]", "[64, 64]"))
    assert "the scene size differs: 32x64 in the baseline, 64x64 here" in refused(cli)
    (fakes / "bench.toml").write_text(TOML + "[regress]\nwarn = { time = 2 }\n")
    assert "unknown cost 'time' in [regress.warn]" in refused(cli)
    (fakes / "bench.toml").write_text(TOML + "[regress]\nfloors = { FakeMSE = -1 }\n")
    assert "regress.floors.FakeMSE" in refused(cli)


IDENTITIES = {
    "protocol": "its protocol was 'other' and is 'mean over pixels'",
    "weights_sha256": "its evaluator or feature weights was 'other' and is 'None'",
}


def test_another_metric_or_other_scenes_are_refused_by_name(cli: Cli, base: Path) -> None:
    for key, message in IDENTITIES.items():
        _, facts = method_rows(base)
        before = dict(scenes(facts)["metrics"]["FakeMSE"])
        edited(base, {}, lambda facts, key=key: scenes(facts)["metrics"]["FakeMSE"].update({key: "other"}))  # type: ignore[misc]
        said = refused(cli)
        assert "FakeMSE is not the baseline's metric" in said
        assert message in said
        edited(base, {}, lambda facts, before=before: scenes(facts)["metrics"].update(FakeMSE=before))  # type: ignore[misc]
    edited(base, {}, lambda facts: scenes(facts).update(fingerprint="0" * 64))
    assert "the scenes of streets have another content" in refused(cli)
    frame, facts = read_results(base)
    scenes(facts)["fingerprint"] = "f"
    tidy = unfolded(frame)
    write_results(tidy.assign(scene=tidy["scene"].replace("test-000000", "test-000009")), facts, base)
    assert "'test-000009' there is 'test-000000' here" in refused(cli)
    next((base / "rows").rglob("*.parquet")).write_bytes(b"PAR1 nothing")
    assert "the baseline cannot be read" in refused(cli)


def test_a_metric_with_other_code_is_compared_and_named(cli: Cli, base: Path, fakes: Path) -> None:
    edited(base, {}, lambda facts: scenes(facts)["metrics"]["FakeMSE"].update(code_version=0))
    assert cli("regress", "--baseline", "base", "--psnr", "30", "--out", "r").code == 0
    assert {"what": "code_version of FakeMSE", "baseline": "0", "rerun": "1"} in report(fakes / "r")["changes"]


def test_too_few_scenes_are_refused(cli: Cli, base: Path) -> None:
    answer = cli("regress", "--baseline", "base", "--scenes", "7", "--out", "r")
    assert answer.code == 2
    assert "7 scenes of streets cannot show any change among 4 comparisons" in answer.err


def test_a_summary_that_cannot_be_written_is_one_line(cli: Cli, base: Path) -> None:
    answer = cli("regress", "--baseline", "base", "--out", "r", "--summary", "absent/summary.md")
    assert answer.code == 2
    assert "cannot append the summary to absent/summary.md" in answer.err


def test_edited_code_never_meets_the_cache_of_its_former_self(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "regress_plugin").mkdir()
    (tmp_path / "regress_plugin" / "__init__.py").write_text("")
    file = tmp_path / "regress_plugin" / "method.py"
    file.write_text("GAIN = 1\n")
    own, before = code_digest(), code_digest(["regress_plugin.method"])
    assert own == code_digest(["bench.run.cell", "bench.api.method"])
    assert before != own
    assert before == code_digest(["regress_plugin.method"])
    file.write_text("GAIN = 2\n")
    assert before != code_digest(["regress_plugin.method"])
    assert own == code_digest()


def test_the_committed_results_are_what_the_code_makes(cli: Cli, fakes: Path) -> None:
    """A small share of what the project's own workflow does: one method, one PSNR, eight scenes, the embedded judge."""
    (fakes / "bench.toml").write_text('[run]\nbackend = "sequential"\njobs = 1\ndevice = "cpu"\n')
    arguments = (
        "--datasets",
        "streets",
        "--methods",
        "spade",
        "--psnr",
        "10",
        "--scenes",
        "8",
        "--metrics",
        "mIoU",
        "--out",
        "r",
    )
    answer = cli("regress", "--baseline", str(ROOT / "results"), *arguments)
    assert answer.code == 0, answer.out + answer.err
    made = {c["metric"]: c["verdict"] for c in report(fakes / "r")["comparisons"]}
    assert made["mIoU[scene]"] == "same"
    assert made["mIoU"] == "untested"  # what it was over eight of the scenes is not in the results


def test_the_projects_workflow_calls_the_reusable_one_as_it_is() -> None:
    reusable = yaml.safe_load(workflow("regress.yml").read_text())
    inputs = reusable[True]["workflow_call"]["inputs"]  # YAML reads the key `on` as true
    assert {"methods", "psnr", "scenes", "baseline", "python-version"} <= set(inputs)
    calls = [job for job in yaml.safe_load(workflow("ci.yml").read_text())["jobs"].values() if "uses" in job]
    (call,) = [job for job in calls if job["uses"] == "./.github/workflows/regress.yml"]
    assert set(call["with"]) <= set(inputs)
    steps = reusable["jobs"]["regress"]["steps"]
    run = next(step["run"] for step in steps if "bench regress" in step.get("run", ""))
    assert "${{" not in run  # inputs reach the shell as variables, never as its source
    options = {word.partition("=")[0] for word in run.replace('"', " ").split() if word.startswith("--")}
    known = {f"--{name}" for name in regress.__annotations__}
    assert options <= known
