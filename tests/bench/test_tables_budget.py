"""What rows say of their cost, against the transmissions themselves, and the budget table made of it."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Answer
from table_frames import at10, method_rows

from bench.api.errors import UsageError
from bench.results.budgets import with_derived
from bench.results.request import side_words
from bench.tables import render
from bench.tables.named import named_tables

Cli = Callable[..., Answer]
WRITTEN = ("channel_uses", "complex_uses", "cbr", "energy", "mean_power", "mean_snr", "side_bytes")
COPIES = 30000


def rows_of(text: str) -> list[list[str]]:
    """Cells of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def told(out: Path, spec: str) -> dict[str, float]:
    """What the results say of a method's costs as a whole, and of its mean SNR in every row."""
    rows, _ = method_rows(out)
    own = rows[(rows["method"] == spec) & (rows["scene"] == "all")]
    (level,) = set(own["mean_snr_db"])
    return {**{m: v for m, v in zip(own["metric"], own["value"], strict=True) if m in WRITTEN}, "column": level}


def by_hand(sent: list[torch.Tensor], sigma: float, side_bytes: float) -> dict[str, float]:
    """The same from the real symbols of each scene, whose pictures are 32x64."""
    uses, energy = sum(s.numel() for s in sent), sum(float((s.double() ** 2).sum()) for s in sent)
    snr = 10 * math.log10(energy / uses / sigma**2)
    return {
        "channel_uses": uses / len(sent),
        "complex_uses": uses / len(sent) / 2,
        "cbr": uses / len(sent) / 2 / (3 * 32 * 64),
        "energy": energy / len(sent),
        "mean_power": energy / uses,
        "mean_snr": snr,
        "column": snr,
        "side_bytes": side_bytes,
    }


def test_the_costs_of_five_rows_are_those_of_their_transmissions(cli: Cli, fakes: Path) -> None:
    pytest.importorskip("sionna", reason="links need Sionna: pip install 'gesco-bench[links]'")
    from bench.api.method import MethodContext
    from bench.api.specs import build_method, parse_spec
    from bench.config import load_config
    from bench.links.ldpc import transmit
    from bench.links.scheme import parse_scheme
    from bench.run.plan import make_plan
    from bench.run.worker import WORKER

    repeated, fixed, average = f"full_image:uses={COPIES}", "fake_maps+digital", "fake_maps+digital:link=16qam@1/2"
    specs = ("full_image", "fake_maps", repeated, fixed)
    assert cli("run", "--methods", ",".join(specs), "--psnr", "10", "--out", "peak").code == 0
    assert cli("run", "--methods", average, "--psnr", "10", "--power", "average", "--out", "average").code == 0
    scenes = make_plan(load_config()).cells[0].scenes
    scene, source = WORKER.scene(scenes, scenes.ids), WORKER.source(scenes)
    sender = {
        name: build_method(parse_spec(name), MethodContext.of(source)) for name in ("full_image", "fake_maps", fixed)
    }

    pictures = [(image * 255).round() / 255 for image in scene.image]
    assert told(fakes / "peak", "full_image") == pytest.approx(by_hand(pictures, 0.36, 0), rel=1e-6)

    maps = list(sender["fake_maps"].send(scene).symbols)
    assert all(len(one) < source.label_space.size for one in maps)  # absent classes are dropped
    ones = [int(one[:-1].sum()) for one in maps]
    assert ones == [32 * 64] * len(maps)  # a pixel has one class; what is more is edges
    assert told(fakes / "peak", "fake_maps") == pytest.approx(by_hand(maps, 0.36, 5), rel=1e-6)

    copies = [torch.cat([one.flatten()] * 5)[:COPIES] for one in pictures]
    assert told(fakes / "peak", repeated) == pytest.approx(by_hand(copies, 0.36, 0), rel=1e-6)

    payloads = sender[fixed].encode(scene)
    frames = [transmit(payload, parse_scheme("qpsk@0.4")) for payload in payloads]
    assert told(fakes / "peak", fixed) == pytest.approx(by_hand(frames, 0.36, 0), rel=1e-6)
    assert told(fakes / "peak", fixed)["mean_power"] == 1  # I and Q are 1 and -1

    frames = [transmit(payload, parse_scheme("16qam@1/2")) for payload in payloads]
    scaled = [one / one.double().square().mean().sqrt() for one in frames]
    assert told(fakes / "average", average) == pytest.approx(by_hand(scaled, 0.36, 4), rel=1e-6)
    assert told(fakes / "average", average)["mean_power"] == 1
    assert told(fakes / "average", average)["mean_snr"] == pytest.approx(-20 * math.log10(0.36))


