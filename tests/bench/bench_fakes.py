"""Small methods and metrics for tests of the harness, offered through entry points like a third party's."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api.errors import MetricError
from bench.api.method import Method, MethodContext, Received, Transmission
from bench.api.metric import Comparison, Metric, MetricContext, Score
from bench.api.scenes import Scene
from bench.api.scores import ScoreInfo
from methods.common.semantic.frontend import SemanticMethod


class _Pixels(Method):
    """Sends the image; 8 bits a value."""

    def send(self, scene: Scene) -> Transmission:
        sizes = tuple(image.numel() for image in scene.image)
        return Transmission(tuple(scene.image), (b"",) * len(scene), tuple(8 * s for s in sizes))

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        return torch.stack(received.symbols).clamp(0, 1)


class FakePixels(_Pixels):
    """Shows what arrives, darkened by an option."""

    name = "fake_pixels"
    title = "Fake pixels"
    default_options: ClassVar[Mapping[str, Any]] = {"gain": 1.0}

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        return super().receive(received, rngs) * self.options["gain"]


class FakeSlow(FakePixels):
    """Takes BENCH_FAKE_SECONDS a batch. With BENCH_FAKE_HALTS_IN, a run's folder, it waits for ever once two of its
    cells are finished there, for tests that kill the run; each process that waits leaves a file FOLDER-halted-PID."""

    name = "fake_slow"

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        time.sleep(float(os.environ.get("BENCH_FAKE_SECONDS", "0")))
        halts_in = os.environ.get("BENCH_FAKE_HALTS_IN")
        while halts_in and len(list(Path(halts_in).glob(f"cells/*/{self.name}/*/manifest.json"))) >= 2:
            Path(f"{halts_in}-halted-{os.getpid()}").touch()
            time.sleep(0.1)
        return super().receive(received, rngs)


class FakeNetwork(_Pixels):
    """Convolutions, whose sums depend on threads and batches if anything does, and noise from the receiver's stream."""

    name = "fake_network"
    title = "Fake network"

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        weights = torch.Generator().manual_seed(0)
        x = torch.stack(received.symbols)
        for channels in ((32, 3), (32, 32), (3, 32)):
            x = F.conv2d(x, torch.randn((*channels, 3, 3), generator=weights) / (9 * channels[1]) ** 0.5, padding=1)
            x = F.silu(x)
        noise = torch.stack([torch.randn(x.shape[1:], generator=rng) for rng in rngs])
        return torch.sigmoid(x + 0.1 * noise)


class FakeMaps(SemanticMethod):
    """A semantic method whose pictures are the strongest map's number as a grey value."""

    name = "fake_maps"
    title = "Fake maps"
    default_options: ClassVar[Mapping[str, Any]] = {"drop_absent": True}

    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        return (maps.argmax(dim=1, keepdim=True).float() / maps.shape[1]).expand(-1, 3, -1, -1)


class FakeFaulty(_Pixels):
    """Breaks the contract in the way that its option says."""

    name = "fake_faulty"
    title = "Fake faulty"
    default_options: ClassVar[Mapping[str, Any]] = {"fault": "raise"}

    def send(self, scene: Scene) -> Transmission:
        sent = super().send(scene)
        if self.options["fault"] != "loud":
            return sent
        return Transmission(tuple(s + 1 for s in sent.symbols), sent.side_info, sent.bits)

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        pictures = super().receive(received, rngs)
        faults = {"nan": pictures * float("nan"), "shape": pictures[:, :, 1:], "loud": pictures}
        return faults[self.options["fault"]]


def _spread(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _misdeed(deed: str) -> None:
    """What anyone's code may come to, by name."""
    if deed == "exit":
        os._exit(0)
    if deed == "sysexit":
        sys.exit(0)
    if deed == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "killed_once" and not (told := Path(os.environ["BENCH_FAKE_KILLED"])).exists():
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        time.sleep(3600)
    if deed == "permission":
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/of/mine")
    if deed == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/mine")
    if deed == "interrupt":
        raise KeyboardInterrupt
    if deed == "raise":
        raise RuntimeError("its own trouble")


class FakeHostile(_Pixels):
    """Comes to grief at the place that its option says: `built`, `identity`, `sent` or `received`, then the deed."""

    name = "fake_hostile"
    title = "Fake hostile"
    default_options: ClassVar[Mapping[str, Any]] = {"at": "received", "deed": "raise"}

    def _reach(self, place: str) -> None:
        if self.options["at"] == place:
            _misdeed(self.options["deed"])

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, options)
        self._reach("built")

    def identity(self) -> dict[str, Any]:
        self._reach("identity")
        unfit = {"at": {1, 2}} if self.options["deed"] == "set" else {}
        return {**super().identity(), **unfit}

    def send(self, scene: Scene) -> Transmission:
        self._reach("sent")
        return super().send(scene)

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        self._reach("received")
        return super().receive(received, rngs)


