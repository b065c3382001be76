"""What this machine can run, in plain words, and what to do about each gap."""

import importlib.util
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from bench.api.device import cores, cpu_name, memory_gib, resolve_devices
from bench.api.errors import BenchError, DataError, MethodError, MetricError
from bench.api.method import MethodContext
from bench.api.metric import MetricContext
from bench.api.registry import METHODS, METRICS
from bench.api.scenes import SceneSource
from bench.api.specs import build_method, parse_spec
from bench.channels.registry import build_channel
from bench.config import Config
from bench.run.setting import data_set_names, method_setting, open_configured
from bench.run.trial import identity_of
from metrics.evaluators.published import LISTED


@dataclass(frozen=True)
class Finding:
    """One line of the report, about a `part` on a data set where it names one; `ready` None is plain information."""

    topic: str
    ready: bool | None
    text: str
    kind: str = ""
    part: str = ""
    dataset: str = ""


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
    for package, use in (("distributed", "tcp://HOST:8786, local:N"), ("dask_jobqueue", "slurm")):
        if importlib.util.find_spec(package) is not None:
            yield Finding("machine", True, f"{package} is installed: --cluster {use}")


def _methods(config: Config, source: SceneSource) -> Iterator[Finding]:
    topic = f"methods on {source.name}"
    for name in METHODS.names():
        context = MethodContext.of(source)
        try:
            setting = method_setting(parse_spec(name), config, context)
            method = build_method(setting.spec, setting.context, setting.options)
            method.prepare()
            weights = identity_of(method, name).get("weights_sha256")
        except (MethodError, BenchError) as error:
            yield Finding(topic, False, f"{name}: {error}", "method", name, source.name)
            continue
        used = f"weights {str(weights)[:12]}" if weights else "needs no weights"
        text = f"{setting.spec.text}: {used}, scale {setting.context.profile}"
        yield Finding(topic, True, text, "method", name, source.name)


def _metrics(config: Config, source: SceneSource) -> Iterator[Finding]:
    topic = f"metrics on {source.name}"
    for name in METRICS.names():
        try:
            metric = METRICS.build(name, MetricContext.of(source, config.evaluator(name, source.name)))
            metric.prepare()
            protocol = identity_of(metric, name).get("protocol")
        except MetricError as error:
            yield Finding(topic, False, f"{name}: {error}", "metric", name, source.name)
            continue
        yield Finding(topic, True, f"{name}: {protocol}", "metric", name, source.name)


def examine(config: Config) -> Iterator[Finding]:
    """Look at the machine, data sets, and methods and metrics on each of these; gaps are findings, never errors."""
    yield from _machine()
    sources = []
    for name in data_set_names(config):
        try:
            source = open_configured(name, config)
        except DataError as error:
            yield Finding("data", False, str(error))
            continue
        root = getattr(source, "root", None)
        where = f"in {root}" if root else "rendered on demand, no download"
        yield Finding("data", True, f"{name} at {source.height}x{source.width}, {where}")
        sources.append(source)
    for one in LISTED:
        path = one.find(None)
        missing = f"{one.name} is missing: {one.note}. {one.command}"
        yield Finding("published weights", path is not None, f"{one.name}: {path}" if path else missing)
    for source in sources:
        yield from _methods(config, source)
        yield from _metrics(config, source)
    channel = build_channel(config.channel.kind, None, config.channel.options)
    levels = ", ".join(f"{p:g}" for p in channel.psnrs)
    yield Finding("channel", None, f"{channel.words}; PSNRs: {levels}")


def readiness(findings: Sequence[Finding]) -> str:
    """In one line what can run: the data sets that are here, with how many methods and metrics on each."""
    ready = [finding for finding in findings if finding.ready]
    words = []
    for name in dict.fromkeys(finding.dataset for finding in ready if finding.kind == "method"):
        methods, metrics = (
            sum(finding.dataset == name and finding.kind == kind for finding in ready) for kind in ("method", "metric")
        )
        words.append(f"{name} with {methods} method{'s' * (methods != 1)} and {metrics} metric{'s' * (metrics != 1)}")
    return f"ready: {'; '.join(words)}" if words else "not ready: no method can run on any data set that is here"


def gaps(findings: Sequence[Finding]) -> list[str]:
    """What is missing, each once: a part that is missing on several data sets, a file that several parts need."""
    missing = [finding for finding in findings if finding.ready is False]
    told: dict[tuple[str, str], list[Finding]] = {}
    for finding in missing:
        told.setdefault((finding.kind, finding.part or finding.text), []).append(finding)
    remedies = [one.command for one in LISTED]
    lines = []
    for (kind, _), found in told.items():
        if kind and any(remedy in found[0].text for remedy in remedies):
            continue  # of a published file, which has a line of its own
        others = ", ".join(f.dataset for f in found[1:])
        lines.append(found[0].text + (f" (nor on {others})" if others else ""))
    return lines
