"""`bench speed` on a network so small that it takes seconds: what is compared is the same work, and nothing is lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench.api.errors import UsageError
from bench.api.metric import MetricContext
from bench.config import Config, RunSection
from bench.run.plan import make_plan
from bench.run.runner import RunReport
from bench.run.worker import WORKER
from bench.speed.anchors import OURS, Anchor, inception, measure_anchor, sampler
from bench.speed.pipeline import measure_pipeline, write_pipeline
from bench.speed.published import in_published_arithmetic
from bench.speed.quality import (
    QualityRequest,
    _check,
    _Done,
    against_reference,
    as_markdown,
    measure_quality,
    plot_quality,
    quality_table,
    scenes_of,
)
from bench.speed.report import provenance, write_report
from bench.speed.sampling import inputs, measure_sampling, seeded_network
from bench.speed.timing import (
    CHANNELS,
    SIZES,
    Size,
    count_flops,
    interleaved,
    matmul_peak,
    named_size,
    peak_memory,
    seconds_alone,
)
from bench.speed.training import PlainTraining, measure_training, random_scene
from methods.common.diffusion.profile import UNetConfig, embedded_profile
from methods.common.diffusion.samplers import SAMPLERS
from methods.common.diffusion.unet import SemanticUNet

CPU = torch.device("cpu")
PERFORMANCE = Path(__file__).parents[2] / "results" / "performance"
TINY = Size(
    "tiny",
    UNetConfig(map_channels=CHANNELS, width=8, multipliers=(1, 2), blocks=1, attention_factors=(2,), head_channels=8,
               spade_hidden=4, groups=4),
    16, 32, steps=2, updates=1, repeats=1,
)  # fmt: skip


def quiet(line: str) -> None:
    pass


def test_variants_run_in_turn() -> None:
    order: list[str] = []

    def variant(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    timings = interleaved({"a": variant("a"), "b": variant("b")}, 3, CPU)
    assert order == ["a", "b"] * 3
    assert [len(runs) for runs in timings.values()] == [3, 3]
    assert peak_memory(lambda: order.append("memory"), CPU) is None
    assert order[-1] == "memory"


def test_operations_are_counted_and_the_peak_is_positive() -> None:
    left, right = torch.empty(8, 16, device="meta"), torch.empty(16, 4, device="meta")
    assert count_flops(lambda: left @ right) == 2 * 8 * 16 * 4
    assert matmul_peak(CPU, torch.float32) > 1e8


def test_sampling_compares_the_same_pictures(tmp_path: Path) -> None:
    measured = measure_sampling(TINY, CPU, 2, 1, quiet)
    rows = {row["variant"]: row for row in measured["rows"]}
    assert list(rows) == [
        "published, batch 1", "ours, batch 1", "published, batch 4", "ours, batch 4", "ours, batch 8",
    ]  # fmt: skip
    for row in rows.values():
        assert row["ms_per_step_min"] <= row["ms_per_step"] <= row["ms_per_step_max"]
        assert row["share_of_matmul_peak"] > 0
        assert row["s_per_image"]["1000"] > row["s_per_image"]["25"]
    assert rows["ours, batch 1"]["gflop_per_step"] < rows["published, batch 1"]["gflop_per_step"]
    assert rows["ours, batch 8"]["gflop_per_step"] == pytest.approx(8 * rows["ours, batch 1"]["gflop_per_step"])
    errors = measured["relative_error_against_float32"]
    assert errors["float32"] < 1e-5 < errors["float16"] < errors["bfloat16"] < errors["float8_e4m3fn"] < 0.5
    students = {(row["evaluations"], row["batch"]): row for row in measured["students"]}
    assert list(students) == [(1, 1), (2, 1), (1, 8), (2, 8)]
    once, twice = (students[n, 1]["gflop_per_image"] for n in (1, 2))
    assert once < twice < 2 * once  # the maps' part is made once a picture
    assert twice < rows["ours, batch 1"]["gflop_per_step"] * 2
    assert all(row["images_per_second"] * row["ms_per_image"] == pytest.approx(1000) for row in students.values())
    json_file, table = write_report("sampling", measured, provenance(TINY, CPU), tmp_path)
    assert json.loads(json_file.read_text())["provenance"]["threads"] == torch.get_num_threads()
    assert "ours, batch 8" in table.read_text()
    assert "| 2 evaluations, batch 8 | " in table.read_text()


def test_the_whole_way_is_told_stage_by_stage(tmp_path: Path) -> None:
    measured = measure_pipeline(("full_image", "spade"), ("LPIPS",), "streets", 10, 2, "cpu", False, quiet)
    rows = {(row["method"], row["stage"]): row for row in measured["rows"]}
    order = ["render", "send", "channel", "receive", "files", "LPIPS"]
    assert [stage for method, stage in rows if method == "spade"] == order
    assert all(row["seconds"] > 0 for row in rows.values())
    # AlexNet's convolutions at 64x128, of the regenerated picture alone: its original is known
    assert rows["spade", "LPIPS"]["operations"] == rows["full_image", "LPIPS"]["operations"] > 1.7e8
    assert rows["full_image", "receive"]["operations"] == 0 < rows["spade", "receive"]["operations"]
    files = write_pipeline(measured, tmp_path)
    assert [file.name for file in files] == ["pipeline-streets-cpu.json", "pipeline-streets-cpu.md"]
    text = files[1].read_text()
    known = sum(row["seconds"] for (method, _), row in rows.items() if method == "spade")
    assert f"- spade: {1 / known:.1f} scenes a second and core" in text
    assert text.count("| spade | ") == len(order) + 1
    assert "Beside code" not in text


def test_code_of_others_does_the_same_work_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    methods = ("gesco:steps=2", "full_image")
    cell, other = make_plan(Config(run=RunSection(methods=methods, psnr=(10,), scenes=2, device="cpu"))).cells
    pictures = WORKER.scene(cell.scenes, cell.scenes.ids).image
    drawn = sampler(WORKER.pair(cell, "cpu").receiver, pictures)
    assert drawn is not None
    assert sampler(WORKER.pair(other, "cpu").receiver, pictures) is None
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    looked = inception(pictures, MetricContext.of(WORKER.source(cell.scenes)))
    assert (drawn.steps, looked.steps, looked.missing) == (2, None, ("torch-fidelity",))
    with torch.inference_mode():
        for anchor in (drawn, looked):
            found = []
            for call in anchor.ways.values():
                torch.manual_seed(0)  # the samplers' noise
                found.append(call())
            ours, theirs = found
            assert ours.shape == theirs.shape
            assert float(ours.std()) > 0
            assert float((ours - theirs).abs().max()) < 1e-3 * float(ours.abs().max())


def test_anchors_stand_beside_ours(tmp_path: Path) -> None:
    measured = measure_pipeline(("full_image",), ("PSNR[picture]",), "streets", 10, 2, "cpu", False, quiet)
    work = Anchor("sums, 2 steps", {OURS: lambda: torch.eye(2) @ torch.eye(2), "theirs": lambda: torch.zeros(1)}, 2)
    rows, _ = measure_anchor(work, 2, 1, CPU, iter(range(1000)).__next__)
    assert [(row["way"], row["seconds"], row["operations"]) for row in rows] == [(OURS, 0.5, 8.0), ("theirs", 0.5, 0.0)]
    text = write_pipeline({**measured, "anchors": rows, "missing": ["theirs"]}, tmp_path)[1].read_text()
    assert "| sums, 2 steps | theirs | 500.00 | 2.0 | 1.00 times as fast | 0.00 | 0% |" in text
    assert "sums, theirs, 1000 steps: 250 s." in text
    assert "`pip install theirs`" in text


def test_the_published_arithmetic_computes_the_same_function() -> None:
    maps, x = inputs(TINY, 2, CPU)
    time = torch.tensor([3, 700])
    ours = seeded_network(TINY, CPU, torch.float32)
    published = in_published_arithmetic(seeded_network(TINY, CPU, torch.float32))
    with torch.inference_mode():
        expected, found = (network(x, time, network.prepare(maps)) for network in (ours, published))
    assert float(expected.std()) > 0.01
    assert float((found - expected).abs().max()) < 1e-5 * float(expected.abs().max())


def test_training_compares_one_update_with_one_update(tmp_path: Path) -> None:
    measured = measure_training(TINY, CPU, 1, 1, quiet)
    assert [row["variant"] for row in measured["rows"]] == ["plain", "ours"]
    assert measured["ratios"]["ours against plain"] > 0
    # the same weights and scenes, other noise
    first = {name: losses[0] for name, losses in measured["losses"].items()}
    assert first["ours"] == pytest.approx(first["plain"], rel=0.3)
    _, table, curves = write_report("training", measured, provenance(TINY, CPU), tmp_path)
    assert "warm-up s" in table.read_text()
    assert curves.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_plain_loop_learns(dtype: torch.dtype) -> None:
    network = SemanticUNet(TINY.network)
    network.reset_parameters()
    plain, scene = PlainTraining(TINY, CPU, network.state_dict(), dtype), random_scene(TINY)
    losses = [plain.step(scene, torch.Generator().manual_seed(0)) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert {p.dtype for p in plain.network.parameters()} == {dtype}
    assert {p.dtype for net in (plain.master, plain.average) for p in net.parameters()} == {torch.float32}


def test_the_plain_loop_skips_an_update_whose_gradients_overflow() -> None:
    network = SemanticUNet(TINY.network)
    network.reset_parameters()
    plain, scene = PlainTraining(TINY, CPU, network.state_dict(), torch.float16), random_scene(TINY)
    plain.loss_scale = 2.0**30
    before = [p.clone() for p in plain.network.parameters()]
    assert plain.step(scene, torch.Generator().manual_seed(0)) > 0
    assert plain.loss_scale == 2.0**29
    assert all(torch.equal(a, b) for a, b in zip(before, plain.network.parameters(), strict=True))


def test_sizes_are_the_papers_and_one_for_any_machine() -> None:
    assert (SIZES["paper"].height, SIZES["paper"].width, SIZES["paper"].network) == (256, 512, UNetConfig())
    with pytest.raises(UsageError, match="did you mean 'paper'"):
        named_size("papr")


def request(tmp_path: Path, **changes: object) -> QualityRequest:
    given = {"method": "gesco", "samplers": None, "steps": (5, 10), "psnrs": (100.0,), "scenes": 200, "budget": 4000}
    rest = {
        "equal_scenes": 0,
        "dataset": "streets",
        "split": "auto",
        "device": "cpu",
        "jobs": 1,
        "batch_size": 8,
        "out": tmp_path,
    }
    return QualityRequest(**{**given, **rest, **changes})  # type: ignore[arg-type]


def test_rows_of_many_steps_get_fewer_scenes(tmp_path: Path) -> None:
    asked = request(tmp_path)
    assert [scenes_of(asked, n) for n in (5, 25, 100, 1000)] == [200, 160, 40, 8]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "smis"}, "no diffusion method"),
        ({"method": "gesco:steps=5"}, "fixes sampler or steps"),
        ({"method": "gesko"}, "did you mean 'gesco'"),
        ({"samplers": ("dimm",)}, "did you mean 'ddim'"),
        ({"steps": ()}, "check --steps"),
    ],
)
def test_impossible_requests_are_named(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _check(request(tmp_path, **changes))
    assert _check(request(tmp_path)) == tuple(name for name in SAMPLERS if name != "ddim-published")


def test_failures_of_all_numbers_of_steps_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = iter([RunReport([], failures=[("5 steps", "why", "trace")]), RunReport([])])
    monkeypatch.setattr("bench.speed.quality.run_plan", lambda *args: next(reports))
    monkeypatch.setattr("bench.speed.quality.tidy_rows", lambda states: pd.DataFrame(columns=["method", "scene"]))
    done = _Done()
    for steps in (5, 10):
        done.add(request(tmp_path), ("ddim",), steps, 2, quiet)
    assert [what for what, _, _ in done.failures] == ["5 steps"]
    assert "trace" in (tmp_path / "failures.log").read_text()


def test_seconds_are_timed_apart_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run that does not count, then three; the fastest a scene, found again without drawing, measured again for
    another batch or from a damaged file; one long run is enough."""
    cell = make_plan(Config(run=RunSection(methods=("gesco:steps=2",), scenes=4, metrics=(), psnr=(100.0,)))).cells[0]
    spent: list[float] = []

    def draw(cell: object, method: object, ids: tuple[str, ...], scene: object) -> tuple[None, None, float]:
        return None, None, spent.pop(0)

    monkeypatch.setattr("bench.speed.timing.draw_batch", draw)
    spent[:] = [0.1, 6.0, 2.0, 3.0]
    assert seconds_alone(cell, 2, "cpu", tmp_path) == 1.0
    assert spent == []
    assert seconds_alone(cell, 2, "cpu", tmp_path) == 1.0
    spent[:] = [1.0, 80.0]
    assert seconds_alone(cell, 4, "cpu", tmp_path) == 20.0
    for file in (tmp_path / "timings").iterdir():
        assert json.loads(file.read_text())["provenance"]["cpu"]
        file.write_text(file.read_text().replace("80.0", "81.0"))  # one digit
    spent[:] = [1.0, 40.0]
    assert seconds_alone(cell, 4, "cpu", tmp_path) == 10.0


