"""What has to be fast, measured against something else in the same run: `python -m tests.benchmark`, from a checkout.

No test asks a clock, because a clock tells of the machine and of what else it does. Here two things take turns, CPU
seconds are counted, and the ratio of their medians is held against a limit. Exit code 1 where one is above it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

REPEATS = 5


def _children(arguments: list[str]) -> float:
    """CPU seconds of a process."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def help_page() -> Iterator[tuple[str, Callable[[], float], Callable[[], float], float]]:
    """`bench --help` against Python with nothing but typer, which it cannot do without."""
    ours, other = ["-m", "bench", "--help"], ["-c", "import typer"]
    yield "bench --help / import typer", lambda: _children(ours), lambda: _children(other), 2.5


def tables() -> Iterator[tuple[str, Callable[[], float], Callable[[], float], float]]:
    """Tables of the committed results against reading them, which nothing can do without."""
    from bench.results.files import read_results
    from bench.tables import named_tables, render

    folder = Path("results")
    frame, _ = read_results(folder)

    def spent(work: Callable[[], object]) -> float:
        before = time.process_time()
        work()
        return time.process_time() - before

    for what in ("mIoU", "LPIPS", "FID"):
        yield (
            f"bench table {what} / reading the results",
            lambda what=what: spent(lambda: render(named_tables(frame, what, 10.0))),  # type: ignore[misc]
            lambda: spent(lambda: read_results(folder)), 3.0,
        )  # fmt: skip


def board(folder: Path, browser: Any) -> Iterator[tuple[str, Callable[[], float], Callable[[], float], float]]:
    """Pages of 50 methods and 500 scenes against those of 5 methods and 5 scenes."""
    from bench.config import Config
    from bench.leaderboard.site import build_site
    from tests.bench import leaderboard_fakes as fakes

    session = browser.new_browser_cdp_session()

    def spent() -> float:
        return float(sum(p["cpuTime"] for p in session.send("SystemInfo.getProcessInfo")["processInfo"]))

    def opened(site: Path, page: str, ready: str) -> float:
        before = spent()
        tab = browser.new_page()
        tab.goto(f"{site.as_uri()}/{page}")
        tab.wait_for_selector(ready)
        tab.close()
        return spent() - before

    sites = []
    for methods, scenes in ((50, 500), (5, 5)):
        names = [f"method_{k:02d}" for k in range(methods)]
        results = fakes.write_run(folder / f"results-{methods}", names, max(scenes, 6), ("mIoU", "LPIPS"))
        fakes.write_sample_set(results / "samples", names, scenes, seen=False)
        sites.append(build_site([results], folder / f"site-{methods}", Config()).parent)
    for page, ready in (("index.html", "#chart[data-curves]"), ("samples.html", "#pictures figure")):
        large, small = ((lambda site=site, p=page, r=ready: opened(site, p, r)) for site in sites)
        yield f"{page} of 50 methods and 500 scenes / of 5 and 5", large, small, 2.5


def measure(what: str, ours: Callable[[], float], other: Callable[[], float], limit: float) -> bool:
    """Print the ratio; whether it is within its limit."""
    ours(), other()  # caches are warm in every counted turn
    turns = [(ours(), other()) for _ in range(REPEATS)]
    one, two = (median(turn[k] for turn in turns) for k in (0, 1))
    print(f"{what}: {one:.3f} s / {two:.3f} s of CPU = {one / two:.2f} (limit {limit:g})", flush=True)
    return one / two <= limit


def main() -> None:
    """All of it; what needs a browser is left out, and said so, where none is on the path."""
    held = [measure(*each) for each in (*help_page(), *tables())]
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        print("without a Chromium or Chrome on the path the leaderboard's pages are left out")
    else:
        from playwright.sync_api import sync_playwright

        with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
            browser = started.chromium.launch(executable_path=found, args=["--disable-gpu"])
            held += [measure(*each) for each in board(Path(folder), browser)]
            browser.close()
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
