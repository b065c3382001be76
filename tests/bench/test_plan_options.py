"""Values of methods' options are checked when the plan is made, and what is impossible is told from what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bench_fakes
import pytest
from conftest import Answer

from bench.api.errors import ImpossibleError, MethodError, UsageError
from bench.api.method import MethodContext
from bench.config import Config
from bench.run.plan import Plan, make_plan

Cli = Callable[..., Answer]


def planned(sections: Mapping[str, Any] | None = None, **run: Any) -> Plan:
    defaults = {"methods": ("fake_pixels",), "scenes": 1, "psnr": (10.0,), "metrics": (), "device": "cpu"}
    defaults |= {"backend": "sequential"}  # in this process, where the fakes are changed
    return make_plan(Config.model_validate({"run": {**defaults, **run}, "methods": sections or {}}))


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        ("gesco", {"steps": "many"}, "option steps of gesco in [methods.gesco]: 'many' is a str, not a int"),
        ("gesco", {"steps": 2.5}, "option steps of gesco in [methods.gesco]: '2.5' is a float, not a int"),
        ("gesco", {"steps": True}, "option steps of gesco in [methods.gesco]: 'True' is a bool, not a int"),
        (
            "gesco",
            {"guidance": float("nan")},
            "option guidance of gesco in [methods.gesco]: nan is not a finite number",
        ),
        ("gesco", {"guidance": [2]}, "option guidance of gesco in [methods.gesco]: '[2]' is a list, not a float"),
        ("gesco", {"fds": 1}, "option fds of gesco in [methods.gesco]: '1' is a int, not a bool"),
        ("gesco", {"sampler": {"a": 1}}, "option sampler of gesco in [methods.gesco]"),
        ("gesco", {"weights": "../x"}, "option weights of gesco in [methods.gesco]: '../x' cannot name weights"),
        ("gesco", {"step": 5}, "unknown option 'step' of gesco in [methods.gesco]; did you mean 'steps'?"),
        ("full_image", {"codec": 3}, "option codec of full_image in [methods.full_image]"),
        ("fake_pixels", {"gain": "x"}, "option gain of fake_pixels in [methods.fake_pixels]"),
    ],
)
def test_a_value_of_another_type_in_the_file_is_a_usage_error(
    fakes: Path, method: str, options: dict[str, Any], told: str
) -> None:
    for asked in ("fake_pixels", "all"):  # a mistake in the file counts whether or not the method is asked for
        with pytest.raises(UsageError) as error:
            planned({method: {"options": options}}, methods=(asked,))
        assert told in str(error.value)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("gesco:steps=0", "option steps=0 of gesco"),
        ("gesco:steps=-5", "option steps=-5 of gesco"),
        ("gesco:steps=1001", "option steps=1001 of gesco"),
        ("gesco:guidance=nan", "option guidance of gesco"),
        ("gesco:guidance=-2", "option guidance=-2.0 of gesco"),
        ("gesco:sampler=euler", "unknown sampler 'euler' for gesco"),
        ("gesco:sampler=ddim-published:steps=300", "no whole stride"),
        ("full_image:weights=x", "unknown option 'weights' of full_image"),
        ("gesco:precision=float8", "unknown precision 'float8' for gesco"),
        ("spade:codec=gif", "unknown codec 'gif' for spade"),
        ("fake_pixels:gain=inf", "option gain of fake_pixels"),
    ],
)
def test_values_that_no_run_can_have_are_usage_errors_of_the_plan(cli: Cli, fakes: Path, spec: str, told: str) -> None:
    (fakes / "empty.toml").touch()  # the defaults hold
    answer = cli(
        "run", "--methods", spec, "--psnr", "10", "--dry-run", "--backend", "sequential", "--config", "empty.toml"
    )
    assert answer.code == 2
    assert told in answer.err
    assert "Traceback" not in answer.err


@pytest.fixture
def only_streets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fake_maps` is a method that `stuff` cannot have."""
    build = bench_fakes.FakeMaps.__init__

    def init(self: Any, context: MethodContext, options: Any = None) -> None:
        if context.dataset != "streets":
            raise ImpossibleError(f"fake_maps is for streets alone, not for {context.dataset}")
        build(self, context, options)

    monkeypatch.setattr(bench_fakes.FakeMaps, "__init__", init)


@pytest.mark.usefixtures("only_streets")
def test_an_impossible_pair_is_left_out_of_a_sweep_with_its_reason(fakes: Path) -> None:
    plan = planned(methods=("fake_maps", "fake_pixels"), datasets=("streets", "stuff"))
    there = {(cell.method.spec, cell.scenes.dataset) for cell in plan.cells}
    assert there == {("fake_maps", "streets"), ("fake_pixels", "streets"), ("fake_pixels", "stuff")}
    assert plan.left_out == ("fake_maps does not run on stuff: fake_maps is for streets alone, not for stuff",)


@pytest.mark.usefixtures("only_streets")
def test_an_impossible_pair_alone_is_a_usage_error(cli: Cli, fakes: Path) -> None:
    (fakes / "empty.toml").touch()
    here = ("--backend", "sequential", "--config", "empty.toml")
    answer = cli("run", "--methods", "fake_maps", "--datasets", "stuff", *here)
    assert answer.code == 2
    assert "nothing can run: fake_maps does not run on stuff: fake_maps is for streets alone" in answer.err


def test_a_missing_file_of_a_named_method_still_stops_the_sweep(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: object, context: object, options: object = None) -> None:
        raise MethodError("no weights")

    monkeypatch.setattr(bench_fakes.FakeMaps, "__init__", missing)
    with pytest.raises(UsageError, match="fake_maps on streets: no weights"):
        planned(methods=("fake_maps", "fake_pixels"))


@pytest.mark.parametrize(
    ("method", "size", "reason"),
    [
        ("smis", None, "smis groups its channels for the 35 label ids of Cityscapes and streets; stuff has 183"),
        ("spade", (60, 60), r"spade \(embedded\) needs sides that are multiples of 16, not 60x60"),
        ("gesco", (60, 60), "this network needs sides that are multiples of 16, not 60x60"),
    ],
)
def test_what_is_impossible_is_said_before_what_is_missing(
    fakes: Path, method: str, size: tuple[int, int] | None, reason: str
) -> None:
    config = Config.model_validate(
        {
            "run": {"methods": (method,), "datasets": ("stuff",), "scenes": 1, "metrics": (), "device": "cpu"},
            "data": {"stuff": {"size": size}} if size else {},
        }
    )
    with pytest.raises(UsageError, match=reason) as error:
        make_plan(config)
    assert "bench train" not in str(error.value)


def test_a_profile_that_does_not_exist_is_named_for_methods_without_weights_too(fakes: Path) -> None:
    with pytest.raises(UsageError, match="unknown profile 'papr'; did you mean 'paper'"):
        planned(profile="papr")