class FakeMse(Metric):
    """Mean squared error; its ± is the spread over scenes."""

    name = "FakeMSE"
    scores = (ScoreInfo("FakeMSE", False, scenes="FakeMSE"),)

    @property
    def protocol(self) -> str:
        return "mean over pixels"

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        return {"mse": (comparison.generated - comparison.original).square().mean(dim=(1, 2, 3)).numpy()}

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        values = measured["mse"].astype(np.float64)
        return [Score(self.name, float(values.mean()), _spread(values), len(values))]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {self.name: measured["mse"].astype(np.float64)}


class FakeVariant(FakeMse):
    """A distance with its features in its name, like FID[lite0]."""

    name = "FakeFID[tiny]"
    scores = (ScoreInfo("FakeFID[tiny]", False, scenes="FakeFID[tiny]"),)


class FakeRatio(Metric):
    """Squared error over squared brightness, both summed over all scenes: no mean of per-scene values, like mIoU."""

    name = "FakeRatio"
    scores = (ScoreInfo("FakeRatio", False),)

    @property
    def protocol(self) -> str:
        return "ratio of sums"

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        error = (comparison.generated - comparison.original).square()
        return {
            name: tensor.sum(dim=(1, 2, 3)).double().numpy()
            for name, tensor in (("error", error), ("power", comparison.original.square()))
        }

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        error, power = measured["error"], measured["power"]
        return [Score(self.name, float(error.sum() / power.sum()), None, len(error))]

    @classmethod
    def resampled(cls, measured: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        return {cls.name: (counts @ measured["error"]) / (counts @ measured["power"])}


class FakeBothWays(FakeMse):
    """Of one of its scores less is better, of the other one more."""

    name = "FakeBothWays"
    scores = (ScoreInfo("FakeError", False), ScoreInfo("FakePSNR", True))

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        return [Score(name, float(v.mean()), None, len(v)) for name, v in self.per_scene(measured).items()]

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        error = measured["mse"].astype(np.float64)
        return {"FakeError": error, "FakePSNR": -10 * np.log10(error + 1e-6)}


class FakeMisfit(FakeMse):
    """Does not fit any data set."""

    name = "FakeMisfit"

    def __init__(self, context: MetricContext) -> None:
        raise MetricError(f"no judge for {context.dataset}")


class FakeLate(FakeMse):
    """Finds out only while measuring that it cannot."""

    name = "FakeLate"

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        raise MetricError("these scenes lack what it needs")


class FakeHostileMse(FakeMse):
    """Comes to grief where BENCH_FAKE_METRIC says, `place:deed`."""

    name = "FakeHostile"
    scores = (ScoreInfo("FakeHostile", False),)

    def _reach(self, place: str) -> None:
        where, _, deed = os.environ.get("BENCH_FAKE_METRIC", "").partition(":")
        if where == place:
            _misdeed(deed)

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        self._reach("built")

    def identity(self) -> dict[str, Any]:
        self._reach("identity")
        return super().identity()

    def measure(self, comparison: Comparison) -> dict[str, np.ndarray]:
        self._reach("measured")
        return super().measure(comparison)

    def summarise(self, measured: Mapping[str, np.ndarray]) -> list[Score]:
        self._reach("summarised")
        return super().summarise(measured)

    def per_scene(self, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._reach("scenes")
        return {self.name: super().per_scene(measured)[self.name]}


METHODS = {m.name: m.__name__ for m in (FakePixels, FakeSlow, FakeNetwork, FakeMaps, FakeFaulty, FakeHostile)}
METRICS = {
    m.name: m.__name__ for m in (FakeMse, FakeVariant, FakeRatio, FakeBothWays, FakeMisfit, FakeLate, FakeHostileMse)
}
