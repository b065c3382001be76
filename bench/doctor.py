"""What this machine can run, in plain words, and what to do about each gap."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import torch

import methods.registry as method_registry
import metrics.registry as metric_registry
from bench.channel import PAPER_PSNRS
from bench.config import Config, DataSection, MethodSection
from bench.device import cores, cpu_name, memory_gib, resolve_devices
from bench.plan import EMBEDDED_DATASETS, metric_context
from bench.scenes import registry as scene_registry
from bench.scenes.base import DataError, SceneSource
from methods.base import MethodContext, MethodError
from metrics.base import MetricError


@dataclass(frozen=True)
class Finding:
    """One line of the report; `ready` is None for plain information."""

    topic: str
    ready: bool | None
    text: str


def _machine() -> Iterator[Finding]:
    yield Finding("machine", None, f"Python {platform.python_version()}, torch {torch.__version__}")
    memory = memory_gib()
    amount = f", {memory:.0f} GiB memory" if memory else ""
    yield Finding("machine", None, f"{cores()} CPU cores ({cpu_name()}){amount}")
    devices = resolve_devices("auto")
    if devices.kind == "cuda":
        for name in devices.names:
            facts = torch.cuda.get_device_properties(name)
            yield Finding("machine", True, f"{name}: {facts.name}, {facts.total_memory / 2**30:.0f} GiB")
    else:
        yield Finding(
            "machine", None,
            "no CUDA GPU: the embedded scale runs here; paper-size networks need a GPU to finish in sensible time",
        )  # fmt: skip
    for package, use in (("dask.distributed", "--backend dask"), ("ray", "--backend ray")):
        try:
            present = importlib.util.find_spec(package) is not None
        except ModuleNotFoundError:
            present = False
        if present:
            yield Finding("machine", True, f"{package} is installed: {use} works")


def _datasets(config: Config) -> Iterator[tuple[Finding, str, SceneSource | None]]:
    for name in scene_registry.DATASETS:
        section = config.data.get(name, DataSection())
        try:
            source = scene_registry.open_dataset(name, size=section.size, configured=section.root)
        except DataError as error:
            yield Finding("data", False, str(error)), name, None
            continue
        root = getattr(source, "root", None)
        where = f"in {root}" if root else "rendered on demand, no download"
        yield Finding("data", True, f"{name} at {source.height}x{source.width}, {where}"), name, source


def _methods(config: Config, name: str, source: SceneSource | None) -> Iterator[Finding]:
    dataset = scene_registry.DATASETS[name]
    space = source.label_space if source else dataset.label_space
    height, width = (source.height, source.width) if source else dataset.default_size
    for method_name in method_registry.method_names():
        section = config.methods.get(method_name, MethodSection())
        profile = section.profile or ("embedded" if name in EMBEDDED_DATASETS else "paper")
        context = MethodContext(name, space, height, width, profile, weights_dir=section.weights_dir)
        try:
            spec = method_registry.parse_spec(method_name)
            method = method_registry.build_method(spec, context, section.options)
        except MethodError as error:
            yield Finding(f"methods on {name}", False, f"{method_name}: {error}")
            continue
        weights = method.weights_digest()
        kind = f"weights {weights[:12]}" if weights else "needs no weights"
        yield Finding(f"methods on {name}", True, f"{method_name}: {kind}, scale {profile}")


def _metrics(name: str, source: SceneSource | None) -> Iterator[Finding]:
    space = source.label_space if source else scene_registry.DATASETS[name].label_space
    for metric_name in metric_registry.metric_names():
        try:
            metric = metric_registry.create_metric(metric_name, metric_context(name, space, "cpu"))
        except MetricError as error:
            yield Finding(f"metrics on {name}", False, f"{metric_name}: {error}")
            continue
        yield Finding(f"metrics on {name}", True, f"{metric_name}: {metric.protocol}")


def examine(config: Config) -> Iterator[Finding]:
    """Look at machine, data sets, methods and metrics, one finding at a time. Never raises for a gap."""
    yield from _machine()
    opened = []
    for finding, name, source in _datasets(config):
        yield finding
        opened.append((name, source))
    for name, source in opened:
        yield from _methods(config, name, source)
    for name, source in opened:
        yield from _metrics(name, source)
    levels = ", ".join(f"{p:g}" for p in PAPER_PSNRS)
    yield Finding("channel", None, f"awgn, {config.channel.calibration} calibration, PSNRs of the paper: {levels}")
