"""Numbers in the documents that look measured and are none: what a paper, a version or a default says."""

from __future__ import annotations

import math

from results.readme.numbers import claim, images_seen

PAPER = {"2306.04321": "the paper's number on arXiv", "3.11": "requires-python"}
GUIDANCE = {"2.5": "GESCO's guidance on COCO-Stuff's labels", "1.5": "SDM's guidance"}
SWEEP = {"64 scenes": "default of `bench run`, and of validation in training"}
WIDE = {"1.4": "WideStreets.widened"}
RANKS = {
    "95 %": "the level of intervals and ranks",
    "6 %": "what the simulation in the tests of ranks asserts",
    "10 scenes": "the fewest of that simulation",
    "500 scenes": "the most of that simulation, and of an example",
}


def constants() -> dict[str, dict[str, str]]:
    """Page -> number as written -> where it is from. Untrue where a default is no longer what is written."""
    from bench.api.scenes import facts_of
    from bench.config import RunSection
    from bench.data.streets import WideStreets
    from methods.gesco.method import BEHIND_FDS_FROM, Gesco
    from methods.sdm import Sdm

    claim(RunSection().scenes == 64, "a sweep has 64 scenes without --scenes")
    claim(abs(1 - BEHIND_FDS_FROM["embedded"] - 0.4) < 1e-9, "gesco_fdstrain trains the last 40 % behind the block")
    claim(Gesco.default_options["guidance"] == 2.0, "GESCO's guidance is 2")
    claim(Gesco.papers_guidance and facts_of("stuff").guidance == 2.5, "GESCO's guidance on COCO-Stuff's labels is 2.5")
    claim(Sdm.default_options["guidance"] == 1.5, "SDM's guidance is 1.5")
    claim(images_seen("streets") == 28_000, "28,000 pictures were seen in training")
    claim(WideStreets.widened == 1.4, "the ranges of `streets_wide` are 1.4 times as wide")
    return {
        "README.md": {**PAPER, "2.0": "the licence's version"},
        "docs/index.md": {
            **PAPER,
            **SWEEP,
            "50 scenes": "the batch size that the sentence is about",
            "95 %": "the level of intervals",
        },
        "docs/guide/methods.md": {**GUIDANCE, "40 %": "recipe of gesco_fdstrain"},
        "docs/decisions/distillation.md": {
            number: "a paper's number on arXiv"
            for number in ("2202.00512", "2303.01469", "2311.18828", "2403.12015", "2405.05967")
        },
        "docs/guide/channel.md": {"0.9": "the paper's noise levels", "3.5": "bench/channels/ofdm.py, CARRIER"},
        "docs/decisions/links.md": {
            "38.214": "the number of a 3GPP specification",
            "3,824": "largest transport block with a CRC of 16 bits, TS 38.212",
            "0.35": "dB between the two receivers at qpsk@0.4, over 32 blocks a point",
            "0.1": "dB between max-log and exact demapping at 64qam@1/2, tests/bench/test_links.py, `lost_by_both`",
            "14.3": "the peak SNR of that comparison, 200 blocks",
        },
        "docs/ten-minutes.md": {"3.11": "the oldest Python", "95 %": "the level of intervals"},
        "docs/guide/links.md": {"0.4": "rate of the default link"},
        "docs/guide/metrics.md": {
            **RANKS,
            "0.001": "0.5 / 500",
            "0.008": "0.5 / 64, rounded",
            "0.1": "version of LPIPS",
            "0.5": "IoU of AP50",
        },
        "docs/guide/weights.md": {"5e-4": "half precision's relative rounding, 2**-11"},
        "docs/guide/training.md": {
            **SWEEP,
            "8 scenes": "the sample sheet of `bench train`",
            "16 scenes": "four processes of batch 4",
            "1e-4": "the paper's learning rate",
            "0.001": "the paper's lambda",
            "0.9999": "the paper's average",
            "10.5": "GB, counted: four copies of the parameters at paper size",
            "3 GB": "counted: 2975 scenes of Cityscapes at 256x512",
        },
        "docs/decisions/the-channel.md": _noise_levels(),
        "docs/decisions/two-scales.md": {
            "0.001": "the paper's lambda",
            "2.5": "times the authors' learning rates, in the recipes",
            "5 times": "the same",
            "28,000": "the model cards",
        },
        "docs/decisions/samplers.md": {"61 MB": "the size of diffusers when it was left out"},
        "docs/guide/data.md": dict(WIDE),
        "results/README.md": {"100 scenes": "of the ablations; about run time", **WIDE},
        "results/performance/README.md": {"5 %": "judgement"},
    }


def _noise_levels() -> dict[str, str]:
    """The paper's list, and its levels in dB, both from the channel itself."""
    from bench.channels.awgn import PAPER_SIGMAS

    noisy = {psnr: sigma for psnr, sigma in PAPER_SIGMAS.items() if sigma}
    return {
        **{f"{sigma:g}": f"sigma at {psnr:g} dB" for psnr, sigma in noisy.items()},
        **{f"{-20 * math.log10(sigma):.1f}": f"peak SNR at {psnr:g} dB" for psnr, sigma in noisy.items()},
    }
