"""Parts are found through entry points; bad names and bad distributions are named and harm nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

from bench.api import registry
from bench.api.errors import MethodError, MethodFault, MetricError, MetricFault
from bench.api.names import metrics_asked
from bench.api.registry import METHODS, METRICS
from bench.api.specs import all_methods, parse_spec
from metrics.lpips import Lpips

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put distributions with these entry points of a group on the path, and hide every other one."""

    def install(group: str, **named: str) -> None:
        for name, lines in named.items():
            info = tmp_path / f"{name}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        found = [point for one in distributions(path=[str(tmp_path)]) for point in one.entry_points]
        monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in found if p.group == group])
        registry._points.cache_clear()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    registry._points.cache_clear()


def test_names_are_known_without_importing_what_is_behind_them() -> None:
    code = (
        "import sys; from bench.api.registry import METHODS, METRICS; METHODS.names(); METRICS.built_in(); "
        "assert METRICS.find('miou') == 'mIoU'; print({'torch', 'methods', 'metrics'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_what_comes_with_the_benchmark_is_told_from_what_does_not(install: Install) -> None:
    install("bench.metrics", gesco_bench="LPIPS = metrics.lpips:Lpips", third_party="Sharpness = theirs:Sharpness")
    assert METRICS.names() == ["LPIPS", "Sharpness"]
    assert METRICS.built_in() == ["LPIPS"]
    assert [METRICS.is_ours(name) for name in ("LPIPS", "Sharpness", "nothing")] == [True, False, False]


def test_names_are_found_in_any_case_and_unknown_ones_are_answered_with_the_nearest(install: Install) -> None:
    install("bench.metrics", gesco_bench="LPIPS = metrics.lpips:Lpips\nmIoU = metrics.miou:MeanIoU")
    assert METRICS.find("lpips") == "LPIPS"
    assert METRICS.load("lpips") is Lpips
    with pytest.raises(MetricError, match=r"unknown metric 'lpisp'; did you mean 'LPIPS'\?"):
        METRICS.load("lpisp")


def test_a_metric_is_also_named_without_its_bracket_and_lpips_by_its_network() -> None:
    names = ["FID[inception]", "FID[lite0]", "LPIPS", "LPIPS[vgg]"]
    assert list(metrics_asked(["fid"], names)) == ["FID[inception]", "FID[lite0]"]
    assert list(metrics_asked(["fid[LITE0]", "LPIPS[alex]", "lpips[VGG]"], names)) == [
        "FID[lite0]", "LPIPS", "LPIPS[vgg]",
    ]  # fmt: skip


def test_a_broken_distribution_is_named_and_leaves_the_others_usable(install: Install, tmp_path: Path) -> None:
    (tmp_path / "half_installed.py").write_text("import a_module_that_is_not_there\n")
    install(
        "bench.metrics", gesco_bench="LPIPS = metrics.lpips:Lpips", third_party="Sharpness = half_installed:Sharpness"
    )
    assert METRICS.load("LPIPS") is Lpips
    with pytest.raises(MetricFault, match=r"'Sharpness' of third_party cannot .*a_module_that_is_not_there"):
        METRICS.load("Sharpness")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("pathlib:Path", r"third_party \(pathlib:Path\) is not a subclass of bench\.api\.metric\.Metric"),
        ("metrics.lpips:Lpips", "calls itself 'LPIPS': its `name` has to be 'Odd'"),
    ],
)
def test_an_entry_point_to_something_else_is_refused(install: Install, value: str, told: str) -> None:
    install("bench.metrics", third_party=f"Odd = {value}")
    with pytest.raises(MetricError, match=told):
        METRICS.load("Odd")


def test_one_name_of_two_distributions_is_refused(install: Install) -> None:
    install("bench.metrics", first="LPIPS = metrics.lpips:Lpips", second="LPIPS = metrics.other:Lpips")
    with pytest.raises(MetricError, match="'LPIPS' is registered by first and second: uninstall one of them"):
        METRICS.load("LPIPS")


def test_without_any_metric_the_remedy_is_to_install(install: Install) -> None:
    install("bench.metrics")
    with pytest.raises(MetricError, match="pip install -e"):
        METRICS.load("mIoU")


def test_a_constructor_that_breaks_is_a_fault_and_one_that_explains_itself_is_not(
    monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    install("bench.metrics", gesco_bench="LPIPS = metrics.lpips:Lpips")
    for raised, fault in ((ZeroDivisionError("x"), True), (SystemExit(3), True), (MetricError("no labels"), False)):

        def refuse(self: Lpips, context: object, raised: BaseException = raised) -> None:
            raise raised

        monkeypatch.setattr(Lpips, "__init__", refuse)
        with pytest.raises(MetricError) as caught:
            METRICS.build("LPIPS", None)
        assert isinstance(caught.value, MetricFault) is fault


def test_all_is_the_seven_methods_of_the_benchmark_and_no_variant() -> None:
    names, broken = all_methods()
    assert {"full_image", "spade", "ccfpse", "smis", "oasis", "sdm", "gesco"} <= set(names)
    assert broken == []
    others = {name: METHODS.load(name) for name in METHODS.names() if name not in names}
    variants = {name: method.variant_of for name, method in others.items() if not method.by_name}
    assert variants["gesco_fdstrain"] == "gesco"
    assert set(variants.values()) <= set(names)


def test_all_passes_over_what_cannot_be_used_and_names_it(install: Install) -> None:
    install(
        "bench.methods",
        gesco_bench="full_image = methods.full_image:FullImage",
        theirs="broken = no_such_module:Method\ntext = bench.api.specs:WEIGHTS\n"
        "with-hyphen = methods.full_image:FullImage",
    )
    names, told = all_methods()
    assert names == ["full_image"]
    assert [message.split(" (")[0] for message in told] == [
        "method 'broken' of theirs cannot be imported",
        "method 'text' of theirs",
        "method 'with-hyphen' cannot be named in a spec: only letters, digits and _ can",
    ]
    assert "no_such_module" in told[0]
    with pytest.raises(MethodFault, match=r"'broken'.*cannot be imported"):
        parse_spec("broken")


def test_every_method_says_what_it_is() -> None:
    assert {"full_image", "smis", "gesco", "gesco_fdstrain"} <= set(METHODS.built_in())
    for name in METHODS.built_in():
        method = METHODS.load(name)
        assert method.name == name
        assert method.title
    with pytest.raises(MethodError, match="unknown method 'gesko'; did you mean 'gesco'"):
        METHODS.load("gesko")