def rows(values: dict[tuple[str, int, int], tuple[float, float]]) -> pd.DataFrame:
    """Tidy rows for (sampler, steps, scenes) -> (mIoU, FID)."""
    return pd.DataFrame(
        [
            {"psnr": 100.0, "sampler": s, "steps": n, "scenes": count, "metric": metric, "value": value}
            for (s, n, count), (miou, fid) in values.items()
            for metric, value in (("mIoU", miou), ("FID[lite0]", fid), ("seconds", n / 100), ("bits", 5.0))
        ]
    )


def test_the_table_has_a_row_for_each_sampler_and_number_of_steps(tmp_path: Path) -> None:
    table = quality_table(
        rows(
            {
                ("ancestral", 1000, 50): (0.80, 100.0),
                ("unipc", 10, 50): (0.79, 101.0),
                ("unipc", 5, 50): (0.70, 99.0),
                ("ddim", 10, 200): (0.90, 90.0),
            }
        )
    )
    assert list(zip(table["sampler"], table["steps"], table["scenes"], strict=True)) == [
        ("ancestral", 1000, 50), ("unipc", 5, 50), ("unipc", 10, 50), ("ddim", 10, 200),
    ]  # fmt: skip
    (line,) = against_reference(table)
    assert line.endswith("or better: unipc 10.")  # 5 steps lose mIoU; ddim was run on other scenes
    facts = {
        "commit": "abc",
        "dirty": False,
        "pictures_commits": ["abc"],
        "devices": ["cpu"],
        "cpu": "a processor",
        "command": "bench speed quality",
    }
    text = as_markdown(table, table, request(tmp_path), facts)
    assert "equally many scenes" not in text
    assert "| 100 | unipc | 10 | 50 | 0.790 | - | 101.0 | - | 0.10 |" in text
    assert plot_quality(table).startswith(b"\x89PNG")


