"""Why more sampling steps made the embedded diffusion networks worse: the measurements behind `more_steps.md`.

Reads the shipped weights of GESCO and SDM, samples 16 validation scenes of `streets` in many ways
(`more_steps_arms.py`) and measures the denoiser itself on real pictures. Every measurement is kept in
`more_steps.json` as soon as it is made, so an interrupted run goes on; delete the file to measure again (half an hour
on an idle core). The tables of the page, between its markers, and the picture `more_steps.png` are made at the end:

    python results/performance/more_steps.py            # measure what is missing, then fill the page
    python results/performance/more_steps.py --tables   # fill it from more_steps.json alone
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from more_steps_arms import (
    COARSE,
    DATA,
    FINE,
    FULL,
    LEVELS,
    SCENES,
    SIGMAS,
    Arm,
    blocks,
    clean_copy,
    denoiser,
    pictures,
    rms,
    scenes,
    scored,
)
from more_steps_page import (
    PAGE,
    arms_table,
    figure,
    filled,
    levels_table,
    pairs_table,
    trips_table,
)
from torch import Tensor

from bench.api.files import write_atomically
from bench.api.provenance import code_provenance, commit_in_words
from methods.common.diffusion.reverse import noisy_image
from methods.common.diffusion.samplers import ddim
from methods.common.diffusion.schedule import subset

#: (what, method, guidance, PSNR) of the first table
COMPARED = (
    ("`gesco`: guidance 2, behind FDS", "gesco", 2.0, 100.0),
    ("`gesco` at 10 dB", "gesco", 2.0, 10.0),
    ("`gesco_fdstrain`: trained behind FDS", "gesco_fdstrain", 2.0, 100.0),
    ("`gesco-nofds`: without FDS", "gesco-nofds", 2.0, 100.0),
    ("`gesco`, unguided", "gesco", 1.0, 100.0),
    ("`gesco-nofds`, unguided", "gesco-nofds", 1.0, 100.0),
    ("`sdm`, unguided", "sdm", 1.0, 100.0),
)
END = "fine, end at 99"
SDM, GESCO, NOFDS = Arm("sdm", "100"), Arm("gesco", "100", 2.0), Arm("gesco-nofds", "100", 2.0)


def steps_arms() -> dict[str, tuple[Arm, Arm]]:
    """Few and many steps, for every network, with and without guidance."""
    return {name: (Arm(m, "10", s, psnr=p), Arm(m, "100", s, psnr=p)) for name, m, s, p in COMPARED}


def where_arms(usual: Arm) -> dict[str, Arm]:
    """Many steps in one part of the trajectory only."""
    names = {
        "ten steps, the last at 99": "10",
        "and all tens from 700 on": "fine in 700-999",
        "and all tens from 400 to 699": "fine in 400-699",
        "and all tens from 100 to 399": "fine in 100-399",
        "and all tens below 100": "fine in 0-99",
        "and every timestep below 100": "all of 0-99",
        "all tens down to 99": END,
        "all tens: 100 steps": "100",
    }
    return {name: replace(usual, schedule=schedule) for name, schedule in names.items()}


def guidance_arms() -> dict[str, tuple[Arm, Arm]]:
    """Guidance in a limited interval of timesteps."""
    arms = {}
    for method in ("gesco-nofds", "gesco"):
        everywhere = Arm(method, "10", 2.0)
        ways = {
            "nowhere": replace(everywhere, guidance=1.0),
            "everywhere": everywhere,
            "from 700 on": replace(everywhere, guided=(700, 1000)),
            "from 400 on": replace(everywhere, guided=(400, 1000)),
            "from 100 to 399": replace(everywhere, guided=(100, 400)),
            "below 400": replace(everywhere, guided=(0, 400)),
        }
        arms |= {f"`{method}`, {name}": (arm, replace(arm, schedule=END)) for name, arm in ways.items()}
    return arms


def other_arms() -> dict[str, Arm]:
    """Trust in a noisy picture that the network spoils."""
    return {"100 steps": SDM, "each averaged with the noisy picture": replace(SDM, averaged=True)}


def bands(v: Tensor) -> tuple[Tensor, Tensor]:
    """Means of 8x8 blocks, and the rest."""
    coarse = blocks(v)
    return coarse, v - coarse


def on_real_pictures(arm: Arm) -> list[dict[str, float]]:
    """The denoiser on real pictures with noise, level by level: the error of its picture beside the noise's deviation,
    for all pixels and for the means of blocks; the share of what it changed that is error; its picture's scores."""
    real = scenes("val", SCENES).image * 2 - 1
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    denoise, rows = denoiser(arm), []
    for t in LEVELS:
        index = torch.full((SCENES,), t)
        x = noisy_image(FULL, real, index, noise)
        picture, noisy = denoise(x, index)[:, :3], clean_copy(x, t)
        row = {"t": t, "sigma": float(SIGMAS[t]), "error": rms(real - picture)}
        row |= {"block noise": rms(blocks(noisy - real)), "block error": rms(blocks(real - picture))}
        for name, error, change in zip(("block", "rest"), bands(real - picture), bands(noisy - picture), strict=True):
            row[f"{name} share"] = float((error * change).sum() / change.square().sum())
            row[f"{name} change"] = rms(change)
        score = scored((picture + 1) / 2)
        rows.append(row | {"mIoU": score["mIoU"], "LPIPS": score["LPIPS"]})
    return rows


