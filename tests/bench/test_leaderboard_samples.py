"""Sample pictures: strips that hold what the cache holds, and what detectors and depth networks see in them."""

from __future__ import annotations

import io
import itertools
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from leaderboard_fakes import write_sample_set
from PIL import Image

from bench.api.errors import BenchError
from bench.api.files import open_entry
from bench.api.registry import DATASETS
from bench.leaderboard import samples as samples_module
from bench.leaderboard.samples import BLANK, boxes_svg, placed, read_index, write_samples
from bench.pictures.evaluators import Evaluators, paint_nearness
from bench.results.request import read_request
from bench.run.cell import read_picture
from metrics.evaluators.detectors import Detections

SPACE = DATASETS.load("streets").label_space
CAR = SPACE.names.index("car")
SVG = "{http://www.w3.org/2000/svg}"


def found(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, dtype=np.float32).reshape(-1, 4), np.full(count, score, np.float32), np.full(count, CAR)
    )


class Judge:
    """Sees one car in every picture, and nearness as its red."""

    protocol, sha256, classes, gpu_batch, inverse = "fake-v1", "0" * 64, (CAR,), 1, True

    def detect(self, images: torch.Tensor) -> list[Detections]:
        return [found((1, 2, 11, 12)) for _ in images]

    def estimate(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0]


def test_boxes_lie_in_their_picture_of_the_strip_and_faint_ones_are_left_out() -> None:
    space = replace(SPACE, names=tuple("<b>&" if name == "car" else name for name in SPACE.names))
    drawn = boxes_svg([found((1, 2, 11, 12)), None, found((0, 0, 5, 5), score=0.1)], 0.3, (32, 64), space)
    root = ET.fromstring(drawn)
    assert root.attrib["viewBox"] == "0 0 64 96"
    pictures = root.findall(f"{SVG}svg")
    assert [p.attrib["y"] for p in pictures] == ["0", "32", "64"]
    assert [boxes_in(p) for p in pictures] == [["M1 2H11V12H1z"], [], []]
    assert [t.text for t in root.iter(f"{SVG}text")] == ["<b>&"]


def test_names_of_detections_do_not_lie_on_each_other_nor_leave_the_picture() -> None:
    boxes = [(20.0, 40.0, 60.0, 70.0), (22.0, 41.0, 62.0, 71.0), (24.0, 42.0, 64.0, 72.0), (0.0, 0.0, 9.0, 9.0)]
    size = (100, 200)
    found = list(placed(boxes, ["car", "person", "car", "rider"], size))
    assert [name for _, _, name in found] == ["car", "person", "car", "rider"]
    text = size[1] / 27
    areas = [(x, y - 0.8 * text, x + 0.62 * text * len(name), y + 0.2 * text) for x, y, name in found]
    for (left, top, right, bottom), other in itertools.combinations(areas, 2):
        assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    assert all(left >= 0 and top >= 0 and right <= 200 and bottom <= 100 for left, top, right, bottom in areas)
    crowd = [(20.0 + k / 10, 40.0, 30.0 + k / 10, 50.0) for k in range(100)]
    assert 0 < len(list(placed(crowd, ["car"] * 100, size))) < 20


def test_near_is_bright_whatever_the_network_gives() -> None:
    pictures = [np.array([[[51, 0, 0], [255, 0, 0]]], dtype=np.uint8)]
    for inverse in (False, True):
        judge = Judge()
        judge.inverse = inverse
        painted = paint_nearness(
            Evaluators(depth=judge).nearness(pictures)[0], (0.2, 5.0) if not inverse else (0.0, 1.0)
        )
        near, far = (1, 0) if inverse else (0, 1)
        assert painted.shape == (1, 2, 3)
        assert painted[0, near].sum() > painted[0, far].sum() + 100
    assert (paint_nearness(np.full((2, 2), 0.3), (0.3, 0.3)) == paint_nearness(np.full((2, 2), 0.5), (0.0, 1.0))).all()


