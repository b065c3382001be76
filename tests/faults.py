"""Kills, flipped bits, runs at once, full disks: `python -m tests.faults DIR` counts what comes to grief. Seeded.

    python -m tests.faults DIR                                         # all of it
    python -m tests.faults DIR --parts flips,disk --to results/performance

The sweep is one of the tests' fakes with two workers. Whatever happens to it, the same command has to make the results
of an undisturbed run: no wrong row, no lost cell, nothing left over. A file system that is full needs the right to
mount one (a tmpfs), and is left out, and said so, without it. Counts are kept in TO/faults.json, where a part stays
until it is run again, and told in TO/faults.md; without --to that is DIR.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from bench.api.provenance import code_provenance, commit_in_words
from bench.results.files import whole_results
from bench.results.tidy import unfolded
from bench.run.verified import Verified, _states

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "bench"))
import bench_fakes  # noqa: E402

METHODS = "fake_pixels,fake_maps,fake_network,fake_slow"
SWEEP = ("run", "--methods", METHODS, "--psnr", "all", "--metrics", "FakeMSE,FakeRatio", "--scenes", "4", "--jobs", "2")
CELLS = 4 * 7
TOML = '[run]\nbackend = "loky"\ndevice = "cpu"\n\n[data.streets]\nsize = [32, 64]\n'
#: What a clock or the machine says is another number every time.
CLOCKED = ("seconds", "memory")
#: Every kind of file that a run reads of its folder.
KINDS = (
    "cells/**/manifest.json", "cells/**/pack.zip", "references/**/manifest.json", "references/**/pack.zip",
    "metrics/**/manifest.json", "metrics/**/arrays.npz", "metrics/**/contributions.npz", "rows/**/set-*.parquet",
    "rows/**/scenes-*.parquet", "draws/**/*.parquet", "provenance.json", ".provenance.json", "verified.json",
)  # fmt: skip
#: What a flip is told by: a file's time of change, that of its entry alone, or nothing but its bytes.
TOLD = ("by its time", "by its entry's time", "by its bytes alone")
#: Where all of this is named that must not be.
WRONG = ("FAILED", "WRONG ROWS", "LOST OR OTHER PICTURES", "LEFTOVERS", "UNCLEAR")


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
        self.apart = multiprocessing.get_context("forkserver")
        self.apart.set_forkserver_preload(["bench.cli", "bench.results.compute", "torch", "bench_fakes"])
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

    def again(self, out: Path, *more: str) -> tuple[int, str]:
        """The same command in one new process, which does not import everything anew: exit code and stderr."""
        os.environ.update(self.environment)  # the first time, for the process that all are copies of
        sys.path[:] = [*dict.fromkeys([*self.environment["PYTHONPATH"].split(os.pathsep), *sys.path])]
        said = self.folder / "said"
        arguments = (*SWEEP, "--backend", "sequential", "--out", str(out), *more)
        process = self.apart.Process(target=bench, args=(arguments, self.folder, said))
        process.start()
        process.join()
        return process.exitcode or 0, said.read_text()

    def read(self, out: Path) -> pd.DataFrame:
        rows = unfolded(whole_results(out)[0])
        key = ["method", "channel", "psnr", "seed", "scene", "metric"]
        columns = [name for name in rows if name not in ("contributions", "cell")]
        return rows[~rows["metric"].isin(CLOCKED)].sort_values(key)[columns].reset_index(drop=True)

    def judge(self, out: Path, *more: str) -> None:
        """The same command once more, and what is there then."""
        code, said = self.again(out, *more)
        self.counts["tried"] += 1
        if code or "Traceback" in said:
            self.counts["FAILED"] += 1
            print(f"exit code {code}: {said}", file=sys.stderr)
            return
        self.counts["WRONG ROWS"] += not self.read(out).equals(self.rows)
        self.counts["LOST OR OTHER PICTURES"] += pictures(out) != self.pictures
        self.counts["LEFTOVERS"] += bool(leftovers(out))
        for path in leftovers(out):
            print(f"left over: {path}", file=sys.stderr)

    def kill(self, number: int) -> None:
        """At a moment that the number of finished cells and measurements tells: of the group, or of one worker."""
        out = self.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        process = self.start(out)
        steps = 3 * CELLS * number // PARTS["kills"][1]  # a cell is pictures and two measurements
        while process.poll() is None and finished(out) < steps:
            time.sleep(0.005)
        time.sleep(self.random.random() * 0.1)
        done = finished(out)
        workers = children(process.pid)
        if process.poll() is not None:
            self.counts["came too late"] += 1
        elif number % 2 and workers:
            os.kill(self.random.choice(workers), signal.SIGKILL)
            self.counts["of a worker"] += 1
        else:
            os.killpg(process.pid, signal.SIGKILL)
            self.counts["of the group"] += 1
        process.communicate()
        self.counts["with a finished cell behind it"] += done > 0
        self.judge(out)

    def flip(self, number: int) -> None:
        """One bit of a file of a finished sweep, kind by kind; of the cache also where the next run has to read it."""
        out = self.folder / "flipped"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.folder / "whole", out)
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)
        path = self.random.choice(sorted(out.glob(kind)))
        place, told = path.relative_to(out), TOLD[turn % len(TOLD)]
        room = place.parts[0]
        must_read = turn // len(TOLD) % 2 and room in ("cells", "references", "metrics")
        if must_read and room != "metrics":
            shutil.rmtree(out / "metrics" / place.parent.relative_to(room))
        elif must_read:
            for name in ("rows", "draws"):
                shutil.rmtree(out / name)
            for name in ("provenance.json", ".provenance.json"):
                (out / name).unlink()
        trust(out)
        stat, data = path.stat(), bytearray(path.read_bytes())
        bit = self.random.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        if told != TOLD[0]:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        if told == TOLD[2] and place.name != "verified.json":
            trust(out)
        self.counts[f"of `{kind}`"] += 1
        self.counts["of what the next run has to read"] += must_read
        self.counts[f"told {told}"] += 1
        if told == TOLD[2]:  # what nothing has read stays as it is: its number is not used
            code, said = self.again(out)
            self.counts["FAILED"] += bool(code) or "Traceback" in said
            self.counts["WRONG ROWS"] += not self.read(out).equals(self.rows)
        self.judge(out, *(["--verify"] if told == TOLD[2] else []))

    def at_once(self, number: int) -> None:
        """Three runs into one folder."""
        out = self.folder / "shared"
        shutil.rmtree(out, ignore_errors=True)
        runs = [self.start(out) for _ in range(3)]
        for run in runs:
            said = run.communicate()[1]
            self.counts["runs"] += 1
            self.counts["FAILED"] += bool(run.returncode) or "Traceback" in said
        computed = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("manifest.json")}
        self.judge(out)
        again = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("manifest.json")}
        self.counts["LOST OR OTHER PICTURES"] += again != computed

    def disk(self, number: int) -> None:
        """A file system that is too small for the sweep, and then no more."""
        self.full(f"size={40 + 60 * number}k")

    def inodes(self, number: int) -> None:
        """One that has room, and not for so many files."""
        self.full(f"size=200m,nr_inodes={40 + 60 * number}")

    def full(self, option: str) -> None:
        """A run into a file system with this option, and another one when it has room."""
        out = self.folder / "small"
        out.mkdir(exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", out], capture_output=True).returncode:
            self.counts["left out, nothing can be mounted here"] += 1
            return
        try:
            code, said = self.finish(out / "o")
            self.counts["stopped the run in a clear line"] += bool(code) and "Traceback" not in said
            self.counts["UNCLEAR"] += "Traceback" in said or bool(code) != ("free some space" in said)
            subprocess.run(["mount", "-o", "remount,size=200m,nr_inodes=100k", out], check=True)
            self.judge(out / "o")
        finally:
            subprocess.run(["umount", out], check=True)


def bench(arguments: tuple[str, ...], folder: Path, said: Path) -> None:
    """The command line in this process, in a working folder; what it says on stderr goes to a file."""
    import bench.cli

    os.chdir(folder)
    for stream, path in ((sys.stdout, os.devnull), (sys.stderr, said)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    sys.argv = ["bench", *arguments]
    bench.cli.main()


def trust(out: Path) -> None:
    """Make the record of what was verified say the times that files have now."""
    before, now = Verified(out), Verified(out, trust=False)
    now._new = {
        name: {**record, "files": _states(out / name, record["files"])}
        for name, record in before._old.items()
        if (out / name).is_dir()
    }
    now.save()


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


def told(parts: dict[str, Any], path: Path) -> None:
    """The page of the counts."""
    lines = [
        "# What kills, flipped bits and full disks do to a sweep", "",
        f"A sweep of {CELLS} cells of the tests' fakes on two workers (`tests/faults.py`, seeded). After each mishap",
        "the same command runs once more, and its rows and pictures are compared with those of an undisturbed run.",
    ]  # fmt: skip
    for name, part in parts.items():
        facts, counts = part["facts"], part["counts"]
        bad = sum(counts.get(what, 0) for what in WRONG)
        lines += ["", f"## {PARTS[name][0]}", "", "| what | count |", "| --- | ---: |"]
        lines += [f"| {what} | {count} |" for what, count in counts.items() if what not in WRONG]
        lines += [f"| {what.lower()} | {counts.get(what, 0)} |" for what in WRONG]
        lines += [
            "", f"{bad} of what must not be. `{part['command']}`, {part['seconds']:.0f} s; {facts['cores']} cores of "
            f"{facts['cpu']}, commit {commit_in_words(facts)[:8]}, {facts['date']}.",
        ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


#: Part -> what it is, how often, and what does it.
PARTS: dict[str, tuple[str, int, Callable[[Campaign, int], None]]] = {
    "kills": ("Killed", 60, Campaign.kill),
    "flips": ("A flipped bit", 200, Campaign.flip),
    "runs": ("Three runs at once", 5, Campaign.at_once),
    "disk": ("A full disk", 10, Campaign.disk),
    "inodes": ("No inodes left", 5, Campaign.inodes),
}


def main() -> None:
    """The parts that are asked for, and exit code 1 where a count is above 0 that has to be 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--times", type=int, help="how often each, instead of as often as it should be")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, help="where the page goes")
    asked = parser.parse_args()
    to = asked.to or asked.folder
    campaign = Campaign(asked.folder.resolve(), asked.seed)
    kept = to / "faults.json"
    parts = json.loads(kept.read_bytes()) if kept.is_file() else {}
    bad = 0
    for name in asked.parts.split(","):
        title, times, happen = PARTS[name]
        campaign.counts = collections.Counter(dict.fromkeys(["tried", *WRONG], 0))
        start = time.perf_counter()
        for number in range(asked.times or times):
            happen(campaign, number)
        facts = {**code_provenance(), "cores": os.cpu_count(), "date": datetime.date.today().isoformat()}
        command = f"python -m tests.faults DIR --parts {name}"
        seconds = time.perf_counter() - start
        parts[name] = {"command": command, "seconds": seconds, "counts": campaign.counts, "facts": facts}
        print(f"{title}: {dict(campaign.counts)}", flush=True)
        kept.write_text(json.dumps(parts, indent=1) + "\n")
        bad += sum(campaign.counts[what] for what in WRONG)
    told({name: parts[name] for name in PARTS if name in parts}, to / "faults.md")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
