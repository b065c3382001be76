"""The plan: what is asked for becomes cells, and a cell's key holds everything that can change its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from bench.api import registry
from bench.api.channel import PAPER_PSNRS
from bench.api.errors import UsageError
from bench.api.registry import METHODS
from bench.api.seeding import digest
from bench.config import Config, load_config
from bench.run.plan import Cell, Plan, make_plan


def planned(**run: Any) -> Plan:
    config = load_config()
    channel = {k: run.pop(k) for k in ("calibration", "power") if k in run}
    return make_plan(
        config.model_copy(
            update={
                "run": config.run.model_copy(update=run),
                "channel": config.channel.model_copy(update=channel),
            }
        )
    )


def the_cell(**run: Any) -> Cell:
    return planned(**{"psnr": (10.0,), **run}).cells[0]


def test_every_combination_is_one_cell_in_the_order_of_the_tables(fakes: Path) -> None:
    plan = planned(methods=("fake_pixels", "fake_maps"), seeds=(0, 1))
    made = [(c.method.spec, c.channel.psnr, c.seed) for c in plan.cells]
    assert made == [(m, p, s) for m in ("fake_pixels", "fake_maps") for p in PAPER_PSNRS for s in (0, 1)]
    assert {c.scenes.ids for c in plan.cells} == {("test-000000", "test-000001", "test-000002")}


VARIANTS: dict[str, Callable[[], Cell]] = {
    "method": lambda: the_cell(methods=("fake_maps",)),
    "option": lambda: the_cell(methods=("fake_pixels:gain=0.5",)),
    "psnr": lambda: the_cell(psnr=(5.0,)),
    "calibration": lambda: the_cell(calibration="eq1"),
    "power": lambda: the_cell(power="average"),
    "seed": lambda: the_cell(seeds=(1,)),
    "number of scenes": lambda: the_cell(scenes=2),
    "split": lambda: the_cell(split="val"),
    "profile": lambda: the_cell(profile="paper"),
}


@pytest.mark.parametrize("what", VARIANTS)
def test_whatever_is_asked_for_changes_the_key(fakes: Path, what: str) -> None:
    assert digest(VARIANTS[what]().key) != digest(the_cell().key)


def test_what_the_parts_say_of_themselves_changes_the_key(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench_fakes

    from bench.data.streets import Streets

    keys = {digest(the_cell().key)}
    monkeypatch.setattr(bench_fakes.FakePixels, "code_version", 2)
    keys.add(digest(the_cell().key))
    monkeypatch.setattr(bench_fakes.FakePixels, "weights_digest", lambda self: "f" * 64)
    keys.add(digest(the_cell().key))
    monkeypatch.setattr(Streets, "fingerprint", lambda self, split, ids: "another renderer")
    keys.add(digest(the_cell().key))
    cell = the_cell()
    keys.add(digest(replace(cell, device_kind="cuda").key))
    keys.add(digest(replace(cell, scenes=replace(cell.scenes, size=(64, 128))).key))
    keys.add(digest(replace(cell, scenes=replace(cell.scenes, ids=cell.scenes.ids[::-1])).key))
    assert len(keys) == 7


def test_options_of_the_file_change_the_key_and_those_of_the_spec_win(fakes: Path) -> None:
    (fakes / "bench.toml").write_text(
        (fakes / "bench.toml").read_text() + "\n[methods.fake_pixels.options]\ngain = 0.5\n"
    )
    assert the_cell().method.identity["options"]["gain"] == 0.5
    assert the_cell(methods=("fake_pixels:gain=0.25",)).method.identity["options"]["gain"] == 0.25


def test_jobs_batches_metrics_and_companions_change_no_key(fakes: Path) -> None:
    same = the_cell(
        jobs=5, batch_size=1, backend="threading", metrics=("FakeFID",), methods=("fake_pixels", "fake_maps")
    )
    assert digest(same.key) == digest(the_cell().key)
    assert same.name == the_cell().name


def test_metrics_have_their_full_names_and_misfits_are_left_out_with_the_reason(fakes: Path) -> None:
    plan = planned(metrics=("fakefid", "FakeMSE", "FakeMisfit"))
    assert [m.name for m in plan.metrics["streets"]] == ["FakeFID[tiny]", "FakeMSE"]
    assert plan.left_out == ("FakeMisfit is not computed for streets: no judge for streets",)


def _only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make these the only registered methods."""
    kept = [point for point in entry_points(group=METHODS.group) if point.name in names]
    monkeypatch.setattr(
        registry, "entry_points", lambda group: kept if group == METHODS.group else entry_points(group=group)
    )
    registry._points.cache_clear()


