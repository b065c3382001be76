"""The blocks of results/links/README.md, and of what other pages quote from it: quality at equal budgets."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from bench.results.schema import NO_CHANNEL
from bench.results.scores import Score, measured, of_methods
from bench.tables import named_tables, render
from bench.tables.model import Table
from results.readme.blocks import Block, listed, registered
from results.readme.numbers import PSNRS, Untrue, claim, rows_of

if TYPE_CHECKING:
    import pandas as pd

AWGN, AVERAGE = "awgn-paper-peak", "awgn-paper-average"
FADING = "rayleigh:calibration=paper:power=peak:block=0:interleaved=False:csi=receiver"
INTERLEAVED = FADING.replace("block=0:interleaved=False", "block=64:interleaved=True")
#: The PSNR whose costs tables show.
PSNR = 10


@cache
def frame(dataset: str = "streets") -> pd.DataFrame:
    """The committed rows of the links' sweep on a data set."""
    rows = rows_of("links")
    return rows[rows["dataset"] == dataset]


@cache
def measured_on(metric: str, channel: str, dataset: str = "streets") -> dict[tuple[str, float], Score]:
    """(method, PSNR) -> its score on a channel, or on none."""
    rows = frame(dataset)
    found = measured(rows[rows["channel"].isin([channel, NO_CHANNEL])], metric).scores
    return {(method, psnr): score for (_, method, psnr), score in found.items()}


def score(metric: str, method: str, psnr: float = PSNR, channel: str = AWGN, dataset: str = "streets") -> float:
    """A method's score at a PSNR on a channel; Untrue where it was not measured."""
    found = measured_on(metric, channel, dataset).get((method, psnr))
    if found is None:
        raise Untrue(f"the results of the links have no {metric} of {method} at {psnr:g} dB on {channel}")
    return found.value


def uses(method: str, psnr: float = PSNR, channel: str = AWGN, dataset: str = "streets") -> float:
    """Real channel uses a scene."""
    return score("channel_uses", method, psnr, channel, dataset)


def scenes(dataset: str = "streets") -> int:
    """How many scenes a cell has."""
    return int(of_methods(frame(dataset))["scenes"].max())


@cache
def _tables(channel: str, dataset: str) -> dict[str, Table]:
    rows = frame(dataset)
    made = named_tables(rows[rows["channel"].isin([channel, NO_CHANNEL])], "budget", PSNR)
    return {next(c.metric for c in table.columns if c.psnr is not None): table for table in made}


def budget(metric: str, channel: str, dataset: str = "streets") -> str:
    """The budget table of a score on a channel, as `bench table budget --out results/links --format md` prints it."""
    found = _tables(channel, dataset).get(metric)
    if found is None:
        raise Untrue(f"the results of the links have no budget table of {metric} on {channel}")
    return render([found], "md").strip()


#: The blocks of results/links/README.md.
BLOCKS: dict[str, Block] = {}


block = partial(registered, BLOCKS)


for _metric in ("mIoU", "LPIPS", "FID[lite0]"):
    BLOCKS[f"budget {_metric}"] = partial(budget, _metric, AWGN)
BLOCKS["average mIoU"] = partial(budget, "mIoU", AVERAGE)
BLOCKS["fading mIoU"] = partial(budget, "mIoU", FADING)
BLOCKS["interleaved mIoU"] = partial(budget, "mIoU", INTERLEAVED)
BLOCKS["stuff mIoU"] = partial(budget, "mIoU", AWGN, "stuff")


@block("scale")
def scale() -> str:
    return f"""Embedded scenes, networks and segmenter, as in [the other results](../README.md): {scenes()} test scenes of `streets` ({scenes("stuff")} of `stuff`),
one seed. They compare ways of sending under one harness."""


@block("commands")
def commands() -> str:
    """One command a data set, channel and set of PSNRs, of the methods in the data."""
    lines = []
    for dataset in ("streets", "stuff"):
        whole = of_methods(frame(dataset))
        for channel, rows in whole[whole["channel"] != NO_CHANNEL].groupby("channel", sort=False):
            asked: dict[str, list[str]] = {}
            for method, own in rows.groupby("method", sort=False):
                psnrs = sorted(own["psnr"].unique(), reverse=True)
                at = "all" if len(psnrs) == len(PSNRS) else ",".join(f"{p:g}" for p in psnrs)
                asked.setdefault(at, []).append(str(method))
            for at, methods in asked.items():
                lines += [
                    f"bench run --datasets {dataset} --channel {channel} --psnr {at} \\",
                    f"--scenes {scenes(dataset)} --metrics mIoU,LPIPS,FID --out results/local/links \\",
                    f"--methods {listed(methods)}",
                ]
    return "```bash\n" + "\n".join(lines) + "\n```"


