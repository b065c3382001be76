"""Results and tables: tidy rows with their origin, and five renderings of the same numbers."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Answer
from rich.console import Console
from table_frames import all_rows, frame, method_rows

from bench.api.errors import BenchError, UsageError
from bench.api.files import sha256
from bench.results.files import read_results, write_results
from bench.results.schema import COLUMNS, CONTRIBUTIONS
from bench.results.scores import Score
from bench.tables import Layout, Table, as_sheets, in_columns, metric_tables
from bench.tables import render as render_tables
from bench.tables.formats import escaped

Cli = Callable[..., Answer]


def render(rows: pd.DataFrame, metric: str, style: str = "text") -> str:
    return render_tables(metric_tables(rows, metric), style)


def whole_text(rows: pd.DataFrame, metric: str) -> str:
    return in_columns(as_sheets(metric_tables(rows, metric)), Layout(1000, full=True, protocol=True)).plain


def entry(table: Table, method: str, column: int = 0) -> Score:
    """An entry by its row and column."""
    found = next(row.scores[column] for row in table.rows if row.method == method)
    assert found is not None
    return found


TWO = frame(
    {
        ("gesco", 100.0, 0): (0.75, 0.0125),
        ("gesco", 1.0, 0): (0.5, 0.025),
        ("smis_x", 100.0, 0): (0.875, 0.0062),
        ("smis_x", 1.0, 0): (0.25, 0.001),
    }
)


def test_text_marks_the_best_and_says_how_the_numbers_were_made() -> None:
    lines = whole_text(TWO, "miou").splitlines()
    assert lines[0].split() == ["mIoU", "↑", "100", "1"]
    assert lines[2].split() == ["gesco", "0.750", "±", "0.013", "(2)", "*0.500", "±", "0.025", "(1)"]
    assert lines[3].split() == ["smis_x", "*0.875", "±", "0.006", "(1)", "0.250", "±", "0.001", "(2)"]
    for told in ("streets test at 64x128", "embedded", "32 scenes", "seeds 0", "paper calibration", "|judge=x", "8.9",
                 "± is the standard error over scenes."):  # fmt: skip
        assert told in "\n".join(lines[5:])
    assert lines[-1] == "*: rank 1."


def test_compact_text_has_values_and_a_caption_in_short() -> None:
    lines = render(TWO, "miou").splitlines()
    assert [line.split() for line in lines[2:4]] == [["gesco", "0.750", "*0.500"], ["smis_x", "*0.875", "0.250"]]
    caption = "\n".join(lines[5:])
    assert "32 scenes of streets test at 64x128, embedded networks, seed 0." in caption
    assert "Protocol: judge=x." in caption
    assert "±" not in caption
    assert lines[-1] == "*: rank 1."


WIDE = pd.concat(
    frame({(f"full_image+digital:codec=webp:link=adaptive:uses={uses}", psnr, 0): (uses / 9e4, 0.01)})
    for uses in (500, 24600)
    for psnr in (100.0, 30.0, 20.0, 15.0, 10.0, 5.0, 1.0)
)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("protocol", [False, True])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_text_is_no_wider_than_asked_and_loses_nothing(width: int, full: bool, protocol: bool) -> None:
    sheets = as_sheets(metric_tables(WIDE, "mIoU"))
    text = in_columns(sheets, Layout(width, full, protocol)).plain
    assert max(map(len, text.splitlines())) <= width
    folded = re.sub(r"\s+", "", text)
    numbers = [("*" if cell.best else "") + cell.text + cell.rest * full for row in sheets[0].rows for cell in row[1:]]
    assert all(number.replace(" ", "") in folded for number in numbers)
    assert text.count("uses=24600") == text.count("mIoU ↑ ")
    if protocol:
        assert re.sub(r"\s+", "", sheets[0].caption) in folded


def test_what_fits_is_one_block_and_names_are_folded_before_columns_are_parted() -> None:
    sheets = as_sheets(metric_tables(WIDE, "mIoU"))
    assert in_columns(sheets, Layout(120)).plain.count("mIoU ↑ ") == 1
    compact = in_columns(sheets, Layout(80)).plain.splitlines()
    assert compact[0].split() == ["mIoU", "↑", "100", "30", "20", "15", "10", "5", "1"]
    assert compact[2].split()[1:] == ["0.006"] * 7
    assert "".join(line.split()[0] for line in compact[2:5]) == "full_image+digital:codec=webp:link=adaptive:uses=500"


def test_the_best_are_bold_where_there_are_colours_and_no_color_leaves_colours_away() -> None:
    text = in_columns(as_sheets(metric_tables(TWO, "mIoU")), Layout())
    for no_color, expected in ((False, "\x1b[1;32m*0.500\x1b[0m"), (True, "\x1b[1m*0.500\x1b[0m")):
        shown = io.StringIO()
        console = Console(file=shown, force_terminal=True, color_system="standard", no_color=no_color, width=80)
        console.print(text, soft_wrap=True)
        assert expected in shown.getvalue()


def test_markdown_is_a_table_with_the_best_in_bold() -> None:
    lines = render(TWO, "mIoU", "md").splitlines()
    assert lines[:4] == [
        "| mIoU ↑ | 100 | 1 |",
        "| --- | ---: | ---: |",
        "| gesco | 0.750 ± 0.013 (2) | **0.500** ± 0.025 (1) |",
        "| smis_x | **0.875** ± 0.006 (1) | 0.250 ± 0.001 (2) |",
    ]


def test_csv_has_full_precision_and_reads_back() -> None:
    rows = frame({("a", 10.0, 0): (1 / 3, 1 / 70), ("b", 10.0, 0): (0.5, 1 / 80), ("c", 10.0, 0): (0.5, None)})
    text = render(rows.assign(std=[1 / 7, np.nan, np.nan]), "mIoU", "csv")
    rows = list(csv.reader(io.StringIO(text)))
    place = ["dataset", "split", "size", "scale", "channel", "metric"]
    numbers = ["psnr_10_mean", "psnr_10_std", "psnr_10_stderr", "psnr_10_rank", "psnr_10_noise"]
    assert rows[0] == [*place, "method", *numbers]
    assert rows[1][:7] == ["streets", "test", "64x128", "embedded", "awgn-paper-peak", "mIoU", "a"]
    assert [float(x) for x in rows[1][7:11]] == [1 / 3, 1 / 7, 1 / 70, 2]
    assert [row[6:] for row in rows[2:]] == [
        ["b", "0.5", "", "0.0125", "1", "False"],
        ["c", "0.5", "", "", "", "False"],
    ]


def test_several_tables_are_one_csv_with_one_header() -> None:
    text = render(pd.concat([TWO, TWO[TWO["psnr"] == 1.0].assign(channel="awgn-eq1-peak")]), "mIoU", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["channel"], row["method"]) for row in rows] == [
        ("awgn-paper-peak", "gesco"), ("awgn-paper-peak", "smis_x"), ("awgn-eq1-peak", "gesco"),
        ("awgn-eq1-peak", "smis_x"),
    ]  # fmt: skip
    assert [row["psnr_100_mean"] for row in rows] == ["0.75", "0.875", "", ""]
    assert all(row["psnr_1_mean"] for row in rows)


def test_a_csv_file_has_its_caption_beside_it(cli: Cli, fakes: Path) -> None:
    write_results(TWO, {}, fakes / "o")
    answer = cli("table", "mIoU", "--out", "o", "--format", "csv", "--to", "made/miou.csv")
    assert (answer.code, answer.out) == (0, "made/miou.csv\nmade/miou.json\n")
    assert (fakes / "made" / "miou.csv").read_text() == cli("table", "mIoU", "--out", "o", "--format", "CSV").out
    told = json.loads((fakes / "made" / "miou.json").read_text())
    assert "paper calibration" in told["tables"][0]["caption"]
    assert told["columns"]["*_stderr"] == "its standard error"
    compared = cli("compare", "gesco", "smis_x", "--out", "o", "--format", "csv", "--to", "made/two.csv")
    assert (compared.code, compared.out) == (0, "made/two.csv\nmade/two.json\n")
    told = json.loads((fakes / "made" / "two.json").read_text())
    assert "gesco less smis_x" in told["tables"][0]["caption"]
    assert told["columns"] == {}  # no column has one of a table's endings


def test_latex_escapes_names_and_bolds_the_best() -> None:
    text = render(TWO, "mIoU", "latex")
    assert r"smis\_x & \textbf{0.875} $\pm$ 0.006 (1) & 0.250 $\pm$ 0.001 (2) \\" in text
    assert r"mIoU $\uparrow$ & 100 & 1 \\" in text
    assert text.count(r"\begin") == text.count(r"\end") == 2
    assert text.count("{") == text.count("}")
    assert text.isascii()


def test_latex_prints_every_special_character_as_itself() -> None:
    assert escaped(r"a_b%c#d&e$f{g}h~i^j\k|l") == (
        r"a\_b\%c\#d\&e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k\textbar{}l"
    )


class _Reader(html.parser.HTMLParser):
    """Checks that tags close in order, and keeps the text by the tag it stands in, with its scope."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.found: list[tuple[str, str | None, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append((tag, dict(attrs).get("scope")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((*self.open[-1], data.strip()))


