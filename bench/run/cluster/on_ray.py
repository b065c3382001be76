"""Ray's workers: one actor for every CPU, or every GPU, of the cluster at an address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import ray

from bench.api.device import Devices
from bench.api.errors import BenchError
from bench.run.cluster.dispatch import kind_asked

if TYPE_CHECKING:
    from concurrent.futures import Future


class _Slot:
    """A process of Ray's that makes one call at a time."""

    def call(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """The call's result."""
        return function(*arguments)


_Actor: Any = ray.remote(max_restarts=0)(_Slot)


class RayCluster:
    """The actors of this run; one that dies is replaced."""

    lost: ClassVar[tuple[type[BaseException], ...]] = (ray.exceptions.RayActorError,)
    ours: ClassVar[bool] = True

    def __init__(self, where: str) -> None:
        self.where = where
        try:
            ray.init(address=where, log_to_driver=False, logging_level="critical")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BenchError(f"no Ray answers at {where} ({error}); `ray start --head` starts one") from None
        self._slots: dict[str, Any] = {}
        self._made = 0
        self._kind = "CPU"

    def devices(self, wanted: str) -> Devices:
        """GPUs where the cluster has any."""
        kind = kind_asked(wanted)
        if kind == "auto":
            kind = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
        self._kind = "GPU" if kind == "cuda" else "CPU"
        return Devices(kind, ())

    def start(self) -> str:
        """Nothing to watch is known of a Ray at an address."""
        return ""

    def count(self) -> int:
        """CPUs, or GPUs, of the cluster."""
        return int(self._resources().get(self._kind, 0))

    def _resources(self) -> Mapping[str, float]:
        try:
            found: Mapping[str, float] = ray.cluster_resources()
        except (ConnectionError, RuntimeError) as error:
            raise BenchError(
                f"Ray at {self.where} is gone ({error}); finished cells are kept. Start it again: the same command "
                "goes on from there"
            ) from None
        return found

    def workers(self) -> Mapping[str, int]:
        """One call an actor; actors are made up to the cluster's resources."""
        for _ in range(self.count() - len(self._slots)):
            self._made += 1
            gpus = 1 if self._kind == "GPU" else 0
            self._slots[f"actor {self._made}"] = _Actor.options(num_cpus=1 - gpus, num_gpus=gpus).remote()
        return dict.fromkeys(self._slots, 1)

    def submit(self, worker: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a call on this actor."""
        future: Future[Any] = self._slots[worker].call.remote(function, arguments).future()
        future.add_done_callback(lambda done: self._drop(worker, done))
        return future

    def _drop(self, worker: str, done: Future[Any]) -> None:
        if not done.cancelled() and isinstance(done.exception(), self.lost):
            self._slots.pop(worker, None)

    def hand_over(self, workers: Sequence[str], function: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> None:
        """Never asked: actors end with this process."""
        raise NotImplementedError

    def close(self) -> None:
        """End the actors."""
        ray.shutdown()
