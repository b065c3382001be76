"""Submissions: what is taken, and what a hostile or careless file comes to."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import leaderboard_fakes as fakes_
import numpy as np
import pandas as pd
import pytest

from bench.api.errors import BenchError, UsageError
from bench.api.scores import find_score
from bench.leaderboard.store import Shelf, export_submission
from bench.leaderboard.submission import MAX_BYTES, MAX_ROWS, SubmissionError, read_submission, schema_text
from bench.results.files import read_results, write_results
from bench.results.schema import EACH_SCENE
from bench.results.tidy import unfolded

COMMITTED = Path(__file__).parents[2] / "results"
Change = Callable[[dict[str, Any]], object]


def refusal(file: Path) -> str:
    with pytest.raises(SubmissionError) as caught:
        read_submission(file)
    return "\n".join(caught.value.details)


def refused(tmp_path: Path, change: Change) -> str:
    data = fakes_.submission()
    change(data)
    return refusal(fakes_.write_submission(tmp_path / "x.json", data))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes_.write_run(tmp_path_factory.mktemp("run") / "results")


@pytest.fixture
def results(run: Path, tmp_path: Path) -> Path:
    """A folder of results to which submissions may be added."""
    folder = tmp_path / "results"
    folder.mkdir()
    for file in run.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


def test_the_schema_is_a_json_schema_and_a_valid_file_is_taken(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(json.loads(schema_text()))
    assert read_submission(fakes_.write_submission(tmp_path / "x.json", fakes_.submission())).name == "their-method"


def test_rows_are_those_of_a_run(tmp_path: Path) -> None:
    data = fakes_.submission()
    data["results"][0]["mean_snr_db"] = 1.5
    frame = unfolded(read_submission(fakes_.write_submission(tmp_path / "x.json", data)).frame())
    whole = frame[frame["scene"] == "all"]
    assert len(whole) == 9
    assert len(frame) == 9 + 3 * 12
    first = whole.iloc[0]
    assert first["contributions"].shape == (12,)
    assert first["stderr"] == pytest.approx(first["contributions"].std(ddof=1) / math.sqrt(12))
    assert first["mean_snr_db"] == 1.5
    assert first["sigma"] == 0.0
    assert math.isinf(first["peak_snr_db"])
    assert set(whole[whole["metric"] == "mIoU"]["higher_is_better"]) == {True}
    assert set(whole[whole["metric"] == "LPIPS"]["higher_is_better"]) == {False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema_version=1), "schema_version is 1; this gesco-bench reads version 2"),
        (lambda d: d.update(schema_version=True), "schema_version"),
        (lambda d: d.update(schema="other"), "$.schema"),
        (lambda d: d.update(extra=1), "'extra' was unexpected"),
        (lambda d: d.pop("provenance"), "'provenance' is a required property"),
        (lambda d: d["provenance"].pop("commit"), "'commit' is a required property"),
        (lambda d: d["provenance"].update(commit="HEAD"), "$.provenance.commit"),
        (lambda d: d["method"].update(authors=[]), "$.method.authors"),
        (lambda d: d["method"].update(name="../../etc/passwd"), "$.method.name"),
        (lambda d: d["method"].update(name="<script>alert(1)</script>"), "$.method.name"),
        (lambda d: d["method"].update(name="nul"), "cannot be a file name"),
        (lambda d: d["method"].update(name="pure_noise"), "reference of pure noise"),
        (lambda d: d["method"].update(title="a\x1b[31mb"), "$.method.title"),
        (lambda d: d["method"].update(title="evil \u202e txet"), "$.method.title"),
        (lambda d: d["method"].update(title="x" * 81), "$.method.title"),
        (lambda d: d["method"].update(description="x" * 10**6), "$.method.description"),
        (lambda d: d["method"].update(paper="javascript:alert(1)"), "$.method.paper"),
        (lambda d: d["method"].update(code='https://x.org/"onclick="x'), "$.method.code"),
        (lambda d: d["results"].clear(), "$.results"),
        (lambda d: d["results"][0].update(value=1.2), "impossible for mIoU, which is between 0 and 1"),
        (lambda d: d["results"][3].update(value=-0.1), "impossible for LPIPS, which is 0 or more"),
        (lambda d: d["results"][0].update(value="0.5"), "$.results[0].value"),
        (lambda d: d["results"][0].update(stderr=0.5), "stderr: 0.5 is not that of the contributions"),
        (lambda d: d["results"][0].update(stderr=-0.1), "$.results[0].stderr"),
        (lambda d: d["results"][0].update(interval=[0.4, 0.6]), "'interval' was unexpected"),
        (lambda d: d["results"][0].update(metric="accuracy"), "no metric 'accuracy'"),
        (lambda d: d["results"][0].update(dataset="street"), "did you mean 'streets'?"),
        (lambda d: d["results"][0].update(channel="awgm-paper-peak"), "did you mean 'awgn'?"),
        (lambda d: d["results"][0].update(channel="awgn-paper-peak-x"), "awgn-paper-peak-x"),
        (lambda d: d["results"][0].update(psnr=12), "unknown PSNR 12"),
        (lambda d: d["results"][0].update(contributions=[0.5] * 11), "contributions: 11 for 12 scenes"),
        (lambda d: d["results"][0]["contributions"].__setitem__(0, "0"), "$.results[0].contributions"),
        (lambda d: d["results"][3]["per_scene"].update(s0000=-1), "per_scene: -1 is impossible"),
        (lambda d: d["results"][3]["per_scene"].update({"../x": 1}), "$.results[3].per_scene"),
        (lambda d: d["results"][3]["per_scene"].pop("s0000"), "11 values for 12 scenes"),
        (lambda d: d["results"].append(copy.deepcopy(d["results"][0])), "the same cell"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Change, message: str) -> None:
    assert message in refused(tmp_path, change)


def raw(tmp_path: Path, text: str | bytes) -> str:
    file = tmp_path / "raw.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return refusal(file)


def test_json_that_is_none_is_refused(tmp_path: Path) -> None:
    good = json.dumps(fakes_.submission())
    assert "NaN is no number" in raw(tmp_path, good.replace('"seed": 0', '"seed": NaN', 1))
    assert "-Infinity is no number" in raw(tmp_path, good.replace('"seed": 0', '"seed": -Infinity', 1))
    assert "1e999 is too large" in raw(tmp_path, good.replace('"seed": 0', '"seed": 1e999', 1))
    assert "is too large" in raw(tmp_path, good.replace('"seed": 0', f'"seed": {"9" * 9999}', 1))
    assert "the key seed stands twice" in raw(tmp_path, good.replace('"seed": 0', '"seed": 0, "seed": 1', 1))
    assert "not UTF-8" in raw(tmp_path, b"\xff\xfe")
    assert "not JSON: " in raw(tmp_path, good[:-1])
    assert "not of type 'object'" in raw(tmp_path, "[]")
    assert "nested too deeply" in raw(tmp_path, "[" * 200_000)
    assert "half a surrogate pair" in raw(tmp_path, '{"method": {"title": ["\\ud800"]}}')


def test_a_million_rows_are_refused_before_they_are_looked_at(tmp_path: Path) -> None:
    data = fakes_.submission()
    data["results"] = [{}] * (MAX_ROWS + 1)
    assert f"it has {MAX_ROWS + 1} results" in raw(tmp_path, json.dumps(data))
    data["results"] = [{"per_scene": {str(k): 0 for k in range(600_000)}}]
    assert "600000 per-scene values" in raw(tmp_path, json.dumps(data))
    assert "larger than 16 MB" in raw(tmp_path, b" " * (MAX_BYTES + 1))


def test_only_so_many_problems_are_listed_and_none_can_reach_the_terminal(tmp_path: Path) -> None:
    problems = refused(
        tmp_path, lambda d: [row.update({"\x1b[2J" * 99: 1, "psnr": "x" * 9999}) for row in d["results"]]
    )
    assert problems.isprintable() or all(line.isprintable() for line in problems.split("\n"))
    assert max(map(len, problems.split("\n"))) < 400
    many = refused(tmp_path, lambda d: d.update(results=[{}] * 100))
    assert many.count("\n") == 20
    assert many.endswith("... and more")


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_submission(tmp_path / "none.json")


def test_adding_writes_one_file_and_a_second_of_that_name_is_refused(results: Path, tmp_path: Path) -> None:
    file = fakes_.write_submission(tmp_path / "mine.json", fakes_.submission())
    _, target = Shelf(results).add(file)
    assert target == results / "submissions" / "their-method.json"
    assert [s.name for s in Shelf(results).read()] == ["their-method"]
    for name in ("their-method", "Their_Method"):
        with pytest.raises(UsageError, match="another submission"):
            Shelf(results).add(fakes_.write_submission(tmp_path / "again.json", fakes_.submission(name)))
    for name in ("gesco", "Full-Image", "gesco-nofds"):
        with pytest.raises(UsageError, match="a method of these results or of this benchmark"):
            Shelf(results).add(fakes_.write_submission(tmp_path / "again.json", fakes_.submission(name)))
    assert [p.name for p in target.parent.iterdir()] == ["their-method.json"]


def test_a_refused_file_leaves_nothing_behind(results: Path, tmp_path: Path) -> None:
    data = fakes_.submission()
    data["results"][0]["value"] = 3
    with pytest.raises(SubmissionError):
        Shelf(results).add(fakes_.write_submission(tmp_path / "mine.json", data))
    assert not (results / "submissions").exists()


def test_other_scenes_are_refused(results: Path, tmp_path: Path) -> None:
    data = fakes_.submission()
    data["provenance"]["fingerprints"] = {"streets": "0" * 64}
    with pytest.raises(UsageError, match="not those of the results before it"):
        Shelf(results).add(fakes_.write_submission(tmp_path / "mine.json", data))


def test_a_file_has_the_name_of_its_method(results: Path) -> None:
    fakes_.shelve(results / "submissions" / "other.json", fakes_.submission())
    with pytest.raises(SubmissionError, match=r"has to be their-method\.json"):
        Shelf(results).read()


def test_a_stored_number_that_changed_is_refused(results: Path, tmp_path: Path) -> None:
    _, target = Shelf(results).add(fakes_.write_submission(tmp_path / "mine.json", fakes_.submission()))
    text = target.read_text()
    value = fakes_.submission()["results"][0]["value"]
    target.write_text(text.replace(f'"value": {value}', f'"value": {value + 1e-9}', 1))
    for read in (Shelf(results).read, lambda: Shelf(results).check(target)):
        with pytest.raises(SubmissionError, match="changed or damaged since its digest was made"):
            read()
    fakes_.write_submission(target, fakes_.submission())  # written by hand: nothing shows that it is whole
    with pytest.raises(SubmissionError, match=r"it has no digest: .* `bench leaderboard add`"):
        Shelf(results).read()
    target.write_text(text)
    assert Shelf(results).read()[0].data == fakes_.submission()


def test_what_a_submission_lacks_is_listed(results: Path, tmp_path: Path) -> None:
    data = fakes_.submission()
    data["results"] = [row for row in data["results"] if row["metric"] != "LPIPS" and row["psnr"] != 10]
    data["results"][-1]["protocol"] = "inception"
    file = fakes_.write_submission(tmp_path / "mine.json", data)
    gaps = Shelf(results).gaps(read_submission(file))
    where = "streets-test-64x128-12, awgn-paper-peak: "
    assert f"{where}no mIoU at PSNR 10" in gaps
    assert f"{where}no LPIPS" in gaps
    assert f"{where}no FID[lite0] at PSNR 10, 1" in gaps
    assert f"{where}FID[lite0] under the protocol 'inception' has nothing to compare with" in gaps
    data["results"] = [{**row, "scenes": 6} for row in data["results"] if not {"per_scene", "contributions"} & set(row)]
    (alone,) = Shelf(results).gaps(read_submission(fakes_.write_submission(file, data)))
    assert "no such scenes" in alone


def test_an_exported_submission_is_valid_and_has_the_numbers_of_the_run(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours-again.json"
    export_submission(
        results, "gesco", out, authors=["Me"], licence="MIT", title=None, paper="https://arxiv.org/abs/1", code=None
    )
    submission, _ = Shelf(results).add(out)
    assert Shelf(results).gaps(submission) == []
    frame, facts = read_results(results)
    own = frame[frame["method"] == "gesco"].sort_values(["metric", "psnr", "scene"])
    theirs = submission.frame().sort_values(["metric", "psnr", "scene"])
    assert own["scene"].tolist() == theirs["scene"].tolist()
    single = own["scene"] == EACH_SCENE
    assert list(theirs["value"][~single.to_numpy()]) == list(own["value"][~single])
    for mine, other in zip(own["by_scene"][single], theirs["by_scene"][single.to_numpy()], strict=True):
        pd.testing.assert_series_equal(mine, other)
    for column in ("std", "stderr", "mean_snr_db"):
        np.testing.assert_allclose(own[column], theirs[column], rtol=1e-6)
    for mine, other in zip(own["contributions"], theirs["contributions"], strict=True):
        assert (mine is None) == (other is None)
        assert mine is None or np.allclose(mine, other, atol=1e-6)
    assert submission.data["provenance"]["fingerprints"]["streets"] == facts["datasets"]["streets"]["fingerprint"]
    assert submission.data["method"]["options"] == {"steps": 10, "fds": True}


def test_lists_among_options_and_a_long_command_are_exported_as_text(tmp_path: Path) -> None:
    facts = fakes_.facts_of(("gesco",), 12)
    facts["methods"]["gesco"]["options"] = {"levels": [0.9, 0.6], "long": ["x"] * 99, "on": True, "none": None}
    facts["command"] = "bench run --methods " + ",".join(f"m{k}" for k in range(999))
    write_results(fakes_.rows_of(("gesco",), 12), facts, tmp_path / "results")
    rest: dict[str, Any] = {"authors": ["Me"], "licence": "MIT", "title": None, "paper": None, "code": None}
    export_submission(tmp_path / "results", "gesco", tmp_path / "mine.json", **rest)
    data = read_submission(tmp_path / "mine.json").data
    options = data["method"]["options"]
    assert (options["levels"], len(options["long"]), options["on"]) == ("[0.9, 0.6]", 120, True)
    assert data["provenance"]["command"].endswith("...")
    write_results(fakes_.rows_of(("gesco",), 12), {**facts, "commit": None}, tmp_path / "results")
    with pytest.raises(UsageError, match="do not say at which commit"):
        export_submission(tmp_path / "results", "gesco", tmp_path / "mine.json", **rest)


def test_export_refuses_unknown_methods_and_names_that_no_submission_can_have(results: Path, tmp_path: Path) -> None:
    rest: dict[str, Any] = {"authors": ["Me"], "licence": "MIT", "title": None, "paper": None, "code": None}
    with pytest.raises(UsageError, match="did you mean 'gesco'"):
        export_submission(results, "gesko", tmp_path / "x.json", **rest)
    with pytest.raises(SubmissionError, match=r"method\.name"):
        export_submission(results, "gesco", tmp_path / "no name.json", **rest)
    assert list(tmp_path.glob("*.json")) == []


def test_every_score_of_the_committed_results_is_declared_and_within_its_bounds() -> None:
    frame, _ = read_results(COMMITTED)
    for (metric, better), rows in frame.groupby(["metric", "higher_is_better"]):
        info = find_score(str(metric))
        assert info is not None, f"nobody declares {metric}"
        assert info.higher_is_better == better
        assert all(info.holds(v) for v in rows["value"].dropna()), metric


def test_committed_submissions_are_valid() -> None:
    """What CI says to a pull request with one file."""
    try:
        Shelf(COMMITTED).read()
    except BenchError as error:
        pytest.fail(str(error))


def test_a_pipe_in_place_of_a_submission_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UsageError, match="no file but a device or a pipe"):
        read_submission(tmp_path / "pipe.json")