def test_without_the_reference_nothing_is_compared() -> None:
    (line,) = against_reference(quality_table(rows({("ddim", 5, 10): (0.5, 200.0)})))
    assert "was not run" in line


def test_the_embedded_default_is_as_good_as_all_1000_ancestral_steps_where_it_was_measured() -> None:
    """The claim of results/performance: whoever changes the default, or measures again, has to keep it."""
    default = embedded_profile(CHANNELS)
    lines = against_reference(pd.read_csv(PERFORMANCE / "steps.csv"))
    assert len(lines) == 2  # at 100 and at 10 dB
    for line in lines:
        near = line.removesuffix(".").rpartition(": ")[2].split(", ")
        assert f"{default.sampler} {default.sampling_steps}" in near


def test_the_verdict_is_on_equally_many_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the budget allows 40 scenes and the reference are measured on 40 once more, and compared there."""
    asked: list[tuple[tuple[str, ...], int, int]] = []

    def add(done: _Done, request: object, samplers: tuple[str, ...], steps: int, scenes: int, report: object) -> None:
        asked.append((samplers, steps, scenes))
        # on all scenes 5 steps look as good as the reference, on equal ones they do not
        good = scenes != 40 or steps != 5
        done.frames.append(rows({(s, steps, scenes): (0.8 if good else 0.7, 100.0) for s in samplers}))

    monkeypatch.setattr(_Done, "add", add)
    text, files = measure_quality(
        request(tmp_path, samplers=("ddim",), steps=(5, 100, 25), budget=2000, equal_scenes=40), lambda line: None
    )
    assert asked == [
        (("ddim",), 5, 200), (("ddim",), 25, 80), (("ddim",), 100, 20),
        (("ddim",), 5, 40), (("ddim",), 25, 40), (("ancestral",), 1000, 40),
    ]  # fmt: skip
    assert "PSNR 100, 40 scenes: within 2 % of ancestral 1000 in mIoU and FID[lite0], or better: ddim 25." in text
    written = json.loads(next(f for f in files if f.suffix == ".json").read_text())
    assert [len(written[key]) for key in ("rows", "compared_with_reference")] == [3, 3]
