"""Side information sent coded: what it costs, and what a scene shows whose header is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Answer, shown
from table_frames import all_rows

pytest.importorskip("sionna", reason="links need Sionna: pip install 'gesco-bench[links]'")

CODED = "fake_maps:header=coded"
#: 5 bytes of kept classes behind 3 of their length at rate 1/5, two bits a complex symbol.
FRAME = 8 * (3 + 5) * 5


def cell(out: str, spec: str) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """What the manifest of the only cell of a method says of its scenes, and its pictures."""
    (manifest,) = Path(out, "cells", "streets", spec.replace(":", "_")).glob("*/manifest.json")
    scenes = json.loads(manifest.read_text())["scenes"]
    return scenes, shown(manifest.parent)


def test_a_coded_header_is_paid_for_in_channel_uses_and_energy(cli: Callable[..., Answer], fakes: Path) -> None:
    specs = ("fake_maps", CODED, "fake_maps:header=coded:uses=60000")
    assert cli("run", "--methods", ",".join(specs), "--psnr", "100", "--out", "o").code == 0
    (free, shown), (coded, same), (full, _) = (cell("o", spec) for spec in specs)
    for one, other, budget in zip(free, coded, full, strict=True):
        assert (one["side_bytes"], other["side_bytes"], budget["side_bytes"]) == (5, 0, 0)
        assert one["bits"] == other["bits"]
        assert other["channel_uses"] == one["channel_uses"] + FRAME
        assert other["energy"] == pytest.approx(one["energy"] + FRAME)  # I and Q of QPSK are 1 and -1
        assert budget["channel_uses"] == 60000
        assert other["block_lost"] is False
    assert all(np.array_equal(a, b) for a, b in zip(shown, same, strict=True))  # without noise


def test_a_scene_whose_header_is_lost_shows_the_empty_map(cli: Callable[..., Answer], fakes: Path) -> None:
    words = ("--psnr", "30", "--channel", "packets:packet=320:loss=0.4", "--scenes", "6", "--seeds", "3")
    assert cli("run", "--methods", CODED, *words, "--out", "o").code == 0
    scenes, shown = cell("o", CODED)
    lost = [scene["block_lost"] for scene in scenes]
    assert 0 < sum(lost) < len(lost)
    assert lost == [not picture.any() for picture in shown]
    rows = all_rows("o")
    whole = rows[(rows["metric"] == "block_lost") & (rows["scene"] == "all")].iloc[0]
    assert whole["value"] == pytest.approx(sum(lost) / len(lost))
    assert whole["protocol"] == "side information whose CRC fails, one a scene|header=qpsk@1/5"


def test_an_adaptive_link_sends_its_scheme_and_the_scale_of_average_power(
    cli: Callable[..., Answer], fakes: Path
) -> None:
    spec = "fake_maps+digital:header=coded:link=adaptive"
    assert cli("run", "--methods", spec, "--psnr", "10", "--power", "average", "--out", "o").code == 0
    scenes, _ = cell("o", spec)
    for scene in scenes:
        assert scene["side_bytes"] == 0
        assert scene["energy"] == scene["channel_uses"]
        assert scene["block_lost"] is False
        assert scene["channel_uses"] % 2 == 0


@pytest.mark.parametrize(
    ("spec", "told"),
    {
        "fake_pixels:header=coded": "unknown option 'header' of fake_pixels",
        "fake_maps:header=sent": "unknown header 'sent' of fake_maps:header=sent",
    }.items(),
)
def test_a_header_that_cannot_be_sent_is_said_before_anything_runs(
    cli: Callable[..., Answer], spec: str, told: str
) -> None:
    answer = cli("run", "--methods", spec)
    assert answer.code == 2
    assert told in answer.err


def test_a_header_set_in_bench_toml_stands_in_the_spec(cli: Callable[..., Answer], fakes: Path) -> None:
    with (fakes / "bench.toml").open("a") as file:
        file.write('\n[methods.fake_maps.options]\nheader = "coded"\n')
    assert cli("run", "--methods", "fake_maps", "--psnr", "100", "--out", "o").code == 0
    assert {scene["side_bytes"] for scene in cell("o", CODED)[0]} == {0}
