"""A Dask scheduler and workers as processes, each in a folder of its own, to be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path


class Dask:
    """A scheduler and workers; a worker's process is the one that takes the calls, without a nanny."""

    def __init__(self, folder: Path, workers: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self._told = folder, folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("distributed.cli.dask_scheduler", folder, "--host", "127.0.0.1", "--port", "0")
        while not self._told.exists():
            assert self.scheduler.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        self.address = str(json.loads(self._told.read_text())["address"])
        for _ in range(workers):
            self.add()

    def _start(self, module: str, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", module, "--scheduler-file", str(self._told), "--no-dashboard", *arguments]
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def add(self) -> None:
        """One more worker."""
        folder = self.folder / f"worker{len(self.workers)}"
        arguments = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        self.workers.append(self._start("distributed.cli.dask_worker", folder, *arguments))

    def end(self) -> None:
        """End all of them."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
