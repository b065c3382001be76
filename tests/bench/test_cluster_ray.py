"""A real Ray cluster of two nodes: the same bytes as one machine, though a node is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Answer, manifests, pictures

pytest.importorskip("ray", reason="needs Ray: pip install 'gesco-bench[ray]'")
pytestmark = pytest.mark.slow

SWEEP = ("run", "--methods", "fake_network,fake_slow", "--psnr", "100,10,1", "--scenes", "4", "--metrics", "FakeMSE")
CELLS = 6


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Ray:
    """A head of one core and another node, as processes of groups of their own, to be killed."""

    def __init__(self, folder: Path) -> None:
        gcs, client = free_port(), free_port()
        self.address, self._folder = f"ray://127.0.0.1:{client}", folder
        head = ("--head", "--port", str(gcs), "--ray-client-server-port", str(client), "--include-dashboard", "false")
        self.nodes = [self._start("head", *head)]
        self._until(client)
        self.nodes.append(self._start("other", "--address", f"127.0.0.1:{gcs}"))

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        (self._folder / name).mkdir(parents=True)
        program = "from ray.scripts.scripts import main; main()"
        command = [sys.executable, "-c", program, "start", "--num-cpus", "1", "--block", "--disable-usage-stats"]
        with (self._folder / name / "log").open("wb") as log:
            return subprocess.Popen(
                [*command, *arguments], cwd=self._folder / name, stdout=log, stderr=log, start_new_session=True
            )

    def _until(self, port: int) -> None:
        while True:
            assert self.nodes[0].poll() is None, (self._folder / "head" / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.2)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        if node.poll() is None:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()


@pytest.fixture
def cluster(fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else every end needs the head's token
    running = Ray(tmp_path / "ray")
    yield running
    for node in running.nodes:
        running.kill(node)


def test_two_nodes_give_what_one_machine_gives_though_one_is_killed(
    cli: Callable[..., Answer], start: Callable[..., subprocess.Popen[str]], fakes: Path, cluster: Ray
) -> None:
    driver = start(*SWEEP, "--out", "o", "--cluster", cluster.address, RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S="60")
    while not manifests(fakes / "o"):
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.1)
    cluster.kill(cluster.nodes[1])
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    assert f"{CELLS} cells: {CELLS} computed, 0 from the cache" in out
    assert "Traceback" not in err
    assert cli(*SWEEP, "--out", "alone").code == 0
    assert len(pictures(fakes / "o")) == CELLS * 4
    assert pictures(fakes / "o") == pictures(fakes / "alone")


def test_without_a_cluster_the_message_says_how_to_start_one(
    cli: Callable[..., Answer], fakes: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "1")
    answer = cli(*SWEEP, "--out", "o", "--cluster", f"ray://127.0.0.1:{free_port()}")
    assert answer.code == 1
    assert "no Ray cluster answers at ray://127.0.0.1:" in answer.err
    assert "ray start --head" in answer.err
    assert "Traceback" not in answer.err
    assert not [warning for warning in recwarn if warning.category is UserWarning]
