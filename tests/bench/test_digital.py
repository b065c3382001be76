"""Methods over a digital link, and analogue ones at a budget: what a run keeps of pictures, costs and lost blocks."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Answer, pictures, shown
from PIL import Image
from table_frames import all_rows

from bench.api.registry import METHODS, METRICS
from bench.links.ldpc import LENGTH_BYTES, block_size, coded_bits, frame_uses
from bench.links.scheme import parse_scheme

pytest.importorskip("sionna", reason="links need Sionna: pip install 'gesco-bench[links]'")


@pytest.fixture
def run(cli: Callable[..., Answer]) -> Any:
    """Runs `bench run` over the fakes' scenes with these methods and more words; the rows of the results."""

    def call(methods: str, *words: str) -> pd.DataFrame:
        answer = cli("run", "--methods", methods, *words)
        assert answer.code == 0, answer.err
        return all_rows("results/local")

    return call


def facts(spec: str, psnr: float) -> list[dict[str, Any]]:
    """What the manifest of a cell says of its scenes."""
    folder = Path("results/local/cells/streets") / spec.replace(":", "_").replace("/", "_")
    (manifest,) = folder.glob(f"*@{psnr:g}-seed0-*/manifest.json")
    return list(json.loads(manifest.read_text())["scenes"])


def whole(rows: pd.DataFrame, spec: str, metric: str, psnr: float) -> float:
    own = rows[(rows["method"] == spec) & (rows["metric"] == metric) & (rows["psnr"] == psnr) & (rows["scenes"] == 3)]
    return float(own["value"].iloc[0])


def test_while_blocks_decode_a_picture_is_the_one_of_a_clean_channel(run: Any, fakes: Path) -> None:
    run("fake_maps,fake_maps+digital", "--psnr", "100,5")
    shown = pictures(fakes / "results" / "local")
    by_cell: dict[str, list[bytes]] = {}
    for path, data in shown.items():
        by_cell.setdefault("/".join(Path(path).parts[2:4]).rpartition("-seed0")[0], []).append(data)
    clean = by_cell["fake_maps/awgn-paper-peak@100"]
    assert by_cell["fake_maps+digital/awgn-paper-peak@5"] == by_cell["fake_maps+digital/awgn-paper-peak@100"] == clean
    assert by_cell["fake_maps/awgn-paper-peak@5"] != clean


def test_a_link_costs_what_its_frames_take_and_nothing_travels_beside_them(run: Any) -> None:
    rows = run("fake_maps+digital:link=16qam@2/3", "--psnr", "100")
    scheme, spec = parse_scheme("16qam@2/3"), "fake_maps+digital:link=16qam@2/3"
    for scene in facts(spec, 100):
        frame = scene["bits"] + 8 * LENGTH_BYTES
        assert scene["side_bytes"] == 0
        assert scene["channel_uses"] == 2 * coded_bits(block_size(frame, scheme), scheme) // 4
        assert 0.4 < scene["energy"] / scene["channel_uses"] < 0.7  # 5/9 on average: (1 + 1/9) / 2
        assert scene["block_lost"] is False
    assert whole(rows, spec, "block_lost", 100) == 0
    assert whole(rows, spec, "energy", 100) == pytest.approx(np.mean([s["energy"] for s in facts(spec, 100)]))


def test_a_lost_block_is_counted_and_concealed(run: Any) -> None:
    rows = run("fake_maps+digital:link=64qam@3/4,full_image+digital:link=64qam@3/4", "--psnr", "1")
    for spec, grey in {"fake_maps+digital:link=64qam@3/4": 0, "full_image+digital:link=64qam@3/4": 128}.items():
        assert whole(rows, spec, "block_lost", 1) == 1
        (folder,) = Path("results/local/cells/streets", spec.replace(":", "_").replace("/", "_")).iterdir()
        assert all(set(picture.flatten()) == {grey} for picture in shown(folder))


def test_without_a_code_bit_errors_reach_the_codec(run: Any) -> None:
    rows = run("fake_maps+digital:link=qpsk@uncoded", "--psnr", "100,5")
    spec = "fake_maps+digital:link=qpsk@uncoded"
    assert whole(rows, spec, "FakeMSE", 5) != whole(rows, spec, "FakeMSE", 100)
    assert whole(rows, spec, "block_lost", 5) == 0  # nothing is checked, so nothing is known to be lost


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif"])
def test_a_budget_is_used_and_kept(run: Any, codec: str) -> None:
    few, many = (f"full_image+digital:codec={codec}:uses={uses}" for uses in (8000, 16000))
    rows = run(f"{few},{many}", "--psnr", "100")
    for spec, uses in ((few, 8000), (many, 16000)):
        assert all(uses * 0.5 < scene["channel_uses"] <= uses for scene in facts(spec, 100))
    assert whole(rows, many, "FakeMSE", 100) < whole(rows, few, "FakeMSE", 100)


