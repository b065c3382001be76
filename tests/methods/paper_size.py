"""One network at paper size, in a process of its own: import a filled checkpoint, or run one forward pass from it.

    python -m tests.methods.paper_size import gesco cityscapes FOLDER
    python -m tests.methods.paper_size forward gesco cityscapes FOLDER

Prints one line of JSON: seconds, the process's peak of resident memory in GiB, and what came out. `test_paper_size.py`
runs both for every entry of the catalogue.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from bench.api.method import MethodContext
from bench.api.metric import MetricContext
from bench.api.registry import DATASETS
from bench.api.specs import build_method, parse_spec
from bench.checkpoints.catalogue import Published, load_catalogue
from bench.checkpoints.importing import import_weights
from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.method import DiffusionMethod
from methods.common.semantic.frontend import SemanticMethod
from metrics.evaluators.registry import load_segmenter, names
from tests.methods.diffusion_golden import DATA, layout
from tests.methods.reference_fill import filled_state


def unused_rows(entry: Published) -> list[tuple[str, list[int], str]]:
    """The rows that the authors' file holds beside the network's, from the layouts of the parity tests."""
    if entry.name == "ccfpse":
        layouts = json.loads((DATA / "ccfpse_layout.json").read_text())
        # they look at no map, so that ADE20K's are COCO-Stuff's
        rows = [(key, shape) for key, shape, _ in layouts["cityscapes" if entry.dataset == "cityscapes" else "coco"]]
    elif entry.name == "smis":
        rows = [(key, shape) for key, shape, _ in json.loads((DATA / "smis_layout.json").read_text())["ade20k"]["G"]]
    else:
        rows = layout("paper")
    return [(k, s, "float32") for k, s in rows if any(re.search(pattern, k) for pattern in entry.unused)]


def import_filled(entry: Published, folder: Path) -> dict[str, Any]:
    """Write a checkpoint as its authors do, a pickled state dict, and import it."""
    rows = [(key, list(shape), str(dtype)) for key, (shape, dtype) in entry.rows.items()]
    known = {key for key, _, _ in rows}
    rows += [row for row in unused_rows(entry) if row[0] not in known]
    source = folder / "checkpoint.pth"
    torch.save({key: torch.from_numpy(value) for key, value in filled_state(rows).items()}, source)
    path = import_weights(source, entry.name, entry.dataset, folder, load_catalogue())
    source.unlink()
    return {"file": path.name, "gib": path.stat().st_size / 2**30}


def forward(entry: Published, folder: Path) -> dict[str, Any]:
    """One evaluation at the paper's resolution: a picture, one guided step of a diffusion model, or a label map."""
    generator = torch.Generator().manual_seed(0)
    if entry.size is None:  # a segmenter
        name = next(name for name in names("segmenter", entry.dataset) if name.startswith(entry.name))
        space = DATASETS[entry.dataset].label_space
        segmenter = load_segmenter(MetricContext(entry.dataset, space, weights_dir=folder, evaluator=name))
        return _described(segmenter.predict(torch.rand(1, 3, 256, 512, generator=generator)))
    space = DATASETS[entry.dataset].label_space
    context = MethodContext(entry.dataset, space, *entry.size, profile="paper", weights_dir=folder)
    method = build_method(parse_spec(entry.name), context)
    assert isinstance(method, SemanticMethod)
    labels = torch.randint(space.size, (1, 1, 8, 16), generator=generator).float()
    labels = torch.nn.functional.interpolate(labels, size=entry.size).long()[:, 0]
    maps = torch.nn.functional.one_hot(labels, method.num_channels).permute(0, 3, 1, 2).float()
    if isinstance(method, DiffusionMethod):
        maps = maps[:, : method.network.config.map_channels]
        with torch.inference_mode():
            denoise = guided_denoiser(method.network, maps, method.options["guidance"])
            return _described(denoise(torch.randn(1, 3, *entry.size, generator=generator), torch.tensor([500])))
    return _described(method.generate(maps, [generator]))


def _described(output: torch.Tensor) -> dict[str, Any]:
    output = output.float()
    return {
        "shape": list(output.shape),
        "finite": bool(output.isfinite().all()),
        "spread": float(output.std()),
    }


def main(what: str, name: str, dataset: str, folder: str) -> None:
    torch.set_num_threads(1)
    began = time.monotonic()
    entry = load_catalogue().find(name, dataset)
    found = {"import": import_filled, "forward": forward}[what](entry, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": time.monotonic() - began, "peak_gib": peak, **found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
