"""The committed results: the paper's half, from which every table of the start page prints, and that of links."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import bench.results.files
from bench.results.files import read_results, whole_results
from bench.results.schema import WHOLE_SET
from bench.results.tidy import unfolded
from bench.run.ablations import ABLATIONS
from bench.tables import named_tables, read_for_table, render

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
WORDS = re.search(
    r"^\| `bench table WHAT` \| (.+?); any other",
    (ROOT / "docs" / "index.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.results.files, "whole_results", functools.cache(whole_results))
        yield


def words() -> list[str]:
    assert WORDS is not None
    return [word for word in re.findall(r"`([^`]+)`", WORDS[1]) if not word.startswith("-")]


def test_the_start_page_names_the_tables() -> None:
    assert {"mIoU", "LPIPS", "FID", "coco", "ablation", "objects", "depth", "bits"} <= set(words())


def test_there_is_one_data_set_for_each_question() -> None:
    files = (file.relative_to(RESULTS) for file in RESULTS.rglob("provenance.json") if "local" not in file.parts)
    folders = sorted(file.parent.as_posix() for file in files)
    photographs = ["camvid", "camvid/known", "camvid/sampling"]
    assert folders == [
        ".",
        *photographs,
        "decision",
        "deepjscc",
        "fast",
        "hybrid",
        "links",
        "second-segmenter",
        "seeds",
    ]
    assert not [file for file in RESULTS.rglob("results.*") if "local" not in file.parts]


@pytest.mark.parametrize("folder", ["links", "seeds"])
def test_both_files_say_the_same_of_the_cells_that_they_share(folder: str) -> None:
    """They may have other numbers of scenes, so scene by scene."""
    key, scores = ["dataset", "channel", "method", "psnr", "metric", "scene"], ["mIoU[scene]", "LPIPS", "channel_uses"]
    halves = []
    for root in (RESULTS, RESULTS / folder):
        frame, _ = read_results(root)
        frame = unfolded(frame[frame["metric"].isin(scores)])
        halves.append(frame[frame["scene"] != WHOLE_SET].set_index(key)["value"])
    shared = halves[0].index.intersection(halves[1].index)
    assert len(shared) >= {"links": 3 * 7 * 7 * 200, "seeds": 3 * 7 * 200}[folder]  # metrics, methods, PSNRs, scenes
    pd.testing.assert_series_equal(halves[0][shared], halves[1][shared])


@pytest.mark.parametrize("word", words())
def test_every_table_of_the_start_page_prints_from_the_committed_results(word: str) -> None:
    assert render(read_for_table(RESULTS, word, 10.0)).strip()


@pytest.fixture(scope="module")
def latex() -> str:
    """Every table of both halves as LaTeX."""
    asked = [*((RESULTS, word) for word in words()), (RESULTS / "links", "budget"), (RESULTS / "links", "mIoU")]
    return "\n".join(render(read_for_table(folder, word, 10.0), "latex") for folder, word in asked)


def test_every_table_as_latex_has_booktabs_rules_and_its_caption(latex: str) -> None:
    assert latex.isascii()
    tables = latex.split(r"\end{table}")[:-1]
    assert len(tables) > 10
    for table in tables:
        assert all(table.count(rule) == 1 for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{"))
        columns = table.partition(r"\begin{tabular}{")[2].partition("}")[0]
        for line in table.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines():
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1


TEX = next(filter(None, map(shutil.which, ("pdflatex", "lualatex", "xelatex", "tectonic"))), None)


@pytest.mark.skipif(TEX is None, reason="needs a TeX")
def test_every_table_compiles(latex: str, tmp_path: Path) -> None:
    assert TEX is not None
    packages = r"\documentclass{article}\usepackage{booktabs,amssymb}\extrafloats{200}\begin{document}"
    (tmp_path / "tables.tex").write_text(f"{packages}\n{latex}\n\\end{{document}}\n")
    options = [] if TEX.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([TEX, *options, "tables.tex"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").is_file()


def test_every_ablation_is_among_the_committed_results() -> None:
    frame, facts = whole_results(RESULTS)
    assert {run["ablation"] for run in facts["runs"]} >= {None, *ABLATIONS}
    assert {run["command"].split()[1] for run in facts["runs"]} == {"run", "ablate"}
    assert set(frame["dataset"]) == {"streets", "stuff"}
    for name in ABLATIONS:
        (table,) = read_for_table(RESULTS, name, 10.0)
        assert sum(all(row.scores) for row in table.rows) >= 4, name


def test_tables_of_sweeps_do_not_show_the_arms_of_ablations() -> None:
    (mine, *_) = read_for_table(RESULTS, "mIoU", 10.0)
    assert not any(":" in row.method for row in mine.rows)
    frame, _ = whole_results(RESULTS)
    arms = {row.method for table in named_tables(frame, "mIoU", 10.0) for row in table.rows}
    assert any(":" in method for method in arms)
