"""Tables and picture of `more_steps.md` from the measurements in `more_steps.json`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from more_steps_arms import DATA, SCHEDULES, Arm

PAGE = DATA.with_suffix(".md")
#: Mark and dash of each line, told apart without colour.
LOOKS = ("o-", "s-.", "^:")


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def difference(arm: dict[str, Any], reference: dict[str, Any]) -> str:
    """mIoU of an arm minus that of another on the same scenes, with the jackknife's standard error over scenes."""
    change = f"{arm['mIoU'] - reference['mIoU']:+.3f}"
    if len(arm["left_out"]) != len(reference["left_out"]) or not arm["left_out"]:
        return change
    each = np.subtract(arm["left_out"], reference["left_out"])
    return f"{change} ± {np.sqrt((len(each) - 1) / len(each) * np.square(each - each.mean()).sum()):.3f}"


def arms_table(data: dict[str, Any], arms: dict[str, Arm], reference: Arm) -> str:
    """A row an arm, its mIoU beside that of the reference."""
    rows = []
    for name, arm in arms.items():
        if arm.key in data:
            own = data[arm.key]
            beside = "" if arm == reference else difference(own, data[reference.key])
            count = str(len(set(SCHEDULES[arm.schedule])))
            rows.append([name, count, f"{own['mIoU']:.3f}", beside, f"{own['LPIPS']:.3f}"])
    return table(["", "evaluations", "mIoU", "difference", "LPIPS"], rows)


def pairs_table(data: dict[str, Any], arms: dict[str, tuple[Arm, Arm]], few: str, many: str) -> str:
    """A row a way of sampling, with few and with many steps."""
    rows = []
    for name, (first, second) in arms.items():
        if first.key in data and second.key in data:
            a, b = data[first.key], data[second.key]
            scores = [f"{a['mIoU']:.3f}", f"{b['mIoU']:.3f}", difference(b, a), f"{a['LPIPS']:.3f}"]
            rows.append([name, *scores, f"{b['LPIPS']:.3f}"])
    return table(["", f"mIoU, {few}", many, "difference", f"LPIPS, {few}", many], rows)


def levels_table(data: dict[str, Any], arms: dict[str, Arm]) -> str:
    """The denoiser on real pictures, level by level."""
    heading = ["timestep", "noise"]
    heading += [
        f"{name}: {what}" for name in arms for what in ("error", "blocks, error / noise", "of that wrong", "mIoU")
    ]
    rows = []
    for levels in zip(*(data[f"real: {arm.key}"] for arm in arms.values()), strict=True):
        row = [f"{levels[0]['t']:d}", f"{levels[0]['sigma']:.3f}"]
        for level in levels:
            left = level["block error"] / level["block noise"]
            row += [f"{level['error']:.3f}", f"{left:.2f}", f"{100 * max(0.0, level['block share']):.0f} %"]
            row.append(f"{level['mIoU']:.3f}")
        rows.append(row)
    return table(heading, rows)


def trips_table(data: dict[str, Any], arms: dict[str, Arm]) -> str:
    """Real pictures with noise, brought back in one jump and in many steps."""
    rows = []
    for name, arm in arms.items():
        levels = {level["t"]: level for level in data[f"real: {arm.key}"]}
        for trip in data.get(f"trip: {arm.key}", []):
            row = [f"{name}, from {trip['t']} {trip['way']}", str(trip["steps"]), f"{trip['error']:.3f}"]
            row += [f"{trip['block error']:.4f}", f"{levels[trip['t']]['block noise']:.4f}"]
            rows.append([*row, f"{trip['mIoU']:.3f}", f"{trip['LPIPS']:.3f}"])
    heading = ["", "evaluations", "error", "blocks: error", "blocks: noise put in", "mIoU", "LPIPS"]
    return table(heading, rows)


def filled(page: str, tables: dict[str, str]) -> str:
    """The page with the text between its markers `<!-- NAME -->` and `<!-- end -->` replaced."""
    for name, text in tables.items():
        pattern = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)"
        page, found = re.subn(pattern, lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
        if found != 1:
            raise SystemExit(f"{PAGE.name} has {found} places for the table '{name}'")
    return page


def figure(data: dict[str, Any], curves: dict[str, Arm], steps: dict[str, dict[int, Arm]]) -> None:
    """The picture of the page: the denoiser's error against the noise, and mIoU against steps."""
    drawn = plt.figure(figsize=(11, 3.8), layout="constrained")
    axes = drawn.subplot_mosaic([["error", "blocks", "steps"]])
    for place, band, noise in (("error", "error", "sigma"), ("blocks", "block error", "block noise")):
        axis = axes[place]
        for (name, arm), look in zip(curves.items(), LOOKS, strict=True):
            levels = [level for level in data[f"real: {arm.key}"] if level["t"] <= 399]
            axis.loglog([level["sigma"] for level in levels], [level[band] for level in levels], look, ms=4, label=name)
        axis.loglog([v["sigma"] for v in levels], [v[noise] for v in levels], "k--", lw=1, label="noise left as it is")
        axis.set(xlabel="noise in the picture", ylabel="error (RMS)")
        axis.legend(fontsize=7)
    axes["error"].set_title("The denoiser's error, all pixels", fontsize=9)
    axes["blocks"].set_title("The same, means of 8x8 blocks", fontsize=9)
    for (name, arms), look in zip(steps.items(), LOOKS, strict=True):
        known = {count: data[arm.key]["mIoU"] for count, arm in arms.items() if arm.key in data}
        axes["steps"].semilogx(list(known), list(known.values()), look, ms=4, label=name)
    axes["steps"].set(xlabel="steps", ylabel="mIoU")
    axes["steps"].set_title("mIoU against steps, 100 dB", fontsize=9)
    axes["steps"].legend(fontsize=7)
    drawn.savefig(DATA.with_suffix(".png"), dpi=130)
    plt.close(drawn)