def test_html_is_a_table_of_its_own_with_caption_scopes_and_escapes() -> None:
    rows = frame({("<a&b>", 10.0, 0): (0.5, 0.02), ("c", 10.0, 0): (0.25, 0.02)}, protocol="x<y")
    text = render(rows, "mIoU", "html")
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    assert ("th", "col", "mIoU ↑") in reader.found
    assert ("th", "row", "<a&b>") in reader.found
    assert ("strong", None, "0.500") in reader.found
    assert ("td", None, "0.250 ± 0.020 (2)") in reader.found
    assert any(tag == "caption" and "x<y" in said for tag, _, said in reader.found)
    assert not any(outside in text for outside in ("<script", "<link", "<style", "class=", "src=", "http"))


def test_for_a_distance_the_lowest_is_best() -> None:
    rows = frame({("a", 10.0, 0): (2.0, 0.1), ("b", 10.0, 0): (1.0, 0.1)}, metric="LPIPS", higher_is_better=False)
    assert render(rows, "LPIPS").splitlines()[0].split() == ["LPIPS", "↓", "10"]
    (table,) = metric_tables(rows, "LPIPS")
    assert [entry(table, m).rank for m in "ab"] == [2, 1]


def test_seeds_are_averaged_and_their_spread_is_not_taken_for_that_of_scenes() -> None:
    (table,) = metric_tables(frame({("a", 10.0, 0): (1.0, None), ("a", 10.0, 1): (3.0, None)}), "mIoU")
    assert replace(entry(table, "a"), scenes=0) == Score(2.0)
    (table,) = metric_tables(frame({("a", 10.0, 0): (1.0, 0.5), ("a", 10.0, 1): (3.0, 0.25)}), "mIoU")
    assert replace(entry(table, "a"), scenes=0) == Score(2.0, None, 0.375)  # seeds share scenes


