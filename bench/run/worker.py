"""What a worker keeps between cells: data sets, scenes, methods and metrics, so that weights are loaded once.

Everything is kept per thread, because a method's instance need not be safe to share.
"""

from __future__ import annotations

import copy
import ctypes
import itertools
import os
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import filelock
from cachetools import LRUCache

from bench.api.device import Devices, resolve_devices
from bench.api.errors import BenchError
from bench.api.lazy import Tensor, torch
from bench.api.memory import Kept
from bench.api.method import Method, Received, Transmission
from bench.api.metric import Metric, MetricContext
from bench.api.names import PURE_NOISE
from bench.api.provenance import code_provenance, device_names
from bench.api.registry import METRICS, OWN
from bench.api.scenes import Scene, SceneArrays, SceneSource, stack
from bench.api.seeding import canonical, digest
from bench.api.specs import build_method, parse_spec
from bench.run.contract import house_rules

if TYPE_CHECKING:
    import numpy as np

    from bench.run.plan import Cell, MetricPlan, SceneSet

T = TypeVar("T")
#: Methods are the largest things kept; cells come ordered by method, so few are enough.
KEPT_METHODS = 2
KEPT_METRICS = 16
KEPT_SOURCES = 4
#: Memory for pictures of payloads that a link delivered, and for the metrics' arrays of pictures: what arrives whole at
#: several PSNRs, or over several links, is drawn and measured once.
KEPT_PICTURE_BYTES = KEPT_ARRAY_BYTES = 128 << 20
#: Memory for scenes. Fewer than a cell has would be read or rendered again for every metric of every cell.
KEPT_SCENE_BYTES = 512 << 20
#: What of the code's provenance a network's last bits depend on.
_LAST_BITS = ("packages", "cpu")


def _method_key(cell: Cell, device: str) -> str:
    scenes, plan = cell.scenes, cell.method
    return digest([plan.spec, plan.identity, scenes.dataset, list(scenes.size), device])


class PureNoise(Method):
    """The reference of pure noise: sends nothing, and every value of every pixel is uniform in [0, 1).

    The paper prints the word `noise` where a number is beyond measure, and does not define it. Here a value is that far
    gone if it is at least as bad as the same metric's on as many pictures of uniform noise, of the same size, compared
    with the same scenes. Every run measures that once a data set, with the machinery of its cells; the number stays in
    the data, and only what tables print changes.
    """

    name: ClassVar[str] = PURE_NOISE
    title: ClassVar[str] = "Pure noise"

    def send(self, scene: Scene) -> Transmission:
        """Nothing, at no cost."""
        count = len(scene)
        return Transmission((torch.zeros(0),) * count, (b"",) * count, (0,) * count)

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """Pictures out of the scenes' generators alone."""
        height, width = self.context.height, self.context.width
        return torch.stack([torch.rand((3, height, width), generator=rng) for rng in rngs])


@dataclass(frozen=True)
class Pair:
    """One instance of a method that sends, and one that receives: only the channel leads from the one to the other."""

    sender: Method
    receiver: Method

    @classmethod
    def of(cls, build: Callable[[], Method]) -> Pair:
        """Build a method, and copy it before it was used; what cannot be copied is built twice.

        Copies share the tensors of their weights, so that two take little more memory than one.
        """
        sender = build()
        shared: dict[int, Any] = {id(sender.context): sender.context}
        _share_weights(vars(sender), shared, depth=3)
        try:
            return cls(sender, copy.deepcopy(sender, shared))
        except Exception:  # anyone's classes: locks, files and handles cannot be copied
            return cls(sender, build())


def _share_weights(holder: Any, shared: dict[int, Any], depth: int) -> None:
    """Enter parameters and buffers of the modules in `holder` into a memo of `copy.deepcopy`."""
    if isinstance(holder, torch.nn.Module):
        shared.update((id(tensor), tensor) for tensor in itertools.chain(holder.parameters(), holder.buffers()))
    elif depth:
        parts = holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list | tuple) else ()
        for part in (*parts, *(vars(holder).values() if hasattr(holder, "__dict__") else ())):
            _share_weights(part, shared, depth - 1)


