"""Fabricated results, samples and submissions for the tests of the leaderboard."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from bench.api.names import PURE_NOISE
from bench.leaderboard.samples import sealed
from bench.leaderboard.submission import as_file
from bench.results.files import write_results
from bench.results.merge import NO_CELL, of_schema_1
from bench.results.schema import COLUMNS, CONTRIBUTIONS
from metrics.stats.significance import standard_error

PSNRS = (100.0, 10.0, 1.0)
SIGMAS = {100.0: 0.0, 10.0: 0.36, 1.0: 0.9}
METHODS = ("full_image", "spade", "gesco", "gesco-nofds")
#: metric -> (higher is better, protocol, has per-scene values, has contributions)
METRICS = {
    "mIoU": (True, "gt|judge=x|19 classes", False, True),
    "LPIPS": (False, "lpips=0.1|net=alex", True, False),
    "FID[lite0]": (False, "efficientnet-lite0", False, False),
    "bits": (False, "payload", True, False),
    "seconds": (False, "one worker", False, False),
}
FINGERPRINT = "ab" * 32
COMMIT = "c0ffee" * 6 + "c0ff"


def value_of(metric: str, number: int, psnr: float, scenes: int) -> np.ndarray:
    """Values of the scenes: later methods are better, better channels too."""
    rng = np.random.default_rng([number, int(psnr), len(metric)])
    quality = 0.3 + 0.5 * (number + 1) / (number + 4) * (0.4 + 0.6 * min(psnr, 30) / 30)
    base = {"mIoU": quality, "LPIPS": 1 - quality, "FID[lite0]": 300 * (1 - quality), "bits": 20_000.0, "seconds": 0.3}
    return base[metric] * (1 + 0.05 * rng.standard_normal(scenes).clip(-2, 2))


def rows_of(methods: Sequence[str], scenes: int, metrics: Sequence[str] = tuple(METRICS)) -> pd.DataFrame:
    """Rows of a run over `methods` on `streets`, with a reference of pure noise."""
    shared = {"dataset": "streets", "split": "test", "size": "64x128", "scale": "embedded", "seed": 0}
    shared |= {"cell": NO_CELL, "scene_count": scenes}
    nan, rows = float("nan"), []
    for metric in metrics:
        higher, protocol, by_scene, drawn = METRICS[metric]
        kind = {"metric": metric, "higher_is_better": higher, "protocol": protocol}
        for number, method in enumerate(methods):
            for psnr in PSNRS:
                values = value_of(metric, number, psnr, scenes)
                cell = {
                    **shared, **kind, "method": method, "channel": "awgn-paper-peak", "psnr": psnr,
                    "sigma": SIGMAS[psnr], "peak_snr_db": -20 * np.log10(SIGMAS[psnr]) if psnr < 100 else np.inf,
                    "mean_snr_db": -20 * np.log10(SIGMAS[psnr]) - 7.4 if psnr < 100 else np.inf,
                }  # fmt: skip
                spread = values.std(ddof=1) if scenes > 1 else nan
                kept = (values - values.mean()).astype(np.float32) if drawn else None
                whole = {
                    "scene": "all", "value": values.mean(), "std": spread if by_scene else nan,
                    "stderr": nan if metric == "seconds" else spread / np.sqrt(scenes), "scenes": scenes,
                    CONTRIBUTIONS: kept,
                }  # fmt: skip
                rows.append({**cell, **whole})
                if by_scene:
                    rows += [
                        {**cell, "scene": f"s{k:04d}", "value": v, "std": nan, "scenes": 1, CONTRIBUTIONS: None}
                        for k, v in enumerate(values)
                    ]
        if metric == "LPIPS":
            lost = {"method": PURE_NOISE, "scale": PURE_NOISE, "channel": "none", "psnr": nan, "sigma": nan}
            rows.append({**shared, **kind, **lost, "scene": "all", "value": 0.6, "scenes": scenes, CONTRIBUTIONS: None})
    return pd.DataFrame(rows, columns=[*COLUMNS, CONTRIBUTIONS])


def facts_of(methods: Sequence[str], scenes: int) -> dict[str, Any]:
    """Provenance of such a run."""
    told = {
        "schema": 1, "commit": COMMIT, "dirty": False, "python": "3.11", "packages": {"torch": "2", "gesco-bench": "0"},
        "platform": "Linux", "cpu": "a processor", "devices": ["cpu"],
        "methods": {m: {"name": m, "options": {"steps": 10, "fds": True}} for m in methods},
        "weights_sha256": {m: None if m == "full_image" else "12" * 32 for m in methods},
        "datasets": {
            "streets": {"split": "test", "size": [64, 128], "scenes_used": scenes, "fingerprint": FINGERPRINT},
        },
        "cell_folders": [], "command": "bench run", "date": "2026-11-22T12:00:00+00:00",
    }  # fmt: skip
    return of_schema_1(rows_of(methods, scenes, ("bits",)), told)[1]


def write_run(
    folder: Path, methods: Sequence[str] = METHODS, scenes: int = 12, metrics: Sequence[str] = tuple(METRICS)
) -> Path:
    """A folder of results."""
    write_results(rows_of(methods, scenes, metrics), facts_of(methods, scenes), folder)
    return folder


#: How it is sent -> channel uses of a scene; the adaptive link's are twice as many at PSNR 1.
SENT = {
    "oasis": 90_000.0, "oasis+digital:link=16qam@1/2": 2000.0, "oasis+digital:link=qpsk@0.4": 5000.0,
    "oasis+digital:link=adaptive": 2500.0, "full_image+digital:codec=webp:uses=4000": 4000.0,
    "full_image+digital:codec=webp:uses=8000": 8000.0,
}  # fmt: skip
POWERS = ("awgn-paper-peak", "awgn-paper-average")


def write_budget_run(folder: Path, scenes: int = 12) -> Path:
    """A folder of results with channel uses, energies and lost blocks, over two power conventions."""
    quality = rows_of(tuple(SENT), scenes, ("mIoU", "LPIPS"))
    whole = quality[(quality["metric"] == "mIoU") & (quality["method"] != PURE_NOISE)]
    whole = whole.assign(higher_is_better=False, std=np.nan, stderr=np.nan, **{CONTRIBUTIONS: None})
    adaptive = whole["method"].str.contains("adaptive") & (whole["psnr"] == 1)
    uses = whole["method"].map(SENT) * (1 + adaptive)
    digital = whole[whole["method"].str.contains("digital")]
    one = pd.concat(
        [
            quality,
            whole.assign(metric="channel_uses", protocol="real symbols", value=uses),
            whole.assign(metric="energy", protocol="sum of squares", value=uses / 2),
            digital.assign(metric="block_lost", protocol="CRC", value=(digital["psnr"] == 1) * 0.25),
        ]
    )
    other = one[one["method"] != PURE_NOISE].assign(channel=POWERS[1])
    write_results(pd.concat([one, other], ignore_index=True), facts_of(tuple(SENT), scenes), folder)
    return folder


def write_sample_set(folder: Path, methods: Sequence[str] = METHODS, scenes: int = 3, seen: bool = True) -> Path:
    """A folder of samples as `write_samples` makes them: a strip's pictures are grey, brighter for a better channel."""
    size, listed = (64, 128), []

    def webp(levels: Sequence[int]) -> bytes:
        buffer = io.BytesIO()
        pixels = np.concatenate([np.full((*size, 3), level, dtype=np.uint8) for level in levels])
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
        return buffer.getvalue()

    one, strip = webp([90]), webp([240, 130, 20])
    boxes = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 96"><rect width="9" height="9"/></svg>'
    for number in range(scenes):
        path = folder / "streets" / f"{number:03d}"
        path.mkdir(parents=True)
        for name in ("original", "labels"):
            (path / f"{name}.webp").write_bytes(one)
        (path / "received.webp").write_bytes(strip)
        for stem in (
            "original",
            *(f"{k:02d}-m" for k in range(len(methods) if number == 0 or len(methods) < 9 else 0)),
        ):
            (path / f"{stem}.webp").write_bytes(one if stem == "original" else strip)
            if seen:
                (path / f"{stem}.boxes.svg").write_bytes(boxes)
                (path / f"{stem}.depth.webp").write_bytes(one if stem == "original" else strip)
        listed.append({"id": f"s{number:04d}", "folder": f"streets/{number:03d}"})
    judge = "a judge" if seen else None
    sets = [{
        "dataset": "streets", "split": "test", "size": list(size), "channel": "awgn-paper-peak", "seed": 0,
        "psnrs": list(PSNRS), "scenes": listed, "received": "gesco", "detector": judge, "depth": judge,
        "methods": [{"spec": m, "file": f"{k:02d}-m", "psnrs": list(PSNRS)} for k, m in enumerate(methods)],
    }]  # fmt: skip
    (folder / "index.json").write_text(json.dumps(sealed({"schema": 2, "provenance": {}, "sets": sets}, folder)))
    return folder


