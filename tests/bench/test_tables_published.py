"""The paper's values beside ours: every number from the typed tables, Δ only between equal metrics, and the warning."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from table_frames import at10, frame, noise

from bench.api.errors import BenchError, UsageError
from bench.results import published
from bench.results.published import FOLDER
from bench.tables import metric_tables, named_tables, render

ROOT = Path(__file__).parents[2]


def lines(text: str) -> list[list[str]]:
    """Rows of a Markdown table as cells, heading first."""
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    return [found[0], *found[2:]]


def beside(rows: pd.DataFrame, metric: str) -> str:
    return render(metric_tables(rows, metric), "md", published=True)


def test_ours_the_papers_and_the_difference_stand_side_by_side() -> None:
    rows = frame({("gesco", 10.0, 0): (0.726, 0.073), ("smis", 10.0, 0): (0.25, None)})
    found = lines(beside(rows, "mIoU"))
    assert found[0] == ["mIoU ↑", "PSNR", "ours", "paper", "Δ"]
    assert found[1] == ["gesco", "10", "0.726 ± 0.073", "0.905 ± 0.112", "-0.179"]
    assert found[2] == ["smis", "10", "0.250", "0.901 ± 0.244", "-0.651"]
    assert {row[0] for row in found[3:]} == {"full_image", "spade", "ccfpse", "oasis", "sdm"}  # not run here
    assert all(row[2] == row[4] == "" and row[3] for row in found[3:])


def test_every_typed_value_is_found_again() -> None:
    methods = ("full_image", "spade", "ccfpse", "smis", "oasis", "sdm", "gesco")
    psnrs = (100.0, 30.0, 20.0, 15.0, 10.0, 5.0, 1.0)
    for number, metric in (("1", "mIoU"), ("2", "LPIPS"), ("3", "FID[inception]")):
        rows = frame({(m, p, 0): (0.5, None) for m in methods for p in psnrs}, metric=metric)
        text = render(metric_tables(rows, metric), "csv", published=True)
        made = list(csv.DictReader(text.splitlines()))
        with (FOLDER / f"table{number}.csv").open() as file:
            typed = list(csv.DictReader(file))
        assert len(made) == len(typed) == 49
        factor = 10 if number == "3" else 1
        for ours, paper in zip(made, typed, strict=True):
            assert (ours["method"], float(ours["psnr"])) == (paper["method"], float(paper["psnr"]))
            if paper["value"] in ("-", "noise"):
                assert (ours["paper"], ours["delta"]) == (paper["value"], "")
            else:
                assert float(ours["paper"]) == pytest.approx(float(paper["value"]) * factor)
                assert float(ours["delta"]) == pytest.approx(0.5 - float(paper["value"]) * factor)
                assert float(ours["paper_std"]) == pytest.approx(float(paper["std"]) * factor)


def test_another_distance_has_no_difference_and_the_caption_says_why() -> None:
    text = beside(at10({"gesco": 155.7}, metric="FID[lite0]", higher_is_better=False), "FID")
    assert ["gesco", "10", "155.7", "148.5 ± 1.9", "n/a"] in lines(text)
    assert "Δ is n/a for FID[lite0]: the paper's FID is a distance of Inception features" in text
    same = beside(at10({"gesco": 155.7}, metric="FID[inception]", higher_is_better=False), "FID")
    assert ["gesco", "10", "155.7", "148.5 ± 1.9", "+7.2"] in lines(same)
    assert "n/a" not in same
    standard = beside(at10({"gesco": 155.7}, metric="FID[inception]", higher_is_better=False), "FID")
    assert ["gesco", "10", "155.7", "148.5 ± 1.9", "+7.2"] in lines(standard)


def test_the_papers_words_are_printed_as_they_are_and_subtracted_from_nothing() -> None:
    rows = frame({("full_image", 100.0, 0): (0.5, None), ("sdm", 10.0, 0): (9.0, None)}, metric="FID[inception]")
    found = lines(beside(rows, "FID"))
    assert ["full_image", "100", "0.500", "-", ""] in found
    assert ["sdm", "10", "9.000", "noise", ""] in found


def test_our_noise_is_a_word_too_and_a_number_in_the_csv() -> None:
    rows = pd.concat([at10({"gesco": 0.1, "smis": 0.5}), noise(0.2)])
    tables = metric_tables(rows, "mIoU")
    assert ["gesco", "10", "noise", "0.905 ± 0.112", ""] in lines(render(tables, "md", published=True))
    text = render(tables, "csv", published=True)
    made = {r["method"]: r for r in csv.DictReader(text.splitlines()) if r["ours"]}
    assert (made["gesco"]["ours"], made["gesco"]["ours_noise"], made["gesco"]["delta"]) == ("0.1", "True", "")


def test_embedded_scenes_are_said_not_to_be_the_papers() -> None:
    rows = at10({"gesco": 0.7})
    assert "`streets` is not Cityscapes: this project renders it, at 64x128 and scale embedded" in beside(rows, "mIoU")
    real = rows.assign(dataset="cityscapes", scale="paper", size="256x512")
    assert "is not Cityscapes" not in beside(real, "mIoU")
    assert "Measured at scale embedded" in beside(real.assign(scale="embedded"), "mIoU")
    stuff = rows.assign(dataset="stuff")
    text = beside(stuff, "mIoU")
    assert "`stuff` is not COCO-Stuff" in text
    assert ["gesco", "10", "0.700", "0.365 ± 0.096", "+0.335"] in lines(text)


def test_what_the_paper_has_not_is_left_out_of_the_comparison() -> None:
    found = lines(beside(at10({"smis+fds": 0.7, "gesco": 0.7}), "mIoU"))
    assert ["smis+fds", "10", "0.700", "", ""] in found
    for rows, metric in (
        (at10({"gesco": 0.7}, metric="KID[x]"), "KID"),
        (at10({"gesco": 0.7}, metric="mIoU[original]"), "mIoU[original]"),
        (at10({"gesco": 0.7}, dataset="camvid"), "mIoU"),
    ):
        with pytest.raises(UsageError, match="the paper has no values for this table"):
            beside(rows, metric)


def test_miou_under_either_protocol_is_compared_and_the_words_are_named() -> None:
    judge = beside(at10({"gesco": 0.7}, metric="mIoU[judge]"), "mIoU[judge]")
    assert ["gesco", "10", "0.700", "0.905 ± 0.112", "-0.205"] in lines(judge)
    assert "in its words, against the judge's map of the original" in beside(at10({"gesco": 0.7}), "mIoU")


def test_table_4_and_the_bits_have_their_own_values() -> None:
    rows = pd.concat(
        [
            at10({"gesco": v, "sdm": v}, dataset="stuff", metric=m)
            for m, v in (("mIoU", 0.3), ("LPIPS", 0.6), ("FID", 9.0))
        ]
    )
    found = lines(render(named_tables(rows, "coco", 10.0), "md", published=True))
    assert found[0] == ["method", "metric", "ours", "paper", "Δ"]
    assert ["gesco", "mIoU ↑", "0.300", "0.365 ± 0.096", "-0.065"] in found
    assert ["sdm", "LPIPS ↑", "0.600", "noise", ""] in found
    bits = pd.concat([at10({"gesco": 2e4}, metric=m, higher_is_better=False) for m in ("bits", "channel_uses")])
    found = lines(render(named_tables(bits, "bits", 10.0), "md", published=True))
    assert ["gesco", "bits ↓", "20,000", "119,000", "-99,000"] in found
    assert ["full_image", "bits ↓", "", "1,464,000", ""] in found


def test_a_mistyped_value_names_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table1.csv").write_text(
        "table,dataset,method,psnr,metric,value,std\n1,cityscapes,gesco,10,mIoU,o.9,\n"
    )
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    with pytest.raises(BenchError, match=r"table1\.csv, line 2: 'o\.9' is neither a number nor"):
        beside(at10({"gesco": 0.7}), "mIoU")