def test_an_undefined_value_is_said_and_has_no_rank() -> None:
    rows = frame({("a", 10.0, 0): (math.nan, None), ("b", 10.0, 0): (0.1, 0.01), ("c", 10.0, 0): (0.2, 0.01)})
    assert "undefined" in render(rows, "mIoU")
    assert [entry(metric_tables(rows, "mIoU")[0], m).rank for m in "abc"] == [None, 2, 1]


def test_an_only_method_has_no_rank_and_no_mark() -> None:
    text = render(frame({("a", 10.0, 0): (0.5, None)}), "mIoU")
    assert text.splitlines()[2].split() == ["a", "0.500"]
    assert "rank" not in text


def test_what_was_not_run_is_a_dash() -> None:
    rows = frame({("a", 10.0, 0): (0.5, None), ("a", 5.0, 0): (0.5, None), ("b", 10.0, 0): (0.1, None)})
    assert render(rows, "mIoU").splitlines()[3].split() == ["b", "0.100", "-"]


def test_each_data_set_and_channel_convention_has_its_own_table() -> None:
    one = frame({("a", 10.0, 0): (0.5, None)})
    rows = pd.concat([one, one.assign(channel="awgn-eq1-peak"), one.assign(dataset="camvid", scale="paper")])
    captions = [table.caption for table in metric_tables(rows, "mIoU")]
    assert len(captions) == 3
    assert "eq1 calibration" in captions[1]
    assert "camvid" in captions[2]
    assert "scale: paper" in captions[2]


def test_big_numbers_have_no_decimals() -> None:
    (line,) = [row for row in render(frame({("a", 10.0, 0): (1353150.4, 10.0)}), "mIoU").splitlines() if row[:1] == "a"]
    assert line.split() == ["a", "1,353,150"]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown metric 'mIuo'; did you mean 'mIoU'\?"):
        render(TWO, "mIuo")
    with pytest.raises(UsageError, match="unknown format 'markdwn'"):
        render(TWO, "mIoU", "markdwn")
    assert render(TWO.assign(metric="LPIPS"), "lpips[alex]") == render(TWO.assign(metric="LPIPS"), "LPIPS")


def test_a_name_without_its_bracket_is_a_table_of_every_variant() -> None:
    both = pd.concat([TWO.assign(metric="FID[a]"), TWO.assign(metric="FID[b]")])
    assert [line.split()[0] for line in render(both, "fid").splitlines() if line.startswith("FID")] == [
        "FID[a]",
        "FID[b]",
    ]


