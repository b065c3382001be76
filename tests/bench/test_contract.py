"""What a method or metric owes the harness: ways to cheat are caught or come to nothing, wrong arrays are named."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_fakes
import numpy as np
import pytest
import torch
from bench_fakes import FakeMse, FakePixels
from torch import Tensor, nn

import bench.run.cell
from bench.api.errors import BenchError
from bench.api.files import Entry
from bench.api.method import MethodContext, Received, Transmission
from bench.api.metric import Score
from bench.api.scenes import Scene
from bench.config import load_config
from bench.run.cell import compute_cell, find_cell, find_metric, measure_cell, metric_path, read_picture
from bench.run.contract import house_rules
from bench.run.plan import Cell, Plan, make_plan
from bench.run.worker import Worker

SCENES = 3


@pytest.fixture
def plan(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """Plans of the fakes, and a worker that knows none of them yet."""
    monkeypatch.setattr(bench.run.cell, "WORKER", Worker())

    def planned(**run: Any) -> Plan:
        config = load_config()
        return make_plan(config.model_copy(update={"run": config.run.model_copy(update={"psnr": (10.0,), **run})}))

    return planned


@pytest.fixture
def draw(plan: Callable[..., Plan], fakes: Path) -> Callable[..., tuple[Entry, Cell]]:
    """Draws the cell of a method."""

    def drawn(method: str = "fake_pixels", **run: Any) -> tuple[Entry, Cell]:
        (cell,) = plan(methods=(method,), **run).cells
        return compute_cell(cell, fakes / "o", 8, "cpu", {}), cell

    return drawn


Draw = Callable[..., tuple[Entry, Cell]]


def shown(entry: Entry) -> list[bytes]:
    return [read_picture(entry, position).tobytes() for position in range(SCENES)]


def noise_of_torch(received: Received, rngs: list[torch.Generator]) -> Tensor:
    return torch.rand(len(received), *received.symbols[0].shape)


def noise_of_numpy(received: Received, rngs: list[torch.Generator]) -> Tensor:
    return torch.from_numpy(np.random.rand(len(received), *received.symbols[0].shape)).float()


def noise_of_python(received: Received, rngs: list[torch.Generator]) -> Tensor:
    pictures = torch.stack(received.symbols).clamp(0, 1)
    return pictures * torch.tensor([random.random() for _ in range(pictures.shape[-1])])


def noise_of_the_system(received: Received, rngs: list[torch.Generator]) -> Tensor:
    pictures = torch.stack(received.symbols).clamp(0, 1)
    return pictures * torch.tensor(list(os.urandom(pictures.shape[-1]))).float() / 255


def the_batch(received: Received, rngs: list[torch.Generator]) -> Tensor:
    return torch.stack(received.symbols).clamp(0, 1) / len(received)


BESIDE = [noise_of_torch, noise_of_numpy, noise_of_python, noise_of_the_system, the_batch]


@pytest.mark.parametrize("source", BESIDE)
def test_randomness_beside_the_rngs_is_caught(draw: Draw, monkeypatch: pytest.MonkeyPatch, source: Any) -> None:
    monkeypatch.setattr(FakePixels, "receive", lambda self, received, rngs: source(received, rngs))
    with pytest.raises(BenchError, match=r"fake_pixels drew scene .* again, with equal generators, as another picture"):
        draw()


def test_a_receiver_that_remembers_the_scenes_before_is_caught(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed(self: Any, received: Received, rngs: list[torch.Generator]) -> Tensor:
        pictures = torch.stack(received.symbols).clamp(0, 1)
        self.mean = 0.5 * getattr(self, "mean", 0.5) + 0.5 * pictures.mean()
        return pictures * self.mean

    monkeypatch.setattr(FakePixels, "receive", mixed)
    with pytest.raises(BenchError, match="as another picture"):
        draw()


def test_weights_that_are_random_when_a_plug_in_is_built_are_caught(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)  # two gains of the clock's may be nearly equal

    def build(self: Any, context: MethodContext, options: Any = None) -> None:
        bench_fakes._Pixels.__init__(self, context, options)
        self.gain = torch.rand(1)

    monkeypatch.setattr(FakePixels, "__init__", build)
    monkeypatch.setattr(
        FakePixels, "receive", lambda self, received, rngs: torch.stack(received.symbols).clamp(0, 1) * self.gain
    )
    with pytest.raises(BenchError, match="as another picture"):
        draw()


def smuggle(monkeypatch: pytest.MonkeyPatch, keep: Callable[[Any, Scene], None], find: Callable[[Any], Any]) -> None:
    """A method that keeps the scenes when it sends, and shows them when it finds them at the other end."""
    send, receive = FakePixels.send, FakePixels.receive

    def kept(self: Any, scene: Scene) -> Transmission:
        keep(self, scene)
        return send(self, scene)

    def found(self: Any, received: Received, rngs: list[torch.Generator]) -> Tensor:
        stolen = find(self)
        return receive(self, received, rngs) if stolen is None else stolen[: len(received)]  # type: ignore[no-any-return]

    monkeypatch.setattr(FakePixels, "send", kept)
    monkeypatch.setattr(FakePixels, "receive", found)


def test_what_a_sender_leaves_on_itself_does_not_reach_the_receiver(
    draw: Draw, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = shown(draw()[0])
    shutil.rmtree(fakes / "o")
    smuggle(
        monkeypatch, lambda self, scene: setattr(self, "stash", scene.image), lambda self: getattr(self, "stash", None)
    )
    assert shown(draw()[0]) == honest


def test_nor_does_what_it_leaves_in_a_table_of_its_own(
    draw: Draw, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = shown(draw()[0])
    shutil.rmtree(fakes / "o")
    monkeypatch.setattr(bench.run.cell, "WORKER", Worker())

    def build(self: Any, context: MethodContext, options: Any = None) -> None:
        bench_fakes._Pixels.__init__(self, context, {"gain": 1.0, **(options or {})})
        self.table: dict[str, Tensor] = {}
        self.network = nn.Linear(1, 1)

    monkeypatch.setattr(FakePixels, "__init__", build)
    smuggle(monkeypatch, lambda self, scene: self.table.update(x=scene.image), lambda self: self.table.get("x"))
    assert shown(draw()[0]) == honest
    smuggle(
        monkeypatch,
        lambda self, scene: setattr(self.network, "stash", scene.image),
        lambda self: getattr(self.network, "stash", None),
    )
    shutil.rmtree(fakes / "o")
    assert shown(draw()[0]) == honest


class Uncopyable:
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("cannot be copied")


def test_a_method_that_cannot_be_copied_is_built_twice(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: Any, context: MethodContext, options: Any = None) -> None:
        bench_fakes._Pixels.__init__(self, context, {"gain": 1.0, **(options or {})})
        self.handle = Uncopyable()

    monkeypatch.setattr(FakePixels, "__init__", build)
    smuggle(
        monkeypatch, lambda self, scene: setattr(self, "stash", scene.image), lambda self: getattr(self, "stash", None)
    )
    entry, cell = draw()
    scene = bench.run.cell.WORKER.scene(cell.scenes, cell.scenes.ids)
    assert read_picture(entry, 0).tobytes() != (scene.image[0] * 255).round().byte().permute(1, 2, 0).numpy().tobytes()


def test_the_two_ends_share_the_tensors_of_their_weights(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(self: Any, context: MethodContext, options: Any = None) -> None:
        bench_fakes._Pixels.__init__(self, context, {"gain": 1.0, **(options or {})})
        self.parts = {"network": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}

    monkeypatch.setattr(FakePixels, "__init__", build)
    pair = Worker().pair(plan().cells[0], "cpu")
    sent, received = (end.parts["network"] for end in (pair.sender, pair.receiver))  # type: ignore[attr-defined]
    assert sent is not received
    for one, other in zip(sent.state_dict().values(), received.state_dict().values(), strict=True):
        assert one.data_ptr() == other.data_ptr()


@pytest.mark.parametrize("place", ["class", "weights"])
def test_scenes_left_where_both_ends_see_them_are_caught(
    draw: Draw, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def build(self: Any, context: MethodContext, options: Any = None) -> None:
        bench_fakes._Pixels.__init__(self, context, {"gain": 1.0, **(options or {})})
        self.network = nn.Module()
        self.network.register_buffer("stash", torch.zeros(SCENES, 3, context.height, context.width))

    monkeypatch.setattr(FakePixels, "__init__", build)
    if place == "class":
        monkeypatch.setattr(FakePixels, "stash", None, raising=False)
        smuggle(monkeypatch, lambda self, scene: setattr(FakePixels, "stash", scene.image), lambda self: self.stash)
    else:
        smuggle(
            monkeypatch,
            lambda self, scene: self.network.stash[: len(scene)].copy_(scene.image),
            lambda self: self.network.stash.clone(),
        )
    with pytest.raises(BenchError, match="on anything that the sender left behind"):
        draw()


def test_costs_are_of_what_was_sent_whatever_becomes_of_it_later(
    draw: Draw, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = draw()[0].manifest["scenes"]
    shutil.rmtree(fakes / "o")
    kept: list[Tensor] = []
    send, receive = FakePixels.send, FakePixels.receive

    def remembered(self: Any, scene: Scene) -> Transmission:
        sent = send(self, scene)
        kept[:] = sent.symbols
        return sent

    def wiped(self: Any, received: Received, rngs: list[torch.Generator]) -> Tensor:
        for symbols in kept:
            symbols.zero_()
        return receive(self, received, rngs)

    monkeypatch.setattr(FakePixels, "send", remembered)
    monkeypatch.setattr(FakePixels, "receive", wiped)
    assert draw()[0].manifest["scenes"] == honest


class Bytes(bytes):
    """Looks like bytes and can hold anything."""


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (None, "sent a NoneType, not a Transmission"),
        (Transmission((torch.zeros(1),) * SCENES, (Bytes(),) * SCENES, (0,) * SCENES), "a Bytes; it has to be bytes"),
        (Transmission((torch.zeros(1).to_sparse(),) * SCENES, (b"",) * SCENES, (0,) * SCENES), "symbols of type"),
    ],
)
def test_a_transmission_is_symbols_bytes_and_integers(
    draw: Draw, monkeypatch: pytest.MonkeyPatch, sent: Any, told: str
) -> None:
    monkeypatch.setattr(FakePixels, "send", lambda self, scene: sent)
    with pytest.raises(BenchError, match=told):
        draw()


def test_what_a_method_changes_of_the_process_is_changed_back(
    draw: Draw, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = shown(draw()[0])
    shutil.rmtree(fakes / "o")
    before = torch.get_num_threads(), Path.cwd(), np.geterr()
    send = FakePixels.send

    def upset(self: Any, scene: Scene) -> Transmission:
        sent = send(self, scene)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_num_threads(5)
        np.seterr(all="raise")
        os.chdir("/")
        return sent

    monkeypatch.setattr(FakePixels, "send", upset)
    assert shown(draw()[0]) == honest  # the channel's noise among it
    assert (torch.get_num_threads(), Path.cwd(), np.geterr()) == before
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).device.type == "cpu"


def test_signal_handlers_and_warning_filters_are_put_back() -> None:
    import signal
    import warnings

    handler, filters = signal.getsignal(signal.SIGINT), warnings.filters[:]

    @house_rules()
    def turn() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        warnings.simplefilter("error")
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        turn()
    assert signal.getsignal(signal.SIGINT) is handler
    assert warnings.filters == filters


def measured(changes: dict[str, Any]) -> Any:
    return lambda self, comparison: changes


BROKEN_METRICS: dict[str, tuple[str, Any, str]] = {
    "another length": ("measure", {"mse": np.zeros(2)}, "'mse' of shape (2,) for 3 scenes: one entry a scene"),
    "objects": ("measure", {"mse": np.array([{}, {}, {}])}, "'mse' as object; it has to be an array of numbers"),
    "a list": ("measure", {"mse": [0.0] * 3}, "'mse' as list; it has to be an array of numbers"),
    "nothing": ("measure", {}, "measured a dict; it has to be a dict of arrays"),
    "a number": ("summarise", 0.5, "summarised its scenes as a float; it has to be a list of Score"),
    "a text": ("summarise", [Score("FakeMSE", "0.5", None, 3)], "gave FakeMSE = a str; it has to be a number"),  # type: ignore[arg-type]
    "two of one name": ("summarise", [Score("FakeMSE", 0.5, None, 3)] * 2, "two scores of one name"),
    "a name with an escape": ("summarise", [Score("Fake\x1b[2J", 0.5, None, 3)], "a short printable text"),
    "too few values": ("per_scene", {"FakeMSE": np.zeros(2)}, "a ndarray of float64 of shape (2,) for 3 scenes"),
    "values in a list": ("per_scene", {"FakeMSE": [0.0] * 3}, "FakeMSE = a list for 3 scenes"),
    "another number of resamples": ("resampled", {"FakeMSE": np.zeros(3)}, "resampled FakeMSE as a ndarray"),
    "no number": ("summarise", [Score("FakeMSE", None, None, 3)], "gave FakeMSE = a NoneType; it has to be a number"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("fault", BROKEN_METRICS)
def test_what_a_metric_returns_is_checked_and_named(
    draw: Draw, plan: Callable[..., Plan], fakes: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    place, value, told = BROKEN_METRICS[fault]
    entry, cell = draw()
    wrong = classmethod(lambda cls, *a: value) if place == "resampled" else lambda self, given: value
    monkeypatch.setattr(FakeMse, place, wrong)
    with pytest.raises(BenchError) as error:
        measure_cell(cell, entry, plan().metrics["streets"][0], fakes / "o", 8, "cpu")
    assert str(error.value).startswith("FakeMSE ")
    assert told in str(error.value)


def test_undefined_and_infinite_scores_are_kept_as_undefined(
    draw: Draw, plan: Callable[..., Plan], fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, cell = draw()
    monkeypatch.setattr(
        FakeMse,
        "summarise",
        lambda self, given: [Score("FakeMSE", np.float64("nan"), float("inf"), np.int64(3))],  # type: ignore[arg-type]
    )
    monkeypatch.setattr(FakeMse, "per_scene", lambda self, given: {"FakeMSE": np.full(3, np.nan)})
    scores = measure_cell(cell, entry, plan().metrics["streets"][0], fakes / "o", 8, "cpu").manifest["scores"]
    assert scores == [{"metric": "FakeMSE", "value": None, "std": None, "stderr": None, "scenes": 3}]


def test_a_folder_in_the_wrong_place_is_not_believed_and_is_replaced(
    plan: Callable[..., Plan], fakes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cell's or a metric's: whole and sealed, but of another cell."""
    made, out = plan(psnr=(10.0, 1.0)), fakes / "o"
    (metric,) = made.metrics["streets"]
    cells = made.cells
    entries = [compute_cell(cell, out, 8, "cpu", {}) for cell in cells]
    scores = [measure_cell(cell, entry, metric, out, 8, "cpu") for cell, entry in zip(cells, entries, strict=True)]
    right = scores[0].manifest["scores"]
    assert right != scores[1].manifest["scores"]
    shutil.rmtree(scores[0].path)
    shutil.copytree(scores[1].path, scores[0].path)
    assert find_metric(cells[0], entries[0], metric, out) is None
    assert "belongs elsewhere: its manifest is of another cell or metric" in caplog.text
    assert measure_cell(cells[0], entries[0], metric, out, 8, "cpu").manifest["scores"] == right
    found = find_metric(cells[0], entries[0], metric, out)
    assert found is not None
    assert found.path == metric_path(out, cells[0], entries[0], metric)

    pictures = shown(entries[0])
    shutil.rmtree(entries[0].path)
    shutil.copytree(entries[1].path, entries[0].path)
    assert find_cell(cells[0], out) is None
    assert shown(compute_cell(cells[0], out, 8, "cpu", {})) == pictures
    again = find_cell(cells[0], out)
    assert again is not None
    assert shown(again) == pictures