@block("what it shows")
def what_it_shows() -> str:
    semantic = ("spade", "ccfpse", "smis", "oasis", "sdm", "gesco")
    robust = [f"{m}+digital" for m in semantic]
    lost = max(score("block_lost", m, p) for m in robust for p in PSNRS)
    claim(lost == 0, "the robust link loses no block on AWGN")
    kept = {m: score("mIoU", m, 1) for m in robust}
    claim(
        all(kept[m] == score("mIoU", m, 100) for m in robust), "behind the robust link every label is a clean channel"
    )
    best, worst = max(kept, key=kept.__getitem__), min(kept, key=kept.__getitem__)
    claim((best, worst) == ("sdm+digital", "gesco+digital"), "SDM is the best and GESCO the last behind a link")
    ratio = uses("oasis") / uses("oasis+digital")
    repeated = "full_image:uses=110000"
    claim(score("mIoU", repeated, 20) > 1.5 * score("mIoU", "full_image", 20), "repetition saves the picture at 20 dB")
    budgets = (2000, 4000, 8000, 24600)

    def picture(metric: str, budget: int) -> float:
        return score(metric, f"full_image+digital:codec=webp:uses={budget}")

    map_lpips = min(score("LPIPS", m) for m in robust)
    crossed = [b for b in budgets if picture("LPIPS", b) < map_lpips]
    claim(max(picture("mIoU", b) for b in budgets) < kept[best], "no picture of these budgets has a map's mIoU")
    claim(crossed == [budgets[3]], "pictures pass maps in LPIPS between the two largest budgets")
    fast = "oasis+digital:link=64qam@3/4"
    claim(score("block_lost", fast, 20) == 1 == score("block_lost", fast, 10), "64-QAM 3/4 holds at 30 dB only")
    levels = (30, 10, 1)
    fading, spread = (
        " / ".join(f"{score('block_lost', 'oasis+digital', p, channel):.2f}" for p in levels)
        for channel in (FADING, INTERLEAVED)
    )
    outages = [score("block_lost", "oasis+digital", p, c) for c in (FADING, INTERLEAVED) for p in (10, 1)]
    claim(
        outages[2] < 0.01 < outages[0] and outages[3] > outages[1], "interleaving averages gains, for better and worse"
    )
    gain = score("mIoU", "oasis", 10, AVERAGE), score("mIoU", "oasis", 10)
    louder = score("energy", "oasis", 10, AVERAGE) / score("energy", "oasis", 10)
    claim(gain[0] > 2 * gain[1], "mean power 1 lifts uncoded maps")
    return f"""- **Behind a link the question of robustness is gone.** With the map's bytes over QPSK at rate 0.4, one scheme for all labels and nobody
knowing the channel, no block of {len(robust)} methods × {len(PSNRS)} labels × {scenes()} scenes is lost: at label 1 `oasis+digital` has mIoU {kept["oasis+digital"]:.3f},
where its uncoded maps have {score("mIoU", "oasis", 1):.3f} and GESCO's {score("mIoU", "gesco", 1):.3f}. It takes {uses("oasis+digital"):,.0f} real channel uses instead of
{uses("oasis"):,.0f} ({ratio:.0f} times fewer) and {score("energy", "oasis+digital") / score("energy", "oasis"):.2f} of their energy.
- **The order of methods is then that of a clean channel**: `sdm` is the best ({kept[best]:.3f}), `gesco` the last ({kept[worst]:.3f}). What GESCO learns from noise
is worth something on uncoded channels only.
- **Meaning is cheap if mIoU is what counts.** A map takes {score("bits", "oasis+digital"):,.0f} bits. A picture as WebP with {budgets[2]:,} uses has mIoU
{picture("mIoU", budgets[2]):.3f}, with {budgets[3]:,} {picture("mIoU", budgets[3]):.3f}, still below the map's {kept["oasis+digital"]:.3f}.
- **It is not if the picture itself counts.** A map carries no colours: LPIPS is {map_lpips:.3f} at best. The WebP picture has {picture("LPIPS", budgets[2]):.3f} with {budgets[2]:,} uses
and {picture("LPIPS", budgets[3]):.3f} with {budgets[3]:,}: somewhere between it passes all maps.
- **An unequal budget decides rankings.** Uncoded, `full_image` has mIoU {score("mIoU", "full_image", 20):.3f} at label 20. Repeated until it has used what GESCO uses it has
{score("mIoU", repeated, 20):.3f}. With mean power 1 instead of peak power 1 uncoded maps of `oasis` have {gain[0]:.3f} at label 10 instead of {gain[1]:.3f}, at {louder:.0f} times the energy.
- **Fading is about outage.** With one Rayleigh gain over a scene, known to the receiver, the robust link loses {fading} of the blocks at
{" / ".join(map(str, levels))} dB; interleaved over gains of 64 symbols {spread}: what the mean allows then always arrives, and what it does not, less often.
- **A link that is too fast falls off a cliff.** 64-QAM at rate 3/4 takes {uses(fast, 30):,.0f} uses and loses nothing at label 30 and everything at 20. A sender that knows the channel
(`link=adaptive`) takes {uses("oasis+digital:link=adaptive", 30):,.0f} uses at 30, {uses("oasis+digital:link=adaptive", 10):,.0f} at 10 and {uses("oasis+digital:link=adaptive", 1):,.0f} at 1."""
