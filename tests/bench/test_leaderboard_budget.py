"""What the budget page is made of: ways of sending told apart, and costs beside quality on every channel."""

from __future__ import annotations

import json
from typing import Any

import leaderboard_fakes as fakes_
import numpy as np
import pandas as pd
import pytest

from bench.config import Config
from bench.leaderboard.board import Board, build_board, read_runs
from bench.leaderboard.load import set_data, set_names
from bench.leaderboard.looks import ways
from bench.leaderboard.site import build_site
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
    parts = [mine.assign(metric="IoU[car]"), mine.assign(metric="IoU[bus]", stderr=np.nan, contributions=None)]
    write_results(pd.concat([frame, *parts], ignore_index=True), facts, tmp_path / "two")
    write_results(mine.assign(metric="LPIPS", higher_is_better=False), facts, tmp_path / "three")
    board = build_board(read_runs([tmp_path / "two", tmp_path / "three"]), [])
    views = {view["title"]: view for view in set_data(board, board.tracks[0].key, fakes_.POWERS[0])["views"]}
    lpips = [view for title, view in views.items() if title.startswith("LPIPS (")]
    assert sorted(view["protocol"] for view in lpips) == ["gt|judge=x|19 classes", "lpips=0.1|net=alex"]
    assert len({view["id"] for view in views.values()}) == len(views)
    assert [title for title, view in views.items() if view["part"]] == ["IoU[car]"]
    assert [title for title, view in views.items() if view["classes"]] == ["mIoU"]


def test_classes_stand_with_their_whole_and_only_those_told_from_chance_are_ranked(tmp_path: Any) -> None:
    run = fakes_.write_budget_run(tmp_path / "one")
    frame, _ = read_results(run)
    mine = frame[frame["metric"] == "mIoU"]
    bus = mine.assign(metric="IoU[bus]", value=mine["value"] / 2, stderr=np.nan, contributions=None)
    parts = [mine.assign(metric="IoU[car]"), bus]
    write_results(pd.concat([frame, *parts], ignore_index=True), fakes_.facts_of(tuple(fakes_.SENT), 12), run)
    index = build_site([run], tmp_path / "site", Config())
    views = build_board(read_runs([run]), []).views
    assert "IoU[car]" in {view.metric for view in views}
    assert "IoU[bus]" not in {view.metric for view in views}
    (file, *_) = sorted((index.parent / "load").rglob("classes-*.js"))
    classes = json.loads(file.read_text().partition(", '")[2].removesuffix("');\n"))
    assert [one["name"] for one in classes] == ["car", "bus"]
    car, bus_rows = ({number: values for number, values in one["rows"]} for one in classes)
    assert set(car) == set(range(len(fakes_.SENT)))
    assert all(bus_rows[m][k] == pytest.approx(v / 2, rel=1e-4) for m in car for k, v in enumerate(car[m]))
    listed = (index.parent / "data" / "results.csv").read_text()
    assert {"IoU[car]", "IoU[bus]"} <= {line.split(",")[3] for line in listed.splitlines()}