def boxes_in(picture: ET.Element) -> list[str]:
    """The boxes of one picture in an SVG strip, each of which is drawn twice: a dark line below a light one."""
    below, above = (path.attrib["d"] for path in picture.iter(f"{SVG}path"))
    assert below == above
    return [f"M{part}" for part in above.split("M")[1:]]


def strip(file: Path) -> np.ndarray:
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        return np.array(image.convert("RGB")).astype(int)


def coarse(picture: np.ndarray) -> np.ndarray:
    """Means of 8x8 blocks: WebP halves the resolution of colour, which pixel noise does not survive."""
    height, width, channels = picture.shape
    return picture.reshape(height // 8, 8, width // 8, 8, channels).mean(axis=(1, 3))


def test_strips_hold_the_cached_pictures(
    cli: Callable[..., Any], fakes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = Path("out")
    ran = cli("run", "--methods", "fake_maps,fake_pixels", "--psnr", "100,10", "--scenes", "2", "--out", str(out))
    assert ran.code == 0, ran.err
    request = read_request(out, tmp_path / "samples")
    facts = request.facts
    lost = next(f for f in facts["cell_folders"] if "fake_maps" in f and "@10-" in f)
    facts["cell_folders"].remove(lost)
    judge = Judge()
    monkeypatch.setattr(samples_module, "load_evaluators", lambda dataset, config: Evaluators(judge, 0.3, judge))
    index = write_samples(request, 1)
    (one,) = index["sets"]
    assert (one["psnrs"], one["size"], len(one["scenes"])) == ([100, 10], [32, 64], 1)
    assert [m["psnrs"] for m in one["methods"]] == [[100], [100, 10]]
    assert one["detector"] == one["depth"] == "fake-v1"
    folder = tmp_path / "samples" / one["scenes"][0]["folder"]
    maps, pixels = (strip(folder / f"{m['file']}.webp") for m in one["methods"])
    assert (abs(maps[32:] - BLANK) < 6).all()  # the cell that is lost
    for psnr, part in ((100, pixels[:32]), (10, pixels[32:])):
        cell = next(f for f in facts["cell_folders"] if "fake_pixels" in f and f"@{psnr}-" in f)
        entry = open_entry(out / cell)
        assert entry is not None
        assert abs(coarse(part) - coarse(read_picture(entry, 0))).mean() < 6
    assert abs(pixels[:32] - strip(folder / "original.webp")).mean() < 8  # without noise it is the original
    assert abs(coarse(pixels[:32]) - coarse(pixels[32:])).mean() > 10
    boxes = ET.parse(folder / f"{one['methods'][0]['file']}.boxes.svg").getroot()
    assert [len(boxes_in(p)) for p in boxes.findall(f"{SVG}svg")] == [1, 0]
    depth = strip(folder / f"{one['methods'][1]['file']}.depth.webp")
    assert depth.shape == (64, 64, 3)
    assert json.loads((tmp_path / "samples" / "index.json").read_text()) == json.loads(json.dumps(index))
    assert not list(tmp_path.glob(".*"))
    before = (folder / "original.webp").stat().st_mtime_ns
    with pytest.raises(BenchError, match="holds no pictures"):
        write_samples(replace(request, facts={**facts, "cell_folders": []}))
    assert (folder / "original.webp").stat().st_mtime_ns == before
    with pytest.raises(BenchError, match="holds no samples"):
        write_samples(replace(request, to=out))
    assert (out / "rows").is_dir()


def test_a_sample_or_an_index_that_changed_is_refused(tmp_path: Path) -> None:
    folder = write_sample_set(tmp_path / "samples")
    assert read_index(folder) is not None
    for name in ("streets/000/00-m.webp", "index.json"):
        file = folder / name
        data = file.read_bytes()
        file.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
        with pytest.raises(BenchError, match="again with `bench leaderboard samples`"):
            read_index(folder)
        file.write_bytes(data)
    (folder / "streets/000/00-m.webp").unlink()
    with pytest.raises(BenchError, match="cannot be read"):
        read_index(folder)
