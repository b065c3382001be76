"""The data of the site's budget page: costs beside quality, one set for each channel, ways of sending told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import leaderboard_fakes as fakes_
import pandas as pd
import pytest
from test_leaderboard_site import Page

from bench.config import Config
from bench.leaderboard import site as site_module
from bench.leaderboard.board import build_board, read_runs
from bench.leaderboard.budgets import budget_data
from bench.leaderboard.methods import about_methods
from bench.leaderboard.site import build_site
from bench.results.files import read_results, write_results


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page of a run over two power conventions gets."""
    board = build_board(read_runs([fakes_.write_budget_run(tmp_path_factory.mktemp("budget"))]), [])
    return budget_data(board, about_methods(board))


def test_each_channel_has_a_set_with_quality_and_costs(data: dict[str, Any]) -> None:
    assert [one["channel"] for one in data["sets"]] == list(fakes_.POWERS)
    assert [one["words"].rpartition(", ")[2] for one in data["sets"]] == ["peak power", "average power"]
    for one in data["sets"]:
        assert one["psnrs"] == [100, 10, 1]
        assert [view["title"] for view in one["views"]] == ["mIoU", "LPIPS"]  # costs are no qualities
        assert one["values"] == 2 * 3 * 64 * 128
        assert set(one["costs"]) == set(fakes_.SENT)
        assert one["costs"]["oasis"] == [[90_000, 45_000, None]] * 3
        robust = one["costs"]["oasis+digital:link=qpsk@0.4"]
        assert robust == [[5000, 2500, 0], [5000, 2500, 0], [5000, 2500, 0.25]]
        assert [uses for uses, *_ in one["costs"]["oasis+digital:link=adaptive"]] == [2500, 2500, 5000]
        assert one["ends"][0] < 2000
        assert one["ends"][1] > 90_000


def test_values_are_the_boards_and_no_axis_moves(data: dict[str, Any]) -> None:
    (view, *_) = data["sets"][0]["views"]
    value, low, high = view["rows"]["oasis"][1]
    assert value == pytest.approx(fakes_.value_of("mIoU", 0, 10.0, 12).mean(), rel=1e-5)
    assert low < value < high
    cells = [cell for row in view["rows"].values() for cell in row]
    assert view["domain"] == [min(low for _, low, _ in cells), max(high for _, _, high in cells)]


def test_ways_of_sending_are_told_apart(data: dict[str, Any]) -> None:
    by_name = {method["name"]: method for method in data["methods"]}
    assert {name: one["kind"] for name, one in by_name.items()} == {
        name: "adaptive" if "adaptive" in name else "fixed" if "digital" in name else "analogue" for name in fakes_.SENT
    }
    assert by_name["oasis+digital:link=qpsk@0.4"]["way"] == by_name["oasis+digital:link=16qam@1/2"]["way"]
    assert len({one["way"] for one in data["methods"]}) == 3
    assert {one["method"]: (one["colour"], one["shape"]) for one in data["methods"]} == {
        "oasis": (0, 0), "full_image": (1, 1),
    }  # fmt: skip
    assert {one["sent"]: one["dash"] for one in data["methods"]} == {
        "analogue": 2, "fixed link": 0, "fixed link, webp": 1,
    }  # fmt: skip


def test_a_score_under_two_protocols_is_two_and_a_part_of_another_is_none(tmp_path: Path) -> None:
    frame, _ = read_results(fakes_.write_budget_run(tmp_path / "one"))
    mine = frame[frame["metric"] == "mIoU"]
    part = mine.assign(metric="mIoU[car]")
    twice = mine.assign(metric="LPIPS", higher_is_better=False)
    write_results(
        pd.concat([frame, part], ignore_index=True), fakes_.facts_of(tuple(fakes_.SENT), 12), tmp_path / "two"
    )
    write_results(twice, fakes_.facts_of(tuple(fakes_.SENT), 12), tmp_path / "three")
    board = build_board(read_runs([tmp_path / "two", tmp_path / "three"]), [])
    titles = [view["title"] for view in budget_data(board, about_methods(board))["sets"][0]["views"]]
    assert titles == ["mIoU", "LPIPS (lpips=0.1|net=alex)", "LPIPS (gt|judge=x|19 classes)"]


def test_results_without_uses_get_a_page_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "vega_bundle", lambda: "/* vega */")
    site = build_site([fakes_.write_run(tmp_path / "results")], tmp_path / "site", Config()).parent
    text = (site / "budget.html").read_text()
    assert "These results have no channel uses" in text
    assert "budget.js" not in text
    full = build_site([fakes_.write_budget_run(tmp_path / "budget")], tmp_path / "full", Config()).parent
    assert len(json.loads(Page(full / "budget.html").blocks["budget"])["sets"]) == 2


def test_the_committed_results_make_a_small_page() -> None:
    board = build_board(read_runs([Path(__file__).parents[2] / "results"]), [])
    data = budget_data(board, about_methods(board))
    assert data["sets"]
    assert len(json.dumps(data)) < 300_000
