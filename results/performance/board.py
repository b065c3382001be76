"""How much the leaderboard's pages load, and how fast they answer, with many methods and scenes.

Writes runs of drawn values, builds their sites and opens them from disk in Chromium; the page `board.md` is made of
what is measured. It takes minutes, and its times mean something on an idle machine only, or at a priority above the
rest (`nice`). Arguments are the numbers of scenes of the boards to measure, without any all:

    python results/performance/board.py 500
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from bench.api.device import cores, cpu_name
from bench.api.provenance import code_provenance, commit_in_words
from bench.config import Config
from bench.leaderboard.site import build_site
from bench.results.files import write_results
from bench.results.merge import NO_CELL, of_schema_1
from bench.results.schema import COLUMNS, CONTRIBUTIONS

PAGE = Path(__file__).with_suffix(".md")
METHODS = [f"{base}{variant}" for base in ("spade", "ccfpse", "smis", "oasis", "sdm", "gesco", "full_image", "other",
           "one_more", "the_last") for variant in ("", "+fds", ":steps=5", ":steps=10", ":steps=20")]  # fmt: skip
PSNRS = (100.0, 30.0, 20.0, 15.0, 10.0, 5.0, 1.0)
#: Metric -> (higher is better, whether scenes have values of their own).
METRICS = {
    "mIoU": (True, False), "mIoU[judge]": (True, False), "LPIPS": (False, True), "FID[lite0]": (False, False),
    "KID[lite0]": (False, False), "AP50": (True, False), "AP50[car]": (True, False), "AP50[person]": (True, False),
    "recall": (True, False), "AbsRel": (False, True), "RMSE": (False, True), "delta1": (True, True),
    "bits": (False, False), "channel_uses": (False, False), "energy": (False, False), "seconds": (False, False),
}  # fmt: skip
#: Scenes, data sets, and whether values of single scenes are among the rows (with 5,000 of them only what they add to
#: their score, which is as many numbers and a thousandth of the rows).
BOARDS = ((500, ("streets",), True), (5000, ("streets", "stuff"), False))
#: Milliseconds from an event of an input until what it changed is painted.
ANSWER = """([id, value]) => new Promise((done) => {
  const input = document.getElementById(id), start = performance.now();
  input.value = value;
  input.dispatchEvent(new Event(input.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""
FIRST = """() => new Promise((done) => { const look = () => document.querySelector("#ranking tbody tr")
  ? requestAnimationFrame(() => setTimeout(() => done(performance.now()))) : setTimeout(look, 1); look(); })"""


def rows(dataset: str, scenes: int, single: bool) -> Iterator[dict[str, Any]]:
    """Rows of drawn values: later methods are better, as are better channels."""
    rng = np.random.default_rng([scenes, len(dataset)])
    shared = {"dataset": dataset, "split": "test", "size": "64x128", "scale": "embedded", "seed": 0, "cell": NO_CELL,
              "scene_count": scenes, "channel": "awgn-paper-peak"}  # fmt: skip
    for metric, (higher, by_scene) in METRICS.items():
        for number, method in enumerate(METHODS):
            for psnr in PSNRS:
                sigma = 10 ** (-psnr / 20)
                values = rng.normal(0.3 + 0.004 * number + 0.02 * np.log10(psnr), 0.05, scenes).astype(np.float32)
                cell = {**shared, "method": method, "psnr": psnr, "sigma": sigma, "peak_snr_db": psnr,
                        "mean_snr_db": psnr - 7.4, "metric": metric, "protocol": metric, "higher_is_better": higher,
                        "std": np.nan}  # fmt: skip
                yield {**cell, "scene": "all", "value": float(values.mean()), "scenes": scenes,
                       "stderr": float(values.std(ddof=1)) / scenes**0.5,
                       CONTRIBUTIONS: None if by_scene and single else values - values.mean()}  # fmt: skip
                if by_scene and single:
                    for k, value in enumerate(values):
                        yield {**cell, "scene": f"s{k:05d}", "value": float(value), "scenes": 1, "stderr": np.nan}


def facts(frame: pd.DataFrame, datasets: tuple[str, ...], scenes: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    sets = {name: {"split": "test", "size": [64, 128], "scenes_used": scenes, "fingerprint": "00" * 32}
            for name in datasets}  # fmt: skip
    told = {**code_provenance(), "schema": 1, "devices": ["cpu"], "methods": {m: {"name": m} for m in METHODS},
            "weights_sha256": {}, "datasets": sets, "cell_folders": [], "command": "drawn values",
            "date": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    return of_schema_1(frame, told)


def measured(site: Path) -> dict[str, float]:
    """What the ranking loads and how long it takes, in a browser."""
    browser_path = shutil.which("chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_path, args=["--disable-gpu"])
        firsts, size = [], 0
        answers: dict[str, list[float]] = {"search": [], "metric": []}
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(unquote(urlparse(request.url).path)))
            page.goto(f"{site.as_uri()}/index.html", wait_until="commit")
            firsts.append(page.evaluate(FIRST))
            page.wait_for_selector("#chart[data-curves]")
            size = sum(Path(path).stat().st_size for path in asked)
            for change in (["search", "g"], ["search", "ges"], ["search", ""], ["metric", "LPIPS"], ["metric", "mIoU"]):
                answers[change[0]].append(page.evaluate(ANSWER, change))
                page.wait_for_timeout(1000)  # the chart follows
            page.close()
        browser.close()
    return {"bytes": size, "first": statistics.median(firsts), "slowest first": max(firsts),
            **{kind: statistics.median(found) for kind, found in answers.items()},
            **{f"slowest {kind}": max(found) for kind, found in answers.items()}}  # fmt: skip


def main() -> None:
    lines, load = [], os.getloadavg()[0]
    asked = [int(text) for text in sys.argv[1:]] or [scenes for scenes, _, _ in BOARDS]
    for scenes, datasets, single in (board for board in BOARDS if board[0] in asked):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            frame = pd.DataFrame((row for d in datasets for row in rows(d, scenes, single)),
                                 columns=[*COLUMNS, CONTRIBUTIONS])  # fmt: skip
            write_results(*facts(frame, datasets, scenes), folder / "results")
            del frame
            start = time.perf_counter()
            site = build_site([folder / "results"], folder / "site", Config()).parent
            seconds = time.perf_counter() - start
            all_loads = sum(file.stat().st_size for file in (site / "load").rglob("*.js"))
            found = measured(site)
            times = [f"{found[kind]:.0f} ({found[f'slowest {kind}']:.0f})" for kind in ("first", "search", "metric")]
            lines.append(
                f"| {len(METHODS)} | {scenes:,} | {len(datasets)} | {found['bytes'] / 1e6:.2f} | {all_loads / 1e6:.1f} "
                f"| {' | '.join(times)} | {seconds:.0f} |"
            )
            print(lines[-1], flush=True)
    head = [
        "# The leaderboard with many methods and scenes", "",
        "Drawn values, opened from disk in Chromium (`board.py`). First view: until the table is painted. A search,",
        "another metric: from the input to what it changed on screen; the chart follows. Medians (slowest) in ms.", "",
        "| methods | scenes | data sets | MB that the ranking loads | MB by need, all pages | first view | a search "
        "| another metric | building, s |", "| ---: |" + " ---: |" * 8, *lines, "",
        f"Measured on {cpu_name()}, {cores()} cores, load {load:.1f} before the run, niceness {os.nice(0)}, commit "
        f"{commit_in_words(code_provenance())[:8]}.",
    ]  # fmt: skip
    PAGE.write_text("\n".join(head) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
