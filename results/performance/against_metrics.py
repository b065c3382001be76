"""What each metric costs a picture: CPU milliseconds over the pictures of one method of a sweep, in one process.

Runs in any checkout since 4fc5360 (`against.py` calls it): OUT METHOD SCENES. OUT/metrics is made anew.
"""

import importlib
import importlib.util
import json
import shutil
import sys
import time
from pathlib import Path

from bench.config import Config, RunSection

ROOM = "bench.run" if importlib.util.find_spec("bench.run") else "bench"
cells, plans, workers = (importlib.import_module(f"{ROOM}.{name}") for name in ("cell", "plan", "worker"))

out, method, scenes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
asked = RunSection(methods=(method,), psnr="all", scenes=scenes, device="cpu", jobs=1, out=out)
plan = plans.make_plan(Config(run=asked))
shutil.rmtree(out / "metrics")
shutil.rmtree(out / "originals", ignore_errors=True)
getattr(workers, "keep_freed_memory", lambda: None)()
kept = (out,) if ROOM == "bench.run" else ()
told = {}
with workers.one_thread():
    for metric in plan.metrics["streets"]:
        workers.WORKER.metric(plan.cells[0].scenes, metric, "cpu", *kept)
        for cell in plan.cells:
            pictures = cells.find_cell(cell, out)
            start = time.process_time()
            cells.measure_cell(cell, pictures, metric, out, 8, "cpu")
            told[metric.name] = told.get(metric.name, 0.0) + 1e3 * (time.process_time() - start)
json.dump({name: ms / scenes / len(plan.cells) for name, ms in told.items()}, sys.stdout)