def test_repetition_up_to_a_budget_divides_the_noise(run: Any) -> None:
    symbols = 3 * 32 * 64
    rows = run(f"full_image,full_image:uses={symbols},full_image:uses={9 * symbols}", "--psnr", "15")
    once, same, nine = (f"full_image{budget}" for budget in ("", f":uses={symbols}", f":uses={9 * symbols}"))
    assert {scene["channel_uses"] for scene in facts(nine, 15)} == {9 * symbols}
    assert facts(nine, 15)[0]["energy"] == pytest.approx(9 * facts(once, 15)[0]["energy"])
    assert whole(rows, same, "FakeMSE", 15) == pytest.approx(whole(rows, once, "FakeMSE", 15), rel=0.05)
    assert whole(rows, nine, "FakeMSE", 15) == pytest.approx(0.22**2 / 9, rel=0.1)  # clipping takes a little


def test_a_symbol_whose_copies_are_all_lost_arrives_as_nothing(run: Any) -> None:
    rows = run(f"full_image:uses={2 * 3 * 32 * 64}", "--psnr", "100", "--channel", "packets:packet=64:loss=0.5")
    spec = f"full_image:uses={2 * 3 * 32 * 64}"
    (folder,) = Path("results/local/cells/streets", spec.replace(":", "_")).iterdir()
    assert (np.stack(shown(folder)) == 0).mean() == pytest.approx(0.25, abs=0.1)  # both copies lost
    assert whole(rows, spec, "FakeMSE", 100) > 0


def test_over_fading_a_method_gets_symbols_in_their_places(run: Any) -> None:
    rows = run(
        "fake_maps,fake_maps+digital:link=qpsk@1/3", "--psnr", "10", "--channel", "rayleigh:block=64:interleaved=true"
    )
    assert set(rows["channel"]) - {"none"} == {
        "rayleigh:calibration=paper:power=peak:block=64:interleaved=True:csi=receiver"
    }
    assert whole(rows, "fake_maps+digital:link=qpsk@1/3", "block_lost", 10) == 0
    assert whole(rows, "fake_maps", "FakeMSE", 10) > whole(rows, "fake_maps+digital:link=qpsk@1/3", "FakeMSE", 10)


def test_a_sender_that_knows_its_scenes_channels_takes_a_scheme_for_each(run: Any) -> None:
    adaptive, robust = "fake_maps+digital:link=adaptive", "fake_maps+digital:link=qpsk@1/3"
    rows = run(f"{adaptive},{robust}", "--psnr", "20", "--channel", "rayleigh:csi=both", "--scenes", "6")
    chosen = {scene["id"]: scene for scene in facts(adaptive, 20)}
    fixed = {scene["id"]: scene for scene in facts(robust, 20)}
    assert len({scene["channel_uses"] for scene in chosen.values()}) > 1
    assert all(chosen[one]["channel_uses"] <= fixed[one]["channel_uses"] for one in chosen)
    assert [scene["block_lost"] for scene in chosen.values()] == [scene["block_lost"] for scene in fixed.values()]
    errors = rows[(rows["metric"] == "FakeMSE") & (rows["psnr"] == 20) & (rows["scenes"] == 6)].set_index("method")
    assert errors["value"][adaptive] == errors["value"][robust]
    assert {scene["side_bytes"] for scene in chosen.values()} == {1}


def test_a_budget_holds_for_every_scheme_that_a_sender_may_take(run: Any) -> None:
    spec = "full_image+digital:codec=jpeg:link=adaptive:uses=3000"
    run(spec, "--psnr", "20", "--channel", "rayleigh:csi=both", "--scenes", "6")
    uses = [scene["channel_uses"] for scene in facts(spec, 20)]
    assert max(uses) <= 3000
    assert len({scene["bits"] for scene in facts(spec, 20)}) > 1


