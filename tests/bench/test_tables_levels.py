"""Behind a PSNR label: the peak SNR of the channel, and the mean SNR of what a method sends, in every caption."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import Answer
from table_frames import at10, frame, method_rows

from bench.results.request import mean_levels, peak_levels
from bench.results.schema import COLUMNS, CONTRIBUTIONS, upgraded
from bench.tables import metric_tables

Cli = Callable[..., Answer]


def test_the_mean_snr_is_the_energy_sent_over_channel_uses_and_noise(cli: Cli, fakes: Path) -> None:
    """Against the pictures themselves: what `fake_pixels` sends are the originals."""
    from bench.config import load_config
    from bench.run.plan import make_plan
    from bench.run.worker import WORKER

    assert cli("run", "--methods", "fake_pixels,fake_maps", "--psnr", "100,10", "--out", "o").code == 0
    rows, _ = method_rows(fakes / "o")
    scenes = make_plan(load_config()).cells[0].scenes
    images = WORKER.scene(scenes, scenes.ids).image.double()
    noisy = rows[(rows["method"] == "fake_pixels") & (rows["psnr"] == 10)]
    assert set(noisy["mean_snr_db"].round(9)) == {round(10 * math.log10(float(images.square().mean()) / 0.36**2), 9)}
    assert set(noisy["peak_snr_db"]) == {-20 * math.log10(0.36)}
    assert set(rows[rows["psnr"] == 100]["mean_snr_db"]) == {math.inf}
    maps = rows[(rows["method"] == "fake_maps") & (rows["psnr"] == 10)]["mean_snr_db"].iloc[0]
    assert maps < noisy["mean_snr_db"].iloc[0] - 1  # most values of a map are 0

    caption = cli("table", "FakeMSE", "--out", "o", "--format", "md").out
    assert "peak SNR ∞, 8.9 dB" in caption
    assert f"{8.87 - maps:.1f} dB lower (fake_maps)" in caption
    assert "true SNR" not in caption


def test_under_average_power_the_two_are_one(cli: Cli, fakes: Path) -> None:
    assert cli("run", "--psnr", "10", "--power", "average", "--out", "o").code == 0
    rows, _ = method_rows(fakes / "o")
    assert (rows["mean_snr_db"] - rows["peak_snr_db"]).abs().max() < 1e-6
    assert "Mean SNR, of what a method sends: the peak SNR." in cli("table", "FakeMSE", "--out", "o").out


def of(means: dict[tuple[str, float], float]) -> pd.DataFrame:
    peaks = {100.0: math.inf, 10.0: 8.9, 1.0: 0.9}
    rows = frame({(m, p, 0): (0.5, None) for m, p in means})
    return rows.assign(peak_snr_db=[peaks[p] for p in rows["psnr"]], mean_snr_db=list(means.values()))


def test_methods_that_send_alike_are_named_together() -> None:
    rows = of({("a", 100.0): math.inf, ("a", 10.0): 1.5, ("b", 10.0): -5.9, ("c", 10.0): -5.9, ("c", 1.0): -13.9})
    assert peak_levels(rows, [100.0, 10.0, 1.0]) == "peak SNR ∞, 8.9, 0.9 dB"
    assert mean_levels(rows) == "Mean SNR, of what a method sends: 7.4 dB lower (a); 14.8 dB lower (b, c)."


def test_what_cannot_be_said_of_the_mean_snr_is_said() -> None:
    assert "∞, without noise" in mean_levels(of({("a", 100.0): math.inf}))
    assert "nothing but zeros is sent" in mean_levels(of({("a", 10.0): -math.inf}))
    assert "unknown" in mean_levels(of({("a", 10.0): math.nan}))
    assert "7.4 to 8.0 dB lower" in mean_levels(of({("a", 10.0): 1.5, ("a", 1.0): -7.1}))


def test_results_of_earlier_versions_have_a_peak_snr_and_no_mean(tmp_path: Path) -> None:
    old = at10({"a": 0.5}).drop(columns="mean_snr_db").rename(columns={"peak_snr_db": "true_snr_db"})
    new = upgraded(old)
    assert new["peak_snr_db"].tolist() == [8.9]
    assert np.isnan(new["mean_snr_db"]).all()
    committed = Path(__file__).parents[2] / "results"
    rows, _ = method_rows(committed)
    assert tuple(rows.columns) == (*COLUMNS, CONTRIBUTIONS)
    assert "peak SNR ∞, 26.0, 17.7, 13.2, 8.9, 4.4, 0.9 dB" in metric_tables(rows, "mIoU")[0].caption
