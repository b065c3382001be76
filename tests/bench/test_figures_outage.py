"""Outage against PSNR: shares of lost blocks over scenes and seeds, Wilson's intervals, and quality beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from table_frames import frame
from test_figures import FACTS, check_layout, notes, only

from bench.api.errors import UsageError
from bench.figures import draw_figure
from bench.figures.outage import wilson
from bench.figures.style import theme
from bench.results.request import Request, select

FIXED, ROBUST = "oasis+digital:link=16qam@1/2", "oasis+digital:link=qpsk@0.4"
#: (spec, PSNR, seed) -> share of 32 blocks lost; the frame of tables has 32 scenes.
LOST = {(FIXED, 20.0, 0): 0.0, (FIXED, 20.0, 1): 0.25, (FIXED, 1.0, 0): 1.0, (FIXED, 1.0, 1): 1.0,
        (ROBUST, 20.0, 0): 0.0, (ROBUST, 20.0, 1): 0.0, (ROBUST, 1.0, 0): 0.5, (ROBUST, 1.0, 1): 0.75}  # fmt: skip


def results(lost: dict[tuple[str, float, int], float], analogue: bool = True) -> pd.DataFrame:
    """Rows with lost blocks, and an mIoU that is 0.8 less what is lost; an analogue method has no blocks."""
    scores = {key: (0.8 - share / 2, 0.01) for key, share in lost.items()}
    if analogue:
        scores |= {("oasis", psnr, seed): (0.3, 0.01) for psnr in (20.0, 1.0) for seed in (0, 1)}
    return pd.concat(
        [
            frame(scores),
            frame({key: (share, None) for key, share in lost.items()}, metric="block_lost", higher_is_better=False),
        ]
    )


def curves(figure: Figure, panel: int) -> dict[str, Any]:
    """The curves of a panel by spec: their values from the worst channel to the best."""
    return {
        line.get_gid().removeprefix("curve "): [pytest.approx(float(y)) for y in line.get_ydata()]
        for line in figure.axes[panel].lines
    }


@pytest.mark.parametrize(
    ("lost", "sent", "low", "high"),
    [(0, 32, 0.0, 0.1072), (16, 64, 0.1601, 0.3681), (32, 32, 0.8928, 1.0)],
)
def test_the_interval_is_wilsons(lost: int, sent: int, low: float, high: float) -> None:
    """Against the closed form, and its numbers."""
    z, share = 1.959964, lost / sent
    middle = (share + z**2 / (2 * sent)) / (1 + z**2 / sent)
    half = z / (1 + z**2 / sent) * math.sqrt(share * (1 - share) / sent + z**2 / (4 * sent**2))
    assert wilson(lost, sent) == pytest.approx((middle - half, middle + half), abs=1e-6)
    assert wilson(lost, sent) == pytest.approx((low, high), abs=1e-4)


def test_outage_is_over_scenes_and_seeds_and_quality_stands_beside_it() -> None:
    figure = only("outage", results(LOST))
    assert curves(figure, 0) == {FIXED: [1.0, 0.125], ROBUST: [0.625, 0.0]}
    assert curves(figure, 1) == {FIXED: [0.3, 0.7375], ROBUST: [0.4875, 0.8]}
    bars = {c.get_gid(): c.get_segments() for c in figure.axes[0].collections}
    assert [list(s[:, 1]) for s in bars[f"bar {ROBUST}"]] == [
        pytest.approx(wilson(40, 64)), pytest.approx(wilson(0, 64)),
    ]  # fmt: skip
    assert [axis.get_ylabel() for axis in figure.axes] == ["outage", "mIoU ↑"]


def test_the_caption_counts_blocks_and_says_who_knows_what() -> None:
    rows = results(LOST).assign(channel="rayleigh-paper-peak-64-false-receiver")
    said = notes(only("outage", rows))
    for words in (
        "32 scenes x 2 seed(s) = 64 blocks", "95% intervals by Wilson", "seeds 0, 1",
        "one gain over 64 complex symbols",
        "known to the receiver", "peak power", "the picture of an empty map, or grey", "Methods without blocks",
    ):  # fmt: skip
        assert words in said, words


def test_each_method_has_a_row_and_links_codecs_and_budgets_differ() -> None:
    specs = [FIXED, ROBUST, "oasis:header=coded", "gesco+digital", "gesco+digital:link=adaptive"]
    specs += [f"full_image+digital:codec={c}:uses={n}" for c in ("webp", "avif") for n in (2000, 8000)]
    rows = results({(spec, psnr, 0): 0.1 for spec in specs for psnr in (20.0, 1.0)})
    with theme():
        (drawing,) = draw_figure("outage", select(Request(Path("o"), rows, FACTS, Path("o/plots"))))
        check_layout(drawing.figure)
    titles = [axis.get_title(loc="left") for axis in drawing.figure.axes]
    assert titles == ["oasis", "", "gesco", "", "full_image", ""]
    looks = {line.get_gid(): (line.get_color(), str(line._dash_pattern), line.get_marker())
             for axis in drawing.figure.axes[::2] for line in axis.lines}  # fmt: skip
    assert len(looks) == len(specs)
    pictures = [look for spec, look in looks.items() if "full_image" in spec]
    assert len(set(pictures)) == len(pictures)
    assert looks[f"curve {ROBUST}"] == looks["curve gesco+digital"]  # the default link is the same one
    labels = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    links = ["16qam@1/2", "qpsk@0.4", "analogue behind a coded header", "adaptive"]
    codecs, budgets = ["the method's own codec", "webp", "avif"], ["uses as needed", "2,000 uses", "8,000 uses"]
    assert labels == [*links, *codecs, *budgets]


def test_what_is_no_share_is_not_drawn() -> None:
    rows = results({**LOST, (ROBUST, 1.0, 0): math.nan, (FIXED, 20.0, 1): 7.0})
    assert curves(only("outage", rows), 0) == {FIXED: [1.0], ROBUST: [0.0]}


def test_results_without_blocks_say_what_sends_some() -> None:
    with pytest.raises(UsageError, match="no block_lost, which links have: `bench run --methods oasis"):
        only("outage", frame({("oasis", 10.0, 0): (0.5, None)}))
