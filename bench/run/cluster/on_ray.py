"""Ray's nodes as workers, by the address of a running cluster (`ray://HOST:10001`)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    TaskCancelledError,
    TaskUnschedulableError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.api.device import Devices
from bench.api.errors import BenchError, UsageError
from bench.run.cluster.dispatch import kind_asked

if TYPE_CHECKING:
    from concurrent.futures import Future


class RayCluster:
    """The nodes of a running Ray cluster; a worker is one of them, or one of its GPUs, `NODE/GPU`."""

    lost: ClassVar[tuple[type[BaseException], ...]] = (
        WorkerCrashedError, NodeDiedError, LocalRayletDiedError, TaskUnschedulableError, TaskCancelledError,
    )  # fmt: skip
    ours: ClassVar[bool] = False

    def __init__(self, where: str) -> None:
        self.where, self._on_gpus, self._begun = where, False, False

    def devices(self, wanted: str) -> Devices:
        """The kind of device that the nodes say they have; BenchError where only some have GPUs and none is wanted."""
        kind = kind_asked(wanted)
        if kind == "auto":
            gpus = {bool(node["Resources"].get("GPU")) for node in self._nodes()}
            if len(gpus) > 1:
                raise BenchError(f"only some nodes of {self.where} have GPUs; choose with --device cpu or cuda")
            kind = "cuda" if gpus == {True} else "cpu"
        self._on_gpus = kind == "cuda"
        return Devices(kind, ())

    def start(self) -> str:
        """Connect; Ray's dashboard is where its head says."""
        self._connect()
        return ""

    def _connect(self) -> None:
        if self._begun:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of attempts that failed, which the last one's error tells
                ray.init(address=self.where, log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise BenchError(
                f"no Ray cluster answers at {self.where} ({error}); `ray start --head --ray-client-server-port 10001` "
                "starts one, and where it asks for tokens, RAY_AUTH_MODE=token and RAY_AUTH_TOKEN give this end one"
            ) from None
        self._begun = True

    def _nodes(self) -> list[dict[str, Any]]:
        self._connect()
        try:
            return [node for node in ray.nodes() if node["Alive"]]
        except (ConnectionError, RuntimeError) as error:
            raise BenchError(
                f"the Ray cluster at {self.where} is gone ({error}); finished cells are kept. Start it again: the same "
                "command goes on from there"
            ) from None

    def count(self) -> int:
        """Calls that are made at once now."""
        return sum(self.workers().values())

    def workers(self) -> Mapping[str, int]:
        """Cores by node, or each GPU by itself: a call that asks for one sees no other."""
        found: dict[str, int] = {}
        for node in self._nodes():
            name, has = str(node["NodeID"]), node["Resources"]
            if self._on_gpus:
                found |= {f"{name}/{gpu}": 1 for gpu in range(int(has.get("GPU", 0)))}
            elif cores := int(has.get("CPU", 0)):
                found[name] = cores
        return found

    def submit(self, worker: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a call on this worker and no other; Ray does not try it again."""
        node = NodeAffinitySchedulingStrategy(node_id=worker.partition("/")[0], soft=False)
        task = ray.remote(function).options(
            num_cpus=0 if self._on_gpus else 1, num_gpus=int(self._on_gpus), max_retries=0, scheduling_strategy=node
        )
        future: Future[Any] = task.remote(*arguments).future()
        return future

    def hand_over(self, workers: Sequence[str], function: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> int:
        """UsageError: Ray ends the tasks of a driver that leaves."""
        raise UsageError("--detach: Ray ends what a command asked for when the command ends; use a Dask scheduler")

    def close(self) -> None:
        """Let go of the cluster."""
        if self._begun:
            ray.shutdown()