def test_all_methods_leave_out_what_cannot_be_built_but_a_named_one_is_an_error(
    fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bench_fakes

    from bench.api.errors import MethodError

    def refuse(self: object, context: object, options: object = None) -> None:
        raise MethodError("no weights")

    monkeypatch.setattr(bench_fakes.FakeMaps, "__init__", refuse)
    _only(monkeypatch, "fake_maps", "fake_pixels")
    plan = planned(methods=("all",))
    assert {c.method.spec for c in plan.cells} == {"fake_pixels"}
    assert plan.left_out == ("fake_maps does not run on streets: no weights",)
    for named in (("fake_maps", "fake_pixels"), ("all", "fake_maps")):
        with pytest.raises(UsageError, match="fake_maps on streets: no weights"):
            planned(methods=named)


def test_all_has_no_variants_but_they_run_by_name_beside_it(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench_fakes

    _only(monkeypatch, "fake_maps", "fake_network", "fake_pixels")
    monkeypatch.setattr(bench_fakes.FakeNetwork, "variant_of", "fake_pixels")
    assert [c.method.spec for c in planned(methods=("all",), psnr=(10.0,)).cells] == ["fake_maps", "fake_pixels"]
    beside = planned(methods=("fake_network", "all", "fake_maps+fds"), psnr=(10.0,))
    assert [c.method.spec for c in beside.cells] == ["fake_network", "fake_maps", "fake_pixels", "fake_maps+fds"]


def test_judges_of_the_file_reach_the_metric_and_its_identity(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench_fakes

    monkeypatch.setattr(bench_fakes.FakeMse, "evaluators", classmethod(lambda cls, dataset: (f"{dataset}@a", "b")))
    monkeypatch.setattr(bench_fakes.FakeMse, "protocol", property(lambda self: f"judge={self.context.evaluator}"))
    (fakes / "bench.toml").write_text(
        (fakes / "bench.toml").read_text() + '\n[metrics.FakeMSE.evaluators]\nstreets = "streets@a"\n'
    )
    (metric,) = planned(metrics=("FakeMSE",)).metrics["streets"]
    assert metric.evaluator == "streets@a"
    assert metric.protocol == metric.identity["protocol"] == "judge=streets@a"


def test_a_judge_may_be_named_by_where_it_lies(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench_fakes

    monkeypatch.setattr(bench_fakes.FakeMse, "evaluator_schemes", ("hf:",))
    before = (fakes / "bench.toml").read_text()
    (fakes / "bench.toml").write_text(f'{before}\n[metrics.FakeMSE.evaluators]\nstreets = "hf:mine"\n')
    assert planned(metrics=("FakeMSE",)).metrics["streets"][0].evaluator == "hf:mine"
    (fakes / "mine").mkdir()
    assert planned(metrics=("FakeMSE",)).metrics["streets"][0].evaluator == f"hf:{fakes / 'mine'}"
    (fakes / "bench.toml").write_text(f'{before}\n[metrics.FakeMSE.evaluators]\nstreets = "mmseg:other"\n')
    with pytest.raises(UsageError, match="unknown evaluator 'mmseg:other' of streets"):
        planned(metrics=("FakeMSE",))


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[data.street]\nsize = [1, 1]\n", "unknown data set in [data.street]; did you mean 'streets'?"),
        ("[methods.fake_pixel]\n", "unknown method in [methods.fake_pixel]; did you mean 'fake_pixels'?"),
        ("[metrics.mIuO]\n", "unknown metric in [metrics.mIuO]; did you mean 'mIoU'?"),
        (
            '[metrics.mIoU.evaluators]\ncityscape = "x"\n',
            "unknown data set 'cityscape' in [metrics.mIoU.evaluators]; did you mean 'cityscapes'?",
        ),
        (
            '[metrics.mIoU.evaluators]\ncityscapes = "drn_d_105@fall"\n',
            "unknown evaluator 'drn_d_105@fall' of cityscapes in [metrics.mIoU.evaluators]; did you mean "
            "'drn_d_105@full'?",
        ),
        (
            '[metrics.LPIPS.evaluators]\nstreets = "streets"\n',
            "unknown evaluator 'streets' of streets in [metrics.LPIPS.evaluators]; none is known",
        ),
    ],
)
def test_sections_for_what_does_not_exist_are_errors(fakes: Path, toml: str, told: str) -> None:
    (fakes / "bench.toml").write_text(toml)
    with pytest.raises(UsageError) as error:
        make_plan(Config.model_validate(load_config().model_dump() | {"run": {"methods": ["fake_pixels"]}}))
    assert told in str(error.value)