def submission(name: str = "their-method", scenes: int = 12, **method: Any) -> dict[str, Any]:
    """A valid submission: mIoU with contributions and LPIPS with per-scene values, better than everything; FID bare."""
    results = []
    for metric in ("mIoU", "LPIPS", "FID[lite0]"):
        _, protocol, by_scene, drawn = METRICS[metric]
        for psnr in PSNRS:
            values = value_of(metric, 20, psnr, scenes)
            row = {
                "dataset": "streets", "split": "test", "size": "64x128", "scale": "embedded", "seed": 0,
                "channel": "awgn-paper-peak", "psnr": psnr, "metric": metric, "protocol": protocol,
                "value": float(values.mean()), "scenes": scenes,
            }  # fmt: skip
            if by_scene:
                row["per_scene"] = {f"s{k:04d}": float(v) for k, v in enumerate(values)}
            if drawn:
                row["contributions"] = [float(c) for c in values - values.mean()]
                row["stderr"] = standard_error(values)
            results.append(row)
    return {
        "schema": "gesco-bench-submission",
        "schema_version": 2,
        "method": {
            "name": name, "title": "Their method", "authors": ["Ada L.", "Grace H."], "licence": "MIT", **method,
        },
        "provenance": {
            "commit": COMMIT, "date": "2026-11-20", "command": "bench run", "devices": ["a GPU"],
            "packages": {"torch": "2"}, "fingerprints": {"streets": FINGERPRINT},
        },
        "results": results,
    }  # fmt: skip


def shelve(file: Path, data: dict[str, Any]) -> Path:
    """The submission as `bench leaderboard add` leaves it, without being checked."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(as_file(data))
    return file


def write_submission(file: Path, data: dict[str, Any]) -> Path:
    """The submission as a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data))
    return file
