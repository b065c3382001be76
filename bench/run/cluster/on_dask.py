"""Dask's workers: those of a running scheduler, of this machine, or in jobs of SLURM."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from distributed import Client, KilledWorker, LocalCluster, fire_and_forget

from bench.api.device import Devices, resolve_devices
from bench.api.errors import BenchError, UsageError
from bench.run.cluster.dispatch import common_kind, kind_asked

if TYPE_CHECKING:
    from bench.config import Config

#: For a scheduler's first answer.
CONNECT_SECONDS = 10


class DaskCluster:
    """The workers of a running scheduler, by its address."""

    lost: ClassVar[tuple[type[BaseException], ...]] = (CancelledError, KilledWorker)
    ours: ClassVar[bool] = False

    def __init__(self, where: str) -> None:
        self.where = where
        for name in ("asyncio", *logging.root.manager.loggerDict):
            # what they say of lost workers and connections is said by us, in a line each
            if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL)

    def _made(self) -> Any:
        """What a client connects to."""
        return self.where

    @cached_property
    def _client(self) -> Any:
        try:
            return Client(self._made(), timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BenchError(
                f"no Dask scheduler answers at {self.where} ({error}); `dask scheduler` starts one"
            ) from None

    def devices(self, wanted: str) -> Devices:
        """The kind of device that the workers have, where `wanted` leaves it to them."""
        return Devices(common_kind(self, wanted), ())

    def start(self) -> str:
        """Connect; the dashboard's address."""
        link = self._client.dashboard_link
        return f"dashboard: {link}" if link else ""

    def count(self) -> int:
        """Calls that are made at once now."""
        return sum(self.workers().values())

    def workers(self) -> Mapping[str, int]:
        """Threads by address of each worker that the scheduler knows."""
        client = self._client
        found = client.scheduler_info()["workers"] if client.status == "running" else None
        if found is None or client.status != "running":
            raise BenchError(
                f"the scheduler at {self.where} is gone; finished cells are kept. Start it again, or another one: the "
                "same command goes on from there"
            )
        return {address: facts["nthreads"] for address, facts in found.items()}

    def submit(self, worker: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a call on this worker and no other."""
        executor = self._client.get_executor(workers=[worker], pure=False)
        future: Future[Any] = executor.submit(function, *arguments)
        return future

    def hand_over(self, workers: Sequence[str], function: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> int:
        """Leave calls with the scheduler, for machines of these workers: one that is started anew has a new address.

        How often it begins one of them anew.
        """
        told = self._client.scheduler_info()["workers"]
        hosts = sorted({told[worker]["host"] for worker in workers if worker in told})
        for call in calls:
            fire_and_forget(self._client.submit(function, *call, pure=False, workers=hosts))
        return int(self._client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures))

    def close(self) -> None:
        """Let go of the scheduler, and end one of our own."""
        if "_client" in self.__dict__:
            self._client.close()


class _OwnCluster(DaskCluster):
    """Workers that are asked for, under a scheduler in this process."""

    ours = True

    def __init__(self, where: str, count: int) -> None:
        super().__init__(where)
        self._count = count
        self._cluster: Any = None

    def count(self) -> int:
        """The workers asked for."""
        return self._count

    def close(self) -> None:
        """End workers and scheduler."""
        super().close()
        if self._cluster is not None:
            with suppress(AssertionError):  # a job that SLURM has not taken is none that it can close
                self._cluster.close()


class LocalWorkers(_OwnCluster):
    """Workers on this machine."""

    def __init__(self, count: int) -> None:
        super().__init__(f"local:{count}", count)

    def _made(self) -> Any:
        # Dask's limit of memory would count its own processes, in which nothing is computed
        self._cluster = LocalCluster(
            n_workers=self._count, threads_per_worker=1, memory_limit=None, silence_logs=logging.CRITICAL
        )
        return self._cluster

    def devices(self, wanted: str) -> Devices:
        """This machine's, which its workers share out."""
        return Devices(resolve_devices(kind_asked(wanted)).kind, ())


class SlurmJobs(_OwnCluster):
    """Workers in jobs of SLURM, as [cluster] of bench.toml describes one; a job that ends is followed by another."""

    def __init__(self, config: Config) -> None:
        interrupt = signal.getsignal(signal.SIGINT)
        from dask_jobqueue import SLURMCluster

        signal.signal(signal.SIGINT, interrupt)  # its import makes Ctrl-C a success
        self._section, self._kind = config.cluster, SLURMCluster
        if not config.run.jobs:
            raise UsageError("--cluster slurm: say with --jobs how many workers to ask SLURM for")
        super().__init__("slurm", config.run.jobs)

    def _made(self) -> Any:
        asked = self._section
        sbatch = shutil.which("sbatch")
        if sbatch is None:
            raise UsageError("--cluster slurm: there is no `sbatch` here; start it on a machine that submits jobs")
        try:
            self._cluster = self._kind(
                queue=asked.queue,
                walltime=asked.walltime,
                cores=asked.cores,
                processes=1,
                memory=asked.memory,
                job_extra_directives=[f"--gres=gpu:{asked.gpus}"] if asked.gpus else [],
                job_name="bench",
                silence_logs=logging.CRITICAL,
            )
        except ValueError as error:
            raise UsageError(f"[cluster] of bench.toml: {error}") from None
        script = self._cluster.job_script()
        tried = subprocess.run([sbatch, "--test-only"], input=script, capture_output=True, text=True)  # noqa: S603
        if tried.returncode:
            asked_for = [line for line in script.splitlines() if line.startswith("#SBATCH")]
            raise BenchError(f"SLURM does not take a worker's job: {tried.stderr.strip()}", asked_for)
        return self._cluster

    def workers(self) -> Mapping[str, int]:
        """Those whose jobs have begun; what has ended is asked for again."""
        there = super().workers()
        self._cluster.scale(jobs=self._count)
        return there

    def devices(self, wanted: str) -> Devices:
        """GPUs where a worker has some; nothing is asked of this machine."""
        kind, gpus = kind_asked(wanted), self._section.gpus
        if kind == "cuda" and not gpus:
            raise UsageError("--device cuda: [cluster] of bench.toml asks for no GPUs; write gpus = 1")
        return Devices("cuda" if gpus and kind != "cpu" else "cpu", ())
