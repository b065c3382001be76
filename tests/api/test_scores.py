"""What is known of a score without measuring: by name, by pattern, by another name, and of what nobody declares."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench.api.names import metric_variants, resolve_metrics
from bench.api.registry import METRICS
from bench.api.scores import COSTS, FAMILIES, ScoreInfo, declared_scores, find_score, score_info, shown_always, stem


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch):
    """A metric of another package that cannot be imported."""

    class Point:
        name, value, module, dist = "Broken", "absent:Broken", "absent", None

        def load(self) -> None:
            raise ImportError("absent")

    points = METRICS.names()
    from bench.api import registry

    found = {**registry._points(METRICS.group), "Broken": (Point(),)}
    monkeypatch.setattr(registry, "_points", lambda group: found)
    find_score.cache_clear()
    yield points
    find_score.cache_clear()


def test_a_name_is_itself_and_a_star_any_text() -> None:
    assert ScoreInfo("recall", True).fits("recall")
    assert not ScoreInfo("recall", True).fits("recall[car]")
    assert ScoreInfo("recall[*]", True).fits("recall[car]")
    assert not ScoreInfo("recall[*]", True).fits("recallc")


def test_possible_values_are_told_in_words() -> None:
    share, distance, any_number = score_info("mIoU"), score_info("LPIPS"), score_info("KID[lite0]")
    assert [one.range for one in (share, distance, any_number)] == ["between 0 and 1", "0 or more", "any number"]
    assert share.holds(1.0)
    assert not share.holds(1.01)
    assert not any_number.holds(math.nan)


def test_names_are_declared_once_and_relations_lead_to_declared_scores() -> None:
    infos = list(declared_scores())
    names = [info.name for info in infos]
    assert len(names) == len(set(names))
    for info in infos:
        assert info.family in FAMILIES
        for other in (info.scenes, info.originals):
            assert other is None or other in names, info
        assert not (info.of_originals and (info.published or info.shown != "name")), info


def test_costs_are_declared_by_the_harness_and_warn_from_their_floor_on() -> None:
    assert {name: 1 + cost.floor for name, cost in COSTS.items()} == {
        "bits": 1.02, "channel_uses": 1.02, "energy": 1.02, "side_bytes": 1.02, "block_lost": 1.02,
        "seconds": 1.5, "memory": 1.25,
    }  # fmt: skip
    assert [name for name, cost in COSTS.items() if cost.machine] == ["seconds", "memory"]


def test_what_is_shown_unless_asked_otherwise_stands_by_family() -> None:
    assert shown_always(["FID[lite0]", "KID[lite0]", "LPIPS", "bits", "mIoU[judge]", "mIoU"]) == [
        "mIoU",
        "LPIPS",
        "FID",
    ]
    assert stem("mIoU[judge]") == stem("mIoU") == "mIoU"


def test_a_score_has_its_other_names() -> None:
    assert metric_variants("lpips[ALEX]", ["LPIPS", "LPIPS[vgg]"]) == ["LPIPS"]
    assert resolve_metrics("lpips[vgg]", ["LPIPS", "LPIPS[vgg]"]) == ["LPIPS[vgg]"]


def test_of_a_score_that_nobody_declares_the_defaults_hold(broken: list[str]) -> None:
    assert find_score("Sharpness") is None, "a broken package is in nobody's way"
    info = score_info("Sharpness")
    assert (info.low, info.high, info.floor, info.relative) == (-math.inf, math.inf, 0.02, True)
    assert (info.family, info.shown, info.published, info.machine) == ("other", "name", "", ())
    assert find_score("mIoU") is not None


def test_facts_are_read_without_pytorch() -> None:
    code = (
        "import sys; from bench.api.scores import score_info; score_info('mIoU'); score_info('Sharpness');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
