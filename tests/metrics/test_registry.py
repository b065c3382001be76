"""Metrics are found through entry points; bad names and bad packages are named and harm nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api import metrics as registry
from bench.api.metric import MetricError
from metrics.lpips import Lpips

NAMES = ["FID[lite0]", "LPIPS", "mIoU"]


@pytest.fixture
def install(tmp_path: Path, monkeypatch):
    """Put packages with these entry points on the path, and hide every other package."""

    def install(**packages: str) -> None:
        for package, lines in packages.items():
            info = tmp_path / f"{package}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[bench.metrics]\n{lines}\n")
        monkeypatch.setattr(registry, "entry_points", lambda group: _entry_points_in(tmp_path, group))

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def _entry_points_in(folder: Path, group: str):
    from importlib.metadata import distributions

    return [
        point for found in distributions(path=[str(folder)]) for point in found.entry_points if point.group == group
    ]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("mIoU", "mIoU"), ("miou", "mIoU"), ("lpips", "LPIPS"), ("FID", "FID[lite0]"), ("fid[LITE0]", "FID[lite0]")],
)
def test_names_are_matched_in_any_case_and_without_their_bracket(asked, meant):
    assert registry.match_name(asked, NAMES) == meant


def test_an_exact_name_wins_over_a_bracketed_one():
    assert registry.match_name("FID", [*NAMES, "FID"]) == "FID"


def test_lpips_has_a_second_name_that_says_its_network():
    assert registry.match_name("LPIPS[alex]", [*NAMES, "LPIPS[vgg]"]) == "LPIPS"
    assert registry.match_name("lpips[VGG]", [*NAMES, "LPIPS[vgg]"]) == "LPIPS[vgg]"


def test_an_ambiguous_name_lists_what_it_could_be():
    with pytest.raises(MetricError, match=r"`FID\[inception\]` or `FID\[lite0\]`"):
        registry.match_name("fid", [*NAMES, "FID[inception]"])


def test_an_unknown_name_gets_the_nearest_one_and_the_list():
    with pytest.raises(
        MetricError, match=r"no metric `lpisp`; did you mean `LPIPS`\? known: FID\[lite0\], LPIPS, mIoU"
    ):
        registry.match_name("lpisp", NAMES)


def test_the_class_behind_a_name_is_loaded(install):
    install(gesco_bench="LPIPS = metrics.lpips:Lpips\nmIoU = metrics.miou:MeanIoU")
    assert registry.metric_names() == ["LPIPS", "mIoU"]
    assert registry.metric_class("lpips") is Lpips


def test_a_metric_is_created_for_a_context(install, context):
    install(gesco_bench="LPIPS = metrics.lpips:Lpips")
    assert registry.create_metric("LPIPS", context).context is context


def test_a_broken_package_is_named_and_leaves_the_others_usable(install, tmp_path):
    (tmp_path / "half_installed.py").write_text("import a_module_that_is_not_there\n")
    install(gesco_bench="LPIPS = metrics.lpips:Lpips", third_party="Sharpness = half_installed:Sharpness")
    assert registry.metric_class("LPIPS") is Lpips
    with pytest.raises(MetricError, match=r"`Sharpness` of package third_party .*a_module_that_is_not_there"):
        registry.metric_class("Sharpness")


def test_an_entry_point_to_something_else_than_a_metric_is_refused(install):
    install(third_party="Odd = pathlib:Path")
    with pytest.raises(MetricError, match=r"third_party.*not a subclass"):
        registry.metric_class("Odd")


def test_one_name_from_two_packages_is_refused(install):
    install(first="LPIPS = metrics.lpips:Lpips", second="LPIPS = metrics.other:Lpips")
    with pytest.raises(MetricError, match="first and second"):
        registry.metric_class("LPIPS")


def test_without_any_metric_the_remedy_is_to_install(install):
    install()
    with pytest.raises(MetricError, match="pip install -e"):
        registry.metric_class("mIoU")