def round_trips(arm: Arm) -> list[dict[str, Any]]:
    """Real pictures with the noise of level t, brought back in one jump, in tenths of the schedule, in hundredths, and
    (from 99 on) in every timestep: the error and the scores of what comes out."""
    real = scenes("val", SCENES).image * 2 - 1
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    denoise, rows = denoiser(arm), []
    for t in (99, 399):
        ways = {
            "one jump": [t],
            "in tenths": [k for k in COARSE if k <= t],
            "in hundredths": [k for k in FINE if k <= t],
        }
        if t == 99:
            ways |= {"in thousandths": list(range(100))}
            del ways["in tenths"]
        x = noisy_image(FULL, real, torch.full((SCENES,), t), noise)
        for name, kept in ways.items():
            made = ddim(denoise, x, subset(FULL, np.array(kept)), lambda: noise, "x0", drop_clipped=True)
            score = scored((made + 1) / 2)
            row = {
                "t": t,
                "way": name,
                "steps": len(kept),
                "error": rms(made - real),
                "block error": rms(blocks(made - real)),
            }
            rows.append(row | {"mIoU": score["mIoU"], "LPIPS": score["LPIPS"]})
    return rows


def drawn() -> tuple[dict[str, Arm], dict[str, dict[int, Arm]]]:
    """What the picture shows: denoisers, and curves over the number of steps."""
    curves = {
        "sdm, unguided": SDM,
        "gesco-nofds, unguided": replace(NOFDS, guidance=1.0),
        "gesco-nofds, guidance 2": NOFDS,
    }
    steps = {
        "sdm, unguided": {10: replace(SDM, schedule="10"), 100: SDM},
        "sdm, unguided, end at 99": {10: replace(SDM, schedule="10"), 91: replace(SDM, schedule=END)},
        "gesco, guided": {10: replace(GESCO, schedule="10"), 100: GESCO},
    }
    return curves, steps


def main(measure_missing: bool) -> None:
    """Measure what `more_steps.json` lacks, then fill the page and draw its picture."""
    data: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {}

    def measured(key: str, measure: Callable[[], Any]) -> None:
        if key in data or not measure_missing:
            return
        with torch.inference_mode():
            data[key] = measure()
        write_atomically(DATA, (json.dumps(data, indent=1) + "\n").encode())
        print(key, {k: v for k, v in data[key].items() if k != "left_out"} if "mIoU" in data[key] else "", flush=True)

    for arm in (SDM, GESCO, replace(NOFDS, guidance=1.0), NOFDS):
        measured(f"real: {arm.key}", partial(on_real_pictures, arm))
    arms = [*where_arms(SDM).values(), *where_arms(GESCO).values()]
    for group in (guidance_arms(), steps_arms()):
        arms += [arm for pair in group.values() for arm in pair]
    arms += other_arms().values()
    for arm in arms:
        measured(arm.key, lambda arm=arm: scored(pictures(arm)))
    for arm in (SDM, GESCO):
        measured(f"trip: {arm.key}", partial(round_trips, arm))
    if measure_missing:
        facts = code_provenance()
        data["made"] = f"CPU ({facts['cpu']}), torch {facts['packages']['torch']}, commit {commit_in_words(facts)}."
        write_atomically(DATA, (json.dumps(data, indent=1) + "\n").encode())
    tables = {
        "steps": pairs_table(data, steps_arms(), "10 steps", "100 steps"),
        "levels": levels_table(data, {"unguided": replace(NOFDS, guidance=1.0), "guided": NOFDS}),
        "trips": trips_table(data, {"`sdm`": SDM, "`gesco`": GESCO}),
        "where sdm": arms_table(data, where_arms(SDM), replace(SDM, schedule="10")),
        "where gesco": arms_table(data, where_arms(GESCO), replace(GESCO, schedule="10")),
        "guidance": pairs_table(data, guidance_arms(), "10 steps", "91 steps"),
        "others": arms_table(data, other_arms(), SDM),
        "provenance": data["made"],
    }
    write_atomically(PAGE, filled(PAGE.read_text(), tables).encode())
    figure(data, *drawn())


if __name__ == "__main__":
    torch.set_num_threads(1)
    main("--tables" not in sys.argv)
