"""The tables known by a word: COCO-Stuff at one PSNR, the ablation, the costs, objects and depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
from conftest import Answer
from table_frames import at10, frame

from bench.api.errors import UsageError
from bench.tables import named_tables, render

Cli = Callable[..., Answer]
ROOT = Path(__file__).parents[2]


def rows_of(text: str) -> list[list[str]]:
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_coco_is_every_method_by_metric_at_one_psnr() -> None:
    parts = [
        at10({"gesco": 0.4, "spade": 0.3}, dataset="stuff"),
        at10({"gesco": 0.6, "spade": 0.7}, dataset="stuff", metric="LPIPS", higher_is_better=False),
        at10({"gesco": 90.0}, dataset="stuff", metric="FID[lite0]", higher_is_better=False),
        frame({("gesco", 5.0, 0): (0.1, None)}, dataset="stuff"),
        at10({"gesco": 0.9}),  # streets
    ]
    found = rows_of(render(named_tables(pd.concat(parts), "coco", 10.0), "md"))
    assert found[0] == ["method", "mIoU ↑", "LPIPS ↓", "FID[lite0] ↓"]
    assert found[2:] == [
        ["gesco", "0.400", "0.600", "90.00"],
        ["spade", "0.300", "0.700", "-"],
    ]


def test_distances_on_several_networks_have_a_column_each() -> None:
    parts = [at10({"gesco": 0.4, "spade": 0.3}, dataset="stuff")]
    parts += [
        at10({"gesco": value, "spade": value + 1}, dataset="stuff", metric=name, higher_is_better=False)
        for name, value in (("FID[lite0]", 90.0), ("FID[inception]", 40.0), ("LPIPS", 0.5), ("LPIPS[vgg]", 0.7))
    ]
    found = rows_of(render(named_tables(pd.concat(parts), "coco", 10.0), "md"))
    assert found[0] == ["method", "mIoU ↑", "LPIPS ↓", "FID[inception] ↓", "FID[lite0] ↓"]


def test_what_a_table_lacks_is_said_with_the_command_that_computes_it() -> None:
    streets = at10({"gesco": 0.4})
    with pytest.raises(UsageError, match=r"no COCO-Stuff scenes; run `bench run --datasets stuff`"):
        named_tables(streets, "coco", 10.0)
    with pytest.raises(UsageError, match=r"none of the table's methods at PSNR 5, only at PSNR 10"):
        named_tables(streets.assign(dataset="stuff"), "coco", 5.0)
    with pytest.raises(UsageError, match=r"`bench ablate fds --psnr 10` computes them"):
        named_tables(at10({"smis": 0.4}), "ablation", 10.0)
    with pytest.raises(
        UsageError, match=r"these results have no scores of depth; `bench run --metrics depth` computes them"
    ):
        named_tables(streets, "depth", 10.0)
    with pytest.raises(UsageError, match=r"unknown metric 'LPIPS'.*`bench run --metrics LPIPS` computes LPIPS"):
        named_tables(streets, "LPIPS", 10.0)


def test_the_ablation_has_all_arms_and_says_what_was_not_run() -> None:
    rows = pd.concat(
        [
            at10({"sdm": 0.7, "gesco": 0.3}, metric="LPIPS", higher_is_better=False),
            at10({"sdm": 0.2, "gesco": 0.8}),
        ]
    )
    text = render(named_tables(rows, "ablation", 10.0), "md")
    found = rows_of(text)
    assert found[0] == ["FDS", "noisy training", "classes sent", "guidance", "method", "LPIPS ↓", "mIoU ↑"]
    assert found[2] == ["✗", "✗", "all", "SDM's", "sdm", "0.700", "0.200"]
    assert found[5] == ["✗", "✓", "present", "GESCO's", "gesco-nofds", "-", "-"]
    assert found[8] == ["✓", "✓", "present", "GESCO's", "gesco", "0.300", "0.800"]
    assert found[9][1] == "✓ behind FDS"
    published = rows_of(render(named_tables(rows, "ablation", 10.0), "md", published=True))
    assert [
        "✗",
        "✗",
        "all",
        "SDM's",
        "sdm",
        "mIoU ↑",
        "0.200",
        "noise",
        "",
    ] in published  # Table 5's, not Table 1's 0.297
    assert ["✗", "✓", "present", "GESCO's", "gesco-nofds", "mIoU ↑", "", "0.613", ""] in published
    assert render(named_tables(rows, "ablation", 10.0), "latex").count(r"\checkmark") == 9


def test_results_without_channel_uses_say_so_where_bits_are_asked_for() -> None:
    rows = at10({"gesco": 4096.0}, metric="bits", higher_is_better=False)
    with pytest.raises(UsageError, match="these results have no channel_uses"):
        named_tables(rows, "bits", 10.0)


def test_bits_are_put_in_relation_to_pixels_and_to_the_full_image() -> None:
    rows = pd.concat(
        [
            at10({"full_image": 16384.0, "gesco": 4096.0}, metric="bits", higher_is_better=False),
            at10({"full_image": 100.0, "gesco": 450.0}, metric="channel_uses", higher_is_better=False),
        ]
    )
    found = rows_of(render(named_tables(rows, "bits", 10.0), "md"))
    assert found[0] == ["method", "bits ↓", "bits/pixel", "vs full image, %", "channel uses ↓", "vs full image, %"]
    assert found[2] == ["full_image", "16,384", "2.000", "0.00", "100.0", "0.0"]
    assert found[3] == ["gesco", "4,096", "0.500", "-75.00", "450.0", "350.0"]


def family_rows(scores: Mapping[str, float], psnr: float = 10.0, **other: object) -> pd.DataFrame:
    better = {name: not name.startswith(("AbsRel", "RMSE")) for name in scores}
    rows = [
        frame({(method, psnr, 0): (value + shift, None)}, metric=name, higher_is_better=better[name], **other)
        for name, value in scores.items()
        for method, shift in (("gesco", 0.0), ("spade", 0.1))
    ]
    return pd.concat(rows)


def test_depth_is_the_main_scores_against_psnr_then_all_of_them_at_one() -> None:
    scores = {"RMSE": 6.0, "delta1": 0.7, "AbsRel": 0.2, "delta1[judge]": 0.8, "AbsRel[judge]": 0.1, "LPIPS": 0.3}
    rows = pd.concat([family_rows(scores, protocol="network=x"), family_rows(scores, 1.0, protocol="network=x")])
    tables = named_tables(rows, "depth", 10.0)
    headings = [table.label_headings[0] for table in tables]
    assert headings == ["AbsRel[judge] ↓", "delta1[judge] ↑", "AbsRel ↓", "delta1 ↑", "method"]
    assert [column.heading for column in tables[0].columns] == ["10", "1"]
    found = rows_of(render(tables[-1:], "md"))
    assert found[0] == ["method", "AbsRel[judge] ↓", "delta1[judge] ↑", "AbsRel ↓", "RMSE ↓", "delta1 ↑"]
    assert found[2] == ["gesco", "0.100", "0.800", "0.200", "6.000", "0.700"]
    assert tables[-1].caption.count("network=x") == 1  # one protocol, told once
    assert "AbsRel[judge], delta1[judge], AbsRel, RMSE, delta1: network=x" in tables[-1].caption


def test_objects_are_shown_by_class_too_and_beside_the_originals() -> None:
    scores = {
        "AP50": 0.4, "recall": 0.5, "AP50[judge]": 0.3, "recall[judge]": 0.2, "AP50[judge:car]": 0.6,
        "AP50[car]": 0.7, "AP50[person]": 0.1, "AP50[original]": 0.8, "AP50[original:car]": 0.9,
    }  # fmt: skip
    tables = named_tables(family_rows(scores), "objects", 10.0)
    headings = [[table.label_headings[0], *(c.heading for c in table.columns)] for table in tables]
    assert headings == [
        ["AP50[judge] ↑", "10"], ["recall[judge] ↑", "10"], ["AP50 ↑", "10"], ["recall ↑", "10"],
        ["method", "AP50[judge:car] ↑"], ["method", "AP50[car] ↑", "AP50[person] ↑"],
    ]  # fmt: skip
    assert "The originals themselves have AP50 0.850." in tables[2].caption
    assert "The originals themselves have AP50[car] 0.950." in tables[5].caption
    assert not any("originals themselves" in table.caption for table in (*tables[:2], tables[3], tables[4]))
    # results without a cell at that PSNR have no table at one PSNR
    assert len(named_tables(family_rows(scores), "objects", 5.0)) == 4
    with pytest.raises(UsageError, match=r"these results have no scores of objects; `bench run --metrics objects`"):
        named_tables(at10({"gesco": 0.4}), "objects", 10.0)


@pytest.mark.parametrize("style", ["text", "md", "csv", "latex", "html"])
def test_committed_results_print_in_every_format(cli: Cli, style: str) -> None:
    for what in ("mIoU", "LPIPS", "FID", "bits"):
        answer = cli("table", what, "--out", str(ROOT / "results"), "--format", style)
        assert answer.code == 0, answer.err
        assert "gesco" in answer.out
        answer = cli("table", what, "--out", str(ROOT / "results"), "--format", style, "--published")
        assert answer.code == 0, answer.err