@pytest.mark.parametrize("modulation", ["qpsk", "16qam", "64qam", "256qam"])
@pytest.mark.parametrize("rate", ["1/5", "8/9", "uncoded"])
def test_links_keep_the_limits_of_peak_and_average_power(modulation: str, rate: str) -> None:
    pytest.importorskip("sionna", reason="links need Sionna: pip install 'gesco-bench[links]'")
    from bench.channels.awgn import Awgn
    from bench.links.ldpc import transmit
    from bench.links.scheme import parse_scheme

    sent = transmit(bytes(range(60)), parse_scheme(f"{modulation}@{rate}"))
    assert 0.99 < float(sent.abs().max()) <= 1
    assert Awgn(10).energy(sent) == pytest.approx(float(sent.square().sum()))
    assert Awgn(10, power="average").energy(sent) == sent.numel()
    noise = Awgn(10, power="average").transmit(sent, torch.Generator().manual_seed(0)) - sent
    scale = math.sqrt(float(sent.square().mean()))  # both ends scale: what is left is noise at the mean's level
    assert float(noise.std()) == pytest.approx(0.36 * scale, rel=0.15)


def test_methods_stand_from_the_fewest_channel_uses_to_the_most() -> None:
    frame = with_derived(
        pd.concat(
            [
                at10({"full_image": 0.3, "oasis+digital": 0.8}, metric="mIoU", higher_is_better=True),
                at10({"full_image": 24576.0, "oasis+digital": 4915.2}, metric="channel_uses", higher_is_better=False),
                at10({"full_image": 5059.0, "oasis+digital": 4915.2}, metric="energy", higher_is_better=False),
            ]
        ).assign(contributions=None)
    )
    text = render(named_tables(frame, "budget", 10.0), "md")
    heading, first, second = rows_of(text)
    assert heading[:5] == ["mIoU ↑", "uses", "CBR", "energy", "power"]
    height, width = (int(side) for side in str(frame["size"].iloc[0]).split("x"))
    assert first[0] == "oasis+digital"
    assert second[0] == "full_image"
    assert second[1:5] == ["24,576", f"{24576 / 2 / (3 * height * width):.4f}", "5,059", f"{5059 / 24576:.3f}"]
    assert "1 is the peak of a real symbol (peak power)" in text
    assert "+digital without a link is qpsk@0.4" in text


def test_both_power_conventions_have_tables_that_say_which(cli: Cli, fakes: Path) -> None:
    for power in ("peak", "average"):
        words = ("--methods", "fake_pixels", "--metrics", "FakeMSE", "--psnr", "10,1", "--power", power)
        assert cli("run", *words, "--out", "o").code == 0
    peak, average = cli("table", "mean_power", "--out", "o", "--format", "md").out.split("mean_power on")[1:]
    assert "peak power" in peak
    assert "average power" in average
    rows = list(csv.DictReader(cli("table", "mean_power", "--out", "o", "--format", "csv").out.splitlines()))
    means = {row["channel"]: {row["psnr_10_mean"], row["psnr_1_mean"]} for row in rows}
    assert means["awgn-paper-average"] == {"1.0"}
    assert "1.0" not in means["awgn-paper-peak"]
    texts = [text for text in cli("table", "mean_snr", "--out", "o", "--format", "md").out.split("mean_snr on")[1:]]
    assert len(texts) == 2
    assert all("Side information is free of error and counted in bytes." in text for text in texts)


def test_results_of_earlier_versions_have_what_can_be_derived_and_nothing_else() -> None:
    uses = at10({"a": 100.0, "b": 100.0}, metric="channel_uses", higher_is_better=False)
    old = uses.assign(mean_snr_db=[10 * math.log10(0.25 / 0.36**2), math.nan], contributions=None)
    new = with_derived(old)
    found = {
        m: {k: float(v) for k, v in zip(own["metric"], own["value"], strict=True)} for m, own in new.groupby("method")
    }
    assert found["a"] == pytest.approx(
        {
            "channel_uses": 100,
            "complex_uses": 50,
            "cbr": 50 / (3 * 64 * 128),
            "energy": 25,
            "mean_power": 0.25,
            "mean_snr": 10 * math.log10(0.25 / 0.36**2),
        }
    )
    assert found["b"].keys() == {"channel_uses", "complex_uses", "cbr"}
    pd.testing.assert_frame_equal(with_derived(new), new)


def test_results_without_uses_say_so() -> None:
    with pytest.raises(UsageError, match="no channel_uses"):
        named_tables(at10({"gesco": 0.5}, metric="mIoU", higher_is_better=True), "budget", 10.0)


def test_the_papers_values_stand_beside_its_own_channel_only() -> None:
    rows = at10({"gesco": 0.5}, metric="mIoU", higher_is_better=True)
    assert "ours" in render(named_tables(rows, "mIoU", 10.0), "md", published=True)
    with pytest.raises(UsageError, match="its channel is AWGN, paper calibration, peak power"):
        render(named_tables(rows.assign(channel="awgn-paper-average"), "mIoU", 10.0), "md", published=True)


def test_a_caption_says_which_methods_know_the_channel() -> None:
    def words(*methods: str) -> str:
        return side_words(pd.DataFrame({"method": methods}))

    link = "link=adaptive: the sender knows the channel, its nominal SNR or with csi=both its gains."
    both = "adaptive=True: both ends know the channel's nominal SNR."
    assert words("gesco", "oasis+digital:link=qpsk@1/2") == words("gesco")
    assert words("gesco", "oasis+digital:link=adaptive") == f"{words('gesco')} {link}"
    assert words("deepjscc:ratio=1/6:adaptive=True") == f"{words('gesco')} {both}"
    assert words("deepjscc:adaptive=False") == words("gesco")
