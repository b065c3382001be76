"""Where in the noise the second of a student's two evaluations lies best: `gesco_fast` with its shipped weights.

Writes `second_evaluation.json`, with its provenance, and `second_evaluation.md`. On scenes of the validation split, as
nothing may be chosen on the scenes that tables are about. Two minutes of one core:

    python results/performance/second_evaluation.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from more_steps_arms import FULL, METHODS, method, scenes, scored
from torch import Tensor

from bench.api.method import Received
from bench.api.provenance import code_provenance, commit_in_words
from bench.channels.registry import build_channel
from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.samplers import SAMPLERS
from methods.common.diffusion.schedule import subset
from methods.gesco.method import GescoFast

FILE = Path(__file__).with_suffix(".json")
SCENES = 64
PSNRS = (100, 10, 1)
#: (second timestep, whether fresh noise is added before it)
WAYS = (*((t, False) for t in (40, 60, 90, 120, 160, 249, 399, 561)), (160, True), (249, True))


def measured() -> list[dict[str, Any]]:
    """One row a way and PSNR, and the teacher's pictures of the same maps."""
    METHODS["gesco_fast"] = (GescoFast, {})
    student, teacher, scene = method("gesco_fast"), method("gesco"), scenes("val", SCENES)
    start = torch.stack([torch.randn(3, 64, 128, generator=torch.Generator().manual_seed(i)) for i in range(SCENES)])
    sent, rows = student.send(scene), []
    for psnr in PSNRS:
        channel = build_channel("awgn", psnr)
        symbols = (channel.transmit(s, torch.Generator().manual_seed(100 + i)) for i, s in enumerate(sent.symbols))
        maps = student.received_maps(Received(tuple(symbols), sent.side_info))
        denoise = guided_denoiser(student.network, maps, 1.0)
        for second, fresh in WAYS:
            noise = torch.Generator().manual_seed(0)

            def draw(noise: torch.Generator = noise) -> Tensor:
                return torch.randn(start.shape, generator=noise)

            sampler = SAMPLERS["ddim-eta1-quadratic" if fresh else "ddim"].sample
            made = sampler(denoise, start, subset(FULL, np.array([second, 999])), draw, student.profile.prediction)
            rows.append({"psnr": psnr, "second": second, "fresh": fresh, **_scores((made + 1) / 2)})
        rngs = [torch.Generator().manual_seed(i) for i in range(SCENES)]
        rows.append({"psnr": psnr, "second": None, "fresh": False, **_scores(teacher.generate(maps, rngs))})
    return rows


def _scores(pictures: Tensor) -> dict[str, float]:
    found = scored(pictures)
    return {name: found[name] for name in ("mIoU", "LPIPS")}


def _named(row: dict[str, Any]) -> str:
    if row["second"] is None:
        return "the teacher, 10 guided steps"
    return f"999, {row['second']}{', fresh noise between' if row['fresh'] else ''}"


def page(content: dict[str, Any]) -> str:
    """The table: one line a way, mIoU and LPIPS at each PSNR."""
    lines: dict[str, list[str]] = {}
    for row in content["rows"]:
        lines.setdefault(_named(row), []).extend((f"{row['mIoU']:.3f}", f"{row['LPIPS']:.3f}"))
    heads = ["evaluations at", *(f"{metric}, {psnr} dB" for psnr in PSNRS for metric in ("mIoU", "LPIPS"))]
    table = [heads, ["---", *["---:"] * (len(heads) - 1)], *([name, *cells] for name, cells in lines.items())]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
    facts = content["provenance"]
    return (
        "# The second of two evaluations\n\n"
        f"`gesco_fast`, trained for 999 and 160, evaluated at other second timesteps; {SCENES} validation scenes of\n"
        "`streets`, one start a scene that is the same for all rows.\n\n"
        f"{text}\n\n`python results/performance/second_evaluation.py`: {facts['cpu']}, torch "
        f"{facts['packages']['torch']}, commit {commit_in_words(facts)}.\n"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.inference_mode():
        found = {"rows": measured(), "provenance": code_provenance()}
    FILE.write_text(json.dumps(found, indent=1) + "\n")
    FILE.with_suffix(".md").write_text(page(found))