class _Recent(OrderedDict[Hashable, Any]):
    """The most recently used values of one kind, at most `limit`."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        if key in self:
            self.move_to_end(key)
            return self[key]  # type: ignore[no-any-return]
        while len(self) >= self.limit:
            self.popitem(last=False)  # before making the new one, so that both need not fit into memory
        value = self[key] = make()
        return value


class Worker(threading.local):
    """One thread's data sets, scenes, methods, metrics and device."""

    def __init__(self) -> None:
        self._sources = _Recent(KEPT_SOURCES)
        self._scenes = _Recent(1)
        self._methods = _Recent(KEPT_METHODS)
        self._metrics = _Recent(KEPT_METRICS)
        self.pictures: LRUCache[Hashable, tuple[np.ndarray, float]] = LRUCache(
            KEPT_PICTURE_BYTES, lambda kept: kept[0].nbytes
        )
        self.measured: LRUCache[Hashable, tuple[dict[str, np.ndarray], float]] = LRUCache(
            KEPT_ARRAY_BYTES, lambda kept: sum(array.nbytes for array in kept[0].values())
        )
        self._checked: set[str] = set()
        self._slots: dict[str, tuple[int, filelock.FileLock]] = {}

    def source(self, scenes: SceneSet) -> SceneSource:
        """The data set behind `scenes`."""
        key = (scenes.dataset, scenes.fingerprint, scenes.root, scenes.size, scenes.resize)
        return self._sources.of(key, scenes.open)

    def scene(self, scenes: SceneSet, ids: Sequence[str]) -> Scene:
        """A batch of scenes, from memory where they were used lately."""
        source = self.source(scenes)
        height, width = scenes.size
        self._scenes.limit = max(16, KEPT_SCENE_BYTES // (12 * height * width))  # picture, labels, instances, depth

        def arrays(scene_id: str) -> SceneArrays:
            key = (scenes.dataset, scenes.fingerprint, scenes.size, scenes.split, scene_id)
            return self._scenes.of(key, lambda: source.load(scenes.split, scene_id))

        return stack([arrays(scene_id) for scene_id in ids], source.label_space)

    def pair(self, cell: Cell, device: str) -> Pair:
        """The cell's method, built on `device`: one instance to send and one to receive."""
        return self._methods.of(_method_key(cell, device), lambda: self._build(cell, device))

    def pair_for_check(self, cell: Cell, device: str) -> Pair:
        """The pair that draws a scene of the cell again.

        For the first cell with a plug-in's method it is built anew, because an instance whose weights are random is
        always equal to itself; otherwise, or where memory does not hold two, it is the pair itself. The built-in
        methods' weights are files, and their digests are in the key.
        """
        pair, key = self.pair(cell, device), _method_key(cell, device)
        if key in self._checked or type(pair.sender).__module__.partition(".")[0] in OWN:
            return pair
        self._checked.add(key)
        try:
            with torch.inference_mode(False):
                return self._build(cell, device)
        except (MemoryError, torch.OutOfMemoryError):
            return pair

    def _build(self, cell: Cell, device: str) -> Pair:
        def build() -> Method:
            built = self.method(cell, device)
            with house_rules():
                built.prepare()
            return built

        return Pair.of(build)

    def method(self, cell: Cell, device: str) -> Method:
        """The cell's method, built anew and not prepared; BenchError where it is not the one that was planned."""
        plan = cell.method
        context = plan.context(cell.scenes, self.source(cell.scenes).label_space, device)
        if plan.spec == PURE_NOISE:
            return PureNoise(context)
        with house_rules():
            built = build_method(parse_spec(plan.spec), context, plan.options)
            check_identity(plan.spec, plan.identity, built.identity())
        return built

    def metric(self, scenes: SceneSet, plan: MetricPlan, device: str, out: Path | None = None) -> Metric:
        """A metric for the data set of `scenes`, built on `device`; what it knows of originals is kept in `out`."""
        key = digest([plan.identity, scenes.dataset, device, str(out)])

        def build() -> Metric:
            built = self.unprepared(scenes, plan, device, out)
            with house_rules():
                built.prepare()
            return built

        return self._metrics.of(key, build)

    def unprepared(self, scenes: SceneSet, plan: MetricPlan, device: str, out: Path | None = None) -> Metric:
        """A metric, built anew and not prepared; BenchError where it is not the one that was planned."""
        kept = None
        if out is not None:
            here = code_provenance()  # other versions and processors answer with other last bits
            made_by = {"metric": plan.identity, "device": device_names((device,)), **{k: here[k] for k in _LAST_BITS}}
            kept = Kept(out, plan.name, made_by)
        context = replace(MetricContext.of(self.source(scenes), plan.evaluator, device), kept=kept)
        with house_rules():
            built = METRICS.build(plan.name, context)
            check_identity(plan.name, plan.identity, built.identity())
        return built

    def device(self, devices: Devices, run_id: str) -> str:
        """This worker's device.

        Workers of one run share the devices out by locking numbered files: the first takes number 0, the next number 1;
        a lock ends with its process. Where the plan names none, they are this machine's own of the kind; UsageError
        where it has none.
        """
        devices = devices if devices.names else resolve_devices(devices.kind)
        if len(devices.names) == 1:
            return devices.names[0]
        if run_id not in self._slots:
            self._slots = {run_id: _claim_slot(run_id)}
        return devices.names[self._slots[run_id][0] % len(devices.names)]


def check_identity(what: str, planned: Mapping[str, Any], built: Mapping[str, Any]) -> None:
    """BenchError, naming what differs, where a worker built something else than was planned.

    What it made would be kept under the plan's key. Weights may have been replaced since, and another machine may have
    other ones.
    """
    if digest(planned) == digest(built):
        return
    raise BenchError(
        f"{what} is not what was planned: {'; '.join(_apart(planned, built, None))}. Its weights or code were changed "
        "while the run was under way, or differ on this machine; start the run again"
    )


def _apart(planned: Mapping[str, Any], here: Mapping[str, Any], absent: str | None) -> list[str]:
    pairs = {key: (planned.get(key, absent), here.get(key, absent)) for key in sorted({*planned, *here})}
    return [
        f"{key} {str(theirs)[:64]} in the plan, {str(ours)[:64]} here"
        for key, (theirs, ours) in pairs.items()
        if canonical(theirs) != canonical(ours)
    ]


def check_code(planned: Mapping[str, Any]) -> None:
    """BenchError where code or packages (`code_provenance`) of this process are not those that the plan was made by."""
    here = code_provenance()
    told = _apart(planned.get("packages", {}), here["packages"], "missing")
    if planned.get("source_sha256") != here["source_sha256"]:
        told.append(f"source {str(planned.get('source_sha256'))[:12]} in the plan, {here['source_sha256'][:12]} here")
    if told:
        raise BenchError(
            f"this worker's code is not that of the plan: {'; '.join(told)}. It was changed while the run was under "
            "way, or differs on this machine; start the run again"
        )


def _claim_slot(run_id: str) -> tuple[int, filelock.FileLock]:
    slot = 0
    while True:
        lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"gesco-bench-{run_id}-{slot}.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
            return slot, lock
        except filelock.Timeout:
            slot += 1


WORKER = Worker()


_watched: set[int] = set()


def end_with(parent: int) -> None:
    """In a worker process that `parent` started: end soon after `parent` has ended, however it did.

    Otherwise the workers of a killed run would hold its memory and its GPUs for minutes. Does nothing in any other
    process.
    """
    if os.getpid() == parent or parent in _watched:
        return
    if os.getppid() != parent:
        os._exit(1)
    _watched.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)  # the cell under way stays unpublished; the next run clears its temporary folder

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


#: glibc's numbers of what `mallopt` sets, and what: the largest piece that does not come straight from the system
#: (more is refused), and how much free memory a process keeps.
_MALLOPT = {"M_MMAP_THRESHOLD": (-3, 32 << 20), "M_TRIM_THRESHOLD": (-1, 256 << 20)}


@cache
def keep_freed_memory() -> None:
    """Keep what tensors free for the next ones, instead of giving it back to the system.

    With glibc's defaults a network's activations are faulted in page by page for every picture, which was a quarter of
    the time of FID[lite0]. Does nothing where the C library has no `mallopt`.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for number, value in _MALLOPT.values():
            libc.mallopt(number, value)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on exactly one thread; all cores are used by running as many workers.

    A sum's order, and with it a picture's last bits, must not depend on the number of jobs or cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
