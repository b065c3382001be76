"""Numbers in the READMEs that look measured and are none: what a paper, a version or a default says."""

from __future__ import annotations

from results.readme.numbers import claim


def constants() -> dict[str, dict[str, str]]:
    """Page -> number as written -> where it is from. Untrue where a default is no longer what is written."""
    from bench.config import RunSection
    from methods.gesco.method import BEHIND_FDS_FROM, Gesco
    from methods.sdm.method import Sdm

    claim(RunSection().scenes == 64, "a sweep has 64 scenes without --scenes")
    claim(abs(1 - BEHIND_FDS_FROM["embedded"] - 0.4) < 1e-9, "gesco_fdstrain trains the last 40 % behind the block")
    claim(Gesco.default_options["guidance"] == 2.0, "GESCO's guidance is 2")
    claim(Gesco.guidance_on["stuff"] == 2.5, "GESCO's guidance on COCO-Stuff's labels is 2.5")
    claim(Sdm.default_options["guidance"] == 1.5, "SDM's guidance is 1.5")
    return {
        "README.md": {
            "2306.04321": "the paper's number on arXiv",
            "3.11": "requires-python",
            "2.0": "the licence's version",
            "64 scenes": "default of `bench run`, and of validation in training",
            "8 scenes": "the sample sheet of `bench train`",
            "16 scenes": "four processes of batch 4",
            "50 scenes": "the batch size that the sentence is about",
            "95 %": "the level of intervals and ranks",
            "6 %": "what the simulation in the tests of ranks asserts",
            "10 scenes": "the fewest of that simulation",
            "0.008": "0.5 / 64, rounded",
            "40 %": "recipe of gesco_fdstrain",
            "2.5": "GESCO's guidance on COCO-Stuff's labels",
            "1.5": "SDM's guidance",
            "0.1": "version of LPIPS",
            "0.5": "IoU of AP50",
            "0.9": "the paper's noise levels",
            "1e-4": "the paper's learning rate",
            "5e-4": "half precision's relative rounding, 2**-11",
            "0.001": "the paper's lambda",
            "0.9999": "the paper's average",
            "10.5": "GB, counted: four copies of the parameters at paper size",
            "3 GB": "counted: 2975 scenes of Cityscapes at 256x512",
        },
        "results/README.md": {"100 scenes": "of the ablations; about run time"},
        "results/performance/README.md": {"5 %": "judgement"},
    }
