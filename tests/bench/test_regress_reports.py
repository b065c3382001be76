"""The reports of `bench regress`: nothing from outside is taken for markup, and machines can read them."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from regress_frames import cell, limits, run_frame, scene_ids, set_frame, sides
from rich.console import Console
from table_frames import BASE

from bench.api.errors import UsageError
from bench.regress.baseline import list_changes, read_baseline
from bench.regress.compare import by_method, compare, compare_costs
from bench.regress.model import CellName, Change, Report
from bench.regress.reports import as_json, as_junit, as_markdown, print_report
from bench.regress.words import markdown, plain
from bench.results.files import write_results
from bench.results.merge import of_schema_1
from bench.results.parquet import FACTS_KEY
from bench.results.schema import COLUMNS

VALUES = np.linspace(0.2, 0.8, 24)
HOSTILE = "<script>alert(1)</script>|`x`[a](http://evil.example)![i](//e)@all #1 [red]www.evil.example"
FACTS = {
    "commit": "a" * 40, "dirty": False, "python": "3.11", "cpu": "one", "devices": ["cpu"], "jobs": 2, "batch_size": 8,
    "packages": {"torch": "2.1"}, "weights_sha256": {"m": "0" * 64},
    "methods": {"m": {"code_version": 1, "options": {"steps": 10}}},
    "datasets": {"streets": {"fingerprint": "f"}}, "metrics": {"X": {"name": "X"}},
}  # fmt: skip


def report(old: pd.DataFrame, new: pd.DataFrame, **other: object) -> Report:
    """A report over the frames with nothing else to say but what is given."""
    missing: dict[CellName, str] = other.pop("missing", {})  # type: ignore[assignment]
    comparisons, family = compare(sides(old, new, 24, missing), limits(X=0.01))
    about = {side: {"folder": "f", "commit": None, "date": "d", "seeds": [0]} for side in ("baseline", "rerun")}
    whole = Report(comparisons, [], [], [], [], 0.05, family, {"streets": scene_ids(24)}, about)
    return dataclasses.replace(whole, **other)  # type: ignore[arg-type]


def mixed() -> Report:
    """Every verdict, a failure, a change and a note."""
    old = run_frame({"worse": VALUES, "better": VALUES, "same": VALUES, "gone": VALUES})
    new = run_frame({"worse": VALUES - 0.1, "better": VALUES + 0.1, "same": VALUES, "added": VALUES})
    old, new = (pd.concat([f, set_frame({"same": 0.5}, 24, metric="set_only")]) for f in (old, new))
    return report(
        old,
        new,
        missing={cell("gone"): "it is not installed"},
        failures=[("added at 5", "it crashed")],
        changes=[Change("torch", "2.1", "2.2")],
        notes=["a note"],
    )


def said(made: Report) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_report(made, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_terminal_names_what_changed_and_ends_with_the_verdict() -> None:
    lines = said(mixed()).splitlines()
    rows = {
        line.split()[0]: line.split()[1] for line in lines if line.split()[0] in ("worse", "better", "missing", "new")
    }
    assert rows == {"worse": "worse", "better": "better", "missing": "gone", "new": "added"}
    assert "0.4" in next(line for line in lines if line.startswith("worse"))
    assert "failed: added at 5: it crashed" in lines
    assert "also different: torch: 2.1 → 2.2" in lines
    assert lines[-1] == "REGRESSION: 1 worse, 1 better, 1 same, 1 untested, 1 new, 1 missing; 1 failure(s)"
    assert said(report(*[run_frame({"m": VALUES})] * 2)).splitlines()[-1] == "no regression: 1 same"


def test_markdown_shows_changes_first_and_folds_what_stayed_the_same() -> None:
    text = as_markdown(mixed())
    top, folded = text.split("<details>")
    rows = [line.split(" | ") for line in top.splitlines() if line.startswith("| ") and "data set" not in line]
    assert [row[0].strip("| *") for row in rows[1:]] == ["worse", "missing", "better", "new"]
    assert rows[1][3:8] == ["worse", "10", "X ↑", "0.5", "0.4"]
    assert "| same | streets | awgn-paper-peak | same | 10 |" in folded
    assert "(it is not installed)" in top
    assert r"- not tested: set\_only (1 comparison): nothing that tells chance from change: no per-scene" in top
    assert text.startswith("## bench regress: REGRESSION")


def test_junit_has_one_case_a_cell_and_metric() -> None:
    root = ElementTree.fromstring(as_junit(mixed()))
    (suite,) = root
    assert root.tag == "testsuites"
    assert [suite.get(k) for k in ("tests", "failures", "skipped")] == ["7", "2", "3"]
    outcome = {case.get("classname"): [child.tag for child in case] for case in suite}
    assert outcome == {
        "streets.awgn-paper-peak.worse": ["failure"],
        "streets.awgn-paper-peak.better": [],
        "streets.awgn-paper-peak.same": ["skipped"],  # its metric without a test comes last
        "streets.awgn-paper-peak.added": ["skipped"],
        "streets.awgn-paper-peak.gone": ["skipped"],
        "run": ["failure"],
    }
    worse = suite[0][0].get("message") or ""
    assert worse.startswith("worse: 0.5 → 0.4, change -0.1")


def test_json_holds_everything_in_full() -> None:
    data = json.loads(as_json(mixed()))
    assert data["schema"] == 1
    assert data["regressed"] is True
    assert data["counts"] == {"worse": 1, "better": 1, "same": 1, "untested": 1, "new": 1, "missing": 1}
    worse = next(c for c in data["comparisons"] if c["verdict"] == "worse")
    assert worse["change"] == pytest.approx(-0.1)
    assert worse["interval"] == pytest.approx([-0.1, -0.1])
    assert worse["basis"] == "sign flips of the scenes' differences"
    assert data["scenes"]["streets"][0] == "s000"
    gone = next(c for c in data["comparisons"] if c["verdict"] == "missing")
    assert (gone["rerun"], gone["change"], gone["p"]) == (None, None, None)


def test_names_from_outside_are_text_in_every_report() -> None:
    old, new = run_frame({HOSTILE: VALUES}), run_frame({HOSTILE: VALUES - 0.1})
    made = report(old, new, failures=[(HOSTILE, HOSTILE)], notes=[HOSTILE], changes=[Change(HOSTILE, HOSTILE, HOSTILE)])
    text = as_markdown(made)
    bare = re.sub(r"\\.", "", text)  # what is left without the escaped characters
    for raw in ("<script", "[a", "](", "`", "//", "@", "#1", "www.evil"):
        assert raw not in bare, raw
    assert text.count("\\<script\\>") >= 4
    (row,) = [line for line in text.splitlines() if line.startswith("| **worse**")]
    assert row.replace("\\|", "").count("|") == 13  # twelve cells
    root = ElementTree.fromstring(as_junit(made))
    assert root[0][0].get("classname") == f"streets.awgn-paper-peak.{HOSTILE}"
    assert json.loads(as_json(made))["comparisons"][0]["method"] == HOSTILE
    assert "[red]" in said(made)


def test_plain_text_is_one_short_printable_line() -> None:
    assert plain("a\nb\x1b[31m\u202e") == "a b?[31m?"
    assert plain("x" * 500, 10) == "x" * 9 + "…"
    assert markdown("gesco:steps=50+fds (1.5)") == "gesco:steps=50+fds (1.5)"


# --- what else differs, and costs


def test_changes_name_code_packages_weights_options_noise_and_seeds() -> None:
    new = {
        **FACTS, "commit": "b" * 40, "dirty": True, "packages": {"torch": "2.2", "timm": "1"},
        "weights_sha256": {"m": "1" * 64}, "methods": {"m": {"code_version": 2, "options": {"steps": 50}}},
    }  # fmt: skip
    old, new = (of_schema_1(run_frame({"m": VALUES}), facts)[1] for facts in (FACTS, new))
    frames = (run_frame({"m": VALUES}), run_frame({"m": VALUES}, seed=3, sigma=0.4))
    found = {change.what: (change.baseline, change.rerun) for change in list_changes(*frames, (old, new))}
    assert found == {
        "code": ("a" * 12, "b" * 12 + " with changes"),
        "torch": ("2.1", "2.2"),
        "timm": ("unknown", "1"),
        "weights of m": ("0" * 12 + "…", "1" * 12 + "…"),
        "code_version of m": ("1", "2"),
        "option steps of m": ("10", "50"),
        "sigma of awgn-paper-peak@10": ("0.36", "0.4"),
        "seeds": ("0", "3"),
    }
    assert list_changes(frames[0], frames[0], (old, old)) == []


def test_changes_survive_any_provenance() -> None:
    frame = run_frame({"m": VALUES})
    for facts in (
        {},
        {"packages": 3, "weights_sha256": [1], "methods": {"m": 5}, "commit": {"x": "\x1b"}, "cpu": "\n"},
    ):
        for change in list_changes(frame, frame, (facts, FACTS)):
            assert (change.what + change.baseline + change.rerun).isprintable()


def costs(bits: float, seconds: float, memory: float) -> pd.DataFrame:
    rows = [
        {**BASE, "method": "m", "psnr": p, "seed": 0, "metric": metric, "value": value, "std": np.nan, "scenes": 24}
        for p in (10.0, 5.0)
        for metric, value in (("seconds", seconds), ("memory", memory))
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    single = [run_frame({"m": np.full(24, bits + p)}, metric="bits").assign(psnr=p) for p in (10.0, 5.0)]
    return pd.concat([*single, frame])


def test_costs_are_warned_about_from_their_factor_on_and_never_across_machines() -> None:
    ids = {"streets": scene_ids(24)}

    def warned(new: pd.DataFrame, **facts: object) -> dict[str, tuple[float, int]]:
        found = compare_costs(costs(1000, 1, 400), new, ids, limits(), (FACTS, {**FACTS, **facts}))
        assert len(found) == 6
        return {cost.what: (round(cost.factor, 2), cells) for cost, cells in by_method(found)}

    assert warned(costs(1010, 1.4, 480)) == {}
    assert warned(costs(1100, 1.6, 520)) == {"bits": (1.1, 2), "seconds": (1.6, 2), "memory": (1.3, 2)}
    assert warned(costs(1100, 1.6, 520), cpu="another") == {"bits": (1.1, 2), "memory": (1.3, 2)}
    assert warned(costs(500, 0.1, 100)) == {}


# --- baselines that are not to be believed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_results(run_frame({"m": VALUES}), FACTS, tmp_path)
    return tmp_path


def test_results_are_read_back(folder: Path) -> None:
    made = read_baseline(folder)
    assert made.datasets == ["streets"]
    assert made.ids("streets") == scene_ids(24)


def rewritten(folder: Path, frame: pd.DataFrame, facts: dict[str, Any] = FACTS) -> Path:
    """The folder with these rows and this provenance, written as schema 1 was, without a check."""
    told = {FACTS_KEY: json.dumps(facts).encode()}
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(told)
    pq.write_table(table, folder / "results.parquet")
    (folder / "provenance.json").unlink(missing_ok=True)
    return folder


BAD_ROWS = {
    "column method": {"method": "a\x1b[31m"},
    "column scene": {"scene": "x" * 400},
    "column metric": {"metric": ""},
    "column psnr": {"psnr": np.nan},
    "column seed": {"seed": np.inf},
}


@pytest.mark.parametrize("complaint", BAD_ROWS)
def test_rows_that_are_not_what_they_should_be_are_refused(folder: Path, complaint: str) -> None:
    frame = run_frame({"m": VALUES})
    for column, value in BAD_ROWS[complaint].items():
        frame[column] = frame[column].astype(object)
        frame.loc[frame.index[3:4], column] = value
        frame[column] = frame[column].infer_objects()
    with pytest.raises(UsageError) as refused:
        read_baseline(rewritten(folder, frame))
    assert complaint in str(refused.value)
    assert str(refused.value).isprintable()


def test_files_that_are_no_results_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="takes the folder of a run"):
        read_baseline(folder / "provenance.json")
    with pytest.raises(UsageError, match="there are no results in"):
        read_baseline(folder / "elsewhere")
    (folder / "provenance.json").unlink()
    parquet = folder / "results.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(parquet)
    with pytest.raises(UsageError, match="damaged or not ours"):
        read_baseline(folder)
    parquet.write_bytes(b"PAR1" + b"\0" * 100)
    with pytest.raises(UsageError, match="the baseline cannot be read"):
        read_baseline(folder)
    for facts in ({"datasets": []}, {**FACTS, "metrics": {"X": 1}}, {**FACTS, "cell_folders": 3}):
        with pytest.raises(UsageError, match="not as `bench run` writes results"):
            read_baseline(rewritten(folder, run_frame({"m": VALUES}), facts))
    escape = read_baseline(rewritten(folder, run_frame({"m": VALUES}), {**FACTS, "metrics": {"\x1b": {}}}))
    assert escape.metrics == ["\\x1b"]
    with pytest.raises(UsageError, match="no rows of any method"):
        read_baseline(rewritten(folder, run_frame({"pure_noise": VALUES})))
    with pytest.raises(UsageError, match="no values of single scenes"):
        read_baseline(rewritten(folder, run_frame({"m": VALUES}).iloc[:1])).ids("streets")


def test_columns_of_the_wrong_type_are_refused(folder: Path) -> None:
    frame = run_frame({"m": VALUES})
    with pytest.raises(UsageError, match="column value: not all are numbers"):
        read_baseline(rewritten(folder, frame.assign(value="1")))
    with pytest.raises(UsageError, match="column higher_is_better"):
        read_baseline(rewritten(folder, frame.assign(higher_is_better="yes")))
