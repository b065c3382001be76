"""`import bench`: the command line's runs, tables and messages in Python, and parts that are in no distribution."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from conftest import Answer
from PIL import Image

import bench
from bench.api.channel import Channel
from bench.api.errors import BenchError, UsageError
from bench.api.method import Method, MethodContext, Received, Transmission
from bench.api.metric import Comparison, Metric, MetricContext, Score
from bench.api.provenance import command_line
from bench.api.registry import CHANNELS, DATASETS, METHODS, METRICS
from bench.api.scenes import LabelSpace, Scene, SceneArrays, SceneSource
from bench.api.scores import ScoreInfo

Cli = Callable[..., Answer]
GAIN = 1.0
SPACE = LabelSpace("two", ("off", "on"), ((0, 0, 0), (255, 255, 255)), (0, 1))


def louder(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures * GAIN).clamp(0, 1)


class Plain(Method):
    """Sends the picture; its receiver leans on a function and a number of this module."""

    default_options: ClassVar[Mapping[str, Any]] = {"shift": 0.0}

    def send(self, scene: Scene) -> Transmission:
        return Transmission(tuple(scene.image), (b"",) * len(scene), (0,) * len(scene))

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> torch.Tensor:
        return (louder(torch.stack(received.symbols)) + self.options["shift"]).clamp(0, 1)


class Broken(Plain):
    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> torch.Tensor:
        raise RuntimeError("its own trouble")


class Error(Metric):
    name = "error"
    scores = (ScoreInfo("error", False, scenes="error", shown="always"),)

    @property
    def protocol(self) -> str:
        return "mean over pixels"

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        return {"error": (comparison.generated - comparison.original).abs().mean(dim=(1, 2, 3)).numpy()}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        return [Score.mean("error", measured["error"])]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"error": measured["error"]}


@dataclass(frozen=True)
class Fade(Channel):
    """Makes everything smaller."""

    factor: float = 0.5

    kind = "fade"
    title = "Fade"

    @property
    def sigma(self) -> float:
        return 0.0

    def transmit(self, symbols: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return symbols * self.factor


class Grey(SceneSource):
    """Scenes of one grey value each."""

    name = "grey"
    label_space = SPACE
    splits = ("test",)
    default_size = (8, 8)

    def ids(self, split: str, limit: int | None = None) -> list[str]:
        return [f"g{number}" for number in range(6)][:limit]

    def load(self, split: str, scene_id: str) -> SceneArrays:
        value = 40 * int(scene_id[1:])
        size = (self.height, self.width)
        labels, instances = np.zeros(size, np.uint8), np.zeros(size, np.int32)
        return SceneArrays(scene_id, np.full((*size, 3), value, np.uint8), labels, instances)

    def fingerprint(self, split: str, ids: Sequence[str]) -> str:
        return f"grey {self.height}x{self.width} {','.join(ids)}"


def run(out: Path, methods: Any = Plain, **more: Any) -> bench.Results:
    asked = {
        "psnr": 10, "datasets": Grey, "scenes": 4, "metrics": Error, "device": "cpu", "jobs": 1,
        "backend": "sequential", "progress": False, "out": out, **more,
    }  # fmt: skip
    return bench.run(methods, **asked)


def value(results: bench.Results, method: str = "Plain", metric: str = "error") -> float:
    rows = results.frame().query("method == @method and metric == @metric and scene == 'all'")
    return float(rows["value"].iloc[0])


def code_of(results: bench.Results, method: str = "Plain") -> str:
    return str(results.provenance["methods"][method]["unpackaged"])


# --- classes and instances


def test_what_a_run_takes_is_told_where_people_look() -> None:
    assert list(inspect.signature(bench.run).parameters)[:3] == ["methods", "psnr", "datasets"]


def test_classes_of_all_four_kinds_run_without_a_package(tmp_path: Path) -> None:
    results = run(tmp_path, [Plain, "full_image"], channel=Fade)
    assert results.methods == ["Plain", "full_image"]
    assert set(results.frame()["dataset"]) == {"grey"}
    assert set(results.frame()["channel"]) - {"none"} == {"fade:factor=0.5"}
    assert value(results) == pytest.approx(np.mean([0, 40, 80, 120]) / 255 / 2, abs=2e-3)


def test_results_say_what_no_distribution_holds(tmp_path: Path) -> None:
    results = run(tmp_path, [Plain, "full_image"])
    notes = [line for line in results.provenance["notes"] if line.startswith("unpackaged: ")]
    assert [line.split(",")[0].split("the ")[1] for line in notes] == ["method Plain", "metric error", "data set grey"]
    assert code_of(results)[:12] in notes[0]
    assert "unpackaged" not in results.provenance["methods"]["full_image"]
    assert "Unpackaged: the method Plain, which no distribution holds" in repr(results.table("error"))
    assert "the method Plain" not in repr(run(tmp_path, "full_image").table("error"))


def test_a_part_is_known_during_its_run_only(tmp_path: Path) -> None:
    run(tmp_path, channel=Fade)
    for registry, name in ((METHODS, "Plain"), (METRICS, "error"), (DATASETS, "grey"), (CHANNELS, "fade")):
        assert name not in registry.names()
    with pytest.raises(UsageError, match="unknown method 'Plain'"):
        run(tmp_path, "Plain")


def test_an_edit_of_what_a_class_leans_on_is_another_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run(tmp_path, psnr=100)
    assert code_of(run(tmp_path, psnr=100)) == code_of(before)
    monkeypatch.setattr(sys.modules[__name__], "GAIN", 0.5)
    after = run(tmp_path, psnr=100)
    assert code_of(after) != code_of(before)
    assert value(after) > value(before) + 0.1
    monkeypatch.setattr(sys.modules[__name__], "louder", lambda pictures: pictures.clamp(0, 1))
    assert code_of(run(tmp_path, psnr=100)) not in (code_of(before), code_of(after))


def test_an_edited_channel_keeps_its_random_numbers_and_is_another_one(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Edited(Fade):
        kind = "fade"

        def transmit(self, symbols: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return symbols

    assert value(run(tmp_path, channel=Fade)) > 0.05
    assert value(run(tmp_path, channel=Edited)) < 0.01


def test_an_edited_data_set_is_another_one(tmp_path: Path) -> None:
    class Brighter(Grey):
        def load(self, split: str, scene_id: str) -> SceneArrays:
            made = super().load(split, scene_id)
            return SceneArrays(made.id, made.image + 50, made.labels, made.instances)

    both = run(tmp_path), run(tmp_path, datasets=Brighter)
    assert len({results.provenance["sets"]["grey/test/8x8/4"]["fingerprint"] for results in both}) == 2


def test_an_instance_brings_its_state(tmp_path: Path) -> None:
    source = Grey((16, 16))
    method = Plain(MethodContext.of(source), {"shift": 0.25})
    results = run(tmp_path, method, psnr=100, datasets=source)
    assert set(results.frame()["size"]) == {"16x16"}
    assert value(results) == pytest.approx(0.25, abs=5e-3)
    method.options["shift"] = 0.5
    again = run(tmp_path, method, psnr=100, datasets=source)
    assert code_of(again) != code_of(results)
    assert value(again) == pytest.approx(0.5, abs=5e-3)


def test_an_instance_stays_where_it_was_built_for(tmp_path: Path) -> None:
    method = Plain(MethodContext.of(Grey((16, 16))))
    with pytest.raises(UsageError, match="built for the height 16, not 8: pass its class"):
        run(tmp_path, method)
    with pytest.raises(UsageError, match="an instance: pass its class"):
        run(tmp_path, [Plain(MethodContext.of(Grey())), "Plain:shift=0.5"])


def test_a_metrics_instance_measures_the_data_set_that_it_was_built_for(tmp_path: Path) -> None:
    metric = Error(MetricContext("grey", SPACE))
    assert value(run(tmp_path, metrics=metric)) == value(run(tmp_path))
    other = run(tmp_path, metrics=[metric, "LPIPS"], datasets=["streets"], methods="full_image", scenes=1)
    assert "error" not in other.metrics
    assert any("built for the dataset grey, not streets" in line for line in other.provenance["left_out"])


def test_a_channels_instance_gives_its_options_and_psnr(tmp_path: Path) -> None:
    results = run(tmp_path, channel=Fade(15.0, factor=0.25), psnr=None)
    assert set(results.frame()["channel"]) - {"none"} == {"fade:factor=0.25"}
    assert set(results.frame()["psnr"].dropna()) == {15.0}


def test_a_specs_options_are_set_of_a_class(tmp_path: Path) -> None:
    results = run(tmp_path, [Plain, "Plain:shift=0.5"], psnr=100)
    assert value(results, "Plain:shift=0.5") == pytest.approx(0.5, abs=5e-3)


def test_an_installed_class_goes_by_its_name(tmp_path: Path) -> None:
    results = run(tmp_path, METHODS.load("full_image"))
    assert results.methods == ["full_image"]
    assert "unpackaged" not in results.provenance["methods"]["full_image"]


def test_worker_processes_get_the_code_by_value(tmp_path: Path) -> None:
    """Their cells have the key that this process gives them, and the same pictures."""
    apart = run(tmp_path / "apart", backend="loky", channel=Fade)
    here = run(tmp_path / "here", channel=Fade)
    assert code_of(apart) == code_of(here)
    values = [results.frame().query("metric == 'error'")["value"].tolist() for results in (apart, here)]
    assert values[0] == values[1]
    assert set(apart.frame()["cell"]) == set(here.frame()["cell"])


def test_pictures_made_elsewhere_are_measured_beside_methods(tmp_path: Path) -> None:
    run(tmp_path / "out", psnr=100)
    for number in range(4):
        pixels = np.full((8, 8, 3), 40 * number + 51, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"g{number}.png")
    (tmp_path / "sequential.toml").write_text('[run]\nbackend = "sequential"\ndevice = "cpu"\n')
    results = bench.score(
        tmp_path, Grey, name="theirs", scenes=4, metrics=Error, out=tmp_path / "out",
        config=tmp_path / "sequential.toml", progress=False,
    )  # fmt: skip
    assert results.methods == ["theirs"]
    assert value(results, "theirs") == pytest.approx(0.2, abs=1e-3)
    assert bench.load(tmp_path / "out").methods == ["Plain", "theirs"]
    with pytest.raises(UsageError, match="scenes of grey test have no picture"):
        bench.score(tmp_path, Grey, scenes=6, metrics=Error, out=tmp_path / "out", progress=False)


# --- the same checks and messages


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"methods": "gecso"}, "unknown method 'gecso'; did you mean 'gesco'"),
        ({"metrics": "mIou2"}, "unknown metric 'mIou2'; did you mean 'mIoU'"),
        ({"datasets": "street"}, "unknown data set 'street'; did you mean 'streets'"),
        ({"channel": "awgn:powr=peak"}, "unknown key 'powr'"),
        ({"scenes": 0}, r"--scenes: Input should be greater than or equal to 1 \(got 0\)"),
        ({"methods": Error}, "Error is no method: it is not a subclass of bench.api.method.Method"),
        ({"cluster": "local:2"}, "local:2 need what is installed there: put Plain, grey, error into a package"),
        ({"methods": type("gesco", (Plain,), {})}, "there is another method called 'gesco'"),
        ({"methods": type("Odd", (Plain,), {"name": "a-b"})}, "method 'a-b': a name has only letters, digits and '_'"),
    ],
)
def test_what_is_wrong_is_told_as_on_the_command_line(arguments: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        run(tmp_path, **arguments)
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_failure_is_an_exception_and_the_rest_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchError, match=r"1 failure\(s\); everything else is done and kept"):
        run(tmp_path, [Plain, Broken])
    assert "failed: Broken on grey" in capsys.readouterr().err
    assert bench.load(tmp_path).methods == ["Plain"]


def test_python_and_the_command_line_compute_the_same(tmp_path: Path, cli: Cli) -> None:
    results = bench.run(
        "full_image", 10, "streets", 2, metrics="mIoU", device="cpu", backend="sequential", progress=False, out=tmp_path
    )
    asked = ("--methods", "full_image", "--psnr", "10", "--scenes", "2", "--metrics", "mIoU", "--device", "cpu")
    told = cli("run", *asked, "--backend", "sequential", "--out", str(tmp_path)).out
    assert "1 cells: 0 computed, 1 from the cache" in told
    assert cli("table", "mIoU", "--out", str(tmp_path)).out == repr(results.table("mIoU"))
    assert cli("table", "mIoU", "--out", str(tmp_path), "--format", "csv").out == results.table("mIoU").to("csv")


def test_a_table_of_an_ablation_is_the_command_lines(cli: Cli) -> None:
    results = Path(__file__).parents[2] / "results"
    assert cli("table", "ablation", "--out", str(results)).out == repr(bench.load(results).table("ablation"))


def test_code_without_a_package_is_no_submission(tmp_path: Path, cli: Cli) -> None:
    run(tmp_path)
    asked = ("--author", "A", "--licence", "MIT", "--results", str(tmp_path))
    answer = cli("leaderboard", "export", "Plain", "--out", str(tmp_path / "plain.json"), *asked)
    assert answer.code == 2
    assert "Plain is code that no distribution holds, so nobody could repeat its numbers" in answer.err


def test_provenance_of_a_notebook_names_no_place_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/a/site-packages/ipykernel_launcher.py", "-f", "/root/kernel-1.json"])
    assert command_line() == "a notebook"


# --- what is shown


def test_results_are_those_of_the_call_and_load_gives_all(tmp_path: Path) -> None:
    run(tmp_path, "full_image")
    assert run(tmp_path).methods == ["Plain"]
    assert bench.load(tmp_path).methods == ["full_image", "Plain"]
    assert "methods: full_image, Plain" in repr(bench.load(tmp_path))


def test_a_frame_may_be_changed(tmp_path: Path) -> None:
    results = run(tmp_path)
    rows = results.frame()
    rows["value"] = 0.0
    assert value(results) > 0


def test_a_comparison_and_its_numbers(tmp_path: Path) -> None:
    class Dimmer(Plain):
        def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> torch.Tensor:
            return super().receive(received, rngs) / 2

    results = run(tmp_path, [Plain, Dimmer], scenes=6, psnr=100)
    (one,) = results.compare(Plain, "dimmer").frame().to_dict("records")
    assert (one["metric"], one["better"]) == ("error", "Plain")
    assert one["low"] < one["difference"] == pytest.approx(-100 / 255 / 2, abs=3e-3)
    assert "<table" in results.compare(Plain, Dimmer)._repr_html_()


def test_a_figure_shows_in_a_notebook_and_is_saved(tmp_path: Path) -> None:
    figure = run(tmp_path).plot("psnr", metrics="error")
    shown = figure._repr_html_()
    assert "data:image/png;base64," in shown
    assert "Unpackaged: the method Plain, which no distribution holds" in shown
    assert [path.suffix for path in figure.save(tmp_path / "to", ["pdf"])] == [".pdf"]


def test_importing_bench_imports_nothing_that_computes() -> None:
    program = "import bench, sys; print(sorted(sys.modules)); bench.run, bench.load, dir(bench)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(told.split("'")).isdisjoint({"torch", "numpy", "pandas", "pydantic", "typer", "bench.session"})


def test_bench_run_is_the_function_and_the_package() -> None:
    import bench.run.plan

    assert callable(bench.run)
    assert bench.run.plan.make_plan
