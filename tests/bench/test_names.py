"""Names as people type them: in any case, without a metric's bracket, and with help that says what there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from table_frames import method_rows

from bench.api.device import resolve_devices
from bench.api.errors import UsageError, known_name
from bench.api.names import metrics_asked
from bench.api.specs import parse_spec
from bench.channels.registry import build_channel
from bench.checkpoints.catalogue import load_catalogue
from bench.cli.train import WHAT
from bench.config import Config, RunSection
from bench.figures import find_figures
from bench.run.ablations import find_ablation
from bench.run.plan import make_plan
from bench.speed.timing import named_size
from bench.tables import render
from metrics.evaluators.embedded import SPECS

Cli = Callable[..., Answer]


def test_an_exact_name_comes_first_and_names_that_differ_in_case_only_are_not_guessed_at() -> None:
    assert known_name("gesco", ("gesco", "GESCO"), "method") == "gesco"
    assert known_name("GESCO", ("gesco",), "method") == "gesco"
    with pytest.raises(UsageError, match="unknown method 'Gesco'; did you mean"):
        known_name("Gesco", ("gesco", "GESCO"), "method")


def test_what_a_spec_stands_for_does_not_depend_on_case() -> None:
    spec = parse_spec("GESCO+FDS:steps=5")
    assert (spec.text, spec.name) == ("gesco+fds:steps=5", "gesco")


def test_figures_ablations_formats_devices_channels_and_checkpoints_are_found_in_any_case() -> None:
    assert [kind.name for kind in find_figures(["PSNR", "Bits"])] == ["psnr", "bits"]
    assert find_ablation("FDS").name == "fds"
    assert render([], "MD") == ""
    assert resolve_devices("CPU").names == ("cpu",)
    channel = build_channel("AWGN", 10.0, {"calibration": "Paper", "power": "PEAK"})
    assert channel.label == "awgn-paper-peak@10"
    assert channel.identity() == build_channel("awgn", 10.0).identity()
    assert named_size("Paper").name == "paper"
    assert load_catalogue().find("SPADE", "Cityscapes").name == "spade"
    assert metrics_asked(("ALL", "miou"), ("LPIPS", "mIoU")) == {"LPIPS": "all", "mIoU": "all"}


def test_commands_take_methods_data_sets_metrics_splits_and_devices_in_any_case(cli: Cli, fakes: Path) -> None:
    ran = cli(
        "run", "--methods", "Fake_Pixels,FAKE_PIXELS", "--datasets", "Streets", "--split", "TEST", "--psnr", "10",
        "--metrics", "FAKEMSE", "--device", "CPU", "--calibration", "PAPER", "--out", "o",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows, _ = method_rows(fakes / "o")
    assert {(m, d, s) for m, d, s in zip(rows["method"], rows["dataset"], rows["split"], strict=True)} == {
        ("fake_pixels", "streets", "test")
    }
    for command in (
        ("table", "FAKEMSE", "--out", "o", "--format", "CSV"),
        ("plot", "PSNR", "--methods", "FAKE_PIXELS", "--metrics", "fakemse", "--out", "o", "--format", "PNG"),
        ("regress", "--baseline", "o", "--methods", "FAKE_PIXELS", "--datasets", "STREETS", "--scenes", "3", "--out",
         "r", "--metrics", "FakeMse"),
        ("data", "check", "STREETS", "--split", "VAL"),
    ):  # fmt: skip
        answer = cli(*command)
        assert "unknown" not in answer.err, answer.err
        assert answer.code == (2 if command[0] == "regress" else 0), answer.err  # three scenes show no change
    wrong = cli("train", "GESKO", "--dataset", "STREETS")
    assert (wrong.code, "unknown method 'GESKO'; did you mean 'gesco'?" in wrong.err) == (2, True)


def test_fid_is_the_one_that_can_be_computed_and_the_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("GESCO_BENCH_WEIGHTS", raising=False)
    run = RunSection(methods=("full_image",), metrics=("FID",), scenes=1, psnr=(10.0,), device="cpu")
    plan = make_plan(Config(run=run))
    assert [metric.name for metric in plan.metrics["streets"]] == ["FID[lite0]"]
    (line,) = [line for line in plan.left_out if line.startswith("FID")]
    assert line.startswith("FID[inception] is not computed for streets, so FID is FID[lite0] here: ")


def test_the_help_of_train_names_every_network_of_metrics_and_what_its_data_set_needs(cli: Cli) -> None:
    said = " ".join(cli("train", "segmenter", "--help").out.split())
    assert WHAT in said
    assert all(name in said for name in SPECS)
    assert "detector (where classes are things) or depth (where there are depth maps)" in said
