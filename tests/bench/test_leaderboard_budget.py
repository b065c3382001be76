"""What the budget page is made of: ways of sending told apart, and costs beside quality on every channel."""

from __future__ import annotations

from typing import Any

import leaderboard_fakes as fakes_
import pandas as pd
import pytest

from bench.leaderboard.board import Board, build_board, read_runs
from bench.leaderboard.load import set_data, set_names
from bench.leaderboard.looks import ways
from bench.results.files import read_results, write_results


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """The board of a run over two power conventions."""
    return build_board(read_runs([fakes_.write_budget_run(tmp_path_factory.mktemp("budget"))]), [])


def rows(data: dict[str, Any], metric: str, methods: tuple[str, ...]) -> dict[str, list[float]]:
    (view,) = (one for one in data["views"] if one["metric"] == metric)
    return {methods[number]: [cell[0] for cell in cells] for number, cells in view["rows"]}


def test_each_channel_is_a_set_with_quality_and_costs(board: Board) -> None:
    names = set_names(board)
    assert [channel for _, channel in names] == list(fakes_.POWERS)
    assert len(set(names.values())) == 2
    for track, channel in names:
        data = set_data(board, track, channel)
        assert data["values"] == 2 * 3 * 64 * 128
        uses, lost = (rows(data, metric, board.methods) for metric in ("channel_uses", "block_lost"))
        assert set(uses) == set(fakes_.SENT)
        assert uses["oasis"] == [90_000] * 3
        assert rows(data, "energy", board.methods)["oasis"] == [45_000] * 3
        assert lost["oasis+digital:link=qpsk@0.4"] == [0, 0, 0.25]
        assert "oasis" not in lost
        assert uses["oasis+digital:link=adaptive"] == [2500, 2500, 5000]


def test_ways_of_sending_are_told_apart(board: Board) -> None:
    found = ways(board)
    assert {name: one["kind"] for name, one in found.items()} == {
        name: "adaptive" if "adaptive" in name else "fixed" if "digital" in name else "analogue" for name in fakes_.SENT
    }
    assert found["oasis+digital:link=qpsk@0.4"]["way"] == found["oasis+digital:link=16qam@1/2"]["way"]
    assert len({one["way"] for one in found.values()}) == 3
    assert {one["carrier"]: (one["colour"], one["mark"]) for one in found.values()} == {
        "oasis": (0, 0), "full_image": (1, 1),
    }  # fmt: skip
    assert {one["sent"]: one["dash"] for one in found.values()} == {"analogue": 2, "link": 0, "link, webp": 1}


def test_a_score_under_two_protocols_is_two_and_a_part_of_another_says_so(tmp_path: Any) -> None:
    frame, _ = read_results(fakes_.write_budget_run(tmp_path / "one"))
    mine = frame[frame["metric"] == "mIoU"]
    facts = fakes_.facts_of(tuple(fakes_.SENT), 12)
    write_results(pd.concat([frame, mine.assign(metric="mIoU[car]")], ignore_index=True), facts, tmp_path / "two")
    write_results(mine.assign(metric="LPIPS", higher_is_better=False), facts, tmp_path / "three")
    board = build_board(read_runs([tmp_path / "two", tmp_path / "three"]), [])
    views = {view["title"]: view for view in set_data(board, board.tracks[0].key, fakes_.POWERS[0])["views"]}
    lpips = [view for title, view in views.items() if title.startswith("LPIPS (")]
    assert sorted(view["protocol"] for view in lpips) == ["gt|judge=x|19 classes", "lpips=0.1|net=alex"]
    assert len({view["id"] for view in views.values()}) == len(views)
    assert [(title, view["class"]) for title, view in views.items() if view["part"]] == [("mIoU[car]", ("mIoU", "car"))]