def test_rows_are_tidy_and_say_where_they_come_from(cli: Cli, fakes: Path) -> None:
    answer = cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "100,10", "--out", "o")
    assert answer.code == 0, answer.err
    rows, facts = method_rows(fakes / "o")
    assert tuple(rows.columns) == (*COLUMNS, CONTRIBUTIONS)
    key = ["dataset", "method", "channel", "psnr", "seed", "scene", "metric"]
    assert not rows.duplicated(key).any()
    mse = rows[(rows["metric"] == "FakeMSE") & (rows["method"] == "fake_pixels")]
    whole, single = mse[mse["scene"] == "all"], mse[mse["scene"] != "all"]
    assert len(whole) == 2
    assert len(single) == 2 * 3
    clean = whole[whole["psnr"] == 100].iloc[0]
    assert (clean["value"], clean["sigma"], clean["peak_snr_db"]) == (0.0, 0.0, math.inf)
    noisy = whole[whole["psnr"] == 10].iloc[0]
    assert (noisy["sigma"], noisy["protocol"]) == (0.36, "mean over pixels")
    assert noisy["peak_snr_db"] == pytest.approx(8.87, abs=0.01)
    assert noisy["value"] == pytest.approx(single[single["psnr"] == 10]["value"].mean())
    uses = rows[(rows["metric"] == "channel_uses") & (rows["method"] == "fake_pixels") & (rows["scene"] == "all")]
    assert set(uses["value"]) == {3 * 32 * 64}
    assert set(rows["metric"]) - {"memory"} == {
        "FakeMSE",
        "bits",
        "channel_uses",
        "complex_uses",
        "cbr",
        "energy",
        "mean_power",
        "mean_snr",
        "side_bytes",
        "seconds",
    }  # memory: on Linux
    assert facts["datasets"]["streets"]["scenes_asked"] == facts["datasets"]["streets"]["scenes_used"] == 3
    assert facts["weights_sha256"] == {"fake_pixels": None, "fake_maps": None}
    assert facts["cells_computed_now"] == 4
    assert {"commit", "dirty", "python", "packages", "devices", "cpu", "wall_seconds", "command", "date"} <= set(facts)


def test_contributions_that_need_the_arrays_are_kept_with_the_results_and_nowhere_else(cli: Cli, fakes: Path) -> None:
    both = "fake_pixels,fake_pixels:gain=0.9"
    answer = cli(
        "run", "--methods", both, "--metrics", "FakeMSE,FakeRatio", "--psnr", "10", "--scenes", "6", "--out", "o"
    )
    assert answer.code == 0, answer.err
    assert CONTRIBUTIONS not in pq.read_table(fakes / "o" / "rows").column_names
    rows, _ = read_results(fakes / "o")
    kept = rows[rows[CONTRIBUTIONS].notna()]
    assert kept[["method", "metric", "scene"]].to_numpy().tolist() == [
        ["fake_pixels", "FakeRatio", "all"], ["fake_pixels:gain=0.9", "FakeRatio", "all"],
    ]  # fmt: skip
    for _, row in kept.iterrows():
        assert row[CONTRIBUTIONS].shape == (6,)
        assert row["stderr"] == pytest.approx(row[CONTRIBUTIONS].std(ddof=1) / np.sqrt(6))
    shutil.rmtree(fakes / "o" / "cells")
    shutil.rmtree(fakes / "o" / "metrics")
    for metric in ("FakeRatio", "FakeMSE"):
        caption = cli("table", metric, "--out", "o", "--format", "md").out
        assert "Student's t of paired differences over scenes" in caption


def test_rows_manifest_and_csv_agree(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    assert not (fakes / "o" / "results.csv").exists()
    assert cli("run", "--psnr", "10", "--out", "o", "--csv").code == 0
    facts = read_results(fakes / "o")[1]
    told = json.loads((fakes / "o" / "provenance.json").read_text())
    assert {key: told[key] for key in told if key not in ("layout", "parts", "seal")} == facts
    files = {name: file for part in told["parts"] for name, file in part["files"].items()}
    there = [path for path in (fakes / "o").rglob("*.parquet")]
    assert {path.relative_to(fakes / "o").as_posix() for path in there} == files.keys()
    assert all([sha256((fakes / "o" / name).read_bytes())] == file["blocks"] for name, file in files.items())
    text = (fakes / "o" / "results.csv").read_text()
    header = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    assert {key: json.loads(value) for key, value in header.items()} == facts
    back = pd.read_csv(fakes / "o" / "results.csv", comment="#")
    rows = all_rows(fakes / "o")
    pd.testing.assert_frame_equal(back, rows[list(COLUMNS)], check_dtype=False)
    everyones = pd.read_parquet(fakes / "o" / "rows")  # as anybody reads a partitioned data set
    key = ["method", "scene", "metric"]
    theirs, ours = (frame.astype({name: str for name in key}).sort_values(key) for frame in (everyones, rows))
    assert theirs["value"].tolist() == pytest.approx(ours["value"].tolist(), nan_ok=True)


def test_a_damaged_results_file_is_named(tmp_path: Path) -> None:
    write_results(TWO, {"schema": 1}, tmp_path)
    path = next((tmp_path / "rows").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchError, match=rf"{path.name} is damaged"):
        method_rows(tmp_path)
