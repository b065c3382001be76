"""What makes the denoiser harmful at low noise: the shipped `sdm` trained on for a few hundred steps in three ways.

"more pictures": as it was trained. "more weight": the weight 1 / (1 - alpha) of the loss is not cut off at 20.
"added": the network's output corrects the noisy picture instead of replacing it (prediction "edm"); its last layer
starts at twice its weights, which is the shipped network where noise prevails. Same pictures, noise and rates for all.
Measured as in `more_steps.py`: the error by level on real pictures, and mIoU and LPIPS with 10 and 100 steps. Fills the
table `cure` of `more_steps.md`; each way is kept in `more_steps_cure.json` as soon as it is measured (about a quarter
of an hour each on an idle core):

    python results/performance/more_steps_cure.py
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from more_steps_arms import FULL, LEVELS, SCENES, SCHEDULES, SIGMAS, blocks, method, received_maps, rms, scenes, scored
from more_steps_page import PAGE, filled, table

import methods.common.diffusion.loss as loss
from bench.api.files import write_atomically
from bench.api.method import MethodContext
from bench.api.provenance import code_provenance, commit_in_words
from bench.api.scenes import stack
from bench.api.tensors import load_into, read_weights
from bench.api.training.batches import scene_order
from bench.api.weights import find_weights
from bench.data.registry import open_dataset
from methods.common.diffusion.guidance import guided_denoiser
from methods.common.diffusion.reverse import Prediction, noisy_image, to_x0
from methods.common.diffusion.samplers import ddim
from methods.common.diffusion.schedule import subset
from methods.common.diffusion.task import DiffusionTask
from methods.common.diffusion.unet import SemanticUNet
from methods.sdm import Sdm

DATA = Path(__file__).with_name("more_steps_cure.json")
STEPS = 240
#: way: what the network predicts, and the least 1 - alpha in the weight of the loss
WAYS: dict[str, tuple[Prediction, float]] = {
    "more pictures": ("x0", loss.X0_LOSS_FLOOR),
    "more weight": ("x0", 0.001),
    "added": ("edm", loss.X0_LOSS_FLOOR),
}
BATCH, SEEN, RATE = 8, 1200, 3e-4


def trained(prediction: Prediction, floor: float) -> DiffusionTask:
    """The shipped `sdm` after `STEPS` more steps."""
    context = MethodContext.of(open_dataset("streets"))
    profile = replace(
        Sdm.profile_for(context),
        prediction=prediction,
        steps=STEPS,
        learning_rate=RATE,
        warmup_steps=20,
        ema_decay=0.98,
        constant=0.5,
        drop_from=0.0,
        drop_rate=0.1,
        finetune_rate=None,
    )
    task = DiffusionTask(context, profile)
    path = find_weights("sdm", context)
    tensors, _ = read_weights(path)
    if prediction == "edm":
        last = sorted(name for name in tensors if name.startswith("out."))[-2:]  # its bias and weight
        for name in last:
            picture = len(tensors[name]) // 2
            tensors[name] = torch.cat([2 * tensors[name][:picture], tensors[name][picture:]])
    for network in (task.network, task.average):
        load_into(network, tensors, path)
    loss.X0_LOSS_FLOOR = floor
    source = open_dataset("streets")
    seen = [source.load("train", i) for i in source.ids("train", SEEN)]
    for step in range(STEPS):
        batch = [seen[i] for i in scene_order(SEEN, BATCH, step, 0)]
        made = task.step(stack(batch, source.label_space), torch.Generator().manual_seed(step), step)
        if step % 50 == 0:
            print(step, made, flush=True)
    return task


def measured(network: SemanticUNet, prediction: Prediction) -> dict[str, Any]:
    """The errors by level on real pictures, and the scores with ten and a hundred steps; no guidance, clean maps."""
    real = scenes("val", SCENES).image * 2 - 1
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    denoise = guided_denoiser(network, received_maps("sdm", 100.0), 1.0)
    levels = []
    for t in LEVELS:
        index = torch.full((SCENES,), t)
        x = noisy_image(FULL, real, index, noise)
        error = to_x0(FULL, x, index, denoise(x, index)[:, :3], prediction) - real
        levels.append({"t": t, "sigma": float(SIGMAS[t]), "error": rms(error), "block error": rms(blocks(error))})
    start = torch.stack([torch.randn(3, 64, 128, generator=torch.Generator().manual_seed(i)) for i in range(SCENES)])
    scores = {}
    for steps in ("10", "100"):
        schedule = subset(FULL, np.array(SCHEDULES[steps]))
        made = ddim(denoise, start, schedule, lambda: start, prediction, drop_clipped=True)
        scores[steps] = scored((made + 1) / 2)
    return {"levels": levels, "scores": scores}


def ways_table(data: dict[str, Any]) -> str:
    """The ways beside the shipped network."""
    shown = (0, 9, 39, 99, 399)
    head = ["", *(f"error at {t}" for t in shown), "mIoU, 10 steps", "100 steps", "LPIPS, 10 steps", "100 steps"]
    rows = []
    for way, found in data.items():
        errors = {level["t"]: level["error"] for level in found["levels"]}
        cells = [f"{errors[t]:.3f}" for t in shown]
        cells += [f"{found['scores'][n][metric]:.3f}" for metric in ("mIoU", "LPIPS") for n in ("10", "100")]
        rows.append([way, *cells])
    return table(head, rows)


def anew(weights_dir: Path) -> SemanticUNet:
    """The network of `bench train sdm --option prediction=edm --weights-dir DIR`."""
    context = replace(MethodContext.of(open_dataset("streets")), weights_dir=weights_dir)
    return Sdm(context, {}).network


def main() -> None:
    """Train and measure what `more_steps_cure.json` lacks, then fill the page.

    With a folder as argument its `sdm`, trained from scratch to predict the correction, is measured too.
    """
    kept: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {"ways": {}}
    for way, how in {"as shipped": None, **WAYS}.items():
        if way in kept["ways"]:
            continue
        network = method("sdm").network if how is None else trained(*how).average
        with torch.inference_mode():
            kept["ways"][way] = measured(network, "x0" if how is None else how[0])
        write(kept)
    if len(sys.argv) > 1:
        with torch.inference_mode():
            kept["ways"]["added, trained from scratch"] = measured(anew(Path(sys.argv[1])), "edm")
        write(kept)
    made = ways_table(kept["ways"])
    print(made)
    write_atomically(PAGE, filled(PAGE.read_text(), {"cure": made, "cure provenance": kept["made"]}).encode())


def write(kept: dict[str, Any]) -> None:
    """What is measured so far, with where."""
    facts = code_provenance()
    kept["made"] = f"CPU ({facts['cpu']}), torch {facts['packages']['torch']}, commit {commit_in_words(facts)}."
    write_atomically(DATA, (json.dumps(kept, indent=1) + "\n").encode())


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
