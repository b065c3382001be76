"""`bench ablate`: the arms exist, run through the ordinary cache, and come out as a table that `bench table` finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import Answer, manifests
from table_frames import at10

import bench.run.ablations
from bench.api.registry import METHODS
from bench.api.specs import parse_spec
from bench.run.ablations import ABLATIONS, EQUAL_GUIDANCE, Ablation, Arm
from bench.tables.named import ablation_tables

Cli = Callable[..., Answer]
GAINS = Ablation(
    "gains",
    "how dark the pictures are",
    ("gain",),
    tuple(Arm((gain,), f"fake_pixels:gain={gain}") for gain in ("1.0", "0.5")),
    ("FakeMSE", "bits"),
)
LEVELS = Ablation(
    "levels",
    "the calibration",
    ("calibration",),
    tuple(Arm((name,), "fake_pixels", f"awgn-{name}-peak") for name in ("paper", "eq1")),
    ("FakeMSE",),
)


@pytest.fixture
def fake_ablations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.run.ablations, "ABLATIONS", {"gains": GAINS, "levels": LEVELS, "fds": GAINS})


@pytest.mark.parametrize("name", sorted(ABLATIONS))
def test_arms_are_specs_as_results_name_them(name: str) -> None:
    """A spec in another form than its canonical one would never be found in the results."""
    for arm in ABLATIONS[name].arms:
        assert parse_spec(arm.method).text == arm.method
        assert len(arm.labels) == len(ABLATIONS[name].headings)


def test_arms_with_weights_of_ones_own_are_found_and_say_so() -> None:
    values = {"fake_pixels:gain=1.0:weights=mine": 0.1, "fake_pixels:gain=0.5": 0.2}
    rows = pd.concat([at10(values, metric=name) for name in GAINS.metrics])
    (table,) = ablation_tables(rows, GAINS, 10.0)
    assert [row.labels for row in table.rows] == [("1.0 (weights mine)",), ("0.5",)]


def test_table_5_says_what_else_its_arms_differ_in_and_has_arms_of_equal_guidance() -> None:
    from bench.api.method import MethodContext
    from bench.api.scenes import facts_of
    from bench.data.registry import open_dataset
    from methods.common.diffusion.method import DiffusionMethod
    from methods.gesco.method import Gesco
    from methods.sdm import Sdm

    fds = ABLATIONS["fds"]
    assert Sdm.default_options["guidance"] == EQUAL_GUIDANCE
    assert not Sdm.papers_guidance  # else the arms would be unequal on some data set
    for arm in fds.arms:
        spec = parse_spec(arm.method)
        method = METHODS.load(spec.name)
        assert issubclass(method, DiffusionMethod)
        guidance = spec.options.get("guidance", method.default_options["guidance"])
        assert (arm.labels[3] == "SDM's") == (guidance == EQUAL_GUIDANCE)
    trained = {(arm.labels[:3], arm.labels[3]) for arm in fds.arms}
    for noisy in ("✗", "✓"):
        for block in ("✗", "✓"):
            assert ((block, noisy, "present"), "SDM's") in trained  # the paper's four arms, in FDS and training alone
    context = MethodContext("streets", open_dataset("streets").label_space, 64, 128)
    sdm, gesco = Sdm.profile_for(context), Gesco.profile_for(context)
    assert f"{sdm.drop_rate:g} over the last {100 * (1 - sdm.drop_from):.0f} % of the steps for SDM" in fds.remark
    assert f"{gesco.drop_rate:g} throughout for GESCO" in fds.remark
    assert gesco.drop_from == 0
    assert f"SDM's {EQUAL_GUIDANCE}, GESCO's {Gesco.default_options['guidance']:g} " in fds.remark
    assert f"({facts_of('stuff').guidance:g} on COCO-Stuff's labels)" in fds.remark


def test_codecs_of_the_ablation_exist() -> None:
    from methods import full_image
    from methods.common.semantic import codec

    assert set(bench.run.ablations.CODECS["full_image"]) <= set(full_image.CODECS)
    assert set(bench.run.ablations.CODECS["gesco"]) <= set(codec.CODECS)


def test_an_ablation_runs_and_prints_its_table(cli: Cli, fakes: Path, fake_ablations: None) -> None:
    answer = cli("ablate", "gains", "--psnr", "100", "--scenes", "2", "--out", "o", "--format", "md")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "| gain | FakeMSE ↓ | bits ↓ |"
    assert lines[2].startswith("| 1.0 | 0.000 ± 0.000 | ")
    assert "No ranks: 2 scenes cannot show any difference among" in answer.out
    assert lines[3].startswith("| 0.5 | 0.")
    assert "How dark the pictures are." in lines[5]
    assert "2 scenes" in lines[5]
    assert cli("table", "gains", "--psnr", "100", "--out", "o", "--format", "md").out == answer.out
    alone = cli("table", "FakeMSE", "--out", "o")
    assert alone.code == 2
    assert "the results in o are of ablations only (gains): `bench table gains --out o` prints one" in alone.err


def test_cells_are_shared_with_bench_run(cli: Cli, fakes: Path, fake_ablations: None) -> None:
    assert cli("run", "--methods", "fake_pixels:gain=1.0", "--psnr", "10", "--out", "o").code == 0
    before = manifests(fakes / "o")
    table = cli("table", "FakeMSE", "--out", "o").out
    assert cli("ablate", "gains", "--out", "o").code == 0
    after = manifests(fakes / "o")
    assert len(after) == 2
    assert {name: after[name] for name in before} == before
    assert cli("table", "FakeMSE", "--out", "o").out == table  # the run's own tables stay


def test_arms_may_differ_in_their_channel(cli: Cli, fake_ablations: None) -> None:
    answer = cli("ablate", "levels", "--out", "o", "--format", "md")
    assert answer.code == 0, answer.err
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in answer.out.splitlines()[2:4]]
    assert [row[0] for row in rows] == ["paper", "eq1"]
    assert rows[0][1] != rows[1][1]
    assert "peak SNR 8.9 or 10.0 dB" in answer.out
    assert "paper calibration, peak power and AWGN, eq1 calibration" in answer.out


def test_the_ablation_table_is_found_beside_the_run(cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    monkeypatch.setattr(bench.run.ablations, "ABLATIONS", {"fds": dataclasses.replace(GAINS, name="fds")})
    assert cli("ablate", "fds", "--out", "o").code == 0
    alone = cli("table", "ablation", "--out", "o")
    assert alone.code == 0, alone.err
    assert cli("run", "--psnr", "10", "--out", "o").code == 0
    assert cli("table", "ablation", "--out", "o").out == alone.out
    assert cli("table", "FakeMSE", "--out", "o").code == 0


def test_unknown_ablations_formats_and_psnrs_are_refused_before_anything_runs(cli: Cli, fakes: Path) -> None:
    for wrong, told in (
        (("guidanse",), "unknown ablation 'guidanse'; did you mean 'guidance'?"),
        (("fds", "--format", "htlm"), "unknown format 'htlm'; did you mean 'html'?"),
        (("fds", "--psnr", "11"), "unknown PSNR 11"),
    ):
        answer = cli("ablate", *wrong, "--out", "o")
        assert answer.code == 2
        assert told in answer.err
    assert not (fakes / "o").exists()


def test_a_failing_arm_is_told_and_the_others_are_shown(cli: Cli, fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = (Arm(("well",), "fake_pixels"), Arm(("badly",), "fake_faulty"))
    faulty = Ablation("faulty", "whether it works", ("arm",), arms, ("FakeMSE",))
    monkeypatch.setattr(bench.run.ablations, "ABLATIONS", {"faulty": faulty, "fds": faulty})
    answer = cli("ablate", "faulty", "--out", "o", "--format", "md")
    assert answer.code == 1
    assert "failed: fake_faulty" in answer.err
    assert "| badly | - |" in answer.out
    assert (fakes / "o" / "failures.log").is_file()
