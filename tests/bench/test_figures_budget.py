"""Quality against channel uses: envelopes of fixed schemes, crossings where numbers justify them, every assumption."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from table_frames import frame
from test_figures import FACTS, check_layout, notes, only

from bench.api.errors import UsageError
from bench.api.names import carried, option_in, way_of
from bench.figures import draw_figure
from bench.figures.envelope import Crossing, crossings, envelope
from bench.figures.style import theme
from bench.results.request import Request, select
from bench.results.scores import Score

MAP, PICTURE = "oasis+digital", "full_image+digital:codec=webp"
#: Spec -> (channel uses, mIoU) at PSNR 10: the map leads up to 4,000 uses, the picture from 8,000 on.
SENT = {
    f"{MAP}:link=16qam@1/2": (2000.0, 0.5),
    f"{MAP}:link=qpsk@0.4": (5000.0, 0.6),
    f"{MAP}:link=adaptive": (1500.0, 0.9),
    f"{PICTURE}:uses=2000": (2000.0, 0.2),
    f"{PICTURE}:uses=8000": (8000.0, 0.7),
    f"{PICTURE}:uses=9000": (9000.0, 0.65),
    "oasis": (90_000.0, 0.1),
}


def results(
    sent: Mapping[str, tuple[float, float]], stderr: float | None = 0.01, metric: str = "mIoU", higher: bool = True
) -> pd.DataFrame:
    """Rows at PSNR 10 of methods with their uses, a mean power of a half, and scores."""
    at = {(spec, 10.0, 0): one for spec, one in sent.items()}
    cost = {"higher_is_better": False}
    return pd.concat(
        [
            frame({k: (v, stderr) for k, (_, v) in at.items()}, metric=metric, higher_is_better=higher),
            frame({k: (u, None) for k, (u, _) in at.items()}, metric="channel_uses", **cost),
            frame({k: (0.5, None) for k in at}, metric="mean_power", **cost),
        ]
    )


def drawn(figure: Figure, kind: str) -> dict[str, Any]:
    """What is drawn as `kind`, by what it belongs to."""
    return {
        line.get_gid().partition(" ")[2]: line
        for axis in figure.axes
        for line in axis.lines
        if (line.get_gid() or "").startswith(f"{kind} ")
    }


def test_a_way_of_sending_is_a_spec_without_scheme_and_budget() -> None:
    spec = "full_image+fds+digital:codec=webp:link=qpsk@1/2:uses=400:steps=5"
    assert way_of(spec) == "full_image+fds+digital:codec=webp:steps=5"
    assert carried(spec) == carried(f"{spec}:header=coded") == "full_image+fds:steps=5"
    assert (option_in(spec, "codec"), option_in(spec, "link"), option_in(spec, "odec")) == ("webp", "qpsk@1/2", None)


def test_an_envelope_is_what_so_many_uses_or_fewer_can_have_at_best() -> None:
    points = [(4.0, Score(0.3)), (1.0, Score(0.5)), (2.0, Score(0.4)), (2.0, Score(0.8)), (8.0, Score(0.8))]
    assert [(u, s.value) for u, s in envelope(points, higher_is_better=True)] == [(1.0, 0.5), (2.0, 0.8)]
    assert [(u, s.value) for u, s in envelope(points, higher_is_better=False)] == [(1.0, 0.5), (2.0, 0.4), (4.0, 0.3)]


def test_the_envelope_is_of_fixed_schemes_and_adaptive_ones_stand_apart() -> None:
    figure = only("budget", results(SENT))
    lines = drawn(figure, "envelope")
    assert set(lines) == {MAP, PICTURE, "oasis"}
    assert list(lines[MAP].get_xydata().flatten()) == [2000, 0.5, 5000, 0.6, 90_000, 0.6]
    assert list(lines[PICTURE].get_xydata().flatten()) == [2000, 0.2, 8000, 0.7, 90_000, 0.7]
    points = drawn(figure, "point")
    assert {spec: (p.get_xdata()[0], p.get_ydata()[0]) for spec, p in points.items()} == SENT
    assert {spec for spec, p in points.items() if p.get_fillstyle() == "none"} == {f"{MAP}:link=adaptive"}
    assert {spec for spec, p in points.items() if p.get_fillstyle() == "left"} == {"oasis"}


def test_a_crossing_is_marked_at_its_uses_and_told() -> None:
    figure = only("budget", results(SENT))
    (mark,) = drawn(figure, "crossing").values()
    assert list(mark.get_xydata()[0]) == [8000, 0.6]
    assert "8.0k" in [text.get_text() for text in figure.axes[0].texts]
    assert f"10 dB: {PICTURE} passes {MAP} at 8,000 uses (intervals apart at 5,000 and 8,000)." in notes(figure)


def test_a_crossing_of_a_score_that_is_better_where_it_is_lower() -> None:
    turned = {spec: (uses, 1 - value) for spec, (uses, value) in SENT.items()}
    figure = only("budget", results(turned, metric="LPIPS", higher=False), metrics=("LPIPS",))
    (mark,) = drawn(figure, "crossing").values()
    assert list(mark.get_xydata()[0]) == [8000, pytest.approx(0.4)]


@pytest.mark.parametrize("stderr", [0.1, None], ids=["intervals overlap", "no intervals"])
def test_what_chance_may_explain_is_no_crossing(stderr: float | None) -> None:
    figure = only("budget", results(SENT, stderr))
    assert not drawn(figure, "crossing")
    assert "Crossings" not in notes(figure)


def test_a_way_that_begins_above_another_has_not_crossed_it() -> None:
    def sure(value: float) -> Score:
        return Score(value, stderr=0.001, scenes=100)

    low, high = [(1.0, sure(0.2)), (9.0, sure(0.3))], [(4.0, sure(0.8))]
    assert crossings({"low": low, "high": high}, higher_is_better=True) == []
    begun = [(1.0, sure(0.1)), *high]
    assert crossings({"low": low, "high": begun}, higher_is_better=True) == [
        Crossing("low", "high", 4.0, 0.2, 1.0, 4.0)
    ]


def test_only_the_lead_is_told_and_each_pair_once() -> None:
    def sure(value: float) -> Score:
        return Score(value, stderr=0.001, scenes=100)

    lines = {
        "best": [(1.0, sure(0.5)), (6.0, sure(0.7)), (10.0, sure(0.9))],
        "under": [(1.0, sure(0.2)), (9.0, sure(0.4))],
        "other": [(1.0, sure(0.1)), (4.0, sure(0.6)), (8.0, sure(0.8))],
    }
    found = crossings(lines, higher_is_better=True)
    assert [(one.before, one.after, one.uses) for one in found] == [("best", "other", 4.0), ("other", "best", 6.0)]


def test_the_caption_says_what_numbers_rest_on() -> None:
    said = notes(only("budget", results(SENT)))
    for words in (
        "32 scenes, seeds 0", "peak power", "peak SNR 8.9 dB", "real symbols a scene", "uses over 49,152",
        "The mean power of a use is 0.5 P.", "16qam@1/2, qpsk@0.4, adaptive", "5G LDPC", "three bytes of length",
        "free of error and counted in bytes", "whose sender knows the channel", "95% intervals", "gt|judge=x",
    ):  # fmt: skip
        assert words in said, words
    fading = results(SENT).assign(channel="rayleigh-paper-average-64-true-receiver")
    said = notes(only("budget", fading))
    for words in ("one gain over 64 complex symbols", "interleaved", "known to the receiver", "average power"):
        assert words in said, words
    assert "LDPC" not in notes(only("budget", results({"oasis": (9.0, 0.5)})))


def test_forty_lines_have_a_legend_of_methods_and_dashes_and_nothing_is_clipped() -> None:
    maps = ["spade", "ccfpse", "smis", "oasis", "sdm", "gesco", "gesco-nofds"]
    sent = {f"{m}{rest}": (4000.0 + 100 * k, 0.6 + k / 50) for k, m in enumerate(maps)
            for rest in ("", "+digital:link=qpsk@0.4", "+digital:link=adaptive")}  # fmt: skip
    sent |= {f"full_image+digital:codec={c}:uses={n}": (float(n), n / 30_000)
             for c in ("webp", "avif", "jpeg") for n in (1500, 2000, 4000, 8000, 16_000, 24_600)}  # fmt: skip
    rows = pd.concat([results(sent).assign(psnr=psnr) for psnr in (100.0, 30.0, 20.0, 10.0, 1.0)])
    made = select(Request(Path("o"), rows, FACTS, Path("o/plots")))
    with theme():
        (drawing,) = draw_figure("budget", made)
        check_layout(drawing.figure)
    labels = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    kinds = ["analogue", "fixed link", *(f"fixed link, {codec}" for codec in ("webp", "avif", "jpeg")), "adaptive link"]
    assert labels == [*maps, "full_image", *kinds]
    dashes = {way: str(line._dash_pattern) for way, line in drawn(drawing.figure, "envelope").items()}
    assert len({dashes[f"full_image+digital:codec={codec}"] for codec in ("webp", "avif", "jpeg")}) == 3


def test_uneven_power_is_told() -> None:
    rows = results({"oasis": (9.0, 0.5), "gesco": (9.0, 0.6)})
    rows.loc[(rows["metric"] == "mean_power") & (rows["method"] == "gesco"), "value"] = 0.09
    assert "The mean power of a use is 0.09 to 0.5 P, so equal uses are not equal energy." in notes(
        only("budget", rows)
    )


def test_chosen_psnrs_have_the_panels() -> None:
    rows = pd.concat([results(SENT).assign(psnr=psnr) for psnr in (20.0, 10.0, 1.0)])
    assert [axis.get_title() for axis in only("budget", rows, psnrs=(1.0, 20.0)).axes] == ["PSNR 20 dB", "PSNR 1 dB"]


def test_results_without_uses_are_refused_in_words() -> None:
    with pytest.raises(UsageError, match="no channel_uses; `bench run` writes them"):
        only("budget", frame({("oasis", 10.0, 0): (0.5, None)}))
