"""Kills, flipped bytes, runs at once, full disks: `python -m tests.faults DIR` counts what comes to grief. Seeded.

The sweep is one of the tests' fakes with two workers. Whatever happens to it, the same command has to make the results
of an undisturbed run: no wrong row, no lost cell, nothing left over. The whole campaign: --kills 60 --flips 200
--full 10; a file system of its own needs the right to mount (a tmpfs), and is left out, and said so, without it.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from bench.results.files import whole_results
from bench.results.tidy import unfolded

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "bench"))
import bench_fakes  # noqa: E402

METHODS = "fake_pixels,fake_maps,fake_network,fake_slow"
SWEEP = ("run", "--methods", METHODS, "--psnr", "all", "--metrics", "FakeMSE,FakeRatio", "--scenes", "4", "--jobs", "2")
CELLS = 4 * 7
TOML = '[run]\nbackend = "loky"\ndevice = "cpu"\n\n[data.streets]\nsize = [32, 64]\n'
#: What a clock or the machine says is another number every time.
CLOCKED = ("seconds", "memory")


class Campaign:
    """A working folder with the fakes installed, and the rows of an undisturbed sweep."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        shutil.rmtree(folder, ignore_errors=True)
        info = folder / "site" / "bench_fakes-0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-fakes\nVersion: 0\n")
        groups = {"bench.methods": bench_fakes.METHODS, "bench.metrics": bench_fakes.METRICS}
        points = "".join(
            f"[{group}]\n" + "".join(f"{name} = bench_fakes:{kind}\n" for name, kind in kinds.items())
            for group, kinds in groups.items()
        )
        (info / "entry_points.txt").write_text(points)
        (folder / "bench.toml").write_text(TOML)
        paths = (folder / "site", HERE / "bench", HERE.parent)
        self.environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "XDG_STATE_HOME": str(folder / "state"),
            "OMP_NUM_THREADS": "1", "BENCH_FAKE_SECONDS": "0.2",
        }  # fmt: skip
        code, said = self.finish(folder / "whole")
        if code:
            sys.exit(f"the undisturbed run failed: {said}")
        self.rows = self.read(folder / "whole")
        self.pictures = pictures(folder / "whole")

    def start(self, out: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench", *SWEEP, "--out", str(out), *more]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def finish(self, out: Path, *more: str) -> tuple[int, str]:
        process = self.start(out, *more)
        said = process.communicate()[1]
        return process.returncode, said

    def read(self, out: Path) -> pd.DataFrame:
        rows = unfolded(whole_results(out)[0])
        key = ["method", "channel", "psnr", "seed", "scene", "metric"]
        columns = [name for name in rows if name not in ("contributions", "cell")]
        return rows[~rows["metric"].isin(CLOCKED)].sort_values(key)[columns].reset_index(drop=True)

    def tell(self) -> None:
        """What was counted so far."""
        for what, count in sorted(self.counts.items()):
            print(f"{what}: {count}")
        print(flush=True)

    def judge(self, out: Path, kind: str) -> None:
        """The same command once more, and what is there then."""
        code, said = self.finish(out)
        if code and "--replace" in said:  # the numbers themselves are damaged, and that is said
            self.counts[f"{kind}: refused, made anew with --replace"] += 1
            code, said = self.finish(out, "--replace")
        self.counts[f"{kind}: tried"] += 1
        if code or "Traceback" in said:
            self.counts[f"{kind}: FAILED"] += 1
            print(said, file=sys.stderr)
            return
        self.counts[f"{kind}: WRONG ROWS"] += not self.read(out).equals(self.rows)
        self.counts[f"{kind}: LOST OR OTHER PICTURES"] += pictures(out) != self.pictures
        self.counts[f"{kind}: LEFTOVERS"] += bool(leftovers(out))
        for path in leftovers(out):
            print(f"left over: {path}", file=sys.stderr)

    def kill(self, number: int, of: int) -> None:
        """At a moment that the number of finished cells and measurements tells: of the group, or of one worker."""
        out = self.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        process = self.start(out)
        steps = 3 * CELLS * number // of  # a cell is pictures and two measurements
        while process.poll() is None and finished(out) < steps:
            time.sleep(0.005)
        time.sleep(self.random.random() * 0.1)
        done = finished(out)
        workers = children(process.pid)
        if process.poll() is not None:
            self.counts["kill: came too late"] += 1
        elif number % 2 and workers:
            os.kill(self.random.choice(workers), signal.SIGKILL)
            self.counts["kill: of a worker"] += 1
        else:
            os.killpg(process.pid, signal.SIGKILL)
            self.counts["kill: of the group"] += 1
        process.communicate()
        self.counts["kill: with a finished cell behind it"] += done > 0
        self.judge(out, "kill")

    def flip(self) -> None:
        """One bit of one file of a finished sweep, which keeps its time of change in every other case."""
        out = self.folder / "flipped"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.folder / "whole", out)
        files = sorted(path for path in out.rglob("*") if path.is_file() and path.stat().st_size)
        path = self.random.choice(files)
        stat, data = path.stat(), bytearray(path.read_bytes())
        bit = self.random.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        if self.random.random() < 0.5:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.counts[f"flip: of {path.relative_to(out).parts[0]}"] += 1
        self.judge(out, "flip")

    def at_once(self) -> None:
        """Three runs into one folder."""
        out = self.folder / "shared"
        runs = [self.start(out) for _ in range(3)]
        said = [run.communicate()[1] for run in runs]
        self.counts["at once: FAILED"] += sum(bool(run.returncode) for run in runs)
        self.counts["at once: FAILED"] += any("Traceback" in one for one in said)
        self.judge(out, "at once")

    def full(self, kind: str, option: str) -> None:
        """A file system that is too small for the sweep, and then no more."""
        out = self.folder / "small"
        out.mkdir(exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", out], capture_output=True).returncode:
            self.counts[f"{kind}: left out, nothing can be mounted here"] += 1
            return
        try:
            code, said = self.finish(out / "o")
            self.counts[f"{kind}: stopped the run in a clear line"] += bool(code) and "Traceback" not in said
            self.counts[f"{kind}: UNCLEAR"] += "Traceback" in said
            subprocess.run(["mount", "-o", "remount,size=200m,nr_inodes=100k", out], check=True)
            self.judge(out / "o", kind)
        finally:
            subprocess.run(["umount", out], check=True)


def finished(out: Path) -> int:
    """Sealed folders of cells and measurements."""
    return sum(len(list((out / room).rglob("manifest.json"))) for room in ("cells", "metrics"))


def pictures(out: Path) -> dict[str, bytes]:
    """The packed pictures of all cells."""
    return {str(path.relative_to(out)): path.read_bytes() for path in (out / "cells").rglob("pack.zip")}


def leftovers(out: Path) -> list[Path]:
    """What a finished run leaves nothing of."""
    return [*out.rglob("*.tmp"), *(out / "tmp").glob("*")]


def children(pid: int) -> list[int]:
    """Worker processes of a run."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def main() -> None:
    """All of it, and exit code 1 where a count is above 0 that has to be 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, number in {"kills": 60, "flips": 200, "full": 10, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    asked = parser.parse_args()
    campaign = Campaign(asked.folder.resolve(), asked.seed)
    for number in range(asked.kills):
        campaign.kill(number, asked.kills)
    campaign.tell()
    for _ in range(asked.flips):
        campaign.flip()
    campaign.tell()
    campaign.at_once()
    campaign.tell()
    for number in range(asked.full):
        campaign.full("full disk", f"size={40 + 60 * number}k")
    if asked.full:
        campaign.full("no inodes", "size=200m,nr_inodes=60")
    campaign.tell()
    bad = sum(n for what, n in campaign.counts.items() if what.partition(": ")[2].isupper())
    print(f"{bad} of what must not be")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