def test_over_ofdm_a_row_counts_pilots_and_prefix(run: Any) -> None:
    spec = "fake_maps+digital:link=qpsk@1/3"
    rows = run(f"{spec},fake_maps", "--psnr", "20", "--channel", "ofdm")
    assert whole(rows, spec, "FakeMSE", 20) < whole(rows, "fake_maps", "FakeMSE", 20)
    for scene in facts(spec, 20):
        frame = frame_uses(bytes(scene["bits"] // 8), parse_scheme("qpsk@1/3"))
        data = math.ceil(frame / (2 * 256))
        pilots = math.ceil(data / 6)
        assert scene["channel_uses"] == 2 * 274 * (data + pilots)
        assert scene["energy"] == pytest.approx((frame + 512 * pilots) * 274 / 256)  # QPSK: 1 a real symbol


@pytest.mark.parametrize(
    ("spec", "told"),
    {
        "fake_pixels+digital": "'fake_pixels' sends no bytes, so '+digital' does not apply to it",
        "fake_maps:link=qpsk@0.5": "write fake_maps+digital:link=qpsk@0.5",
        "fake_maps+digital:link=8psk@0.5": "unknown modulation '8psk'",
        "fake_maps+digital:link=qpsk@2": "code rate 2",
        "full_image+digital:uses=100": "uses=100 holds no frame of link qpsk@0.4; the smallest takes 1320 channel uses",
    }.items(),
)
def test_what_cannot_be_sent_is_said_before_anything_runs(cli: Callable[..., Answer], spec: str, told: str) -> None:
    answer = cli("run", "--methods", spec)
    assert answer.code == 2
    assert told in answer.err
    assert not Path("results").exists()


def test_the_quality_of_a_file_falls_with_its_room() -> None:
    from methods.full_image import _fitting

    gradient = np.add.outer(np.arange(64), np.arange(128)).astype(np.uint8)
    picture = Image.fromarray(np.stack([gradient, gradient.T.reshape(64, 128), 255 - gradient], axis=2))
    for codec in ("jpeg", "webp", "avif"):
        for room in (700, 1500, 4000):
            data = _fitting(picture, codec, room)
            assert len(data) <= room
            assert Image.open(io.BytesIO(data)).size[0] <= 128


def test_what_arrives_whole_at_several_psnrs_is_drawn_and_measured_once(run: Any, monkeypatch: Any) -> None:
    counts = {"generate": 0, "measure": 0}

    def count(cls: Any, name: str, of: Callable[[Any], int]) -> None:
        original = getattr(cls, name)

        def call(self: Any, given: Any, *rest: Any) -> Any:
            counts[name] += of(given)
            return original(self, given, *rest)

        monkeypatch.setattr(cls, name, call)

    count(METHODS.load("fake_maps"), "generate", len)
    count(METRICS.load("FakeMSE"), "measure", lambda comparison: len(comparison.generated))
    rows = run("fake_maps+digital,fake_maps+digital:link=16qam@1/3", "--psnr", "100,20,15")
    assert counts["generate"] == 3 + 6  # every scene once, and one scene of each of the six cells once more
    assert counts["measure"] == 3 + 3  # and the reference of pure noise
    values = rows[(rows["metric"] == "FakeMSE") & (rows["scenes"] == 3) & (rows["psnr"] > 0)]["value"]
    assert len(values) == 6
    assert values.nunique() == 1


@pytest.mark.parametrize("channel", ["awgn", "awgn:power=average", "rayleigh"])
def test_a_budget_in_which_nothing_fits_sends_nothing_and_is_an_outage(run: Any, channel: str) -> None:
    spec = "full_image+digital:link=adaptive:uses=1000"  # 64-QAM holds a small picture, QPSK not even a frame
    rows = run(spec, "--psnr", "100,1", "--channel", channel)
    assert whole(rows, spec, "block_lost", 1) == 1
    assert whole(rows, spec, "channel_uses", 1) == whole(rows, spec, "energy", 1) == 0
    if channel != "rayleigh":
        assert whole(rows, spec, "block_lost", 100) == 0
        assert 0 < whole(rows, spec, "channel_uses", 100) <= 1000


def test_a_map_that_its_budget_does_not_hold_is_an_outage(run: Any) -> None:
    spec = "fake_maps+digital:codec=label-png:link=qpsk@uncoded:uses=100"
    rows = run(spec, "--psnr", "100")
    assert whole(rows, spec, "block_lost", 100) == 1
    assert whole(rows, spec, "bits", 100) == whole(rows, spec, "channel_uses", 100) == 0
