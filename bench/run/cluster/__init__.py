"""Cells computed by a cluster's workers: an engine that exists carries calls, `dispatch` says which, and to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.api.errors import UsageError, nearest

if TYPE_CHECKING:
    from bench.config import Config
    from bench.run.cluster.dispatch import Cluster

_KINDS = ("tcp://HOST:8786", "local:WORKERS", "slurm", "ray://HOST:10001")


@contextmanager
def connected(config: Config) -> Iterator[Cluster | None]:
    """The cluster that `config` names, None without one; nobody is asked for workers before a plan needs them.

    UsageError for a name that is none, and where the engine is not installed.
    """
    where = config.run.cluster
    if where is None:
        yield None
        return
    cluster = _named(where, config)
    try:
        yield cluster
    finally:
        cluster.close()


def _named(where: str, config: Config) -> Cluster:
    kind, colon, rest = where.partition(":")
    if kind == "ray" and rest.startswith("//"):
        try:
            from bench.run.cluster.on_ray import RayCluster
        except ImportError as error:
            raise UsageError(f"--cluster {where} needs Ray: pip install 'gesco-bench[ray]' ({error})") from None
        return RayCluster(where)
    try:
        from bench.run.cluster.on_dask import DaskCluster, LocalWorkers, SlurmJobs
    except ImportError as error:
        raise UsageError(f"--cluster {where} needs Dask: pip install 'gesco-bench[cluster]' ({error})") from None
    if kind == "local" and re.fullmatch(r"[1-9][0-9]{0,4}", rest):
        return LocalWorkers(int(rest))
    if kind == "local" and colon:
        raise UsageError(f"--cluster {where}: local takes a number of workers, as in local:4")
    if where == "slurm":
        return SlurmJobs(config)
    if rest.startswith("//"):
        return DaskCluster(where)
    raise UsageError(f"unknown cluster '{where}'{nearest(where, _KINDS)}")
